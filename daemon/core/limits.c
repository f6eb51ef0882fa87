/*
 * Limits: see limits.h.
 */
#include "daemon/core/limits.h"

#include "daemon/config/config.h"
#include "lib/table.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>

struct address_count {
    struct in6_addr ip;
    uint64_t connection_count;
};

struct limits {
    pthread_mutex_t lock;
    struct table_seed seed;
    struct table addresses;
    struct buckets *buckets;
    size_t connection_count;
};

static struct bytes address_key(const void *entry)
{
    const struct address_count *count = entry;
    return bytes_of(&count->ip, sizeof(count->ip));
}

struct limits *limits_new(void)
{
    struct limits *limits = calloc(1, sizeof(*limits));
    if (!limits)
        return NULL;
    limits->buckets = buckets_new();
    if (!limits->buckets || getrandom(&limits->seed, sizeof(limits->seed), 0) != (ssize_t)sizeof(limits->seed)) {
        buckets_free(limits->buckets);
        free(limits);
        return NULL;
    }
    pthread_mutex_init(&limits->lock, NULL);
    table_init(&limits->addresses, &limits->seed, address_key);
    return limits;
}

void limits_free(struct limits *limits)
{
    if (!limits)
        return;
    size_t slot = 0;
    struct address_count *count;
    while ((count = table_each(&limits->addresses, &slot)))
        free(count);
    table_done(&limits->addresses);
    buckets_free(limits->buckets);
    pthread_mutex_destroy(&limits->lock);
    free(limits);
}

static enum fault_id limits_enter_address(struct limits *limits, uint64_t maximum, const struct in6_addr *ip)
{
    struct address_count *count = table_find(&limits->addresses, bytes_of(ip, sizeof(*ip)));
    if (!count) {
        count = calloc(1, sizeof(*count));
        if (!count)
            return FAULT_INTERNAL;
        count->ip = *ip;
        if (table_insert(&limits->addresses, count) < 0) {
            free(count);
            return FAULT_INTERNAL;
        }
    } else if (maximum && count->connection_count >= maximum) {
        return FAULT_ADDRESS_FULL;
    }
    count->connection_count++;
    return FAULT_NONE;
}

enum fault_id limits_enter(struct limits *limits, const struct config *config, const struct peer_address *address)
{
    enum fault_id fault = FAULT_NONE;
    pthread_mutex_lock(&limits->lock);
    if (limits->connection_count >= config->limits.connections)
        fault = FAULT_NODE_FULL;
    else if (address->family != AF_UNIX)
        fault = limits_enter_address(limits, config->limits.connections_per_address, &address->ip);
    if (fault == FAULT_NONE)
        limits->connection_count++;
    pthread_mutex_unlock(&limits->lock);
    return fault;
}

/* Two that come at the same moment may both be refused the last place; never is there one too many. */
int limits_check_user(const struct config *config, const struct place *user)
{
    uint64_t maximum = config->limits.connections_per_user;
    return maximum && atomic_load_explicit(&user->member_count, memory_order_relaxed) > maximum ? -EDQUOT : 0;
}

void limits_leave(struct limits *limits, const struct peer_address *address)
{
    pthread_mutex_lock(&limits->lock);
    limits->connection_count--;
    if (address->family != AF_UNIX) {
        struct bytes key = bytes_of(&address->ip, sizeof(address->ip));
        struct address_count *count = table_find(&limits->addresses, key);
        assert(count && count->connection_count > 0);
        if (--count->connection_count == 0) {
            table_remove(&limits->addresses, key);
            free(count);
        }
    }
    pthread_mutex_unlock(&limits->lock);
}

struct buckets *limits_buckets(struct limits *limits)
{
    return limits->buckets;
}

size_t limits_connection_count(struct limits *limits)
{
    pthread_mutex_lock(&limits->lock);
    size_t count = limits->connection_count;
    pthread_mutex_unlock(&limits->lock);
    return count;
}
