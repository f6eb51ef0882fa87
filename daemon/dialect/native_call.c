/*
 * Native call: see native_call.h.
 */
#include "daemon/dialect/native_call.h"

#include "daemon/core/hub.h"
#include "daemon/core/message.h"
#include "lib/json.h"

/* Queues a numbered envelope of the protocol's own for this connection. */
static void native_push(struct connection *connection, const char *event_name, uint64_t id, bool is_error, struct bytes json)
{
    struct envelope envelope = {.event_name = bytes_text(event_name), .id = id, .is_error = is_error,
                                .data = json, .data_codec = CODEC_JSON};
    SCOPED(message) message = message_new(&envelope);
    if (message)
        connection_push(connection, STEAL(message));
    else
        connection_doom(connection, FAULT_INTERNAL);
}

/* The same with data that was written into a buf, which is freed. */
void native_push_made(struct connection *connection, const char *event_name, uint64_t id, bool is_error, struct buf *data)
{
    if (buf_status(data) < 0)
        connection_doom(connection, FAULT_INTERNAL);
    else
        native_push(connection, event_name, id, is_error, buf_bytes(data));
    buf_done(data);
}

void native_reply(const struct native_call *call, struct buf *data)
{
    if (call->envelope->id)
        native_push_made(call->connection, "rtc.reply", call->envelope->id, false, data);
    buf_done(data);
}

void native_refuse_made(struct connection *connection, uint64_t id, struct buf *data)
{
    metrics_add(&connection->hub->metrics, METRIC_ENVELOPES_REFUSED, 1);
    native_push_made(connection, id ? "rtc.reply" : "rtc.error", id, id != 0, data);
}

void native_refuse(struct connection *connection, uint64_t id, const struct fault *fault)
{
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    json_begin_object(&json);
    json_key(&json, "code");
    json_add_text(&json, fault_rows[fault->id].code);
    json_key(&json, "message");
    json_add_text(&json, fault_message(fault));
    json_end_object(&json);
    native_refuse_made(connection, id, &data);
}
