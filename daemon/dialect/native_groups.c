/*
 * What clients ask about groups in the native dialect: to join and to leave, and what was published. Who is there: native_presence.c.
 */
#include "daemon/dialect/native_call.h"
#include "daemon/dialect/native_history.h"

#include "daemon/config/config.h"
#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"
#include "daemon/core/policy.h"
#include "lib/json.h"

enum { HISTORY_LIMIT = 1000 };          /* envelopes in a reply to rtc.history */

int native_read_group(const struct native_call *call, struct buf *scratch, struct bytes *ret, struct fault *fault)
{
    struct bytes value = json_member(call->json, "group");
    if (value.length && json_string(value, scratch, ret) == 0)
        return 0;
    fault_set(fault, FAULT_BAD_ENVELOPE, "the data needs \"group\" with the group's name");
    return -EBADMSG;
}

/* Who joins is given no more of what it missed than half of what may wait for it. */
static void native_join(const struct native_call *call, struct bytes group, struct catch_up *missed, struct fault *fault)
{
    struct connection *connection = call->connection;
    const struct config *config = connection->hub->config;
    missed->count_max = config->queue.envelopes / 2;
    missed->bytes_max = config->queue.bytes / 2;
    if (policy_join(connection, group, missed, fault) != FAULT_NONE)
        return;
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    json_begin_object(&json);
    json_key(&json, "group");
    json_add_string(&json, group);
    native_add_position(missed, &json);
    json_end_object(&json);
    native_reply(call, &data);
    native_push_missed(connection, missed);
}

int native_take_join(const struct native_call *call, struct fault *fault)
{
    struct buf scratch[2] = {0};
    struct bytes group;
    struct catch_up missed = {0};
    if (native_read_group(call, &scratch[0], &group, fault) == 0 && native_read_catch_up(call->json, &scratch[1], &missed, fault) == 0)
        native_join(call, group, &missed, fault);
    catch_up_done(&missed);
    buf_done(&scratch[0]);
    buf_done(&scratch[1]);
    return 0;
}

int native_take_leave(const struct native_call *call, struct fault *fault)
{
    struct buf scratch = {0};
    struct bytes group;
    if (native_read_group(call, &scratch, &group, fault) == 0) {
        if (connection_leave(call->connection, group) < 0)
            fault_set(fault, FAULT_NOT_FOUND, "the connection is not in this group");
        else
            native_reply(call, &(struct buf){0});
    }
    buf_done(&scratch);
    return 0;
}

static void native_tell_history(const struct native_call *call, struct bytes group, struct catch_up *asked, struct fault *fault)
{
    struct connection *connection = call->connection;
    struct hub *hub = connection->hub;
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    if (!archive_read(hub->exchange->directory, group, hub->config, hub->now_ms, asked)) {
        fault_set(fault, FAULT_NOT_FOUND, "this group remembers nothing, or nothing yet (history-envelopes, under groups)");
        return;
    }
    json_begin_object(&json);
    json_key(&json, "group");
    json_add_string(&json, group);
    native_add_position(asked, &json);
    if (asked->has_more) {
        json_key(&json, "more");
        json_add_bool(&json, true);
    }
    json_key(&json, "envelopes");
    if (native_add_envelopes(asked, &json) < 0)
        fault_set(fault, FAULT_INTERNAL, "out of memory");
    json_end_object(&json);
    if (fault->id == FAULT_NONE)
        native_reply(call, &data);
    buf_done(&data);
}

/* Its reply is one envelope, so it holds no more than the largest that clients may send. */
int native_take_history(const struct native_call *call, struct fault *fault)
{
    struct buf scratch[2] = {0};
    struct bytes group;
    uint64_t limit = HISTORY_LIMIT;
    struct catch_up asked = {.bytes_max = call->connection->hub->config->connection.message_bytes, .takes_pages = true};
    struct bytes given = json_member(call->json, "limit");
    if (given.length && json_type(given) != JSON_NULL && (json_uint(given, &limit) < 0 || limit == 0))
        fault_set(fault, FAULT_BAD_ENVELOPE, "limit is a whole number from 1");
    asked.count_max = MIN(limit, (uint64_t)HISTORY_LIMIT);
    if (fault->id == FAULT_NONE && native_read_group(call, &scratch[0], &group, fault) == 0
        && native_read_catch_up(call->json, &scratch[1], &asked, fault) == 0
        && policy_may_ask(call->connection, GROUP_HISTORY, group, fault) == FAULT_NONE) {
        asked.last = asked.last ? asked.last : asked.count_max;
        native_tell_history(call, group, &asked, fault);
    }
    catch_up_done(&asked);
    buf_done(&scratch[0]);
    buf_done(&scratch[1]);
    return 0;
}
