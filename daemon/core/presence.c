/*
 * Presence: see presence.h.
 */
#include "daemon/core/presence.h"

#include "daemon/config/config.h"
#include "daemon/core/attendance.h"
#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"
#include "daemon/core/notice.h"
#include "lib/json.h"

#include <stdlib.h>

enum { USERS_WALK_MAX = 20000 };        /* connections through which a worker looks for their users */

struct named_user {
    uint64_t connections;
    size_t length;
    unsigned char name[];
};

static struct bytes named_user_key(const void *entry)
{
    const struct named_user *user = entry;
    return bytes_of(user->name, user->length);
}

static void presence_drop_users(struct presence *presence)
{
    size_t slot = 0;
    for (struct named_user *user; (user = table_each(&presence->names, &slot));)
        free(user);
    table_done(&presence->names);
    table_init(&presence->names, &presence->exchange->directory->seed, named_user_key);
}

/* A client is about to be told: what the group announces has to go on from there. */
static void presence_agree(struct presence *presence, struct attendance *attendance)
{
    if (attendance->events != (presence->is_by_users ? PRESENCE_USERS : PRESENCE_CONNECTIONS))
        return;
    bool has_names = presence_is_named(presence) || presence->is_uncounted;
    presence->is_unnamed = !attendance_answer(attendance, has_names, presence->is_by_users ? &presence->users : &presence->connections);
}

/* From here on whoever comes or goes is announced as ever. */
static void presence_end_question(struct presence *presence, bool is_told)
{
    struct place *place = STEAL(presence->place);
    if (!place)
        return;
    struct stripe *stripe = directory_lock_place(presence->exchange->directory, place);
    attendance_end_question(place->attendance);
    if (presence->is_uncounted && place->attendance->events == PRESENCE_USERS)
        presence->users = place->attendance->users;
    if (is_told)
        presence_agree(presence, place->attendance);
    directory_unlock(stripe);
    place_unref(place);
}

static void presence_begin_question(struct presence *presence)
{
    struct place *place;
    struct stripe *stripe = directory_lock(presence->exchange->directory, SPACE_GROUP, buf_bytes(&presence->group), &place);
    if (place && place->attendance) {
        attendance_begin_question(place->attendance);
        place_ref(place);
        presence->place = place;
    }
    directory_unlock(stripe);
}

static void presence_free(struct presence *presence)
{
    presence_end_question(presence, false);
    presence_drop_users(presence);
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
    notice_add_member(&json, connection);
}

static void presence_count_user(struct presence *presence, struct bytes name)
{
    struct named_user *user = table_find(&presence->names, name);
    if (!user) {
        user = calloc(1, sizeof(*user) + name.length);
        if (user) {
            user->length = name.length;
            memcpy(user->name, name.data, name.length);
        }
        if (!user || table_insert(&presence->names, user) < 0) {
            free(user);
            buf_fail(&presence->members);
            return;
        }
        presence->users++;
    }
    user->connections++;
}

static void presence_look_at_users(struct presence *presence, const struct hub *hub, struct roster *roster)
{
    if (presence->connections > USERS_WALK_MAX) {
        presence->is_uncounted = true;
        presence->users = 0;
        presence_drop_users(presence);
        return;
    }
    for (uint32_t i = 0; i < roster->count; i++) {
        struct bytes user = connection_user(hub->slots[roster_members(roster)[i].slot]);
        if (user.length)
            presence_count_user(presence, user);
    }
}

static void presence_look_at_connections(struct presence *presence, const struct hub *hub, struct roster *roster)
{
    if (presence->connections > presence->named_max) {
        buf_done(&presence->members);
        return;
    }
    for (uint32_t i = 0; i < roster->count; i++)
        presence_name(presence, hub->slots[roster_members(roster)[i].slot]);
}

/* This worker's members. The roster is its own, so it stays as it is without the lock. */
static void presence_look(struct presence *presence, const struct hub *hub)
{
    struct place *place;
    struct stripe *stripe = directory_lock(hub->exchange->directory, SPACE_GROUP, buf_bytes(&presence->group), &place);
    struct roster *roster = place ? place->rosters[hub->worker] : NULL;
    directory_unlock(stripe);
    if (!roster)
        return;
    presence->connections += roster->count;
    if (presence->is_by_users)
        presence_look_at_users(presence, hub, roster);
    else
        presence_look_at_connections(presence, hub, roster);
}

bool presence_next_user(const struct presence *presence, size_t *slot, struct bytes *ret_name, uint64_t *ret_connections)
{
    const struct named_user *user = table_each(&presence->names, slot);
    if (user) {
        *ret_name = named_user_key(user);
        *ret_connections = user->connections;
    }
    return user;
}

static bool presence_run(struct visit *visit, struct hub *hub)
{
    struct presence *presence = CONTAINER_OF(visit, struct presence, visit);
    if (!presence->is_answering) {
        presence_look(presence, hub);
        return false;
    }
    struct connection *connection = hub_find(hub, presence->handle);
    presence_end_question(presence, connection);
    if (connection)
        presence->on_answer(connection, presence);
    return false;
}

/* False: there is nobody more to ask or to tell on a worker, or no memory to get there. */
static bool presence_go_on(struct presence *presence)
{
    if (presence->is_answering)
        return false;
    if (++presence->worker < presence->exchange->worker_count)
        return presence_post(presence, presence->worker) == 0;
    presence->is_answering = true;
    return presence->on_answer && presence_post(presence, hub_handle_worker(presence->handle)) == 0;
}

/* On the main thread. Without memory to go on, a client gets no reply, as from a peer that is gone. */
static void presence_arrive(struct visit *visit)
{
    struct presence *presence = CONTAINER_OF(visit, struct presence, visit);
    if (presence_go_on(presence))
        return;
    if (presence->on_gathered) {
        if (!presence->is_answering)
            buf_fail(&presence->members);
        presence_end_question(presence, false);
        presence->on_gathered(presence, presence->argument);
    }
    presence_free(presence);
}

static struct presence *presence_new(struct exchange *exchange, struct bytes group, bool is_by_users, uint64_t named_max)
{
    struct presence *presence = calloc(1, sizeof(*presence));
    if (!presence)
        return NULL;
    *presence = (struct presence){.visit = {.run = presence_run, .arrive = presence_arrive}, .exchange = exchange,
                                  .is_by_users = is_by_users, .named_max = named_max};
    table_init(&presence->names, &exchange->directory->seed, named_user_key);
    buf_add_bytes(&presence->group, group);
    return presence;
}

static int presence_start(struct presence *presence)
{
    int r = buf_status(&presence->group);
    presence_begin_question(presence);
    if (r == 0)
        r = presence_post(presence, 0);
    if (r < 0)
        presence_free(presence);
    return r;
}

int presence_ask(struct connection *connection, struct bytes group, bool is_by_users, uint64_t id,
                 void (*on_answer)(struct connection *connection, const struct presence *presence))
{
    struct exchange *exchange = connection->hub->exchange;
    const struct ports *ports = &exchange->ports;
    if (!ports->has_room(ports->argument, 0) || !ports->has_room(ports->argument, MAIN_MAILBOX))
        return -EAGAIN;
    struct presence *presence = presence_new(exchange, group, is_by_users, connection->hub->config->presence.members);
    if (!presence)
        return -ENOMEM;
    presence->handle = connection->handle;
    presence->id = id;
    presence->on_answer = on_answer;
    return presence_start(presence);
}

int presence_gather(struct exchange *exchange, struct bytes group, bool is_by_users, uint64_t named_max,
                    void (*on_gathered)(const struct presence *presence, void *argument), void *argument)
{
    struct presence *presence = presence_new(exchange, group, is_by_users, named_max);
    if (!presence)
        return -ENOMEM;
    presence->on_gathered = on_gathered;
    presence->argument = argument;
    return presence_start(presence);
}
