/*
 * Grants: see grant.h.
 */
#include "daemon/core/grant.h"

#include "daemon/config/config.h"
#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"

#include <stdlib.h>

enum { LOOK_MS = 5000, ENDS_MAX = 1024 };       /* how often the clock is looked at, and how many end in one turn */

static struct bytes grant_key(const void *entry)
{
    return bytes_of(&((const struct grant *)entry)->handle, sizeof(uint64_t));
}

static void heap_put(struct grants *grants, uint32_t place, struct grant *grant)
{
    grants->heap[place] = grant;
    grant->place = place;
}

static void heap_rise(struct grants *grants, struct grant *grant)
{
    uint32_t place = grant->place;
    while (place && grants->heap[(place - 1) / 2]->terms.expires_s > grant->terms.expires_s) {
        heap_put(grants, place, grants->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    heap_put(grants, place, grant);
}

static void heap_sink(struct grants *grants, struct grant *grant)
{
    uint32_t place = grant->place, child;
    while ((child = 2 * place + 1) < grants->count) {
        if (child + 1 < grants->count && grants->heap[child + 1]->terms.expires_s < grants->heap[child]->terms.expires_s)
            child++;
        if (grants->heap[child]->terms.expires_s >= grant->terms.expires_s)
            break;
        heap_put(grants, place, grants->heap[child]);
        place = child;
    }
    heap_put(grants, place, grant);
}

static void heap_remove(struct grants *grants, struct grant *grant)
{
    struct grant *last = grants->heap[--grants->count];
    if (last == grant)
        return;
    heap_put(grants, grant->place, last);
    heap_rise(grants, last);
    heap_sink(grants, last);
}

static int heap_grow(struct grants *grants)
{
    if (grants->count < grants->capacity)
        return 0;
    uint32_t capacity = grants->capacity ? grants->capacity * 2 : 16;
    struct grant **heap = realloc(grants->heap, capacity * sizeof(*heap));
    if (!heap)
        return -ENOMEM;
    grants->heap = heap;
    grants->capacity = capacity;
    return 0;
}

uint64_t grant_left_ms(const struct hub *hub, const struct grant *grant)
{
    if (grant->terms.expires_s == GRANT_NEVER_ENDS)
        return GRANT_NEVER_ENDS;
    const struct ports *ports = &hub->exchange->ports;
    uint64_t now_ms = ports->wall_ms(ports->argument);
    uint64_t ends_ms = grant->terms.expires_s * 1000 + hub->config->auth.leeway_ms;
    return ends_ms > now_ms ? ends_ms - now_ms : 0;
}

static void grants_wait(struct hub *hub)
{
    struct grants *grants = &hub->grants;
    uint64_t left_ms = grants->count ? grant_left_ms(hub, grants->heap[0]) : GRANT_NEVER_ENDS;
    timer_stop(&hub->wheel, &grants->timer);
    if (left_ms != GRANT_NEVER_ENDS)
        timer_set(&hub->wheel, &grants->timer, hub->now_ms + MIN(left_ms, (uint64_t)LOOK_MS));
}

static void on_grants_due(struct timer *timer)
{
    struct hub *hub = CONTAINER_OF(timer, struct hub, grants.timer);
    struct grants *grants = &hub->grants;
    for (unsigned ended = 0; ended < ENDS_MAX && grants->count && grant_left_ms(hub, grants->heap[0]) == 0; ended++) {
        struct connection *connection = hub_find(hub, grants->heap[0]->handle);
        struct fault why = {.id = grants->heap[0]->is_key_gone ? FAULT_KEY_REMOVED : FAULT_EXPIRED};
        assert(connection);
        metrics_add(&hub->metrics, METRIC_CONNECTIONS_EXPIRED, 1);
        connection_close(connection, &why, fault_rows[why.id].reconnect);
    }
    grants_wait(hub);
}

void grants_take_config(struct hub *hub)
{
    struct grants *grants = &hub->grants;
    bool is_any_gone = false;
    for (uint32_t i = 0; i < grants->count && hub->config->has_key; i++) {
        struct grant *grant = grants->heap[i];
        if (hub->config->has_key(hub->config, grant->terms.key_mark))
            continue;
        grant->is_key_gone = is_any_gone = true;
        grant->terms.expires_s = 0;
    }
    if (!is_any_gone)
        return;
    for (uint32_t place = grants->count; place-- > 0;)
        heap_sink(grants, grants->heap[place]);
    grants_wait(hub);
}

void grants_init(struct hub *hub)
{
    table_init(&hub->grants.by_connection, &hub->exchange->directory->seed, grant_key);
    timer_init(&hub->grants.timer, on_grants_due);
}

void grants_done(struct hub *hub)
{
    struct grants *grants = &hub->grants;
    assert(grants->count == 0);
    timer_stop(&hub->wheel, &grants->timer);
    table_done(&grants->by_connection);
    free(grants->heap);
}

static struct grant *grants_get(const struct hub *hub, const struct connection *connection)
{
    if (!connection->has_grant)
        return NULL;
    return table_find(&hub->grants.by_connection, bytes_of(&connection->handle, sizeof(connection->handle)));
}

const struct grant *grants_find(const struct hub *hub, const struct connection *connection)
{
    return grants_get(hub, connection);
}

struct rights grants_rights(const struct hub *hub, const struct connection *connection)
{
    const struct grant *grant = grants_get(hub, connection);
    return grant ? grant->terms.rights : (struct rights){0};
}

void grants_drop(struct hub *hub, struct connection *connection)
{
    struct grant *grant = grants_get(hub, connection);
    if (!grant)
        return;
    connection->has_grant = false;
    heap_remove(&hub->grants, grant);
    table_remove(&hub->grants.by_connection, grant_key(grant));
    free(grant->kept);
    free(grant);
    if (hub->grants.count == 0)
        timer_stop(&hub->wheel, &hub->grants.timer);
}

/* At the end of the heap, until its terms are set. */
static struct grant *grants_add(struct hub *hub, struct connection *connection)
{
    struct grants *grants = &hub->grants;
    struct grant *grant = calloc(1, sizeof(*grant));
    if (grant)
        grant->handle = connection->handle;
    if (!grant || heap_grow(grants) < 0 || table_insert(&grants->by_connection, grant) < 0) {
        free(grant);
        return NULL;
    }
    connection->has_grant = true;
    heap_put(grants, grants->count++, grant);
    return grant;
}

int grants_set(struct hub *hub, struct connection *connection, const struct grant_terms *terms)
{
    struct grant *grant = grants_get(hub, connection);
    struct bytes id = terms->token_id, rights = terms->rights.packed;
    unsigned char *kept = malloc(id.length + rights.length + 1);
    if (kept && !grant)
        grant = grants_add(hub, connection);
    if (!kept || !grant) {
        free(kept);
        return -ENOMEM;
    }
    if (id.length)
        memcpy(kept, id.data, id.length);
    if (rights.length)
        memcpy(kept + id.length, rights.data, rights.length);
    free(grant->kept);
    grant->kept = kept;
    grant->terms = *terms;
    grant->is_key_gone = false;
    grant->terms.token_id.data = kept;
    grant->terms.rights.packed.data = kept + id.length;
    heap_rise(&hub->grants, grant);
    heap_sink(&hub->grants, grant);
    grants_wait(hub);
    return 0;
}
