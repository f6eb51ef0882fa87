/*
 * Listing connections: list connections, show group, show user. A visit goes from worker to worker and looks at a slice
 * of slots in each turn, until the page is full. The cursor is the worker and slot to go on at: slots stay where they are,
 * so what lives as long as the listing is listed once.
 */
#include "daemon/admin/admin_call.h"
#include "daemon/admin/admin_client.h"

#include <stdio.h>
#include <stdlib.h>

enum { PAGE_ROWS = 1000, SLICE_SLOTS = 2000 };

struct listing {
    struct visit visit;
    struct admin_return back;
    const struct admin_host *host;
    unsigned worker;
    uint32_t slot;
    uint64_t rows_left;
    struct buf rows, group, user;       /* what to list: empty: all */
    struct json_writer json;
};

static void listing_free(struct listing *listing)
{
    buf_done(&listing->rows);
    buf_done(&listing->group);
    buf_done(&listing->user);
    free(listing);
}

static void listing_add(struct listing *listing, const struct connection *connection)
{
    struct json_writer *json = &listing->json;
    char id[UUID_TEXT + 1], address[PEER_TEXT_MAX];
    uuid_print(&connection->id, id);
    peer_address_print(&connection->address, address);
    json_begin_array(json);
    json_add_text(json, id);
    json_add_string(json, connection_user(connection));
    json_add_text(json, connection_state_name(connection->state));
    json_add_text(json, connection->transport ? connection->transport->name : "");
    json_add_text(json, codecs[connection->codec]->name);
    json_add_text(json, address);
    json_add_uint(json, connection->membership_count);
    json_add_uint(json, outbox_kept_bytes(&connection->outbox) + outbox_unsent_bytes(&connection->outbox));
    json_add_uint(json, connection->hub->now_ms - connection->opened_s * UINT64_C(1000));
    json_end_array(json);
    listing->rows_left--;
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
    uint32_t end = MIN(hub->slot_count, listing->slot + SLICE_SLOTS);
    for (; listing->slot < end && listing->rows_left; listing->slot++) {
        const struct connection *connection = hub->slots[listing->slot];
        if (connection && listing_wants(listing, connection))
            listing_add(listing, connection);
    }
    return listing->slot < hub->slot_count && listing->rows_left;
}

static void listing_finish(struct listing *listing, bool has_more)
{
    struct buf data = {0};
    buf_add_text(&data, "{\"rows\":[");
    buf_add_bytes(&data, buf_bytes(&listing->rows));
    buf_add_byte(&data, ']');
    if (has_more)
        buf_add_format(&data, ",\"cursor\":\"%u:%u\"", listing->worker, listing->slot);
    buf_add_byte(&data, '}');
    if (buf_status(&listing->rows) < 0 || buf_status(&data) < 0)
        admin_refuse(&listing->back, FAULT_INTERNAL, "out of memory");
    else
        admin_reply(&listing->back, buf_bytes(&data));
    buf_done(&data);
    listing_free(listing);
}

static void listing_arrive(struct visit *visit)
{
    struct listing *listing = CONTAINER_OF(visit, struct listing, visit);
    if (listing->rows_left == 0) {
        listing_finish(listing, true);
        return;
    }
    listing->worker++;
    listing->slot = 0;
    /* Who asked may be gone; then nobody needs the rest. */
    if (listing->worker >= listing->host->worker_count || !admin_find_client(listing->back.admin, listing->back.client))
        listing_finish(listing, false);
    else if (admin_send_visit(listing->host, listing->worker, visit) < 0)
        listing_finish(listing, true);
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

static void listing_start(struct admin_call *call, struct bytes group, struct bytes user)
{
    struct bytes cursor;
    uint64_t limit = PAGE_ROWS;
    int has_limit = admin_number(call, "limit", &limit), has_cursor = has_limit < 0 ? -1 : admin_text(call, "cursor", &cursor);
    if (has_limit < 0 || has_cursor < 0)
        return;
    struct listing *listing = calloc(1, sizeof(*listing));
    if (!listing) {
        admin_refuse(&call->back, FAULT_INTERNAL, "out of memory");
        return;
    }
    listing->visit = (struct visit){listing_run, listing_arrive};
    listing->back = call->back;
    listing->host = call->host;
    listing->rows_left = MIN(MAX(limit, UINT64_C(1)), (uint64_t)PAGE_ROWS);
    listing->json = json_writer(&listing->rows);
    buf_add_bytes(&listing->group, group);
    buf_add_bytes(&listing->user, user);
    if (has_cursor && !cursor_read(cursor, call->host->worker_count, listing)) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "the cursor is none that this daemon gave out");
        listing_free(listing);
    } else if (admin_send_visit(call->host, listing->worker, &listing->visit) < 0) {
        admin_refuse(&call->back, FAULT_INTERNAL, "out of memory");
        listing_free(listing);
    }
}

void admin_list_connections(struct admin_call *call)
{
    struct bytes group = {0}, user = {0};
    if (admin_text(call, "group", &group) >= 0 && admin_text(call, "user", &user) >= 0)
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

struct place_rows {
    struct json_writer json;
    enum space space;
    bool is_at;                         /* only those of whom life-cycle events say that they are there */
};

static void on_place(const struct listed *listed, void *argument)
{
    struct place_rows *rows = argument;
    if (rows->is_at && !listed->is_occupied)
        return;
    json_begin_array(&rows->json);
    json_add_string(&rows->json, place_name(listed->place));
    json_add_uint(&rows->json, listed->members);
    json_add_uint(&rows->json, rows->space == SPACE_GROUP ? listed->published : listed->generation);
    json_end_array(&rows->json);
}

/* Read before any place is looked at: an event is numbered under its stripe's lock, so those up to here are in what follows. */
static void list_add_position(struct json_writer *json, struct lifecycle *lifecycle)
{
    json_key(json, "epoch");
    json_add_text(json, lifecycle->epoch);
    json_key(json, "sequence");
    json_add_uint(json, lifecycle_sequence(lifecycle));
}

static void list_places(struct admin_call *call, enum space space)
{
    struct bytes cursor = {0};
    uint64_t limit = PAGE_ROWS;
    if (admin_number(call, "limit", &limit) < 0 || admin_text(call, "cursor", &cursor) < 0)
        return;
    struct buf data = {0}, last = {0};
    struct place_rows rows = {.json = json_writer(&data), .space = space, .is_at = admin_flag(call, "at")};
    json_begin_object(&rows.json);
    if (rows.is_at)
        list_add_position(&rows.json, &call->host->exchange->lifecycle);
    json_key(&rows.json, "rows");
    json_begin_array(&rows.json);
    int r = directory_list(call->host->exchange->directory, space, cursor, MIN(MAX(limit, UINT64_C(1)), (uint64_t)PAGE_ROWS),
                           on_place, &rows, &last);
    json_end_array(&rows.json);
    if (last.length) {
        json_key(&rows.json, "cursor");
        json_add_string(&rows.json, buf_bytes(&last));
    }
    json_end_object(&rows.json);
    if (r < 0 || buf_status(&data) < 0)
        admin_refuse(&call->back, FAULT_INTERNAL, "out of memory");
    else
        admin_reply(&call->back, buf_bytes(&data));
    buf_done(&data);
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
