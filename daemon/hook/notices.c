/*
 * Notices: see notices.h.
 */
#include "daemon/hook/notices.h"

#include <stdio.h>
#include <stdlib.h>

void notices_init(struct notices *notices, struct exchange *exchange, struct metrics *metrics)
{
    *notices = (struct notices){.exchange = exchange, .metrics = metrics};
    list_init(&notices->sinks);
}

uint64_t notices_add(struct notices *notices, struct notice_sink *sink)
{
    list_append(&notices->sinks, &sink->node);
    return notices_refresh(notices);
}

void notices_remove(struct notices *notices, struct notice_sink *sink)
{
    list_remove(&sink->node);
    notices_refresh(notices);
}

uint64_t notices_refresh(struct notices *notices)
{
    unsigned kinds = 0;
    LIST_EACH(node, &notices->sinks) {
        const struct notice_sink *sink = CONTAINER_OF(node, struct notice_sink, node);
        for (enum notice_kind kind = 0; kind < NOTICE_KIND_COUNT; kind++)
            kinds |= (unsigned)sink->wants(sink, kind) << kind;
    }
    return lifecycle_set_wanted(&notices->exchange->lifecycle, kinds);
}

static void notices_hand_out(struct notices *notices, const struct notice *notice)
{
    LIST_EACH(node, &notices->sinks) {
        struct notice_sink *sink = CONTAINER_OF(node, struct notice_sink, node);
        if (sink->wants(sink, notice->kind))
            sink->take(sink, notice);
    }
}

/* Without memory for it, the gap in the numbers has to speak for itself. */
static void notices_tell_lost(struct notices *notices, uint64_t lost)
{
    if (lost <= notices->lost)
        return;
    char json[80];
    snprintf(json, sizeof(json), "{\"eventName\":\"rtc.gap\",\"data\":{\"lost\":%llu}}", (unsigned long long)(lost - notices->lost));
    struct notice_draft draft = {.kind = NOTICE_GAP, .json = bytes_text(json)};
    const struct ports *ports = &notices->exchange->ports;
    struct notice *gap = notice_new(&draft, ports->wall_ms(ports->argument));
    metrics_add(notices->metrics, METRIC_LIFECYCLE_LOST, lost - notices->lost);
    if (gap) {
        gap->lost = lost - notices->lost;
        notices_hand_out(notices, gap);
    }
    free(gap);
    notices->lost = lost;
}

void notices_begin(struct notices *notices)
{
    const struct ports *ports = &notices->exchange->ports;
    struct notice_draft draft = {.kind = NOTICE_EPOCH, .json = BYTES("{\"eventName\":\"rtc.epoch\",\"data\":{")};
    struct notice *notice = notice_new(&draft, ports->wall_ms(ports->argument));
    if (notice) {
        notice_number(notice, notices->exchange->lifecycle.epoch, LIFECYCLE_EPOCH_SEQUENCE);
        notices_hand_out(notices, notice);
    }
    free(notice);
}

void notices_take(struct notices *notices, struct notice *notice)
{
    if (notice_is_numbered(notice->kind))
        notices_tell_lost(notices, notice->lost);
    notices_hand_out(notices, notice);
    free(notice);
}

bool notices_are_busy(const struct notices *notices)
{
    LIST_EACH(node, &notices->sinks) {
        const struct notice_sink *sink = CONTAINER_OF(node, struct notice_sink, node);
        if (sink->is_busy && sink->is_busy(sink))
            return true;
    }
    return false;
}

void notices_settle(struct notices *notices)
{
    notices_tell_lost(notices, atomic_load_explicit(&notices->exchange->lifecycle.lost, memory_order_relaxed));
}
