/*
 * Connection: its life from negotiation to the end, and the steps between. Groups are in connection_groups.c, what
 * is owed to the client in connection_queue.c.
 */
#include "daemon/core/connection.h"

#include "daemon/config/config.h"
#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"
#include "daemon/core/notice.h"
#include "daemon/core/trace.h"
#include "lib/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define TO(state) (1u << CONNECTION_##state)
static const struct {
    const char *name;
    unsigned next;
} states[CONNECTION_STATE_COUNT] = {
    [CONNECTION_NEGOTIATED] = {"negotiated", TO(OPEN) | TO(CLOSED)},
    [CONNECTION_OPEN] = {"open", TO(PARKED) | TO(CLOSED)},
    [CONNECTION_PARKED] = {"parked", TO(OPEN) | TO(CLOSED)},
    [CONNECTION_CLOSED] = {"closed", 0},
};

const char *connection_state_name(enum connection_state state)
{
    return states[state].name;
}

static void connection_enter(struct connection *connection, enum connection_state next)
{
    assert(states[connection->state].next & (1u << next));
    hub_count_state(connection->hub, connection->state, next);
    connection->state = next;
}

static void connection_log(const struct connection *connection, const char *text, const struct fault *why)
{
    if (!log_is_on(LOG_LEVEL_DEBUG, LOG_AREA_CORE) && !why)
        return;
    char id[UUID_TEXT + 1], address[PEER_TEXT_MAX];
    uuid_print(&connection->id, id);
    peer_address_print(&connection->address, address);
    struct bytes user = connection_user(connection);
    char user_text[NAME_MAX_BYTES + 1];
    snprintf(user_text, sizeof(user_text), "%.*s", (int)user.length, (const char *)user.data);
    log_info(LOG_AREA_CORE,
        LOG_FIELDS({"connection", id}, {"user", user.length ? user_text : NULL}, {"address", address},
                   {"transport", connection->transport ? connection->transport->name : NULL},
                   {"reason", why ? fault_rows[why->id].name : NULL}),
        "%s%s%s", text, why ? ": " : "", why ? fault_message(why) : "");
}

static void on_timer(struct timer *timer)
{
    struct connection *connection = CONTAINER_OF(timer, struct connection, timer);
    struct hub *hub = connection->hub;
    struct fault why = {0};
    uint64_t next_ms;

    switch (connection->state) {
    case CONNECTION_NEGOTIATED:
        why.id = FAULT_NEVER_OPENED;
        connection_close(connection, &why, true);
        break;
    case CONNECTION_OPEN:
        next_ms = connection->transport->tend(connection, hub->now_ms);
        if (next_ms && connection->state == CONNECTION_OPEN)
            connection_tend_within(connection, next_ms);
        break;
    default:
        break;
    }
}

void connection_tend_within(struct connection *connection, uint64_t ms)
{
    struct hub *hub = connection->hub;
    assert(connection->state == CONNECTION_OPEN);
    uint64_t due_ms = hub->now_ms + ms;
    if (!timer_is_set(&connection->timer) || wheel_tick_of(due_ms) < connection->timer.due_tick)
        timer_set(&hub->wheel, &connection->timer, due_ms);
}

static int connection_identify(struct connection *connection)
{
    unsigned char random[UUID_BYTES + TOKEN_SECRET_BYTES];
    int r = hub_draw_random(connection->hub, random, sizeof(random));
    if (r < 0)
        return r;
    memcpy(connection->id.bytes, random, UUID_BYTES);
    connection->id.bytes[6] = (connection->id.bytes[6] & 0x0f) | 0x40;
    connection->id.bytes[8] = (connection->id.bytes[8] & 0x3f) | 0x80;
    memcpy(connection->secret, random + UUID_BYTES, TOKEN_SECRET_BYTES);
    return 0;
}

static void on_user_moved(struct hub *hub, struct roster *roster, uint32_t index)
{
    hub->slots[roster_members(roster)[index].slot]->user_index = index;
}

static int connection_set_user(struct connection *connection, struct bytes user)
{
    if (user.length == 0)
        return 0;
    uint64_t joined_at;
    struct hub *hub = connection->hub;
    connection->user = roster_add(hub, SPACE_USER, user, (struct member){.slot = connection_slot(connection)},
                                  NULL, &connection->user_index, &joined_at);
    return connection->user ? limits_check_user(hub->config, connection->user->place) : -ENOMEM;
}

static void connection_unset_user(struct connection *connection)
{
    struct hub *hub = connection->hub;
    if (connection->user)
        roster_remove(hub, connection->user, connection->user_index, on_user_moved);
    connection->user = NULL;
}

/* Everything that may fail; what was done before a failure is undone. */
static int connection_register(struct connection *connection, const struct identity *identity)
{
    int r = connection_identify(connection);
    if (r == 0)
        r = hub_add(connection->hub, connection);
    if (r < 0)
        return r;
    r = directory_add_connection(connection->hub->exchange->directory, connection);
    if (r == 0) {
        r = connection_set_user(connection, identity->user);
        if (r == 0 && identity->has_token)
            r = grants_set(connection->hub, connection, &identity->terms);
        if (r < 0) {
            connection_unset_user(connection);
            directory_remove_connection(connection->hub->exchange->directory, connection);
        }
    }
    if (r < 0)
        hub_remove(connection->hub, connection);
    return r;
}

struct connection *connection_new(struct hub *hub, const struct dialect *dialect, enum codec_id codec,
                                  const struct identity *identity, const struct peer_address *address,
                                  struct fault *fault)
{
    enum fault_id refusal = limits_enter(hub->exchange->limits, hub->config, address);
    fault_set(fault, refusal, "%s", "");
    if (refusal != FAULT_NONE) {
        metrics_add(&hub->metrics, METRIC_CONNECTIONS_REFUSED, 1);
        return NULL;
    }
    struct connection *connection = calloc(1, sizeof(*connection));
    if (connection) {
        connection->hub = hub;
        connection->dialect = dialect;
        connection->codec = (uint8_t)codec;
        connection->address = *address;
        connection->opened_s = (uint32_t)(hub->now_ms / 1000);
        connection->heard_ms = (uint32_t)hub->now_ms;
        outbox_init(&connection->outbox);
        timer_init(&connection->timer, on_timer);
    }
    int r = connection ? connection_register(connection, identity) : -ENOMEM;
    if (r < 0) {
        limits_leave(hub->exchange->limits, address);
        free(connection);
        fault_set(fault, r == -EDQUOT ? FAULT_USER_FULL : FAULT_INTERNAL, "%s", r == -EDQUOT ? "" : "out of memory");
        metrics_add(&hub->metrics, METRIC_CONNECTIONS_REFUSED, r == -EDQUOT);
        return NULL;
    }
    atomic_fetch_add_explicit(&hub->state_counts[CONNECTION_NEGOTIATED], 1, memory_order_relaxed);
    timer_set(&hub->wheel, &connection->timer, hub->now_ms + hub->config->connection.open_timeout_ms);
    return connection;
}

static void connection_unpark(struct connection *connection)
{
    list_remove(&connection->timer.node);
    if (connection->user)
        atomic_fetch_sub_explicit(&connection->user->place->parked_count, 1, memory_order_relaxed);
}

void connection_release(struct connection *connection, enum fault_id id)
{
    struct fault why = {.id = id};
    if (connection->link)
        connection->transport->close(STEAL(connection->link), &why, (struct bytes){0});
    outbox_restart(&connection->outbox);
}

void connection_attach(struct connection *connection, struct link *link, const struct transport *transport)
{
    struct hub *hub = connection->hub;
    assert(!connection->link);
    if (connection->state == CONNECTION_PARKED)
        connection_unpark(connection);
    if (connection->state != CONNECTION_OPEN)
        connection_enter(connection, CONNECTION_OPEN);
    timer_stop(&hub->wheel, &connection->timer);
    connection->link = link;
    connection->transport = transport;
    if (connection->is_traced)
        trace_note_moved(connection, false);
    outbox_restart(&connection->outbox);
    connection->heard_ms = connection->sent_ms = (uint32_t)hub->now_ms;
    connection->ping_ms = (uint32_t)(hub->now_ms - hub->config->connection.keep_alive_ms);
    if (!connection->was_opened) {
        connection->was_opened = true;
        metrics_add(&hub->metrics, METRIC_CONNECTIONS_OPENED, 1);
        if (connection->user)
            directory_open_user(hub->exchange->directory, connection->user->place);
        notice_connected(connection);
        connection_log(connection, "connection opened", NULL);
    }
}

/* Makes room among the parked: the longest parked goes first. */
static void connection_evict(struct connection *connection)
{
    struct fault why;
    fault_set(&why, FAULT_RESUME_EXPIRED, "too many connections without a transport (resume.parked)");
    metrics_add(&connection->hub->metrics, METRIC_PARKED_EVICTED, 1);
    connection_close(connection, &why, true);
}

static void connection_limit_parked(struct connection *connection)
{
    struct hub *hub = connection->hub;
    if (connection->user) {
        uint32_t parked = atomic_load_explicit(&connection->user->place->parked_count, memory_order_relaxed);
        if (parked > hub->config->resume.parked_per_user) {
            connection_evict(connection);
            return;
        }
    }
    uint64_t share = hub->config->resume.parked / hub->exchange->worker_count + 1;
    if (atomic_load_explicit(&hub->state_counts[CONNECTION_PARKED], memory_order_relaxed) > share)
        connection_evict(CONTAINER_OF(hub->parked.next, struct connection, timer.node));
}

void connection_detach(struct connection *connection)
{
    struct hub *hub = connection->hub;
    connection->link = NULL;
    outbox_restart(&connection->outbox);
    if (!connection->dialect->is_resumable) {
        struct fault why = {.id = FAULT_LINK_LOST};
        connection_close(connection, &why, true);
        return;
    }
    connection_enter(connection, CONNECTION_PARKED);
    if (connection->is_traced)
        trace_note_moved(connection, true);
    timer_stop(&hub->wheel, &connection->timer);
    hub_park(hub, connection);
    if (connection->user)
        atomic_fetch_add_explicit(&connection->user->place->parked_count, 1, memory_order_relaxed);
    connection_limit_parked(connection);
}

bool connection_is_overtaken(const struct connection *connection, uint64_t received)
{
    return received < connection->outbox.first - 1 && !connection->has_forgotten;
}

int connection_resume(struct connection *connection, uint64_t received)
{
    uint64_t before = connection->outbox.first;
    int r = outbox_rewind(&connection->outbox, received);
    if (r < 0)
        return r;
    connection->has_forgotten = false;
    metrics_add(&connection->hub->metrics, METRIC_MESSAGES_ACKNOWLEDGED, connection->outbox.first - before);
    if (outbox_unsent_count(&connection->outbox))
        hub_mark_dirty(connection->hub, connection);
    return 0;
}

void connection_welcome(struct connection *connection, bool is_resumed)
{
    struct buf text = {0};
    connection->received_untold = 0;
    if (is_resumed)
        metrics_add(&connection->hub->metrics, METRIC_CONNECTIONS_RESUMED, 1);
    connection->dialect->add_welcome(connection, is_resumed, &text);
    if (buf_status(&text) < 0)
        connection_doom(connection, FAULT_INTERNAL);
    else if (text.length)
        connection->transport->send_unnumbered(connection, buf_bytes(&text));
    else
        hub_mark_dirty(connection->hub, connection);    /* the head of the answer waits to be sent all the same */
    buf_done(&text);
}

/* The client's last envelope goes out on the link it still has. */
static void connection_say_farewell(struct connection *connection, const struct fault *why, bool reconnect)
{
    struct link *link = STEAL(connection->link);
    struct buf farewell = {0};
    connection->dialect->add_farewell(connection, why, reconnect, &farewell);
    connection->transport->close(link, why, buf_status(&farewell) == 0 ? buf_bytes(&farewell) : (struct bytes){0});
    buf_done(&farewell);
}

void connection_close(struct connection *connection, const struct fault *why, bool reconnect)
{
    struct hub *hub = connection->hub;
    assert(why);
    if (connection->state == CONNECTION_CLOSED)
        return;
    if (connection->link)
        connection_say_farewell(connection, why, reconnect);
    if (connection->state == CONNECTION_PARKED) {
        connection_unpark(connection);
        if ((!reconnect && why->id != FAULT_CLIENT_CLOSED) || why->id == FAULT_EXPIRED)
            farewells_add(hub, connection, why);
    }
    if (why->id == FAULT_CLIENT_CLOSED && !(connection->transport && connection->transport->is_two_way))
        farewells_add_departure(hub, connection);
    if (connection->was_opened) {
        metrics_add(&hub->metrics, METRIC_CONNECTIONS_CLOSED, 1);
        notice_disconnected(connection, why);
        if (connection->user)
            directory_close_user(hub->exchange->directory, connection->user->place);
        connection_log(connection, "connection closed", why);
    }
    closed_add(hub, connection, why);
    if (connection->is_traced)
        trace_note_closing(connection, why->id);
    const struct middleware *middleware = hub->exchange->middleware;
    if (middleware && middleware->disconnect)
        middleware->disconnect(middleware->argument, hub, connection, why);
    if (why->id == FAULT_SLOW_CONSUMER)
        metrics_add(&hub->metrics, METRIC_SLOW_CONSUMERS_CLOSED, 1);

    connection_enter(connection, CONNECTION_CLOSED);
    timer_stop(&hub->wheel, &connection->timer);
    while (connection->membership_count)
        connection_leave_at(connection, connection->membership_count - 1u);
    connection_unset_user(connection);
    grants_drop(hub, connection);
    labels_drop(hub, connection);
    if (connection->membership_capacity)
        free(STEAL(connection->memberships.many));
    outbox_done(&connection->outbox);
    directory_remove_connection(hub->exchange->directory, connection);
    limits_leave(hub->exchange->limits, &connection->address);
    hub_remove(hub, connection);
    list_append(&hub->graveyard, &connection->timer.node);
}

void connection_doom(struct connection *connection, enum fault_id why)
{
    if (connection->doom == FAULT_NONE)
        connection->doom = (uint8_t)why;
    hub_mark_dirty(connection->hub, connection);
}

struct bytes connection_user(const struct connection *connection)
{
    return connection->user ? place_name(connection->user->place) : (struct bytes){0};
}

void connection_token_raw(const struct connection *connection, unsigned char ret[static TOKEN_BYTES])
{
    ret[0] = 1;
    ret[1] = (unsigned char)hub_handle_worker(connection->handle);
    for (unsigned i = 0; i < 4; i++)
        ret[2 + i] = (unsigned char)(connection->handle >> (8 * i));
    memcpy(ret + 6, connection->secret, TOKEN_SECRET_BYTES);
}

void connection_token(const struct connection *connection, char ret_text[static TOKEN_TEXT + 1])
{
    unsigned char raw[TOKEN_BYTES];
    connection_token_raw(connection, raw);
    struct buf text = {.data = (unsigned char *)ret_text, .capacity = TOKEN_TEXT};      /* it fits: no memory is asked for */
    text_add_base64url(&text, bytes_of(raw, sizeof(raw)));
    assert(text.length == TOKEN_TEXT && buf_status(&text) == 0);
    ret_text[TOKEN_TEXT] = '\0';
}
