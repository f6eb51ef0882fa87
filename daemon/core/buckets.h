/*
 * Buckets: how much somebody may still do now, for limits of rate. A bucket has room for a burst and fills at its rate; who
 * takes more than is in it is refused. It is kept only while it is not full, so those who rest cost nothing. Shared by all threads,
 * behind striped locks that are taken only where a rate is limited.
 *
 * Knows no clock, and not what is counted.
 */
#pragma once

#include "lib/buf.h"

struct bucket_rate {
    uint64_t count, period_ms;          /* so many in that time; count 0: without a limit */
    uint64_t burst_ms;                  /* as many as come in so long may come at once, one at least */
};

struct buckets;

struct buckets *buckets_new(void);                  /* NULL: out of memory */
void buckets_free(struct buckets *buckets);

/* `kind` and `key` (up to BUCKET_KEY_MAX bytes) name the bucket. has: there is one to take. take: takes it; false: there was none.
 * Without memory, or with too many buckets, nobody is refused: what else is limited still holds. */
enum { BUCKET_KEY_MAX = 255 };
bool buckets_have(struct buckets *buckets, unsigned char kind, struct bytes key, const struct bucket_rate *rate, uint64_t now_ms);
bool buckets_take(struct buckets *buckets, unsigned char kind, struct bytes key, const struct bucket_rate *rate, uint64_t now_ms);

/* What was taken was not used. */
void buckets_put_back(struct buckets *buckets, unsigned char kind, struct bytes key, const struct bucket_rate *rate);

/* Drops full ones: a few entries each time. Call now and then. */
void buckets_sweep(struct buckets *buckets, uint64_t now_ms);
size_t buckets_count(const struct buckets *buckets);
