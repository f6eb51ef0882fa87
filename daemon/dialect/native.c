/*
 * The native dialect's envelopes: how messages and the protocol's own events are written, and a poll's body.
 */
#include "daemon/dialect/native.h"

#include "daemon/config/config.h"
#include "daemon/core/hub.h"
#include "lib/json.h"
#include "lib/msgpack.h"

static int native_encode(struct buf *out, const struct envelope *envelope, enum codec_id codec)
{
    return codecs[codec]->encode(out, envelope);
}

void native_add_event(struct connection *connection, const char *event_name, struct bytes json, struct buf *out)
{
    struct envelope envelope = {.event_name = bytes_text(event_name), .data = json, .data_codec = CODEC_JSON};
    size_t before = out->length;
    int r = codecs[connection->codec]->encode(out, &envelope);
    if (r < 0)
        out->length = before;
    if (r == -ENOMEM)
        buf_fail(out);
}

/* The same with data that was written into a buf, which is freed. */
static void native_add_made(struct connection *connection, const char *event_name, struct buf *data, struct buf *out)
{
    if (buf_status(data) < 0)
        buf_fail(out);
    else
        native_add_event(connection, event_name, buf_bytes(data), out);
    buf_done(data);
}

static void native_add_groups(struct connection *connection, struct json_writer *json)
{
    json_key(json, "groups");
    json_begin_array(json);
    for (unsigned i = 0; i < connection->membership_count; i++)
        json_add_string(json, place_name(connection_memberships(connection)[i].roster->place));
    json_end_array(json);
}

void native_add_expiry(struct connection *connection, struct json_writer *json)
{
    const struct grant *grant = grants_find(connection->hub, connection);
    uint64_t left_ms = grant ? grant_left_ms(connection->hub, grant) : GRANT_NEVER_ENDS;
    json_key(json, "expiresIn");
    if (left_ms == GRANT_NEVER_ENDS)
        json_add_null(json);
    else
        json_add_uint(json, left_ms);
}

static void native_add_welcome(struct connection *connection, bool is_resumed, struct buf *out)
{
    const struct config *config = connection->hub->config;
    char id[UUID_TEXT + 1], token[TOKEN_TEXT + 1];
    uuid_print(&connection->id, id);
    connection_token(connection, token);
    struct bytes user = connection_user(connection);

    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    json_begin_object(&json);
    json_key(&json, "connectionId");
    json_add_text(&json, id);
    json_key(&json, "connectionToken");
    json_add_text(&json, token);
    json_key(&json, "userId");
    if (user.length)
        json_add_string(&json, user);
    else
        json_add_null(&json);
    json_key(&json, "protocol");
    json_add_text(&json, codecs[connection->codec]->name);
    json_key(&json, "keepAlive");
    json_add_uint(&json, config->connection.keep_alive_ms);
    json_key(&json, "timeout");
    json_add_uint(&json, config->connection.timeout_ms);
    json_key(&json, "resumeWindow");
    json_add_uint(&json, config->resume.window_ms);
    json_key(&json, "maxMessageSize");
    json_add_uint(&json, config->connection.message_bytes);
    json_key(&json, "resumed");
    json_add_bool(&json, is_resumed);
    json_key(&json, "received");
    json_add_uint(&json, connection->received);
    native_add_groups(connection, &json);
    if (connection->has_grant)
        native_add_expiry(connection, &json);
    json_end_object(&json);
    native_add_made(connection, "rtc.welcome", &data, out);
}

static void native_add_ping(struct connection *connection, struct buf *out)
{
    native_add_event(connection, "rtc.ping", (struct bytes){0}, out);
}

static void native_add_ack(struct connection *connection, struct buf *out)
{
    struct buf data = {0};
    buf_add_format(&data, "{\"received\":%llu}", (unsigned long long)connection->received);
    native_add_made(connection, "rtc.ack", &data, out);
}

/* The reason is the fault's name, or an operator's own words. */
static void native_add_farewell(struct connection *connection, const struct fault *why, bool reconnect, struct buf *out)
{
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    bool has_words = why->id == FAULT_DISCONNECTED && why->detail[0];
    json_begin_object(&json);
    json_key(&json, "reason");
    json_add_text(&json, has_words ? why->detail : fault_rows[why->id].name);
    json_key(&json, "reconnect");
    json_add_bool(&json, reconnect);
    json_end_object(&json);
    native_add_made(connection, "rtc.close", &data, out);
}

static void native_add_poll_start(struct connection *connection, uint64_t first, size_t count, struct buf *out)
{
    if (connection->codec == CODEC_MSGPACK) {
        msgpack_add_map(out, 2);
        msgpack_add_text(out, "first");
        msgpack_add_uint(out, first);
        msgpack_add_text(out, "messages");
        msgpack_add_array(out, (uint32_t)count);
    } else {
        buf_add_text(out, "{\"first\":");
        buf_add_decimal(out, first);
        buf_add_text(out, ",\"messages\":[");
    }
}

static void native_add_poll_between(struct connection *connection, struct buf *out)
{
    if (connection->codec == CODEC_JSON)
        buf_add_byte(out, ',');
}

static void native_add_poll_end(struct connection *connection, struct buf *out)
{
    if (connection->codec == CODEC_JSON)
        buf_add_text(out, "]}");
}

static const char *native_poll_content_type(struct connection *connection)
{
    return codecs[connection->codec]->content_type;
}

const struct dialect native = {
    .name = "native",
    .index = 0,
    .numbers_sse = true,
    .is_resumable = true,
    .subprotocol = "rtc.v1.",
    .receive = native_receive,
    .encode = native_encode,
    .add_welcome = native_add_welcome,
    .add_ping = native_add_ping,
    .add_ack = native_add_ack,
    .add_farewell = native_add_farewell,
    .add_poll_start = native_add_poll_start,
    .add_poll_between = native_add_poll_between,
    .add_poll_end = native_add_poll_end,
    .poll_content_type = native_poll_content_type,
};

static const char *native_base_path(const struct config *config)
{
    return config->http.base_path;
}

const struct dialect_front native_front = {
    .dialect = &native,
    .base_path = native_base_path,
    .endpoints = native_endpoints,
    .endpoint_count = NATIVE_ENDPOINT_COUNT,
};
