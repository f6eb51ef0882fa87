/*
 * Reclaim: memory goes back to the system after a storm. What was freed in small pieces stays with malloc(3) until somebody asks;
 * this asks when much of it lies idle and the worker is quiet, or at the latest after a minute, since asking takes milliseconds.
 */
#pragma once

#include "daemon/core/metrics.h"

struct reclaim {
    uint64_t look_ms, asked_ms;         /* the next look; the last time malloc was asked */
    uint64_t seen, settled;             /* what had happened at the last look; when all was given back */
};

/* Before the first thread is started: glibc's malloc sets itself up at its first use, which two threads must not do at once. Where a sanitizer
 * has taken its place nobody has used it until the first tick. */
void reclaim_prepare(void);
/* Now and then, by the worker that owns the metrics. */
void reclaim_tick(struct reclaim *reclaim, const struct metrics *metrics, uint64_t now_ms);
/* Something happened since memory was last looked at: there must be another tick. */
bool reclaim_is_due(const struct reclaim *reclaim, const struct metrics *metrics);
