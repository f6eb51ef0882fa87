/*
 * Histogram: see histogram.h. Values below HISTOGRAM_FINE have a bucket each; beyond, each power of two is cut into
 * HISTOGRAM_FINE equal ones.
 */
#include "cli/histogram.h"

static unsigned bucket_of(uint64_t value)
{
    if (value < HISTOGRAM_FINE)
        return (unsigned)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_FINE_BITS;
    return (shift + 1) * HISTOGRAM_FINE + (unsigned)(value >> shift) - HISTOGRAM_FINE;
}

static uint64_t bucket_last(unsigned bucket)
{
    if (bucket < HISTOGRAM_FINE)
        return bucket;
    unsigned shift = bucket / HISTOGRAM_FINE - 1;
    uint64_t first = (uint64_t)(bucket % HISTOGRAM_FINE + HISTOGRAM_FINE) << shift;
    return first + ((UINT64_C(1) << shift) - 1);
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    if (histogram->count == 0 || value < histogram->min)
        histogram->min = value;
    if (value > histogram->max)
        histogram->max = value;
    histogram->count++;
    histogram->buckets[bucket_of(value)]++;
}

uint64_t histogram_percentile(const struct histogram *histogram, unsigned per_mille)
{
    /* Rounded up without a product that could wrap: the rank of the sample that is asked for, from 1. */
    uint64_t rank = histogram->count / 1000 * per_mille + (histogram->count % 1000 * per_mille + 999) / 1000;
    uint64_t seen = 0;
    if (rank == 0)
        return histogram->min;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= rank)
            return MIN(bucket_last(i), histogram->max);
    }
    return histogram->max;
}

uint64_t histogram_up_to(const struct histogram *histogram, uint64_t value)
{
    uint64_t sum = 0;
    /* The bucket of the largest sample may end beyond it. */
    if (value >= histogram->max)
        return histogram->count;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS && bucket_last(i) <= value; i++)
        sum += histogram->buckets[i];
    return sum;
}
