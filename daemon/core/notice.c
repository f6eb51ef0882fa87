/*
 * Notice: see notice.h. An envelope in JSON with a header `from`, whatever the connection's own protocol is.
 */
#include "daemon/core/notice.h"

#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"
#include "lib/json.h"
#include "lib/transcode.h"

void notice_add_identity(struct json_writer *json, const struct connection *connection)
{
    char id[UUID_TEXT + 1];
    struct bytes user = connection_user(connection);
    uuid_print(&connection->id, id);
    json_key(json, "connectionId");
    json_add_text(json, id);
    json_key(json, "userId");
    if (user.length)
        json_add_string(json, user);
    else
        json_add_null(json);
}

static void notice_add_from(struct json_writer *json, const struct connection *connection)
{
    json_key(json, "from");
    json_begin_object(json);
    notice_add_identity(json, connection);
    json_end_object(json);
}

static bool notice_send(struct connection *connection, struct bytes name, struct buf *json)
{
    struct hub *hub = connection->hub;
    bool is_sent = buf_status(json) == 0 && exchange_notice(hub->exchange, name, buf_bytes(json)) == 0;
    if (!is_sent)
        metrics_add(&hub->metrics, METRIC_LISTEN_DROPPED, 1);
    buf_done(json);
    return is_sent;
}

static struct json_writer notice_begin(struct buf *out, struct bytes name)
{
    struct json_writer json = json_writer(out);
    json_begin_object(&json);
    json_key(&json, "eventName");
    json_add_string(&json, name);
    json_key(&json, "data");
    return json;
}

void notice_connected(struct connection *connection)
{
    if (!exchange_has_listeners(connection->hub->exchange))
        return;
    struct buf out = {0};
    char address[PEER_TEXT_MAX];
    peer_address_print(&connection->address, address);
    struct json_writer json = notice_begin(&out, BYTES("rtc.connected"));
    json_begin_object(&json);
    json_key(&json, "transport");
    json_add_text(&json, connection->transport ? connection->transport->name : NULL);
    json_key(&json, "protocol");
    json_add_text(&json, codecs[connection->codec]->name);
    json_key(&json, "address");
    json_add_text(&json, address);
    json_end_object(&json);
    notice_add_from(&json, connection);
    json_end_object(&json);
    notice_send(connection, BYTES("rtc.connected"), &out);
}

void notice_disconnected(struct connection *connection, const struct fault *why)
{
    if (!exchange_has_listeners(connection->hub->exchange))
        return;
    struct buf out = {0};
    struct json_writer json = notice_begin(&out, BYTES("rtc.disconnected"));
    json_begin_object(&json);
    json_key(&json, "reason");
    json_add_text(&json, fault_rows[why->id].name);
    if (why->detail[0]) {
        json_key(&json, "detail");
        json_add_text(&json, why->detail);
    }
    json_end_object(&json);
    notice_add_from(&json, connection);
    json_end_object(&json);
    notice_send(connection, BYTES("rtc.disconnected"), &out);
}

bool notice_event(struct connection *connection, const struct envelope *envelope)
{
    if (!exchange_has_listeners(connection->hub->exchange))
        return false;
    struct buf out = {0}, data = {0};
    if (envelope->data_codec == CODEC_MSGPACK && envelope->data.length
        && transcode_to_json(&data, envelope->data, NULL) < 0)
        buf_clear(&data);

    struct json_writer json = notice_begin(&out, envelope->event_name);
    json_add_raw(&json, envelope->data_codec == CODEC_MSGPACK ? buf_bytes(&data) : envelope->data);
    if (envelope->id) {
        json_key(&json, "id");
        json_add_uint(&json, envelope->id);
    }
    notice_add_from(&json, connection);
    json_end_object(&json);
    buf_done(&data);
    return notice_send(connection, envelope->event_name, &out);
}
