/*
 * Metrics: one set of counters per thread, written by that thread alone and read by any.
 */
#pragma once

#include "lib/base.h"

#include <stdatomic.h>

enum metric {
#define METRIC(id, name, unit, help) METRIC_##id,
#include "daemon/core/metrics.def"
#undef METRIC
    METRIC_COUNT,
};

struct metric_row { const char *name, *unit, *help; };
extern const struct metric_row metric_rows[METRIC_COUNT];

struct metrics { _Atomic uint64_t values[METRIC_COUNT]; };

/* One writer, so a plain load and store will do: no locked instruction on the hot path. */
static inline void metrics_add(struct metrics *metrics, enum metric metric, uint64_t amount)
{
    uint64_t value = atomic_load_explicit(&metrics->values[metric], memory_order_relaxed);
    atomic_store_explicit(&metrics->values[metric], value + amount, memory_order_relaxed);
}

static inline uint64_t metrics_get(const struct metrics *metrics, enum metric metric)
{
    return atomic_load_explicit(&metrics->values[metric], memory_order_relaxed);
}
