/*
 * Metrics: the names behind metrics.def.
 */
#include "daemon/core/metrics.h"

const struct metric_row metric_rows[METRIC_COUNT] = {
#define METRIC(id, name, unit, help) [METRIC_##id] = {name, unit, help},
#include "daemon/core/metrics.def"
#undef METRIC
};
