/*
 * WebSocket transport (RFC 6455): messages to and from the connection's dialect, pings that are
 * acknowledgements at once (rtc-protocol(7), "Keep-alive"), and the closing handshake. Framing itself is lib/ws_frame, the handshake handshake.c.
 */
#include "daemon/config/config.h"
#include "daemon/core/hub.h"
#include "daemon/net/admission.h"
#include "daemon/net/stream.h"
#include "daemon/transport/deflate.h"
#include "daemon/transport/handshake.h"
#include "daemon/transport/transports.h"
#include "lib/ws_frame.h"

#include <stdio.h>
#include <stdlib.h>

enum { CLOSE_WAIT_MS = 3000 };          /* for the peer's half of the closing handshake */

static const struct link_handler websocket_handler, closing_handler;

/* Kept only while a message is half read: between two messages there is nothing to remember. */
struct websocket {
    struct ws_reader reader;
    struct buf message;                 /* a message in several pieces (as they came), or one that met back-pressure */
    bool is_waiting;                    /* `message` is whole and not yet taken */
    bool is_binary;                     /* what waits is */
};

static void websocket_free_state(void *state)
{
    struct websocket *ws = state;
    buf_done(&ws->message);
    free(ws);
}

/* What the link remembers; NULL: nothing. */
static struct websocket *websocket_state(const struct link *link)
{
    return link->work ? link->work->state : NULL;
}

static struct ws_reader websocket_reader(const struct link *link)
{
    const struct config *config = link->worker->hub->config;
    const struct websocket *ws = websocket_state(link);
    struct ws_reader reader;
    if (ws)
        return ws->reader;
    ws_reader_init(&reader, true, config->connection.message_bytes, (uint32_t)config->connection.message_fragments);
    reader.takes_packed = link->window_bits;
    return reader;
}

/* Remembers where the reader is; false: no memory for that. */
static bool websocket_keep(struct link *link, const struct ws_reader *reader)
{
    struct websocket *ws = websocket_state(link);
    if (!ws) {
        struct link_work *work = link_work(link);
        ws = work ? calloc(1, sizeof(*ws)) : NULL;
        if (!ws)
            return false;
        work->state = ws;
        work->free_state = websocket_free_state;
    }
    ws->reader = *reader;
    return true;
}

/* Between two messages nothing needs to be remembered. */
static bool websocket_remember(struct link *link, const struct ws_reader *reader)
{
    bool is_needed = websocket_state(link) || !ws_reader_is_idle(reader);
    return !is_needed || websocket_keep(link, reader);
}

static void websocket_forget(struct link *link)
{
    if (websocket_state(link))
        websocket_free_state(STEAL(link->work->state));
}

static int websocket_frame(const struct connection *connection, uint64_t number, const struct encoding *encoding,
                           struct iovec pieces[static STREAM_PIECES_MAX], char scratch[static STREAM_SCRATCH])
{
    struct bytes frame = encoding_frame(encoding);
    pieces[0] = (struct iovec){(void *)frame.data, frame.length};
    return 1;
}

static stream_frame_fn *websocket_framing(const struct link *link)
{
    return link->window_bits ? deflate_frame : websocket_frame;
}

static void websocket_flush(struct connection *connection)
{
    stream_flush_turn(connection, websocket_framing(connection->link));
}

static void websocket_send_control(struct connection *connection, enum ws_opcode opcode, struct bytes payload)
{
    struct buf frame = {0};
    ws_add_frame(&frame, opcode, payload);
    stream_queue(connection, &frame);
    buf_done(&frame);
}

static void websocket_send_unnumbered(struct connection *connection, struct bytes text)
{
    enum ws_opcode opcode = codecs[connection->codec]->is_binary ? WS_BINARY : WS_TEXT;
    struct buf packed = {0};
    if (connection->link->window_bits && connection->dialect->packs_unnumbered && deflate_pack(connection->link, text, &packed) == 0)
        websocket_send_control(connection, opcode | WS_PACKED, buf_bytes(&packed));
    else
        websocket_send_control(connection, opcode, text);
    buf_done(&packed);
}

/* The client's transport is gone, not its connection. */
static void websocket_on_lost(struct link *link, enum fault_id why)
{
    struct connection *connection = STEAL(link->connection);
    link_free(link);
    if (connection)
        connection_detach(connection);
}

/* From here on only the peer's Close matters; then the server ends the TCP connection (RFC 6455 section 7.1.1). */
static void websocket_start_closing(struct link *link)
{
    link->connection = NULL;
    link->is_streaming = false;
    link_set_handler(link, &closing_handler);
    link_set_deadline(link, CLOSE_WAIT_MS);
    link_resume(link);
    if (!link->is_closed && !link_waits_to_write(link))
        link_flush(link);
}

static void websocket_close(struct link *link, const struct fault *why, struct bytes farewell)
{
    bool is_binary = codecs[link->connection->codec]->is_binary;
    stream_finish(link, websocket_framing(link), why);
    if (link->is_closed)
        return;
    struct buf frames = {0};
    if (farewell.length)
        ws_add_frame(&frames, is_binary ? WS_BINARY : WS_TEXT, farewell);
    uint16_t code = fault_rows[why->id].close;
    ws_add_close(&frames, code, fault_message(why));
    link_send_buf(link, &frames);
    buf_done(&frames);
    websocket_start_closing(link);
    /* Who broke the protocol is not waited for (RFC 6455 section 7.1.7). */
    if (code > 1001 && code < 3000)
        link_close_gracefully(link);
}

/* Nothing was heard for too long: in case the peer is still there, it is told that it must come back. */
static void websocket_give_up(struct connection *connection)
{
    metrics_add(&connection->hub->metrics, METRIC_TIMEOUTS, 1);
    connection_release(connection, FAULT_TIMEOUT);
    connection_detach(connection);
}

/* The answer acknowledges all that was sent before it. */
static void websocket_ping(struct connection *connection)
{
    char number[24];
    snprintf(number, sizeof(number), "%llu", (unsigned long long)outbox_sent(&connection->outbox));
    websocket_send_control(connection, WS_PING, bytes_text(number));
    connection->ping_ms = (uint32_t)connection->hub->now_ms;
}

static uint64_t websocket_tend(struct connection *connection, uint64_t now_ms)
{
    const struct config *config = connection->hub->config;
    uint64_t keep_alive_ms = config->connection.keep_alive_ms;
    uint64_t silent_ms = connection_age_ms(now_ms, connection->heard_ms);
    if (silent_ms >= config->connection.timeout_ms) {
        websocket_give_up(connection);
        return 0;
    }
    uint64_t next_ms = stream_tend(connection, now_ms);
    if (next_ms == 0)
        return 0;
    bool is_owed = outbox_has_kept(&connection->outbox);
    bool may_ping = connection_age_ms(now_ms, connection->ping_ms) >= keep_alive_ms;
    if (may_ping && (silent_ms >= keep_alive_ms || is_owed))
        websocket_ping(connection);
    return MIN(next_ms, silent_ms < keep_alive_ms ? keep_alive_ms - silent_ms
                                                  : config->connection.timeout_ms - silent_ms);
}

/* The connection cannot go on: it is told why, here and on its link. */
static void websocket_fail(struct link *link, const struct fault *fault)
{
    connection_close(link->connection, fault, fault_rows[fault->id].reconnect);
}

static void websocket_take_pong(struct link *link, struct bytes payload)
{
    uint64_t number;
    struct fault fault = {.id = FAULT_BAD_ACK};
    /* A Pong nobody asked for is allowed (RFC 6455 section 5.5.3); what is no number acknowledges nothing. */
    if (text_parse_uint(payload, &number) == 0 && connection_acknowledge(link->connection, number) < 0)
        websocket_fail(link, &fault);
}

/* 1000: the client ends the connection; anything else only takes its transport away. */
static void websocket_take_close(struct link *link, struct bytes payload)
{
    struct connection *connection = link->connection;
    struct bytes reason;
    uint16_t code = ws_close_code(payload, &reason);
    struct fault fault = {.id = FAULT_CLIENT_CLOSED};
    connection->link = NULL;
    stream_finish(link, websocket_framing(link), &fault);
    if (!link->is_closed) {
        struct buf frame = {0};
        ws_add_frame(&frame, WS_CLOSE, payload);
        link_send_buf(link, &frame);
        buf_done(&frame);
        websocket_start_closing(link);
        link_close_gracefully(link);
    }
    if (code == 1000)
        connection_close(connection, &fault, false);
    else
        connection_detach(connection);
}

static void websocket_take_control(struct link *link, const struct ws_piece *piece)
{
    struct bytes payload = bytes_of(piece->data, piece->length);
    if (piece->opcode == WS_PING)
        websocket_send_control(link->connection, WS_PONG, payload);
    else if (piece->opcode == WS_PONG)
        websocket_take_pong(link, payload);
    else
        websocket_take_close(link, payload);
}

static void websocket_fail_type(struct link *link, bool is_binary)
{
    struct fault fault;
    fault_set(&fault, FAULT_BAD_DATA_TYPE, "this connection's protocol takes %s messages", is_binary ? "text" : "binary");
    websocket_fail(link, &fault);
}

static void websocket_fail_memory(struct link *link)
{
    struct fault fault;
    fault_set(&fault, FAULT_INTERNAL, "out of memory");
    websocket_fail(link, &fault);
}

/* The message met back-pressure: it is kept, and nothing more is read until it is taken. */
static void websocket_wait(struct link *link, struct bytes message, bool is_binary)
{
    struct ws_reader reader = websocket_reader(link);
    if (!websocket_keep(link, &reader)) {
        websocket_fail_memory(link);
        return;
    }
    struct websocket *ws = websocket_state(link);
    assert(ws);
    if (message.data != ws->message.data) {
        buf_clear(&ws->message);
        buf_add_bytes(&ws->message, message);
    }
    ws->is_waiting = true;
    ws->is_binary = is_binary;
    if (buf_status(&ws->message) < 0)
        websocket_fail_memory(link);
    else
        link_stall(link);
}

/* Hands a whole message to the dialect; false: it met back-pressure or ended the connection. */
static bool websocket_deliver(struct link *link, struct bytes message, bool is_binary)
{
    int r = link->connection->dialect->receive(link->connection, message, is_binary ? CODEC_MSGPACK : CODEC_JSON);
    if (r == -EAGAIN) {
        websocket_wait(link, message, is_binary);
        return false;
    }
    websocket_forget(link);
    return r == 0;
}

/* A whole message, as it came. */
static void websocket_take_message(struct link *link, struct bytes message, const struct ws_piece *piece)
{
    struct fault fault;
    struct buf text = {0};
    if (!piece->is_packed)
        websocket_deliver(link, message, piece->opcode == WS_BINARY);
    else if (deflate_unpack(link, message, piece->opcode == WS_TEXT, &text, &fault) == DECODE_DONE)
        websocket_deliver(link, buf_bytes(&text), piece->opcode == WS_BINARY);
    else
        websocket_fail(link, &fault);
    buf_done(&text);
}

static void websocket_take_piece(struct link *link, const struct ws_piece *piece)
{
    struct websocket *ws = websocket_state(link);
    bool is_binary = piece->opcode == WS_BINARY;
    if (is_binary != codecs[link->connection->codec]->is_binary && !link->connection->dialect->mixes_types) {
        websocket_fail_type(link, is_binary);
        return;
    }
    if (piece->is_last && (!ws || ws->message.length == 0)) {
        websocket_take_message(link, bytes_of(piece->data, piece->length), piece);
        return;
    }
    assert(ws);                         /* websocket_remember kept it: the message is not whole, or has a part behind it */
    buf_add(&ws->message, piece->data, piece->length);
    if (buf_status(&ws->message) < 0)
        websocket_fail_memory(link);
    else if (piece->is_last)
        websocket_take_message(link, buf_bytes(&ws->message), piece);
}

static size_t websocket_on_data(struct link *link, unsigned char *data, size_t length)
{
    struct ws_reader reader = websocket_reader(link);
    UNINITIALIZED struct ws_piece piece;
    UNINITIALIZED struct fault fault;
    size_t used;
    link->connection->heard_ms = (uint32_t)link->worker->hub->now_ms;
    switch (ws_read(&reader, data, length, &used, &piece, &fault)) {
    case DECODE_MORE:
        return 0;
    case DECODE_BAD:
        websocket_fail(link, &fault);
        return length;
    default:
        break;
    }
    if (!websocket_remember(link, &reader))
        websocket_fail_memory(link);
    else if (piece.event == WS_EVENT_CONTROL)
        websocket_take_control(link, &piece);
    else
        websocket_take_piece(link, &piece);
    return used;
}

static void websocket_on_drained(struct link *link)
{
    if (link->connection)
        stream_flush(link->connection, websocket_framing(link));
}

static void websocket_on_retry(struct link *link)
{
    struct websocket *ws = websocket_state(link);
    if (!ws || !ws->is_waiting || websocket_deliver(link, buf_bytes(&ws->message), ws->is_binary))
        link_resume(link);
}

static const struct link_handler websocket_handler = {
    .on_data = websocket_on_data,
    .on_drained = websocket_on_drained,
    .on_lost = websocket_on_lost,
    .on_deadline = link_free,
    .on_retry = websocket_on_retry,
};

/* After our Close: what still comes is ignored (RFC 6455 section 1.4) until the peer's Close. */
static size_t closing_on_data(struct link *link, unsigned char *data, size_t length)
{
    struct ws_reader reader = websocket_reader(link);
    struct ws_piece piece;
    size_t used;
    enum decode result = ws_read(&reader, data, length, &used, &piece, NULL);
    if (result == DECODE_MORE)
        return 0;
    if (result == DECODE_BAD || !websocket_remember(link, &reader) || (piece.event == WS_EVENT_CONTROL && piece.opcode == WS_CLOSE)) {
        link_close_gracefully(link);
        return length;
    }
    return used;
}

static void closing_on_drained(struct link *link)
{
}

static void closing_on_lost(struct link *link, enum fault_id why)
{
    link_free(link);
}

static const struct link_handler closing_handler = {
    .on_data = closing_on_data,
    .on_drained = closing_on_drained,
    .on_lost = closing_on_lost,
    .on_deadline = link_free,
    .on_retry = link_free,
};

static void websocket_open(struct link *link, const struct request *request)
{
    struct fault fault = {0};
    struct handshake agreed;
    struct admission admission;

    if (!handshake_agree(link, request, &agreed))
        return;
    enum admission_result result = admission_open(link, request, agreed.codec, &admission, &fault);
    if (result == ADMISSION_REFUSED)
        http_refuse(link, &fault, true, NULL);
    if (result != ADMISSION_DONE)
        return;
    /* The link may be lost at any step from here on; the connection knows it, and is told. */
    connection_attach(admission.connection, link, websocket_front.transport);
    link->connection = admission.connection;
    link->window_bits = agreed.window_bits;
    link_set_handler(link, &websocket_handler);
    http_switch(link, agreed.headers);
    if (link->is_closed)
        return;
    connection_welcome(admission.connection, admission.is_resumed);
    if (!link->is_closed)
        connection_tend_within(admission.connection, link->worker->hub->config->connection.keep_alive_ms);
}

static bool websocket_is_on(const struct config *config)
{
    return config->transports.websocket;
}

static const struct transport websocket = {
    .name = "websocket",
    .path = "/websocket",
    .is_lasting = true, .is_two_way = true,
    .carries_binary = true,
    .flush = websocket_flush,
    .send_unnumbered = websocket_send_unnumbered,
    .tend = websocket_tend,
    .probe = websocket_ping,
    .close = websocket_close,
};

const struct transport_front websocket_front = {
    .transport = &websocket,
    .is_on = websocket_is_on,
    .open = websocket_open,
};
