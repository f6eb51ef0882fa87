/*
 * Presence: see presence.h.
 */
#include "daemon/core/presence.h"

#include "daemon/config/config.h"
#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"
#include "daemon/core/notice.h"
#include "lib/json.h"

#include <stdlib.h>

static void presence_free(struct presence *presence)
{
    buf_done(&presence->group);
    buf_done(&presence->members);
    free(presence);
}

static int presence_post(struct presence *presence, unsigned worker)
{
    const struct ports *ports = &presence->exchange->ports;
    struct letter letter = {.kind = LETTER_VISIT, .visit = &presence->visit};
    presence->visit.is_over = false;
    return ports->post(ports->argument, worker, &letter);
}

static void presence_name(struct presence *presence, const struct connection *connection)
{
    struct json_writer json = json_writer(&presence->members);
    if (presence->members.length)
        buf_add_byte(&presence->members, ',');
    json_begin_object(&json);
    notice_add_identity(&json, connection);
    json_end_object(&json);
}

/* This worker's members. The roster is its own, so it stays as it is without the lock. */
static void presence_look(struct presence *presence, struct hub *hub)
{
    struct place *place;
    struct stripe *stripe = directory_lock(hub->exchange->directory, SPACE_GROUP, buf_bytes(&presence->group), &place);
    struct roster *roster = place ? place->rosters[hub->worker] : NULL;
    directory_unlock(stripe);
    if (!roster)
        return;
    presence->count += roster->count;
    if (presence->count > presence->named_max) {
        buf_done(&presence->members);
        return;
    }
    for (uint32_t i = 0; i < roster->count; i++)
        presence_name(presence, hub->slots[roster_members(roster)[i].slot]);
}

static bool presence_run(struct visit *visit, struct hub *hub)
{
    struct presence *presence = CONTAINER_OF(visit, struct presence, visit);
    struct connection *connection = presence->is_answering ? hub_find(hub, presence->handle) : NULL;
    if (!presence->is_answering)
        presence_look(presence, hub);
    else if (connection)
        presence->on_answer(connection, presence);
    return false;
}

/* On the main thread. Without memory to go on, who asked gets no reply, as from a peer that is gone. */
static void presence_arrive(struct visit *visit)
{
    struct presence *presence = CONTAINER_OF(visit, struct presence, visit);
    bool has_answered = presence->is_answering;
    presence->is_answering = ++presence->worker >= presence->exchange->worker_count;
    unsigned next = presence->is_answering ? hub_handle_worker(presence->handle) : presence->worker;
    if (has_answered || presence_post(presence, next) < 0)
        presence_free(presence);
}

int presence_ask(struct connection *connection, struct bytes group, uint64_t id,
                 void (*on_answer)(struct connection *connection, const struct presence *presence))
{
    struct exchange *exchange = connection->hub->exchange;
    const struct ports *ports = &exchange->ports;
    if (!ports->has_room(ports->argument, 0) || !ports->has_room(ports->argument, MAIN_MAILBOX))
        return -EAGAIN;
    struct presence *presence = calloc(1, sizeof(*presence));
    if (!presence)
        return -ENOMEM;
    *presence = (struct presence){.visit = {.run = presence_run, .arrive = presence_arrive}, .exchange = exchange, .handle = connection->handle,
                                  .id = id, .named_max = connection->hub->config->presence.members, .on_answer = on_answer};
    buf_add_bytes(&presence->group, group);
    int r = buf_status(&presence->group);
    if (r == 0)
        r = presence_post(presence, 0);
    if (r < 0)
        presence_free(presence);
    return r;
}
