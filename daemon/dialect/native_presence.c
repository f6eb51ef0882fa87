/*
 * Who is in a group, in words of the native dialect: rtc.presence.
 */
#include "daemon/dialect/native_call.h"

#include "daemon/core/policy.h"
#include "daemon/core/presence.h"
#include "lib/json.h"

static void native_add_count(struct json_writer *json, const char *name, uint64_t count, bool is_known)
{
    json_key(json, name);
    if (is_known)
        json_add_uint(json, count);
    else
        json_add_null(json);
}

static void native_add_users(struct json_writer *json, const struct presence *presence)
{
    struct bytes name;
    uint64_t connections;
    size_t slot = 0;
    while (presence_next_user(presence, &slot, &name, &connections)) {
        json_begin_object(json);
        json_key(json, "userId");
        json_add_string(json, name);
        native_add_count(json, "connections", connections, true);
        json_end_object(json);
    }
}

static void native_tell_presence(struct connection *connection, const struct presence *presence)
{
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    json_begin_object(&json);
    json_key(&json, "group");
    json_add_string(&json, buf_bytes(&presence->group));
    if (presence->is_by_users) {
        json_key(&json, "by");
        json_add_text(&json, "users");
        native_add_count(&json, "count", presence->users, presence->users > 0 || !presence->is_uncounted);
    }
    native_add_count(&json, presence->is_by_users ? "connections" : "count", presence->connections, true);
    if (presence_is_named(presence)) {
        json_key(&json, "members");
        json_begin_array(&json);
        if (presence->is_by_users)
            native_add_users(&json, presence);
        else
            buf_add_bytes(&data, buf_bytes(&presence->members));
        json_end_array(&json);
    }
    json_end_object(&json);
    if (buf_status(&presence->members) < 0)
        buf_fail(&data);
    native_push_made(connection, "rtc.reply", presence->id, false, &data);
}

static int native_read_by(const struct native_call *call, bool *ret_is_by_users, struct fault *fault)
{
    struct bytes by = json_member(call->json, "by");
    *ret_is_by_users = json_string_is(by, "users");
    if (!by.length || *ret_is_by_users || json_string_is(by, "connections"))
        return 0;
    fault_set(fault, FAULT_BAD_ENVELOPE, "\"by\" is \"connections\" or \"users\"");
    return -EBADMSG;
}

int native_take_presence(const struct native_call *call, struct fault *fault)
{
    struct buf scratch = {0};
    struct bytes group;
    bool is_by_users;
    int r = 0;
    if (native_read_group(call, &scratch, &group, fault) == 0 && native_read_by(call, &is_by_users, fault) == 0
        && policy_may_ask(call->connection, GROUP_PRESENCE, group, fault) == FAULT_NONE && call->envelope->id)
        r = presence_ask(call->connection, group, is_by_users, call->envelope->id, native_tell_presence);
    if (r == -EAGAIN)
        fault_set(fault, FAULT_BACK_PRESSURE, "%s", "");
    else if (r < 0)
        fault_set(fault, FAULT_INTERNAL, "out of memory");
    buf_done(&scratch);
    return 0;
}
