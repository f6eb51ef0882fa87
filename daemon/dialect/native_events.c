/*
 * What clients ask for in the native dialect: an event for the server or for others, and the protocol's own events, each
 * a row of a table. Those that are about groups are carried out in native_groups.c.
 */
#include "daemon/dialect/native.h"
#include "daemon/dialect/native_call.h"

#include "daemon/config/config.h"
#include "daemon/core/event_call.h"
#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"
#include "daemon/core/keeper.h"
#include "daemon/core/limits.h"
#include "daemon/core/message.h"
#include "daemon/core/middleware.h"
#include "daemon/core/notice.h"
#include "daemon/core/policy.h"
#include "daemon/net/credentials.h"
#include "lib/json.h"
#include "lib/transcode.h"

/* Every handler returns what receive returns; a fault that it set is answered by native_receive. */

static int native_take_ping(const struct native_call *call, struct fault *fault)
{
    struct buf text = {0};
    native_add_event(call->connection, "rtc.pong", call->json, &text);
    if (buf_status(&text) < 0)
        connection_doom(call->connection, FAULT_INTERNAL);
    else if (text.length && call->connection->link)
        call->connection->transport->send_unnumbered(call->connection, buf_bytes(&text));
    buf_done(&text);
    return 0;
}

static int native_take_pong(const struct native_call *call, struct fault *fault)
{
    return 0;
}

static int native_take_ack(const struct native_call *call, struct fault *fault)
{
    uint64_t number;
    if (json_uint(json_member(call->json, "received"), &number) < 0)
        fault_set(fault, FAULT_BAD_ENVELOPE, "rtc.ack needs data {\"received\":N} with a whole number");
    else if (connection_acknowledge(call->connection, number) < 0) {
        struct fault why = {.id = FAULT_BAD_ACK};
        connection_close(call->connection, &why, true);
        return -ECONNRESET;
    }
    return 0;
}

static int native_take_close(const struct native_call *call, struct fault *fault)
{
    struct fault why = {.id = FAULT_CLIENT_CLOSED};
    connection_close(call->connection, &why, false);
    return -ECONNRESET;
}

static int native_take_refresh(const struct native_call *call, struct fault *fault)
{
    struct connection *connection = call->connection;
    struct bytes value = json_member(call->json, "accessToken"), token;
    struct buf scratch = {0}, data = {0};
    if (value.length == 0 || json_string(value, &scratch, &token) < 0) {
        fault_set(fault, FAULT_BAD_ENVELOPE, "the data needs \"accessToken\" with a new access token");
    } else if (credentials_refresh(connection, token, fault) == FAULT_NONE) {
        struct json_writer json = json_writer(&data);
        json_begin_object(&json);
        native_add_expiry(connection, &json);
        json_end_object(&json);
        native_reply(call, &data);
    }
    buf_done(&scratch);
    buf_done(&data);
    return 0;
}

static const struct protocol_event {
    const char *name;
    bool is_numbered;                   /* rtc-protocol(7), "Stateful reconnect" */
    int (*take)(const struct native_call *call, struct fault *fault);
} protocol_events[] = {
    {"rtc.ping", false, native_take_ping},
    {"rtc.pong", false, native_take_pong},
    {"rtc.ack", false, native_take_ack},
    {"rtc.close", false, native_take_close},
    {"rtc.join", true, native_take_join},
    {"rtc.leave", true, native_take_leave},
    {"rtc.history", true, native_take_history},
    {"rtc.presence", true, native_take_presence},
    {"rtc.refresh", true, native_take_refresh},
};

/* NULL: an application's event, which is always numbered. */
static const struct protocol_event *protocol_event_find(struct bytes name)
{
    for (size_t i = 0; i < COUNT_OF(protocol_events); i++)
        if (bytes_is(name, protocol_events[i].name))
            return &protocol_events[i];
    return NULL;
}

static int native_take_protocol_event(struct connection *connection, const struct envelope *envelope,
                                      const struct protocol_event *event, struct fault *fault)
{
    struct buf converted = {0};
    struct native_call call = {.connection = connection, .envelope = envelope, .json = envelope->data};
    if (envelope->data_codec == CODEC_MSGPACK && envelope->data.length) {
        if (transcode_to_json(&converted, envelope->data, NULL) < 0)
            buf_clear(&converted);
        call.json = buf_bytes(&converted);
    }
    int r = event->take(&call, fault);
    buf_done(&converted);
    return r;
}

static bool native_must_wait(const struct connection *connection, const struct message *message, uint64_t id)
{
    struct keeper *keeper = connection->hub->exchange->directory->keeper;
    struct keeper_wait wait = {.handle = connection->handle, .id = id};
    return keeper->wait(keeper, message->stored_by, &wait);
}

/* To others: nothing is taken (-EAGAIN) while a worker is too far behind. 1: it is answered once it is stored. */
static int native_publish(struct connection *connection, const struct envelope *envelope, struct fault *fault)
{
    struct hub *hub = connection->hub;
    enum config_slow slow;
    if (policy_may_publish(connection, &envelope->to, &slow, fault) != FAULT_NONE)
        return 0;
    struct envelope outgoing = {.event_name = envelope->event_name, .data = envelope->data,
                                .data_codec = envelope->data_codec, .key = envelope->key};
    if (envelope->to.kind == TARGET_GROUP)
        outgoing.group = envelope->to.name;
    SCOPED(message) message = message_new(&outgoing);
    if (message)
        message_set_slow(message, slow);
    unsigned recipients;
    int r = message ? exchange_publish(hub->exchange, hub->config, message, &envelope->to,
                                       envelope->to.except_self ? connection->handle : 0, &recipients) : -ENOMEM;
    if (r == -EAGAIN) {
        metrics_add(&hub->metrics, METRIC_MAILBOX_FULL, 1);
        limits_put_back(connection, LIMITED_PUBLISHES);
        limits_put_back(connection, LIMITED_MESSAGES);
        return r;
    }
    if (r == -ENOENT)
        fault_set(fault, FAULT_NOT_FOUND, "there is no such connection");
    else if (r < 0)
        fault_set(fault, FAULT_INTERNAL, "out of memory");
    else
        metrics_add(&hub->metrics, METRIC_MESSAGES_PUBLISHED, 1);
    return r == 0 && message->stored_by && envelope->id && native_must_wait(connection, message, envelope->id);
}

/* To plug-ins, which answer at once. True: one has handled it. */
static bool native_ask_middleware(struct connection *connection, const struct envelope *envelope)
{
    struct hub *hub = connection->hub;
    const struct middleware *middleware = hub->exchange->middleware;
    struct buf converted = {0};
    struct middleware_event event = {.connection = connection, .name = envelope->event_name, .data = envelope->data,
                                     .wants_reply = envelope->id};
    if (!middleware || !middleware->event)
        return false;
    if (envelope->data_codec == CODEC_MSGPACK && envelope->data.length) {
        if (transcode_to_json(&converted, envelope->data, NULL) < 0) {
            buf_done(&converted);
            return false;               /* whoever else has a use for it says what is wrong with the data */
        }
        event.data = buf_bytes(&converted);
    }
    struct native_call call = {.connection = connection, .envelope = envelope};
    bool is_handled = middleware->event(middleware->argument, hub, &event);
    if (is_handled && event.is_error)
        native_refuse_made(connection, envelope->id, &event.answer);
    else if (is_handled)
        native_reply(&call, &event.answer);
    buf_done(&event.answer);
    buf_done(&converted);
    return is_handled;
}

/* To the server. True: its reply comes from a handler, or why there is none. */
static bool native_ask_server(struct connection *connection, const struct envelope *envelope, struct fault *fault)
{
    bool is_seen = notice_event(connection, envelope);
    switch (event_call_send(connection, envelope, is_seen)) {
    case 0:
        return true;
    case -ENOENT:
        if (envelope->id || !is_seen)
            fault_set(fault, FAULT_NO_HANDLER, "nobody at the server handles this event; to reach others, say to whom (\"to\")");
        break;
    case -EAGAIN:
        metrics_add(&connection->hub->metrics, METRIC_EVENTS_REFUSED, 1);
        fault_set(fault, FAULT_BACK_PRESSURE, "too many events are on their way to handlers (handlers.queue-bytes); try again");
        break;
    case -EBADMSG:
        fault_set(fault, FAULT_BAD_ENVELOPE, "the data has no form in JSON, in which handlers have it");
        break;
    default:
        fault_set(fault, FAULT_INTERNAL, "out of memory");
    }
    return false;
}

static int native_take_event(struct connection *connection, const struct envelope *envelope, struct fault *fault)
{
    if (event_name_is_reserved(envelope->event_name)) {
        fault_set(fault, FAULT_BAD_ENVELOPE, "event names that begin with rtc. belong to the protocol; choose another");
        return 0;
    }
    if (envelope->to.kind == TARGET_SERVER) {
        if (native_ask_middleware(connection, envelope) || native_ask_server(connection, envelope, fault))
            return 0;
    } else {
        int r = native_publish(connection, envelope, fault);
        if (r != 0)
            return MIN(r, 0);
    }
    struct native_call call = {.connection = connection, .envelope = envelope};
    if (fault->id == FAULT_NONE)
        native_reply(&call, &(struct buf){0});
    return 0;
}

bool native_is_numbered(struct bytes text, enum codec_id codec)
{
    struct buf scratch = {0};
    struct envelope envelope = {0};
    struct fault fault;
    const struct protocol_event *event = NULL;
    if (codecs[codec]->decode(text, &scratch, &envelope, &fault) == DECODE_DONE)
        event = protocol_event_find(envelope.event_name);
    buf_done(&scratch);
    return !event || event->is_numbered;
}

int native_receive(struct connection *connection, struct bytes text, enum codec_id codec)
{
    struct buf scratch = {0};
    struct envelope envelope = {0};
    struct fault fault = {0};
    int r = 0;
    connection->heard_ms = (uint32_t)connection->hub->now_ms;

    if (codecs[codec]->decode(text, &scratch, &envelope, &fault) == DECODE_DONE) {
        const struct protocol_event *event = protocol_event_find(envelope.event_name);
        if ((!event || event->is_numbered) && policy_may_send(connection, &fault) != FAULT_NONE)
            r = 0;
        else if (event)
            r = native_take_protocol_event(connection, &envelope, event, &fault);
        else
            r = native_take_event(connection, &envelope, &fault);
        /* What cannot be read counts too: the client numbered it. */
        if (r == 0 && (!event || event->is_numbered))
            connection_count_received(connection);
    } else {
        connection_count_received(connection);
    }
    if (r == 0 && fault.id != FAULT_NONE)
        native_refuse(connection, envelope.id, &fault);
    buf_done(&scratch);
    return r;
}
