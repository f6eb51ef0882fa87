/*
 * Limits of rate: what is counted, by whom, and by which option. Buckets are buckets.c.
 */
#include "daemon/core/limits.h"

#include "daemon/config/config.h"
#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"

#include <sys/socket.h>

enum { SECOND_MS = 1000, MINUTE_MS = 60 * SECOND_MS };
enum bucket_kind { BUCKET_CONNECTION, BUCKET_USER, BUCKET_CONNECT, BUCKET_FAILURE, BUCKET_HANDSHAKE };

/* By connection and by user: the option, and where its value stands. */
static const struct { const char *option[2]; size_t offset[2]; } rows[] = {
#define ROW(what) {{"limits." #what "-per-connection", "limits." #what "-per-user"}, \
    {offsetof(struct config, limits.what##_per_connection), offsetof(struct config, limits.what##_per_user)}}
    [LIMITED_MESSAGES] = ROW(messages), [LIMITED_PUBLISHES] = ROW(publishes), [LIMITED_JOINS] = ROW(joins),
#undef ROW
};

/* One of the connection's two buckets: its own, or its user's. */
struct share {
    struct bytes key;
    struct bucket_rate rate;
    unsigned char kind;
};

/* Nothing is limited: nearly always. */
static bool is_unlimited(const struct config *config, enum limited what)
{
    const char *start = (const char *)config;
    return *(const uint64_t *)(start + rows[what].offset[0]) == 0 && *(const uint64_t *)(start + rows[what].offset[1]) == 0;
}

static struct share share_of(const struct connection *connection, enum limited what, bool is_user)
{
    const struct config *config = connection->hub->config;
    struct share share = {
        .key = is_user ? connection_user(connection) : bytes_of(&connection->handle, sizeof(connection->handle)),
        .rate = {.period_ms = SECOND_MS, .burst_ms = config->limits.burst_ms},
        .kind = (unsigned char)(0x10 * what + (is_user ? BUCKET_USER : BUCKET_CONNECTION)),
    };
    if (share.key.length)
        share.rate.count = *(const uint64_t *)((const char *)config + rows[what].offset[is_user]);
    return share;
}

/* By itself: what it needs of the stack would be a cost for each message where nothing is limited. */
static __attribute__((noinline)) enum fault_id limits_take_shares(struct connection *connection, enum limited what, struct fault *fault)
{
    struct hub *hub = connection->hub;
    for (unsigned is_user = 0; is_user < 2; is_user++) {
        struct share share = share_of(connection, what, is_user);
        if (buckets_take(limits_buckets(hub->exchange->limits), share.kind, share.key, &share.rate, hub->now_ms))
            continue;
        metrics_add(&hub->metrics, METRIC_RATE_LIMITED, 1);
        fault_set(fault, FAULT_RATE_LIMITED, "more than %llu a second for %llu ms (%s); slow down", (unsigned long long)share.rate.count,
                  (unsigned long long)share.rate.burst_ms, rows[what].option[is_user]);
        return FAULT_RATE_LIMITED;
    }
    return FAULT_NONE;
}

enum fault_id limits_take(struct connection *connection, enum limited what, struct fault *fault)
{
    return is_unlimited(connection->hub->config, what) ? FAULT_NONE : limits_take_shares(connection, what, fault);
}

void limits_put_back(const struct connection *connection, enum limited what)
{
    for (unsigned is_user = 0; is_user < 2; is_user++) {
        struct share share = share_of(connection, what, is_user);
        buckets_put_back(limits_buckets(connection->hub->exchange->limits), share.kind, share.key, &share.rate);
    }
}

/* An IPv6 site has a /64: whoever has one has as many addresses as he likes. */
static struct bytes address_key(const struct peer_address *address)
{
    return bytes_of(&address->ip, address->family == AF_INET6 ? 8 : sizeof(address->ip));
}

enum fault_id limits_take_connect(struct hub *hub, const struct peer_address *address, struct fault *fault)
{
    struct bucket_rate rate = {hub->config->limits.connects_per_address, MINUTE_MS, MINUTE_MS};
    if (address->family == AF_UNIX
        || buckets_take(limits_buckets(hub->exchange->limits), BUCKET_CONNECT, address_key(address), &rate, hub->now_ms))
        return FAULT_NONE;
    metrics_add(&hub->metrics, METRIC_RATE_LIMITED, 1);
    fault_set(fault, FAULT_RATE_LIMITED, "more than %llu connections a minute from one address (limits.connects-per-address)",
              (unsigned long long)rate.count);
    return FAULT_RATE_LIMITED;
}

enum fault_id limits_may_prove(struct hub *hub, const struct peer_address *address, struct fault *fault)
{
    struct bucket_rate rate = {hub->config->limits.failures_per_address, MINUTE_MS, MINUTE_MS};
    if (address->family == AF_UNIX
        || buckets_have(limits_buckets(hub->exchange->limits), BUCKET_FAILURE, address_key(address), &rate, hub->now_ms))
        return FAULT_NONE;
    metrics_add(&hub->metrics, METRIC_RATE_LIMITED, 1);
    fault_set(fault, FAULT_RATE_LIMITED, "%llu credentials a minute were refused for this address (limits.failures-per-address)",
              (unsigned long long)rate.count);
    return FAULT_RATE_LIMITED;
}

void limits_note_failure(struct hub *hub, const struct peer_address *address)
{
    struct bucket_rate rate = {hub->config->limits.failures_per_address, MINUTE_MS, MINUTE_MS};
    if (address->family != AF_UNIX)
        (void)!buckets_take(limits_buckets(hub->exchange->limits), BUCKET_FAILURE, address_key(address), &rate, hub->now_ms);
}

bool limits_may_shake_hands(struct hub *hub, const struct peer_address *address)
{
    struct bucket_rate rate = {hub->config->limits.handshakes_per_address, MINUTE_MS, MINUTE_MS};
    if (address->family == AF_UNIX
        || buckets_have(limits_buckets(hub->exchange->limits), BUCKET_HANDSHAKE, address_key(address), &rate, hub->now_ms))
        return true;
    metrics_add(&hub->metrics, METRIC_RATE_LIMITED, 1);
    return false;
}

void limits_note_handshake(struct hub *hub, const struct peer_address *address)
{
    struct bucket_rate rate = {hub->config->limits.handshakes_per_address, MINUTE_MS, MINUTE_MS};
    if (address->family != AF_UNIX)
        (void)!buckets_take(limits_buckets(hub->exchange->limits), BUCKET_HANDSHAKE, address_key(address), &rate, hub->now_ms);
}
