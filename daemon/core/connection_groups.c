/*
 * The groups of a connection: joining, leaving, looking. Both ends are unlinked at once: the connection's list of
 * memberships, and this worker's roster of the group.
 */
#include "daemon/core/connection.h"

#include "daemon/config/config.h"
#include "daemon/core/announcer.h"
#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"
#include "daemon/core/message.h"
#include "daemon/core/notice.h"
#include "lib/json.h"

#include <stdlib.h>

struct membership *connection_membership(const struct connection *connection, struct bytes group)
{
    struct membership *memberships = connection_memberships(connection);
    for (unsigned i = 0; i < connection->membership_count; i++)
        if (bytes_equal(place_name(memberships[i].roster->place), group))
            return &memberships[i];
    return NULL;
}

bool connection_is_member(const struct connection *connection, struct bytes group)
{
    return connection_membership(connection, group) != NULL;
}

static int connection_grow_memberships(struct connection *connection)
{
    unsigned capacity = connection->membership_capacity ? connection->membership_capacity * 2u : 2;
    if (capacity > UINT16_MAX)
        return -E2BIG;
    struct membership *old = connection->membership_capacity ? connection->memberships.many : NULL;
    struct membership *memberships = realloc(old, capacity * sizeof(*memberships));
    if (!memberships)
        return -ENOMEM;
    if (!old)
        memberships[0] = connection->memberships.one;
    connection->memberships.many = memberships;
    connection->membership_capacity = (uint16_t)capacity;
    return 0;
}

int connection_join_from(struct connection *connection, struct bytes group, struct catch_up *catch_up)
{
    struct hub *hub = connection->hub;
    if (connection_is_member(connection, group))
        return -EALREADY;
    if (connection->membership_count >= hub->config->connection.groups)
        return -E2BIG;
    if (connection->membership_count == MAX(connection->membership_capacity, 1)) {
        int r = connection_grow_memberships(connection);
        if (r < 0)
            return r;
    }
    struct membership *membership = &connection_memberships(connection)[connection->membership_count];
    struct member member = {.slot = connection_slot(connection), .membership = connection->membership_count};
    membership->is_by_token = false;
    membership->announced = PRESENCE_NONE;
    membership->roster = roster_add(hub, SPACE_GROUP, group, member, catch_up, &membership->index, &membership->joined_at);
    if (!membership->roster)
        return -ENOMEM;
    connection->membership_count++;
    if (hub->config->group_count)
        announcer_join(connection, membership);
    return 0;
}

static void on_member_moved(struct hub *hub, struct roster *roster, uint32_t index)
{
    struct member *member = &roster_members(roster)[index];
    connection_memberships(hub->slots[member->slot])[member->membership].index = index;
}

void connection_leave_at(struct connection *connection, unsigned position)
{
    struct membership *memberships = connection_memberships(connection), *membership = &memberships[position];
    if (membership->announced)
        announcer_leave(connection, membership);
    roster_remove(connection->hub, membership->roster, membership->index, on_member_moved);
    connection->membership_count--;
    if (position != connection->membership_count) {
        *membership = memberships[connection->membership_count];
        roster_members(membership->roster)[membership->index].membership = position;
    }
}

int connection_leave(struct connection *connection, struct bytes group)
{
    struct membership *membership = connection_membership(connection, group);
    if (!membership)
        return -ENOENT;
    connection_leave_at(connection, (unsigned)(membership - connection_memberships(connection)));
    return 0;
}

void connection_expel(struct connection *connection, unsigned position)
{
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    json_begin_object(&json);
    json_key(&json, "group");
    json_add_string(&json, place_name(connection_memberships(connection)[position].roster->place));
    notice_add_identity(&json, connection);
    json_end_object(&json);
    connection_leave_at(connection, position);
    struct envelope envelope = {.event_name = BYTES("rtc.left"), .data = buf_bytes(&data), .data_codec = CODEC_JSON};
    struct message *message = buf_status(&data) == 0 ? message_new(&envelope) : NULL;
    if (message)
        connection_push(connection, message);
    else
        connection_doom(connection, FAULT_INTERNAL);
    buf_done(&data);
}
