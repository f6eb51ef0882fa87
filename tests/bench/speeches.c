/*
 * Speeches: see speech.h. What is said to each server is described beside its start in peers.py.
 */
#include "tests/bench/speech.h"

#include "lib/msgpack.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>

#define NAME_OF(name, group) char name[GROUP_NAME + 1]; group_name(group, name)

/* PATH?group=G&to=G&user=U, as far as the role has them; with a user, where the server knows users. */
static void add_query(struct buf *out, const char *path, const struct client *client, const char *to, bool has_users)
{
    char mark = '?';
    buf_add_text(out, path);
    if (client->role.group != GROUP_NONE) {
        NAME_OF(name, client->role.group);
        buf_add_format(out, "%cgroup=%s", mark, name);
        mark = '&';
    }
    if (to && client->role.to != GROUP_NONE) {
        NAME_OF(name, client->role.to);
        buf_add_format(out, "%c%s=%s", mark, to, name);
        mark = '&';
    }
    if (has_users && client->role.user)
        buf_add_format(out, "%cuser=user%u", mark, client->role.user);
}

/* rtcd. */

static void rtcd_add_target(struct buf *out, const struct client *client, const char *path)
{
    if (client->token)
        buf_add_format(out, "%s?token=%s&received=%llu", path, client->token, (unsigned long long)client->messages);
    else
        add_query(out, path, client, NULL, true);
}

static void rtcd_add_websocket(struct buf *out, const struct client *client)
{
    rtcd_add_target(out, client, "/rtc/websocket");
}

static void rtcd_add_sse(struct buf *out, const struct client *client)
{
    rtcd_add_target(out, client, "/rtc/sse");
}

static void rtcd_keep_token(struct client *client, struct bytes text)
{
    static const char key[] = "\"connectionToken\":\"";
    const char *at = memmem(text.data, text.length, key, sizeof(key) - 1);
    if (!at)
        errx(1, "there is no token in %.*s", (int)text.length, (const char *)text.data);
    at += sizeof(key) - 1;
    client->token = strndup(at, strcspn(at, "\""));
}

/* The welcome: rtc.welcome is the first message on every transport. */
static bool rtcd_greet(struct client *client, struct bytes message, struct buf *say)
{
    if (message.length == 0)
        return false;
    if (client->token && !memmem(message.data, message.length, "\"resumed\":true", 14))
        errx(1, "a connection was not resumed: %.*s", (int)message.length, (const char *)message.data);
    if (!client->token)
        rtcd_keep_token(client, message);
    return true;
}

static bool rtcd_greet_msgpack(struct client *client, struct bytes message, struct buf *say)
{
    return message.length > 0;
}

static void rtcd_add_publish(struct buf *out, int group, struct bytes data)
{
    NAME_OF(name, group);
    buf_add_format(out, "{\"eventName\":\"bench\",\"to\":{\"group\":\"%s\"},\"data\":\"", name);
    buf_add_bytes(out, data);
    buf_add_text(out, "\"}");
}

static void add_post(struct buf *out, const char *path, const char *fields, struct bytes body)
{
    buf_add_format(out, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%sContent-Length: %zu\r\n\r\n", path, fields, body.length);
    buf_add_bytes(out, body);
}

static void rtcd_add_post(struct buf *out, int group, struct bytes data, uint32_t batch, const char *key)
{
    char fields[200];
    struct buf body = {0};
    NAME_OF(name, group);
    for (uint32_t i = 0; i < batch; i++) {
        buf_add_text(&body, i ? "," : batch > 1 ? "[" : "");
        buf_add_format(&body, "{\"group\":\"%s\",\"event\":\"bench\",\"data\":\"", name);
        buf_add_bytes(&body, data);
        buf_add_text(&body, "\"}");
    }
    buf_add_text(&body, batch > 1 ? "]" : "");
    snprintf(fields, sizeof(fields), "Authorization: Bearer %s\r\nContent-Type: application/json\r\n", key);
    add_post(out, "/api/v1/publish", fields, buf_bytes(&body));
    buf_done(&body);
}

static void rtcd_add_publish_msgpack(struct buf *out, int group, struct bytes data)
{
    NAME_OF(name, group);
    msgpack_add_map(out, 3);
    msgpack_add_text(out, "eventName");
    msgpack_add_text(out, "bench");
    msgpack_add_text(out, "to");
    msgpack_add_map(out, 1);
    msgpack_add_text(out, "group");
    msgpack_add_text(out, name);
    msgpack_add_text(out, "data");
    msgpack_add_string(out, data);
}

enum { POLL_NEGOTIATE, POLL_JOIN, POLL_WELCOME };

/* A poll joins nothing by itself: the client negotiates, joins its group, and then polls; the first answer is the welcome. */
static void rtcd_add_poll(struct buf *out, const struct client *client)
{
    if (client->step == POLL_NEGOTIATE) {
        buf_add_text(out, "POST /rtc/negotiate");
        if (client->role.user)
            buf_add_format(out, "?user=user%u", client->role.user);
        buf_add_text(out, " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n");
    } else if (client->step == POLL_JOIN) {
        char body[80];
        NAME_OF(name, client->role.group);
        int length = snprintf(body, sizeof(body), "{\"eventName\":\"rtc.join\",\"data\":{\"group\":\"%s\"}}", name);
        buf_add_format(out, "POST /rtc/send?token=%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                       "Content-Length: %d\r\n\r\n%s", client->token, length, body);
    } else {
        buf_add_format(out, "GET /rtc/poll?token=%s&received=%llu HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", client->token,
                       (unsigned long long)client->messages);
    }
}

static bool rtcd_greet_poll(struct client *client, struct bytes message, struct buf *say)
{
    if (client->step == POLL_NEGOTIATE)
        rtcd_keep_token(client, message);
    return client->step == POLL_WELCOME;
}

static uint32_t rtcd_take_answer(struct client *client, struct bytes head, struct bytes body)
{
    static const char event[] = "\"eventName\":\"bench\"";
    uint32_t count = 0;
    const unsigned char *at = body.data, *end = body.data + body.length;
    for (; (at = memmem(at, (size_t)(end - at), event, sizeof(event) - 1)); at += sizeof(event) - 1)
        count++;
    return count;
}

/* The floor, and ws: ?group=G is a member, ?to=G publishes. */

static void plain_add_target(struct buf *out, const struct client *client)
{
    add_query(out, "/", client, "to", false);
}

static void plain_add_publish(struct buf *out, int group, struct bytes data)
{
    buf_add_bytes(out, data);
}

/* nchan: one address for each role. */

static void nchan_add_target(struct buf *out, const struct client *client)
{
    bool is_both = client->role.group != GROUP_NONE && client->role.to != GROUP_NONE;
    int group = client->role.group != GROUP_NONE ? client->role.group : MAX(client->role.to, 0);
    NAME_OF(name, group);
    buf_add_format(out, "/%s?group=%s", is_both ? "both" : client->role.to != GROUP_NONE ? "publish" : "websocket", name);
}

static void nchan_add_post(struct buf *out, int group, struct bytes data, uint32_t batch, const char *key)
{
    char path[40];
    NAME_OF(name, group);
    snprintf(path, sizeof(path), "/publish?group=%s", name);
    add_post(out, path, "Content-Type: application/json\r\n", data);
}

static void nchan_add_sse(struct buf *out, const struct client *client)
{
    add_query(out, "/sse", client, NULL, false);
}

static void nchan_add_poll(struct buf *out, const struct client *client)
{
    buf_add_text(out, "GET ");
    add_query(out, "/poll", client, NULL, false);
    buf_add_format(out, " HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n", client->token ? client->token : "");
}

static uint32_t nchan_take_answer(struct client *client, struct bytes head, struct bytes body)
{
    struct bytes modified = http_field(head, "Last-Modified"), tag = http_field(head, "Etag");
    free(client->token);
    if (asprintf(&client->token, "If-Modified-Since: %.*s\r\nIf-None-Match: %.*s\r\n", (int)modified.length,
                 (const char *)modified.data, (int)tag.length, (const char *)tag.data) < 0)
        err(1, "asprintf");
    return 1;
}

/* MQTT 3.1.1, quality of service 0. */

static void mqtt_add_target(struct buf *out, const struct client *client)
{
    buf_add_text(out, "/mqtt");
}

static void mqtt_add_head(struct buf *out, unsigned char type, size_t rest)
{
    buf_add_byte(out, type);
    for (; rest > 0x7f; rest >>= 7)
        buf_add_byte(out, (unsigned char)(rest | 0x80));
    buf_add_byte(out, (unsigned char)rest);
}

static void mqtt_add_text(struct buf *out, const char *text)
{
    size_t length = strlen(text);
    buf_add_byte(out, (unsigned char)(length >> 8));
    buf_add_byte(out, (unsigned char)length);
    buf_add_text(out, text);
}

/* CONNECT, CONNACK, and for members SUBSCRIBE and SUBACK. */
static bool mqtt_greet(struct client *client, struct bytes message, struct buf *say)
{
    static unsigned number;
    char id[16];
    if (client->step == 0) {
        snprintf(id, sizeof(id), "c%08u", number++ % 100000000);
        mqtt_add_head(say, 0x10, 6 + 4 + 2 + strlen(id));
        mqtt_add_text(say, "MQTT");
        buf_add_bytes(say, BYTES("\x04\x02\x00\x00"));
        mqtt_add_text(say, id);
    } else if (client->step == 1 && client->role.group != GROUP_NONE) {
        NAME_OF(name, client->role.group);
        mqtt_add_head(say, 0x82, 2 + 2 + GROUP_NAME + 1);
        buf_add_bytes(say, BYTES("\x00\x01"));
        mqtt_add_text(say, name);
        buf_add_byte(say, 0);
    } else {
        return true;
    }
    return false;
}

static void mqtt_add_publish(struct buf *out, int group, struct bytes data)
{
    NAME_OF(name, group);
    mqtt_add_head(out, 0x30, 2 + GROUP_NAME + data.length);
    mqtt_add_text(out, name);
    buf_add_bytes(out, data);
}

static uint64_t mqtt_bytes(uint32_t data_bytes)
{
    uint64_t rest = 2 + GROUP_NAME + data_bytes;
    return 1 + (rest > 0x7f) + (rest > 0x3fff) + 1 + rest;
}

/* NATS. */

static void nats_add_target(struct buf *out, const struct client *client)
{
    buf_add_text(out, "/");
}

/* INFO comes first; the last PONG says that the subscription stands. */
static bool nats_greet(struct client *client, struct bytes message, struct buf *say)
{
    if (client->step == 1) {
        buf_add_text(say, "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n");
        if (client->role.group != GROUP_NONE) {
            NAME_OF(name, client->role.group);
            buf_add_format(say, "SUB %s 1\r\n", name);
        }
        buf_add_text(say, "PING\r\n");
    }
    return client->step > 1 && memmem(message.data, message.length, "PONG\r\n", 6);
}

static void nats_add_publish(struct buf *out, int group, struct bytes data)
{
    NAME_OF(name, group);
    buf_add_format(out, "PUB %s %zu\r\n", name, data.length);
    buf_add_bytes(out, data);
    buf_add_text(out, "\r\n");
}

static uint64_t nats_bytes(uint32_t data_bytes)
{
    return (uint64_t)snprintf(NULL, 0, "MSG %*s 1 %u\r\n\r\n", GROUP_NAME, "", data_bytes) + data_bytes;
}

/* Socket.IO over Engine.IO 4. */

static void socketio_add_target(struct buf *out, const struct client *client)
{
    NAME_OF(name, MAX(client->role.group, 0));
    bool is_member = client->role.group != GROUP_NONE;
    buf_add_format(out, "/socket.io/?EIO=4&transport=websocket%s%s", is_member ? "&group=" : "", is_member ? name : "");
}

static bool socketio_greet(struct client *client, struct bytes message, struct buf *say)
{
    if (client->step == 1)
        buf_add_text(say, "40");
    return client->step > 1 && message.length > 1 && message.data[0] == '4' && message.data[1] == '0';
}

static void socketio_answer_ping(struct client *client, struct bytes message)
{
    if (bytes_is(message, "2"))
        client_send(client, WS_TEXT, BYTES("3"));
}

static void socketio_add_publish(struct buf *out, int group, struct bytes data)
{
    NAME_OF(name, group);
    buf_add_format(out, "42[\"publish\",\"%s\",\"", name);
    buf_add_bytes(out, data);
    buf_add_text(out, "\"]");
}

static const struct speech speeches[] = {
    /* The floor passes on what it gets; it gets what rtcd gets, so that both send as many bytes. */
    {.name = "floor", .carrier = &carrier_websocket, .opcode = WS_TEXT, .add_request = plain_add_target,
     .add_publish = rtcd_add_publish},
    {.name = "rtcd", .carrier = &carrier_websocket, .subprotocol = "rtc.v1.json", .opcode = WS_TEXT,
     .is_pinged_until_acknowledged = true, .add_request = rtcd_add_websocket, .greet = rtcd_greet, .add_publish = rtcd_add_publish,
     .add_post = rtcd_add_post, .has_batches = true},
    {.name = "post", .carrier = &carrier_posts},
    {.name = "rtcd-deflate", .carrier = &carrier_websocket, .publisher = "rtcd", .subprotocol = "rtc.v1.json", .opcode = WS_TEXT, .is_packed = true,
     .is_pinged_until_acknowledged = true, .add_request = rtcd_add_websocket, .greet = rtcd_greet},
    {.name = "rtcd-msgpack", .carrier = &carrier_websocket, .subprotocol = "rtc.v1.msgpack", .opcode = WS_BINARY,
     .is_pinged_until_acknowledged = true, .add_request = rtcd_add_websocket, .greet = rtcd_greet_msgpack,
     .add_publish = rtcd_add_publish_msgpack},
    {.name = "rtcd-sse", .carrier = &carrier_events, .publisher = "rtcd", .add_request = rtcd_add_sse, .greet = rtcd_greet},
    {.name = "rtcd-longpoll", .carrier = &carrier_polls, .publisher = "rtcd", .add_request = rtcd_add_poll,
     .greet = rtcd_greet_poll, .take_answer = rtcd_take_answer},
    {.name = "ws", .carrier = &carrier_websocket, .opcode = WS_TEXT, .add_request = plain_add_target,
     .add_publish = plain_add_publish},
    {.name = "nchan", .carrier = &carrier_websocket, .opcode = WS_TEXT, .add_request = nchan_add_target,
     .add_publish = plain_add_publish, .add_post = nchan_add_post},
    {.name = "nchan-sse", .carrier = &carrier_events, .publisher = "nchan", .add_request = nchan_add_sse},
    {.name = "nchan-longpoll", .carrier = &carrier_polls, .publisher = "nchan", .add_request = nchan_add_poll,
     .take_answer = nchan_take_answer},
    {.name = "mqtt", .carrier = &carrier_websocket, .subprotocol = "mqtt", .opcode = WS_BINARY, .add_request = mqtt_add_target,
     .greet = mqtt_greet, .add_publish = mqtt_add_publish, .stream_bytes = mqtt_bytes, .stream_mark = 0x30,
     .stream_other_bytes = 2},
    {.name = "nats", .carrier = &carrier_websocket, .opcode = WS_BINARY, .add_request = nats_add_target, .greet = nats_greet,
     .add_publish = nats_add_publish, .stream_bytes = nats_bytes, .stream_mark = 'M', .stream_other_bytes = 6},
    {.name = "socketio", .carrier = &carrier_websocket, .opcode = WS_TEXT, .add_request = socketio_add_target,
     .greet = socketio_greet, .add_publish = socketio_add_publish, .answer_ping = socketio_answer_ping},
};

const struct speech *speech_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(speeches); i++) {
        if (strcmp(speeches[i].name, name) == 0)
            return &speeches[i];
    }
    return NULL;
}

const struct speech *speech_of_publisher(const struct speech *speech)
{
    return speech->publisher ? speech_find(speech->publisher) : speech;
}

void speech_print_names(void)
{
    for (size_t i = 0; i < COUNT_OF(speeches); i++)
        puts(speeches[i].name);
}
