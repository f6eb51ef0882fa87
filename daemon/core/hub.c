/*
 * Hub: see hub.h. Slots and handles, the lists of a turn, and fan-out in slices.
 */
#include "daemon/core/hub.h"

#include "daemon/config/config.h"
#include "daemon/core/exchange.h"
#include "daemon/core/message.h"
#include "daemon/core/slow.h"
#include "daemon/core/trace.h"

#include <stdlib.h>
#include <sys/random.h>

enum {
    SMALLEST_SLOTS = 64,
    RANDOM_STEP = 256,
    PREFETCH = 4,                       /* so many connections ahead */
    CACHE_LINE = 64,
    PUSHES_PER_FLUSH = 16,              /* to queue an envelope costs a small part of sending it, so a turn may do more of it */
    FLUSH_WINDOW = 128,                 /* so many are flushed before they are looked at once more, still warm in the caches */
};

static void on_parked_due(struct timer *timer)
{
    struct hub *hub = CONTAINER_OF(timer, struct hub, parked_timer);
    struct fault why = {.id = FAULT_RESUME_EXPIRED};
    while (!list_is_empty(&hub->parked)) {
        struct connection *oldest = CONTAINER_OF(hub->parked.next, struct connection, timer.node);
        if (oldest->timer.due_tick > hub->wheel.tick) {
            timer_set(&hub->wheel, &hub->parked_timer, (uint64_t)oldest->timer.due_tick * WHEEL_TICK_MS);
            return;
        }
        connection_close(oldest, &why, true);
    }
}

void hub_park(struct hub *hub, struct connection *connection)
{
    uint64_t due_ms = hub->now_ms + hub->config->resume.window_ms;
    connection->timer.due_tick = wheel_tick_of(due_ms);
    list_append(&hub->parked, &connection->timer.node);
    if (!timer_is_set(&hub->parked_timer))
        timer_set(&hub->wheel, &hub->parked_timer, due_ms);
}

struct hub *hub_new(unsigned worker, struct exchange *exchange, struct config *config, uint64_t now_ms)
{
    struct hub *hub = calloc(1, sizeof(*hub));
    if (!hub)
        return NULL;
    hub->worker = worker;
    hub->exchange = exchange;
    hub->config = config_ref(config);
    hub->now_ms = now_ms;
    wheel_init(&hub->wheel, now_ms);
    list_init(&hub->parked);
    timer_init(&hub->parked_timer, on_parked_due);
    list_init(&hub->graveyard);
    closed_init(&hub->closed);
    announcer_init(hub);
    grants_init(hub);
    labels_init(hub);
    return hub;
}

static void hub_bury(struct hub *hub)
{
    while (!list_is_empty(&hub->graveyard)) {
        struct connection *connection = CONTAINER_OF(hub->graveyard.next, struct connection, timer.node);
        list_remove(&connection->timer.node);
        free(connection);
    }
}

static void hub_drop_fanout(struct hub *hub)
{
    for (uint32_t i = 0; i < hub->fanout_count; i++) {
        if (hub->fanout[i].kind != LETTER_VISIT)
            message_unref(hub->fanout[i].message);
        if (hub->fanout[i].kind == LETTER_PLACE)
            place_unref(hub->fanout[i].place);
    }
    hub->fanout_count = 0;
}

void hub_free(struct hub *hub)
{
    if (!hub)
        return;
    hub_drop_fanout(hub);
    hub_bury(hub);
    announcer_done(hub);
    grants_done(hub);
    labels_done(hub);
    config_unref(hub->config);
    free(hub->slots);
    free(hub->free_slots);
    farewells_done(&hub->farewells);
    closed_done(&hub->closed);
    slot_queue_done(&hub->dirty);
    slot_queue_done(&hub->bulk);
    slot_queue_done(&hub->probes);
    free(hub);
}

void hub_count_state(struct hub *hub, enum connection_state from, enum connection_state to)
{
    atomic_fetch_sub_explicit(&hub->state_counts[from], 1, memory_order_relaxed);
    if (to != CONNECTION_CLOSED)
        atomic_fetch_add_explicit(&hub->state_counts[to], 1, memory_order_relaxed);
}

int hub_draw_random(struct hub *hub, void *ret, size_t length)
{
    assert(length <= sizeof(hub->random));
    if (hub->random_left < length) {
        /* Up to 256 bytes getrandom(2) neither falls short nor is interrupted. */
        for (hub->random_left = 0; hub->random_left < sizeof(hub->random); hub->random_left += RANDOM_STEP)
            if (getrandom(hub->random + hub->random_left, RANDOM_STEP, 0) != RANDOM_STEP)
                return -EIO;
    }
    hub->random_left -= length;
    memcpy(ret, hub->random + hub->random_left, length);
    explicit_bzero(hub->random + hub->random_left, length);
    return 0;
}

static int hub_grow_slots(struct hub *hub)
{
    uint32_t capacity = hub->slot_capacity ? hub->slot_capacity + hub->slot_capacity / 2 : SMALLEST_SLOTS;
    struct connection **slots = realloc(hub->slots, capacity * sizeof(*slots));
    if (slots)
        hub->slots = slots;
    uint32_t *free_slots = realloc(hub->free_slots, capacity * sizeof(*free_slots));
    if (free_slots)
        hub->free_slots = free_slots;
    if (!slots || !free_slots)
        return -ENOMEM;
    hub->slot_capacity = capacity;
    return 0;
}

int hub_add(struct hub *hub, struct connection *connection)
{
    if (hub->free_count == 0 && hub->slot_count == hub->slot_capacity && hub_grow_slots(hub) < 0)
        return -ENOMEM;
    uint32_t slot = hub->free_count ? hub->free_slots[--hub->free_count] : hub->slot_count++;
    hub->slots[slot] = connection;
    /* Generation 0 is left out, so that no handle is 0. */
    if ((++hub->generation & 0xffffff) == 0)
        hub->generation = 1;
    connection->handle = (uint64_t)hub->worker << 56 | (uint64_t)(hub->generation & 0xffffff) << 32 | slot;
    return 0;
}

void hub_remove(struct hub *hub, struct connection *connection)
{
    hub->slots[connection_slot(connection)] = NULL;
    hub->free_slots[hub->free_count++] = connection_slot(connection);
}

struct connection *hub_find(struct hub *hub, uint64_t handle)
{
    uint32_t slot = (uint32_t)handle;
    if (slot >= hub->slot_count || !hub->slots[slot] || hub->slots[slot]->handle != handle)
        return NULL;
    return hub->slots[slot];
}

int token_parse(struct bytes text, struct token *ret)
{
    struct buf raw = {0};
    int r = text.length == TOKEN_TEXT ? text_base64url_decode(&raw, text) : -EBADMSG;
    if (r == 0 && (raw.length != TOKEN_BYTES || raw.data[0] != 1))
        r = -EBADMSG;
    if (r == 0)
        memcpy(ret->raw, raw.data, TOKEN_BYTES);
    buf_done(&raw);
    return r;
}

unsigned token_worker(const struct token *token)
{
    return token->raw[1];
}

/* Takes the same time wherever the two differ. */
static bool is_same(const unsigned char *a, const unsigned char *b, size_t length)
{
    unsigned char difference = 0;
    for (size_t i = 0; i < length; i++)
        difference |= a[i] ^ b[i];
    return difference == 0;
}

bool token_is_same(const struct token *a, const struct token *b)
{
    return is_same(a->raw, b->raw, TOKEN_BYTES);
}

struct connection *hub_find_token(struct hub *hub, const struct token *token)
{
    if (token_worker(token) != hub->worker)
        return NULL;
    uint32_t slot = 0;
    for (unsigned i = 0; i < 4; i++)
        slot |= (uint32_t)token->raw[2 + i] << (8 * i);
    if (slot >= hub->slot_count || !hub->slots[slot])
        return NULL;
    struct connection *connection = hub->slots[slot];
    return is_same(connection->secret, token->raw + 6, TOKEN_SECRET_BYTES) ? connection : NULL;
}

void hub_mark_dirty(struct hub *hub, struct connection *connection)
{
    /* Without memory it is flushed with the next message or tending. */
    if (!connection->is_dirty)
        connection->is_dirty = slot_queue_push(hub->is_bulk ? &hub->bulk : &hub->dirty, connection_slot(connection)) == 0;
}

/* NULL does no harm. */
static void prefetch_bytes(const void *start, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += CACHE_LINE)
        __builtin_prefetch((const void *)((uintptr_t)start + at), 1);
}

/* The kernel's part of a send leaves little of ours in the caches, and a large group does not fit in them; so what the next
 * ones need is fetched meanwhile: first the connection, then what it points at, then what that points at. */
static void prefetch_connections(const struct hub *hub, uint32_t far_slot, uint32_t near_slot, uint32_t next_slot)
{
    const struct connection *far = hub->slots[far_slot], *near = hub->slots[near_slot], *next = hub->slots[next_slot];
    prefetch_bytes(far, sizeof(*far));
    if (near) {
        prefetch_bytes(near->outbox.owed, sizeof(*near->outbox.owed));
        prefetch_bytes(near->link, LINK_BYTES);
    }
    if (next)
        outbox_prefetch(&next->outbox);
}

/* A slot that changed hands while it waited may stand in the queue twice. */
static void hub_flush_one(struct connection *connection)
{
    bool is_dirty = connection->is_dirty;
    connection->is_dirty = false;
    if (is_dirty && connection->link && connection->doom == FAULT_NONE)
        connection->transport->flush(connection);
}

/* After the flush: who still has too much waiting, or was doomed on the way, is closed. */
static void hub_judge_one(struct connection *connection)
{
    const struct owed *owed = connection->outbox.owed;
    if (owed && connection->doom == FAULT_NONE && slow_is_due(connection->hub->config, owed) && !slow_make_room(connection))
        connection->doom = FAULT_SLOW_CONSUMER;
    if (connection->doom != FAULT_NONE) {
        struct fault why = {.id = connection->doom};
        connection_close(connection, &why, fault_rows[why.id].reconnect);
    }
}

/* Up to `max` of the queue. Closing may mark others; so the end is looked at anew each time. */
static void hub_flush(struct hub *hub, struct slot_queue *queue, uint64_t max)
{
    const struct ports *ports = &hub->exchange->ports;
    UNINITIALIZED uint32_t window[FLUSH_WINDOW];
    uint32_t count;
    for (; max > 0 && slot_queue_waiting(queue); max -= count) {
        count = slot_queue_take(queue, window, (uint32_t)MIN(max, (uint64_t)FLUSH_WINDOW));
        for (uint32_t i = 0; i < count; i++) {
            if (i + PREFETCH < count)
                prefetch_connections(hub, window[i + PREFETCH], window[i + PREFETCH / 2], window[i + PREFETCH / 4]);
            if (hub->slots[window[i]])
                hub_flush_one(hub->slots[window[i]]);
        }
        ports->settle(ports->argument, hub->worker);
        for (uint32_t i = 0; i < count; i++)
            if (hub->slots[window[i]])
                hub_judge_one(hub->slots[window[i]]);
    }
}

void hub_probe(struct hub *hub, struct connection *connection)
{
    /* Without memory the transport asks when it would anyway. */
    if (!connection->is_probed && connection->transport->probe)
        connection->is_probed = slot_queue_push(&hub->probes, connection_slot(connection)) == 0;
}

/* Their questions leave with a flush of their own. */
static void hub_send_probes(struct hub *hub)
{
    uint32_t slot;
    while (slot_queue_take(&hub->probes, &slot, 1)) {
        struct connection *connection = hub->slots[slot];
        bool is_probed = connection && connection->is_probed;
        if (is_probed)
            connection->is_probed = false;
        if (is_probed && connection->link && connection->doom == FAULT_NONE)
            connection->transport->probe(connection);
    }
    hub_flush(hub, &hub->dirty, UINT32_MAX);
}

void hub_finish_turn(struct hub *hub)
{
    hub_flush(hub, &hub->dirty, UINT32_MAX);
    hub_flush(hub, &hub->bulk, hub->config->limits.fanout_slice);
    hub_flush(hub, &hub->dirty, UINT32_MAX);
    if (slot_queue_waiting(&hub->probes))
        hub_send_probes(hub);
    hub->turn_deliveries = 0;
    if (slot_queue_waiting(&hub->bulk) == 0)
        hub->is_pressed = false;
    hub_bury(hub);
}

/* A member that came in after this message was numbered is not owed it. */
static bool member_is_too_new(const struct connection *connection, const struct member *member, uint64_t sequence)
{
    return connection_memberships(connection)[member->membership].joined_at >= sequence;
}

/* One member's share of a run of letters. */
static void member_take(struct connection *connection, const struct member *member, const struct letter *letters, uint32_t count,
                        bool look)
{
    for (uint32_t i = 0; i < count; i++) {
        bool is_too_new = look && member_is_too_new(connection, member, letters[i].sequence);
        if (is_too_new && letters[i].message->trace)
            trace_note_too_new(letters[i].message->trace, connection);
        if (connection->handle == letters[i].except || is_too_new)
            message_unref(letters[i].message);
        else
            connection_push(connection, letters[i].message);
    }
}

/* Serves up to a slice of the place's members here; true: all have it. */
static bool hub_deliver_place(struct hub *hub, const struct letter *letters, uint32_t count)
{
    struct roster *roster = letters->place->rosters[hub->worker];
    if (!roster)
        return true;
    uint64_t slice = hub->config->limits.fanout_slice;
    bool look = letters->place->space == SPACE_GROUP && roster->newest_join >= letters->sequence;
    uint32_t end = (uint32_t)MIN((uint64_t)roster->count, roster->cursor + MAX(slice * PUSHES_PER_FLUSH / count, UINT64_C(1)));
    const struct member *members = roster_members(roster);
    for (uint32_t i = 0; i < count; i++)
        message_ref_many(letters[i].message, end - roster->cursor);
    hub->turn_deliveries += (end - roster->cursor) * count;
    hub->is_bulk = roster->count > slice;
    for (; roster->cursor < end; roster->cursor++) {
        const struct member *member = &members[roster->cursor];
        if (roster->cursor + PREFETCH < end)
            prefetch_connections(hub, member[PREFETCH].slot, member[PREFETCH / 2].slot, member[PREFETCH / 4].slot);
        member_take(hub->slots[member->slot], member, letters, count, look);
    }
    hub->is_bulk = false;
    if (roster->cursor < roster->count)
        return false;
    roster->cursor = 0;
    return true;
}

static void hub_deliver_one(struct connection *connection, struct message *message)
{
    message_ref_many(message, 1);
    connection_push(connection, message);
}

static bool hub_deliver_all(struct hub *hub, const struct letter *letter)
{
    uint32_t end = (uint32_t)MIN((uint64_t)hub->slot_count, hub->fanout_slot + hub->config->limits.fanout_slice * PUSHES_PER_FLUSH);
    hub->is_bulk = hub->slot_count > hub->config->limits.fanout_slice;
    hub->turn_deliveries += end - hub->fanout_slot;
    for (; hub->fanout_slot < end; hub->fanout_slot++) {
        struct connection *connection = hub->slots[hub->fanout_slot];
        if (connection && connection->was_opened && connection->handle != letter->except)
            hub_deliver_one(connection, letter->message);
    }
    hub->is_bulk = false;
    return hub->fanout_slot >= hub->slot_count;
}

/* True: it is on its way home, and not to be touched any more. Without memory for that, it is tried again. */
static bool hub_run_visit(struct hub *hub, struct visit *visit)
{
    const struct ports *ports = &hub->exchange->ports;
    if (!visit->is_over && visit->run(visit, hub))
        return false;
    visit->is_over = true;
    struct letter home = {.kind = LETTER_VISIT, .visit = visit};
    return ports->post(ports->argument, MAIN_MAILBOX, &home) == 0;
}

static bool hub_deliver(struct hub *hub)
{
    const struct letter *letter = hub->fanout;
    struct connection *connection;
    switch (letter->kind) {
    case LETTER_PLACE:
        return hub_deliver_place(hub, letter, hub->fanout_count);
    case LETTER_ALL:
        return hub_deliver_all(hub, letter);
    case LETTER_CONNECTION:
        connection = hub_find(hub, letter->handle);
        if (connection)
            hub_deliver_one(connection, letter->message);
        return true;
    default:
        return hub_run_visit(hub, letter->visit);
    }
}

bool hub_continue(struct hub *hub)
{
    assert(hub->fanout_count);
    if (!hub_deliver(hub))
        return false;
    hub_drop_fanout(hub);
    return true;
}

bool hub_is_full(const struct hub *hub)
{
    uint64_t slice = hub->config->limits.fanout_slice;
    return hub->is_pressed || slot_queue_waiting(&hub->dirty) >= slice || hub->turn_deliveries >= slice * PUSHES_PER_FLUSH;
}

bool hub_handle(struct hub *hub, const struct letter *letters, uint32_t count)
{
    assert(hub->fanout_count == 0 && count > 0 && count <= FANOUT_LETTERS);
    memcpy(hub->fanout, letters, count * sizeof(*letters));
    hub->fanout_count = count;
    hub->fanout_slot = 0;
    return hub_continue(hub);
}

static bool hub_close_some(struct hub *hub, enum fault_id id, bool (*goes_on)(struct lifecycle *lifecycle))
{
    struct fault why = {.id = id};
    for (uint32_t slot = 0; slot < hub->slot_count; slot++) {
        if (!hub->slots[slot])
            continue;
        if (goes_on && !goes_on(&hub->exchange->lifecycle))
            return false;
        connection_close(hub->slots[slot], &why, fault_rows[id].reconnect);
    }
    return true;
}

void hub_close_all(struct hub *hub, enum fault_id id)
{
    hub_close_some(hub, id, NULL);
}

bool hub_close_in_step(struct hub *hub, enum fault_id id)
{
    return hub_close_some(hub, id, lifecycle_has_room);
}
