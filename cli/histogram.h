/*
 * Histogram: counts values in buckets of a fixed number and a bounded relative width, so that percentiles of any number
 * of samples cost the same memory. Pure; knows nothing of what the values mean.
 */
#pragma once

#include "lib/base.h"

enum {
    HISTOGRAM_FINE_BITS = 7,            /* a bucket is at most 1/128 of its values wide */
    HISTOGRAM_FINE = 1 << HISTOGRAM_FINE_BITS,
    HISTOGRAM_BUCKETS = (64 - HISTOGRAM_FINE_BITS + 1) * HISTOGRAM_FINE,
};

struct histogram {
    uint64_t count, min, max;           /* min and max are exact; both 0 while there is no sample */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/* The value that `per_mille` (0 to 1000) of the samples do not exceed: at most 1/128 above the exact one, never beyond
 * max. 0 without samples. */
uint64_t histogram_percentile(const struct histogram *histogram, unsigned per_mille);

/* How many samples are at most `value`. Exact where a bucket ends at `value`, which holds for 2^n-1 and for all below 256. */
uint64_t histogram_up_to(const struct histogram *histogram, uint64_t value);
