/*
 * Reclaim: see reclaim.h.
 */
#include "daemon/net/reclaim.h"

#include <malloc.h>

enum {
    LOOK_MS = 3000, PATIENCE_MS = 60 * 1000,
    IDLE_BYTES_MIN = 256 * 1024, IDLE_SHARE = 16,       /* worth asking for: this much, and one part in so many of what is in use */
};

void reclaim_prepare(void)
{
    (void)mallinfo2();
}

/* What makes and frees memory: envelopes and connections. */
static uint64_t reclaim_activity(const struct metrics *metrics)
{
    return metrics_get(metrics, METRIC_MESSAGES_DELIVERED) + metrics_get(metrics, METRIC_MESSAGES_ACKNOWLEDGED)
        + metrics_get(metrics, METRIC_REQUESTS_RECEIVED) + metrics_get(metrics, METRIC_CONNECTIONS_CLOSED);
}

bool reclaim_is_due(const struct reclaim *reclaim, const struct metrics *metrics)
{
    return reclaim->settled != reclaim_activity(metrics);
}

void reclaim_tick(struct reclaim *reclaim, const struct metrics *metrics, uint64_t now_ms)
{
    if (now_ms < reclaim->look_ms || !reclaim_is_due(reclaim, metrics))
        return;
    uint64_t activity = reclaim_activity(metrics);
    bool is_quiet = activity == reclaim->seen;
    reclaim->look_ms = now_ms + LOOK_MS;
    reclaim->seen = activity;
    if (!is_quiet && now_ms - reclaim->asked_ms < PATIENCE_MS)
        return;
    struct mallinfo2 memory = mallinfo2();
    if (memory.fordblks > IDLE_BYTES_MIN && memory.fordblks > memory.uordblks / IDLE_SHARE)
        malloc_trim(0);
    reclaim->asked_ms = now_ms;
    if (is_quiet)
        reclaim->settled = activity;
}
