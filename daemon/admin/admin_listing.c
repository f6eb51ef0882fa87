/*
 * Listing connections: list connections, show group, show user. A visit goes from worker to worker and looks at a slice
 * of slots in each turn, until the page is full. The cursor is the worker and slot to go on at: slots stay where they are,
 * so what lives as long as the listing is listed once.
 */
#include "daemon/admin/admin_rows.h"

#include "daemon/core/labels.h"

#include <stdlib.h>

enum { SLICE_SLOTS = 2000 };

struct listing {
    struct visit visit;
    struct admin_return back;
    const struct admin_host *host;
    unsigned worker;
    uint32_t slot;
    struct buf group, user;             /* whose connections: empty: all */
    struct admin_rows *rows;
};

static void listing_free(struct listing *listing)
{
    buf_done(&listing->group);
    buf_done(&listing->user);
    admin_rows_free(listing->rows);
    free(listing);
}

static struct cell listing_json(struct bytes json)
{
    return json.length ? cell_text(json) : cell_empty();
}

static void listing_add(struct listing *listing, const struct connection *connection)
{
    const struct labels *labels = labels_find(connection->hub, connection);
    char id[UUID_TEXT + 1], address[PEER_TEXT_MAX];
    uuid_print(&connection->id, id);
    peer_address_print(&connection->address, address);
    const struct cell cells[] = {
        cell_text(bytes_text(id)),
        cell_text(connection_user(connection)),
        cell_text(bytes_text(connection_state_name(connection->state))),
        cell_text(bytes_text(connection->transport ? connection->transport->name : "")),
        cell_text(bytes_text(codecs[connection->codec]->name)),
        cell_text(bytes_text(address)),
        cell_number(connection->membership_count),
        cell_number((uint64_t)outbox_kept_bytes(&connection->outbox) + outbox_unsent_bytes(&connection->outbox)),
        cell_number(connection->hub->now_ms - connection->opened_s * UINT64_C(1000)),
        listing_json(labels ? labels->labels : (struct bytes){0}),
        listing_json(labels ? labels->info : (struct bytes){0}),
    };
    admin_rows_add(listing->rows, cells);
}

static bool listing_wants(const struct listing *listing, const struct connection *connection)
{
    struct bytes group = buf_bytes(&listing->group), user = buf_bytes(&listing->user);
    return (!group.length || connection_is_member(connection, group))
        && (!user.length || bytes_equal(connection_user(connection), user));
}

static bool listing_run(struct visit *visit, struct hub *hub)
{
    struct listing *listing = CONTAINER_OF(visit, struct listing, visit);
    uint32_t end = MIN(hub->slot_count, listing->slot + admin_rows_slice(listing->rows, SLICE_SLOTS));
    for (; listing->slot < end && !admin_rows_is_full(listing->rows); listing->slot++) {
        const struct connection *connection = hub->slots[listing->slot];
        if (connection && listing_wants(listing, connection))
            listing_add(listing, connection);
    }
    return listing->slot < hub->slot_count && !admin_rows_is_full(listing->rows);
}

static void listing_finish(struct listing *listing, bool has_more)
{
    struct buf cursor = {0};
    if (has_more)
        buf_add_format(&cursor, "%u:%u", listing->worker, listing->slot);
    admin_rows_reply(STEAL(listing->rows), &listing->back, buf_bytes(&cursor));
    buf_done(&cursor);
    listing_free(listing);
}

/* No memory to go on. Where it stopped can be said only of what is not sorted. */
static void listing_stop(struct listing *listing)
{
    if (!admin_rows_are_sorted(listing->rows)) {
        listing_finish(listing, true);
        return;
    }
    admin_refuse(&listing->back, FAULT_INTERNAL, "out of memory");
    listing_free(listing);
}

static void listing_arrive(struct visit *visit)
{
    struct listing *listing = CONTAINER_OF(visit, struct listing, visit);
    if (admin_rows_is_full(listing->rows)) {
        listing_finish(listing, true);
        return;
    }
    listing->worker++;
    listing->slot = 0;
    /* Who asked may be gone; then nobody needs the rest. */
    if (listing->worker >= listing->host->worker_count || !admin_is_waited_for(&listing->back))
        listing_finish(listing, false);
    else if (admin_send_visit(listing->host, listing->worker, visit) < 0)
        listing_stop(listing);
}

static bool cursor_read(struct bytes cursor, unsigned worker_count, struct listing *listing)
{
    const unsigned char *colon = memchr(cursor.data, ':', cursor.length);
    uint64_t worker, slot;
    if (!colon || text_parse_uint(bytes_of(cursor.data, (size_t)(colon - cursor.data)), &worker) < 0
        || text_parse_uint(bytes_of(colon + 1, cursor.length - (size_t)(colon - cursor.data) - 1), &slot) < 0
        || worker >= worker_count || slot > UINT32_MAX)
        return false;
    listing->worker = (unsigned)worker;
    listing->slot = (uint32_t)slot;
    return true;
}

/* Refused; or under way. */
static void listing_send(struct admin_call *call, struct listing *listing)
{
    struct bytes cursor;
    int has_cursor = admin_text(call, "cursor", &cursor);
    listing->rows = has_cursor < 0 ? NULL : admin_rows_new(call, NULL);
    if (!listing->rows) {
        listing_free(listing);
    } else if (has_cursor && !cursor_read(cursor, call->host->worker_count, listing)) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "the cursor is none that this daemon gave out");
        listing_free(listing);
    } else if (admin_send_visit(call->host, listing->worker, &listing->visit) < 0) {
        admin_refuse(&call->back, FAULT_INTERNAL, "out of memory");
        listing_free(listing);
    }
}

static void listing_start(struct admin_call *call, struct bytes group, struct bytes user)
{
    struct listing *listing = calloc(1, sizeof(*listing));
    if (!listing) {
        admin_refuse(&call->back, FAULT_INTERNAL, "out of memory");
        return;
    }
    listing->visit = (struct visit){listing_run, listing_arrive};
    listing->back = call->back;
    listing->host = call->host;
    buf_add_bytes(&listing->group, group);
    buf_add_bytes(&listing->user, user);
    listing_send(call, listing);
}

/* Whose connections; where the call does not say, *ret stays empty. False: the call is refused. */
static bool listing_name(struct admin_call *call, const char *name, struct bytes *ret)
{
    int has_name = admin_text(call, name, ret);
    if (has_name == 1 && !name_is_valid(*ret, NAME_MAX_BYTES)) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "%s: a name is 1 to 255 bytes of UTF-8 without control characters", name);
        return false;
    }
    return has_name >= 0;
}

void admin_list_connections(struct admin_call *call)
{
    struct bytes group = {0}, user = {0};
    if (listing_name(call, "group", &group) && listing_name(call, "user", &user))
        listing_start(call, group, user);
}

static void listing_of_place(struct admin_call *call, enum space space, const char *name)
{
    struct bytes text;
    struct place *place;
    if (admin_text(call, name, &text) <= 0)
        return;
    directory_unlock(directory_lock(call->host->exchange->directory, space, text, &place));
    if (!place)
        admin_refuse(&call->back, FAULT_NOT_FOUND, "no connection belongs to this %s", name);
    else
        listing_start(call, space == SPACE_GROUP ? text : (struct bytes){0}, space == SPACE_USER ? text : (struct bytes){0});
}

void admin_show_group(struct admin_call *call)
{
    listing_of_place(call, SPACE_GROUP, "group");
}

void admin_show_user(struct admin_call *call)
{
    listing_of_place(call, SPACE_USER, "user");
}

/* Groups and users come from the directory, without any worker being asked. */

enum { LOOKED_AT_MAX = 20000 };         /* places for one page, so that a filter that few meet does not hold up others */

struct place_rows {
    struct admin_rows *rows;
    enum space space;
    bool is_at;                         /* only those of whom life-cycle events say that they are there */
    uint32_t left;                      /* to be looked at */
};

static bool on_place(const struct listed *listed, void *argument)
{
    struct place_rows *places = argument;
    const struct cell cells[] = {
        cell_text(place_name(listed->place)),
        cell_number(listed->members),
        cell_number(places->space == SPACE_GROUP ? listed->published : listed->generation),
    };
    if (!places->is_at || listed->is_occupied)
        admin_rows_add(places->rows, cells);
    places->left -= !admin_rows_are_sorted(places->rows);
    return places->left > 0 && !admin_rows_is_full(places->rows);
}

static void places_reply(struct admin_call *call, struct place_rows *places, uint64_t sequence, struct bytes cursor)
{
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    admin_rows_write(places->rows, &json, cursor);
    if (places->is_at) {
        json_key(&json, "epoch");
        json_add_text(&json, call->host->exchange->lifecycle.epoch);
        json_key(&json, "sequence");
        json_add_uint(&json, sequence);
    }
    json_end_object(&json);
    admin_reply_made(&call->back, &data);
}

static void list_places(struct admin_call *call, enum space space)
{
    struct bytes cursor = {0};
    if (admin_text(call, "cursor", &cursor) < 0)
        return;
    struct place_rows places = {.rows = admin_rows_new(call, NULL), .space = space, .is_at = admin_flag(call, "at")};
    if (!places.rows)
        return;
    struct buf last = {0};
    places.left = admin_rows_slice(places.rows, LOOKED_AT_MAX);
    /* Read before any place is looked at: an event is numbered under its stripe's lock, so those up to here are in what follows. */
    uint64_t sequence = lifecycle_sequence(&call->host->exchange->lifecycle);
    if (directory_list(call->host->exchange->directory, space, cursor, on_place, &places, &last) == 0)
        places_reply(call, &places, sequence, buf_bytes(&last));
    else
        admin_refuse(&call->back, FAULT_INTERNAL, "out of memory");
    admin_rows_free(places.rows);
    buf_done(&last);
}

void admin_list_groups(struct admin_call *call)
{
    list_places(call, SPACE_GROUP);
}

void admin_list_users(struct admin_call *call)
{
    list_places(call, SPACE_USER);
}
