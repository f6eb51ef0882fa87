/*
 * One connection, or those of one user: show connection, join, leave, disconnect. Each is an errand: a visit to the worker
 * that owns the connection, which brings an answer home.
 */
#include "daemon/admin/admin_call.h"

#include "daemon/core/policy.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct errand {
    struct visit visit;
    struct admin_return back;
    const struct admin_host *host;
    void (*act)(struct errand *errand, struct hub *hub);
    uint64_t handle;
    struct buf group;                   /* join, leave: which */
    struct fault why;                   /* disconnect: the reason */
    bool reconnect;
    struct buf user;                    /* whose connections it is for; empty: for that of `handle` */
    unsigned worker;                    /* of a user: goes to each in turn */
    const char *done;                   /* what was done, in the answer */
    uint64_t done_count, refused_count;
    struct buf answer;                  /* JSON; with a fault: not used */
    struct fault fault;
};

static void errand_free(struct errand *errand)
{
    buf_done(&errand->group);
    buf_done(&errand->user);
    buf_done(&errand->answer);
    free(errand);
}

static bool errand_run(struct visit *visit, struct hub *hub)
{
    struct errand *errand = CONTAINER_OF(visit, struct errand, visit);
    errand->act(errand, hub);
    return false;
}

/* {"joined":3}, and beside it how many were refused, if any. */
static void errand_count(struct errand *errand)
{
    struct json_writer json = json_writer(&errand->answer);
    json_begin_object(&json);
    json_key(&json, errand->done);
    json_add_uint(&json, errand->done_count);
    if (errand->refused_count) {
        json_key(&json, "refused");
        json_add_uint(&json, errand->refused_count);
    }
    json_end_object(&json);
}

static void errand_arrive(struct visit *visit)
{
    struct errand *errand = CONTAINER_OF(visit, struct errand, visit);
    if (errand->user.length && ++errand->worker < errand->host->worker_count
        && admin_send_visit(errand->host, errand->worker, visit) == 0)
        return;
    if (errand->done)
        errand_count(errand);
    if (errand->fault.id != FAULT_NONE && errand->done_count == 0)
        admin_refuse(&errand->back, errand->fault.id, "%s", fault_message(&errand->fault));
    else
        admin_reply(&errand->back, buf_bytes(&errand->answer));
    errand_free(errand);
}

static struct errand *errand_new(struct admin_call *call, void (*act)(struct errand *errand, struct hub *hub))
{
    struct errand *errand = calloc(1, sizeof(*errand));
    if (!errand) {
        admin_refuse(&call->back, FAULT_INTERNAL, "out of memory");
        return NULL;
    }
    errand->visit = (struct visit){errand_run, errand_arrive};
    errand->back = call->back;
    errand->host = call->host;
    errand->act = act;
    return errand;
}

static void errand_send(struct errand *errand)
{
    if (admin_send_visit(errand->host, errand->worker, &errand->visit) < 0) {
        admin_refuse(&errand->back, FAULT_INTERNAL, "out of memory");
        errand_free(errand);
    }
}

/* The errand for the connection that the call names; NULL: refused. */
static struct errand *errand_to_connection(struct admin_call *call, void (*act)(struct errand *errand, struct hub *hub))
{
    struct bytes text;
    struct uuid id;
    if (admin_text(call, "connection", &text) <= 0)
        return NULL;
    if (uuid_parse(text, &id) < 0) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "a connection's id looks like 123e4567-e89b-42d3-a456-426614174000");
        return NULL;
    }
    uint64_t handle = directory_find_connection(call->host->exchange->directory, &id);
    if (handle == 0) {
        admin_refuse(&call->back, FAULT_NOT_FOUND, "there is no such connection");
        return NULL;
    }
    struct errand *errand = errand_new(call, act);
    if (errand) {
        errand->handle = handle;
        errand->worker = hub_handle_worker(handle);
    }
    return errand;
}

/* It may have ended on the way. */
static struct connection *errand_connection(struct errand *errand, struct hub *hub)
{
    struct connection *connection = hub_find(hub, errand->handle);
    if (!connection)
        fault_set(&errand->fault, FAULT_NOT_FOUND, "there is no such connection any more");
    return connection;
}

static void show_outbox(struct json_writer *json, const struct connection *connection)
{
    const struct outbox *outbox = &connection->outbox;
    json_key(json, "received");
    json_add_uint(json, connection->received);
    json_key(json, "sent");
    json_add_uint(json, outbox_sent(outbox));
    json_key(json, "acknowledged");
    json_add_uint(json, outbox->first - 1);
    json_key(json, "unsent");
    json_add_uint(json, outbox_unsent_count(outbox));
    json_key(json, "unsentBytes");
    json_add_uint(json, outbox_unsent_bytes(outbox));
    json_key(json, "keptBytes");
    json_add_uint(json, outbox_kept_bytes(outbox));
}

/* Of the access token that it showed last, as far as it is kept. */
static void show_grant(struct json_writer *json, const struct connection *connection)
{
    const struct grant *grant = grants_find(connection->hub, connection);
    if (!grant)
        return;
    uint64_t left_ms = grant_left_ms(connection->hub, grant);
    json_key(json, "expiresInMs");
    if (left_ms == GRANT_NEVER_ENDS)
        json_add_null(json);
    else
        json_add_uint(json, left_ms);
    json_key(json, "tokenId");
    json_add_string(json, grant->terms.token_id);
}

/* What a judge attached to it. */
static void show_labels(struct json_writer *json, const struct connection *connection)
{
    const struct labels *labels = labels_find(connection->hub, connection);
    if (labels && labels->labels.length) {
        json_key(json, "labels");
        json_add_raw(json, labels->labels);
    }
    if (labels && labels->info.length) {
        json_key(json, "info");
        json_add_raw(json, labels->info);
    }
}

static void act_show(struct errand *errand, struct hub *hub)
{
    const struct connection *connection = errand_connection(errand, hub);
    if (!connection)
        return;
    char id[UUID_TEXT + 1], address[PEER_TEXT_MAX];
    uuid_print(&connection->id, id);
    peer_address_print(&connection->address, address);
    struct json_writer json = json_writer(&errand->answer);
    json_begin_object(&json);
    json_key(&json, "id");
    json_add_text(&json, id);
    json_key(&json, "user");
    json_add_string(&json, connection_user(connection));
    json_key(&json, "state");
    json_add_text(&json, connection_state_name(connection->state));
    json_key(&json, "transport");
    json_add_text(&json, connection->transport ? connection->transport->name : "");
    json_key(&json, "protocol");
    json_add_text(&json, codecs[connection->codec]->name);
    json_key(&json, "dialect");
    json_add_text(&json, connection->dialect->name);
    json_key(&json, "address");
    json_add_text(&json, address);
    json_key(&json, "worker");
    json_add_uint(&json, hub->worker);
    json_key(&json, "ageMs");
    json_add_uint(&json, hub->now_ms - connection->opened_s * UINT64_C(1000));
    json_key(&json, "silentMs");
    json_add_uint(&json, connection_age_ms(hub->now_ms, connection->heard_ms));
    show_outbox(&json, connection);
    show_grant(&json, connection);
    show_labels(&json, connection);
    json_key(&json, "groups");
    json_begin_array(&json);
    for (unsigned i = 0; i < connection->membership_count; i++)
        json_add_string(&json, place_name(connection_memberships(connection)[i].roster->place));
    json_end_array(&json);
    json_end_object(&json);
}

void admin_show_connection(struct admin_call *call)
{
    struct errand *errand = errand_to_connection(call, act_show);
    if (errand)
        errand_send(errand);
}

/* This worker's connections of the user: `act` ends none of them. */
static void errand_each(struct errand *errand, struct hub *hub, void (*act)(struct errand *errand, struct connection *connection))
{
    struct place *place;
    struct stripe *stripe = directory_lock(hub->exchange->directory, SPACE_USER, buf_bytes(&errand->user), &place);
    struct roster *roster = place ? place->rosters[hub->worker] : NULL;
    directory_unlock(stripe);
    for (uint32_t i = 0; roster && i < roster->count; i++)
        act(errand, hub->slots[roster_members(roster)[i].slot]);
}

/* The one connection, or all of the user here. */
static void errand_apply(struct errand *errand, struct hub *hub, void (*act)(struct errand *errand, struct connection *connection))
{
    if (errand->user.length) {
        errand_each(errand, hub, act);
        return;
    }
    struct connection *connection = errand_connection(errand, hub);
    if (connection)
        act(errand, connection);
}

static void join_one(struct errand *errand, struct connection *connection)
{
    struct bytes group = buf_bytes(&errand->group);
    enum fault_id refusal = policy_can_be_in(connection, group, &errand->fault);
    if (refusal == FAULT_NONE && connection_join(connection, group) == -ENOMEM) {
        fault_set(&errand->fault, FAULT_INTERNAL, "out of memory");
        refusal = FAULT_INTERNAL;
    }
    errand->refused_count += refusal != FAULT_NONE;
    if (refusal != FAULT_NONE)
        return;
    connection_membership(connection, group)->is_by_token = false;      /* it stays, whatever its next token says */
    errand->done_count++;
}

static void act_join(struct errand *errand, struct hub *hub)
{
    errand_apply(errand, hub, join_one);
}

static void leave_one(struct errand *errand, struct connection *connection)
{
    const struct membership *membership = connection_membership(connection, buf_bytes(&errand->group));
    if (membership) {
        connection_expel(connection, (unsigned)(membership - connection_memberships(connection)));
        errand->done_count++;
        return;
    }
    fault_set(&errand->fault, FAULT_NOT_FOUND, "%s", errand->user.length ? "no connection of the user is in this group"
              : "the connection is not in this group");
}

static void act_leave(struct errand *errand, struct hub *hub)
{
    errand_apply(errand, hub, leave_one);
}

/* The errand to all connections of a user; NULL: refused. */
static struct errand *errand_to_user(struct admin_call *call, struct bytes user, void (*act)(struct errand *errand, struct hub *hub))
{
    struct place *place;
    struct errand *errand = errand_new(call, act);
    if (!errand)
        return NULL;
    buf_add_bytes(&errand->user, user);
    directory_unlock(directory_lock(call->host->exchange->directory, SPACE_USER, user, &place));
    if (place && buf_status(&errand->user) == 0)
        return errand;
    admin_refuse(&call->back, place ? FAULT_INTERNAL : FAULT_NOT_FOUND, place ? "out of memory" : "no connection belongs to this user");
    errand_free(errand);
    return NULL;
}

/* To the connection, or the user's, whichever the call names. `done`: what is counted in the answer. */
static struct errand *errand_to_either(struct admin_call *call, const char *done, void (*act)(struct errand *errand, struct hub *hub),
                                       void (*act_user)(struct errand *errand, struct hub *hub))
{
    struct bytes user, connection;
    int has_user = admin_text(call, "user", &user);
    int has_connection = has_user < 0 ? -1 : admin_text(call, "connection", &connection);
    if (has_user < 0 || has_connection < 0)
        return NULL;
    if (has_user + has_connection != 1 || (has_user && !user.length)) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "say which, once: a connection's id, or --user");
        return NULL;
    }
    struct errand *errand = has_user ? errand_to_user(call, user, act_user) : errand_to_connection(call, act);
    if (errand)
        errand->done = done;
    return errand;
}

static void group_errand(struct admin_call *call, const char *done, void (*act)(struct errand *errand, struct hub *hub))
{
    struct bytes group;
    if (admin_text(call, "group", &group) <= 0)
        return;
    struct errand *errand = errand_to_either(call, done, act, act);
    if (!errand)
        return;
    buf_add_bytes(&errand->group, group);
    errand_send(errand);
}

void admin_join(struct admin_call *call)
{
    group_errand(call, "joined", act_join);
}

void admin_leave(struct admin_call *call)
{
    group_errand(call, "left", act_leave);
}

static void act_disconnect(struct errand *errand, struct hub *hub)
{
    struct connection *connection = errand_connection(errand, hub);
    if (!connection)
        return;
    connection_close(connection, &errand->why, errand->reconnect);
    errand->done_count++;
}

/* This worker's connections of the user; each that ends leaves the roster, until there is none. */
static void act_disconnect_user(struct errand *errand, struct hub *hub)
{
    while (true) {
        struct place *place;
        struct stripe *stripe = directory_lock(hub->exchange->directory, SPACE_USER, buf_bytes(&errand->user), &place);
        struct roster *roster = place ? place->rosters[hub->worker] : NULL;
        directory_unlock(stripe);
        if (!roster)
            return;
        connection_close(hub->slots[roster_members(roster)[0].slot], &errand->why, errand->reconnect);
        errand->done_count++;
    }
}

static void disconnect_send(struct admin_call *call, struct errand *errand)
{
    struct bytes reason = {0};
    if (admin_text(call, "reason", &reason) < 0) {
        errand_free(errand);
        return;
    }
    if (reason.length && !name_is_valid(reason, sizeof(errand->why.detail) - 1)) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "a reason is a few words of text");
        errand_free(errand);
        return;
    }
    fault_set(&errand->why, FAULT_DISCONNECTED, "%.*s", (int)reason.length, (const char *)reason.data);
    errand->reconnect = admin_flag(call, "reconnect");
    errand_send(errand);
}

void admin_disconnect(struct admin_call *call)
{
    struct errand *errand = errand_to_either(call, "disconnected", act_disconnect, act_disconnect_user);
    if (errand)
        disconnect_send(call, errand);
}
