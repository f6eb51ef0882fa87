/*
 * Breaker: whether somebody who fails is asked again. Closed, all are let through. After some failures in a row it opens, and nobody
 * is for a while; then one is, to try: by its luck the breaker closes, or stays open for another while. Has no clock of its own.
 */
#pragma once

#include "lib/base.h"

struct breaker {
    unsigned failures;                  /* in a row */
    bool is_open, is_probing;           /* probing: the one that tries is under way */
    uint64_t open_until_ms;
};

static inline bool breaker_allows(const struct breaker *breaker, uint64_t now_ms)
{
    return !breaker->is_open || (!breaker->is_probing && now_ms >= breaker->open_until_ms);
}

/* One that was allowed begins. */
static inline void breaker_begin(struct breaker *breaker)
{
    breaker->is_probing = breaker->is_open;
}

/* One came back. */
void breaker_succeed(struct breaker *breaker);
/* true: it has opened just now. */
bool breaker_fail(struct breaker *breaker, uint64_t now_ms, uint64_t failures_max, uint64_t pause_ms);
