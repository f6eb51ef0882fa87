/*
 * Breaker: see breaker.h.
 */
#include "daemon/hook/breaker.h"

#include <limits.h>

void breaker_succeed(struct breaker *breaker)
{
    *breaker = (struct breaker){0};
}

bool breaker_fail(struct breaker *breaker, uint64_t now_ms, uint64_t failures_max, uint64_t pause_ms)
{
    bool was_open = breaker->is_open;
    if (breaker->failures < UINT_MAX)
        breaker->failures++;
    /* What began before it opened says nothing new. */
    if (was_open && !breaker->is_probing)
        return false;
    if (breaker->failures >= failures_max) {
        breaker->is_open = true;
        breaker->open_until_ms = now_ms + pause_ms;
    }
    breaker->is_probing = false;
    return breaker->is_open && !was_open;
}
