/*
 * Buckets: see buckets.h. Of a bucket only the moment is kept at which it will be full again; what is missing until then is what
 * was taken.
 */
#include "daemon/core/buckets.h"

#include "lib/table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
    STRIPES = 16,
    STRIPE_MAX = 4096,                  /* buckets of a stripe */
    SWEEP_SLOTS = 64,
};

struct bucket {
    uint64_t full_ns;
    uint16_t length;
    unsigned char key[];                /* the kind, then the key */
};

struct stripe {
    pthread_mutex_t lock;
    struct table table;
    size_t sweep_slot;
};

struct buckets {
    struct table_seed seed;
    atomic_size_t count;
    atomic_uint next_stripe;            /* to be swept */
    struct stripe stripes[STRIPES];
};

static struct bytes bucket_key(const void *entry)
{
    const struct bucket *bucket = entry;
    return bytes_of(bucket->key, bucket->length);
}

struct buckets *buckets_new(void)
{
    struct buckets *buckets = calloc(1, sizeof(*buckets));
    if (buckets && getrandom(&buckets->seed, sizeof(buckets->seed), 0) != (ssize_t)sizeof(buckets->seed)) {
        free(buckets);
        return NULL;
    }
    for (unsigned i = 0; buckets && i < STRIPES; i++) {
        pthread_mutex_init(&buckets->stripes[i].lock, NULL);
        table_init(&buckets->stripes[i].table, &buckets->seed, bucket_key);
    }
    return buckets;
}

void buckets_free(struct buckets *buckets)
{
    struct bucket *bucket;
    for (unsigned i = 0; buckets && i < STRIPES; i++) {
        size_t slot = 0;
        while ((bucket = table_each(&buckets->stripes[i].table, &slot)))
            free(bucket);
        table_done(&buckets->stripes[i].table);
        pthread_mutex_destroy(&buckets->stripes[i].lock);
    }
    free(buckets);
}

static void stripe_drop(struct buckets *buckets, struct stripe *stripe, const struct bucket *bucket)
{
    free(table_remove(&stripe->table, bucket_key(bucket)));
    atomic_fetch_sub_explicit(&buckets->count, 1, memory_order_relaxed);
}

/* Removing moves others about: some are looked at once more or later, none is lost. */
static void stripe_sweep(struct buckets *buckets, struct stripe *stripe, uint64_t now_ns)
{
    for (unsigned i = 0; i < SWEEP_SLOTS && table_count(&stripe->table); i++) {
        struct bucket *bucket = table_each(&stripe->table, &stripe->sweep_slot);
        if (!bucket) {
            stripe->sweep_slot = 0;
            return;
        }
        if (bucket->full_ns <= now_ns)
            stripe_drop(buckets, stripe, bucket);
    }
}

void buckets_sweep(struct buckets *buckets, uint64_t now_ms)
{
    if (buckets_count(buckets) == 0)
        return;
    struct stripe *stripe = &buckets->stripes[atomic_fetch_add_explicit(&buckets->next_stripe, 1, memory_order_relaxed) % STRIPES];
    pthread_mutex_lock(&stripe->lock);
    stripe_sweep(buckets, stripe, now_ms * 1000000);
    pthread_mutex_unlock(&stripe->lock);
}

size_t buckets_count(const struct buckets *buckets)
{
    return atomic_load_explicit(&buckets->count, memory_order_relaxed);
}

/* NULL: there is no room for one more. */
static struct bucket *stripe_add(struct buckets *buckets, struct stripe *stripe, struct bytes key)
{
    if (table_count(&stripe->table) >= STRIPE_MAX)
        return NULL;
    struct bucket *bucket = malloc(sizeof(*bucket) + key.length);
    if (!bucket)
        return NULL;
    bucket->length = (uint16_t)key.length;
    memcpy(bucket->key, key.data, key.length);
    if (table_insert(&stripe->table, bucket) < 0) {
        free(bucket);
        return NULL;
    }
    atomic_fetch_add_explicit(&buckets->count, 1, memory_order_relaxed);
    return bucket;
}

/* The bucket's name, and the stripe it is in, whose lock is taken. */
struct place_of_bucket {
    unsigned char name[BUCKET_KEY_MAX + 1];
    struct bytes key;
    struct stripe *stripe;
};

static struct bucket *bucket_find(struct buckets *buckets, unsigned char kind, struct bytes key, struct place_of_bucket *ret)
{
    assert(key.length <= BUCKET_KEY_MAX);
    ret->name[0] = kind;
    memcpy(ret->name + 1, key.data, key.length);
    ret->key = bytes_of(ret->name, key.length + 1);
    ret->stripe = &buckets->stripes[table_seed_hash(&buckets->seed, ret->key) % STRIPES];
    pthread_mutex_lock(&ret->stripe->lock);
    return table_find(&ret->stripe->table, ret->key);
}

static uint64_t rate_one_ns(const struct bucket_rate *rate)
{
    return MAX(rate->period_ms * 1000000 / rate->count, UINT64_C(1));
}

static bool buckets_ask(struct buckets *buckets, unsigned char kind, struct bytes key, const struct bucket_rate *rate, uint64_t now_ms,
                        bool takes)
{
    UNINITIALIZED struct place_of_bucket place;
    if (rate->count == 0)
        return true;
    uint64_t now_ns = now_ms * 1000000, one_ns = rate_one_ns(rate), burst_ns = MAX(rate->burst_ms * 1000000, one_ns);
    struct bucket *bucket = bucket_find(buckets, kind, key, &place);
    uint64_t full_ns = bucket ? MAX(bucket->full_ns, now_ns) : now_ns;
    bool is_there = full_ns + one_ns <= now_ns + burst_ns;
    if (is_there && takes) {
        if (!bucket) {
            stripe_sweep(buckets, place.stripe, now_ns);
            bucket = stripe_add(buckets, place.stripe, place.key);
        }
        if (bucket)
            bucket->full_ns = full_ns + one_ns;
    }
    pthread_mutex_unlock(&place.stripe->lock);
    return is_there;
}

void buckets_put_back(struct buckets *buckets, unsigned char kind, struct bytes key, const struct bucket_rate *rate)
{
    UNINITIALIZED struct place_of_bucket place;
    if (rate->count == 0)
        return;
    struct bucket *bucket = bucket_find(buckets, kind, key, &place);
    if (bucket)
        bucket->full_ns -= MIN(bucket->full_ns, rate_one_ns(rate));
    pthread_mutex_unlock(&place.stripe->lock);
}

bool buckets_have(struct buckets *buckets, unsigned char kind, struct bytes key, const struct bucket_rate *rate, uint64_t now_ms)
{
    return buckets_ask(buckets, kind, key, rate, now_ms, false);
}

bool buckets_take(struct buckets *buckets, unsigned char kind, struct bytes key, const struct bucket_rate *rate, uint64_t now_ms)
{
    return buckets_ask(buckets, kind, key, rate, now_ms, true);
}
