/*
 * The echo dialect: a plain WebSocket at /echo that returns every message as it came, so that conformance programs made for
 * echo servers can judge the front that real clients meet: the same link, transport and limits. It has no envelopes, groups
 * or tokens, and no option turns it on: only builds with -Dtest_dialects have it.
 */
#include "daemon/core/connection.h"
#include "daemon/dialect/dialects.h"

/* Who does not read what comes back is read no further: the transport counts unnumbered bytes. */
static int echo_receive(struct connection *connection, struct bytes message, enum codec_id codec)
{
    connection->codec = (uint8_t)codec;
    connection->transport->send_unnumbered(connection, message);
    return connection->state == CONNECTION_OPEN ? 0 : -ECONNRESET;
}

/* Somebody published to everybody: those who only want their own messages back get an empty one. */
static int echo_encode(struct buf *out, const struct envelope *envelope, enum codec_id codec)
{
    return 0;
}

static void echo_add_nothing(struct connection *connection, struct buf *out)
{
}

static void echo_add_welcome(struct connection *connection, bool is_resumed, struct buf *out)
{
}

static void echo_add_farewell(struct connection *connection, const struct fault *why, bool reconnect, struct buf *out)
{
}

/* The only transport is WebSocket, so nothing asks how a poll looks. */
static const struct dialect echo = {
    .name = "echo",
    .index = 1,
    .mixes_types = true,
    .packs_unnumbered = true,
    .receive = echo_receive,
    .encode = echo_encode,
    .add_welcome = echo_add_welcome,
    .add_ping = echo_add_nothing,
    .add_ack = echo_add_nothing,
    .add_farewell = echo_add_farewell,
};

static const char *echo_base_path(const struct config *config)
{
    return "/echo";
}

static const struct endpoint echo_endpoints[] = {
    {.path = "", .methods = METHOD(GET), .transport = "websocket"},
};

const struct dialect_front echo_front = {
    .dialect = &echo,
    .base_path = echo_base_path,
    .endpoints = echo_endpoints,
    .endpoint_count = COUNT_OF(echo_endpoints),
    .is_for_tests = true,
};
