/*
 * Transport: WebSocket (RFC 6455). One message is one envelope. The framing is lib/ws_frame.h's; the handshake and what the
 * closing codes mean are here.
 */
#include "lib/client/link.h"

#include "lib/client/error.h"
#include "lib/client/problem.h"
#include "lib/client/http_response.h"
#include "lib/client/stream.h"
#include "lib/client/upload.h"
#include "lib/text.h"
#include "lib/ws_frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum {
    MESSAGE_MAX = CALLER_BODY_MAX, FRAGMENTS_MAX = 65536,
    QUEUE_HIGH = 256 * 1024,            /* with so many bytes on their way, more can wait in the sent queue */
    CLOSE_MS = 2000,
};

struct websocket {
    struct rtc_link *link;
    struct stream *stream;
    struct http_reader answer;
    struct buf body;                    /* of an answer that is no 101 */
    char accept[WS_ACCEPT_TEXT + 1];
    bool is_open;                       /* the handshake is done */
    struct ws_reader reader;
    struct buf rest, message;           /* a frame's head that was cut; the fragments of a message */
};

static void websocket_send_frame(struct websocket *ws, enum ws_opcode opcode, struct bytes payload)
{
    unsigned char mask[4];
    struct buf frame = {0};
    random_take(&ws->link->client->random, mask, sizeof(mask));
    ws_add_masked_frame(&frame, opcode, payload, mask);
    if (buf_status(&frame) == 0)
        stream_send(ws->stream, buf_bytes(&frame));
    else
        link_fail(ws->link, RTC_NO_MEMORY, "out of memory");
    buf_done(&frame);
}

static void websocket_send_close(struct websocket *ws, uint16_t code)
{
    const unsigned char payload[] = {(unsigned char)(code >> 8), (unsigned char)code};
    websocket_send_frame(ws, WS_CLOSE, bytes_of(payload, sizeof(payload)));
}

/* The code is one of lib/faults.def's; the first row that has it says most: what it is about, and whether to come back. */
static void websocket_take_close(struct websocket *ws, struct bytes payload)
{
    struct rtc_error why;
    struct bytes reason;
    char quoted[ERROR_QUOTE];
    uint16_t code = ws_close_code(payload, &reason);
    const struct fault_row *row = NULL;
    for (enum fault_id id = FAULT_NONE + 1; id < FAULT_COUNT && !row; id++)
        if (fault_rows[id].close == code)
            row = &fault_rows[id];
    /* Of these, another row says it better. */
    if (code == 1000)
        row = &fault_rows[FAULT_DISCONNECTED];
    else if (code == 4404)
        row = &fault_rows[FAULT_UNKNOWN_TOKEN];
    error_set(&why, row ? error_code_by_name(bytes_text(row->code)) : RTC_NETWORK, "the server closed it with code %u: %s", code,
              reason.length ? error_quote(reason, quoted) : row ? row->sentence : "no reason given");
    websocket_send_frame(ws, WS_CLOSE, payload);
    rtc_link_failed(ws->link, &why, row ? row->reconnect : true);
}

static void websocket_take_control(struct websocket *ws, const struct ws_piece *piece)
{
    struct bytes payload = bytes_of(piece->data, piece->length);
    if (piece->opcode == WS_CLOSE)
        websocket_take_close(ws, payload);
    else if (piece->opcode == WS_PING)
        websocket_send_frame(ws, WS_PONG, payload);
}

static void websocket_take_piece(struct websocket *ws, const struct ws_piece *piece)
{
    bool is_binary = piece->opcode == WS_BINARY;
    if (is_binary != codec_is_binary(ws->link->codec)) {
        websocket_send_close(ws, 1003);
        link_fail(ws->link, RTC_BAD_ANSWER, "the server sends a %s message, and the protocol is %s", is_binary ? "binary" : "text",
                  rtc_link_protocol(ws->link));
        return;
    }
    if (piece->is_last && ws->message.length == 0) {
        rtc_link_envelope(ws->link, (struct rtc_bytes){piece->data, piece->length});
        return;
    }
    buf_add(&ws->message, piece->data, piece->length);
    if (buf_status(&ws->message) < 0) {
        link_fail(ws->link, RTC_NO_MEMORY, "out of memory");
    } else if (piece->is_last) {
        rtc_link_envelope(ws->link, bytes_to(buf_bytes(&ws->message)));
        buf_done(&ws->message);
    }
}

static void websocket_read(struct websocket *ws, unsigned char *data, size_t length)
{
    while (length && !ws->link->is_over) {
        struct ws_piece piece;
        struct fault fault = {0};
        size_t used;
        enum decode result = ws_read(&ws->reader, data, length, &used, &piece, &fault);
        if (result == DECODE_BAD) {
            websocket_send_close(ws, fault_rows[fault.id].close);
            link_fail(ws->link, RTC_BAD_ANSWER, "the server's framing is wrong: %s", fault_message(&fault));
            return;
        }
        if (result == DECODE_MORE) {
            buf_add(&ws->rest, data, length);
            return;
        }
        data += used;
        length -= used;
        rtc_link_heard(ws->link);
        if (piece.event == WS_EVENT_CONTROL)
            websocket_take_control(ws, &piece);
        else
            websocket_take_piece(ws, &piece);
    }
}

/* What was left of the last time goes before. */
static void websocket_take(struct websocket *ws, unsigned char *data, size_t length)
{
    struct buf input = ws->rest;
    if (input.length == 0) {
        websocket_read(ws, data, length);
        return;
    }
    ws->rest = (struct buf){0};
    buf_add(&input, data, length);
    if (buf_status(&input) < 0)
        link_fail(ws->link, RTC_NO_MEMORY, "out of memory");
    else
        websocket_read(ws, input.data, input.length);
    buf_done(&input);
}

static bool field_is(const struct http_reader *answer, const char *name, const char *text)
{
    struct bytes value = http_reader_field(answer, name);
    return value.length == strlen(text) && strncasecmp((const char *)value.data, text, value.length) == 0;
}

/* NULL: the answer agrees to what was asked (RFC 6455 section 4.1). */
static const char *handshake_problem(const struct websocket *ws)
{
    char protocol[32];
    snprintf(protocol, sizeof(protocol), "rtc.v1.%s", rtc_link_protocol(ws->link));
    if (!field_is(&ws->answer, "upgrade", "websocket"))
        return "Upgrade is not websocket";
    if (!bytes_is(http_reader_field(&ws->answer, "sec-websocket-accept"), ws->accept))
        return "Sec-WebSocket-Accept is not what follows from the key";
    if (!bytes_is(http_reader_field(&ws->answer, "sec-websocket-protocol"), protocol))
        return "it speaks another protocol than was offered";
    if (http_reader_field(&ws->answer, "sec-websocket-extensions").length)
        return "it uses an extension that nobody offered";
    return NULL;
}

static void websocket_refused(struct websocket *ws)
{
    struct rtc_error why;
    bool is_final = problem_read(ws->answer.status, buf_bytes(&ws->body), "the WebSocket", &why);
    if (!problem_is_given(buf_bytes(&ws->body)))
        why.code = RTC_BAD_ANSWER;
    rtc_link_failed(ws->link, &why, !is_final);
}

/* The answer to the handshake; what follows a 101 is frames. */
static void websocket_shake_hands(struct websocket *ws, unsigned char *data, size_t length)
{
    struct rtc_error why;
    enum decode result = DECODE_DONE;
    while (result == DECODE_DONE && !ws->link->is_over) {
        enum http_event event;
        struct bytes piece;
        size_t used;
        result = http_read(&ws->answer, bytes_of(data, length), &used, &event, &piece, &why);
        data += used;
        length -= used;
        if (result == DECODE_BAD) {
            rtc_link_failed(ws->link, &why, true);
        } else if (result == DECODE_DONE && event == HTTP_EVENT_HEAD && ws->answer.status == 101) {
            const char *problem = handshake_problem(ws);
            ws->is_open = !problem;
            if (problem)
                link_fail(ws->link, RTC_BAD_ANSWER, "the WebSocket handshake is wrong: %s", problem);
            else
                websocket_take(ws, data, length);
            return;
        } else if (result == DECODE_DONE && event == HTTP_EVENT_BODY && ws->body.length + piece.length <= HTTP_HEAD_MAX) {
            buf_add_bytes(&ws->body, piece);
        } else if (result == DECODE_DONE && event != HTTP_EVENT_HEAD) {
            websocket_refused(ws);
        }
    }
}

static void websocket_on_data(void *owner, unsigned char *data, size_t length)
{
    struct websocket *ws = owner;
    if (ws->is_open)
        websocket_take(ws, data, length);
    else
        websocket_shake_hands(ws, data, length);
}

static void websocket_on_writable(void *owner)
{
    struct websocket *ws = owner;
    rtc_link_writable(ws->link);
}

static void websocket_on_end(void *owner, const struct rtc_error *why)
{
    struct websocket *ws = owner;
    if (why->code != RTC_OK)
        rtc_link_failed(ws->link, why, true);
    else if (!ws->is_open && ws->answer.status)
        websocket_refused(ws);
    else
        link_fail(ws->link, RTC_NETWORK, "the server hung up%s", ws->is_open ? "" : " without an answer to the WebSocket handshake");
}

static const struct stream_handler websocket_handler = {.on_data = websocket_on_data, .on_writable = websocket_on_writable,
                                                        .on_end = websocket_on_end};

static int websocket_add_request(struct websocket *ws, const struct url *url, struct buf *out)
{
    unsigned char nonce[16];
    struct buf key = {0};
    random_take(&ws->link->client->random, nonce, sizeof(nonce));
    text_add_base64(&key, bytes_of(nonce, sizeof(nonce)));
    int r = ws_accept(buf_bytes(&key), ws->accept);
    buf_add_format(out, "GET %s HTTP/1.1\r\nHost: ", url->path);
    url_add_authority(url, out);
    buf_add_format(out, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n"
                   "Sec-WebSocket-Protocol: rtc.v1.%s\r\n", buf_text(&key), rtc_link_protocol(ws->link));
    link_add_fields(ws->link, out);
    buf_add_text(out, "\r\n");
    buf_done(&key);
    return r < 0 ? r : buf_status(out);
}

static void *websocket_open(struct rtc_link *link, void *argument)
{
    struct websocket *ws = calloc(1, sizeof(*ws));
    struct buf request = {0};
    struct url url;
    struct rtc_error why;
    if (!ws)
        return NULL;
    ws->link = link;
    ws_reader_init(&ws->reader, false, MESSAGE_MAX, FRAGMENTS_MAX);
    http_reader_init(&ws->answer);
    if (url_parse(rtc_link_url(link), &url, &why) == RTC_OK && (websocket_add_request(ws, &url, &request) == 0 || error_no_memory(&why) == RTC_OK))
        ws->stream = stream_open(link_io(link), &url, client_tls(link->client), &websocket_handler, ws, &why);
    if (ws->stream)
        stream_send(ws->stream, buf_bytes(&request));
    else
        rtc_link_failed(link, &why, true);
    buf_done(&request);
    return ws;
}

static void websocket_send(void *transport, uint64_t first, const struct rtc_bytes *envelopes, size_t count)
{
    struct websocket *ws = transport;
    for (size_t i = 0; i < count; i++)
        websocket_send_frame(ws, codec_is_binary(ws->link->codec) ? WS_BINARY : WS_TEXT, bytes_from(envelopes[i]));
}

static bool websocket_is_writable(void *transport)
{
    struct websocket *ws = transport;
    return ws->is_open && stream_queued_bytes(ws->stream) < QUEUE_HIGH;
}

static void websocket_close(void *transport, bool is_final)
{
    struct websocket *ws = transport;
    if (is_final && ws->is_open)
        websocket_send_close(ws, 1000);
    if (ws->stream && ws->is_open)
        stream_finish(ws->stream, CLOSE_MS);
    else
        stream_close(ws->stream);
    http_reader_done(&ws->answer);
    buf_done(&ws->body);
    buf_done(&ws->rest);
    buf_done(&ws->message);
    free(ws);
}

extern const struct rtc_transport_kind transport_websocket;
const struct rtc_transport_kind transport_websocket = {
    .name = "websocket", .carries_binary = true, .open = websocket_open, .send = websocket_send, .is_writable = websocket_is_writable,
    .close = websocket_close,
};
