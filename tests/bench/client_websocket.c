/*
 * Client over WebSocket: the handshake, frames, and inside them either messages or a stream of deliveries of one length.
 */
#include "tests/bench/client.h"
#include "tests/bench/speech.h"

#include <endian.h>
#include <err.h>

static void websocket_begin(struct load *load, struct client *client)
{
    struct buf head = {0};
    buf_add_text(&head, "GET ");
    client->speech->add_request(&head, client);
    buf_add_format(&head, " HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n", load->port);
    if (client->speech->subprotocol)
        buf_add_format(&head, "Sec-WebSocket-Protocol: %s\r\n", client->speech->subprotocol);
    if (client->speech->is_packed)
        buf_add_text(&head, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n");
    buf_add_text(&head, "\r\n");
    client_send_raw(client, buf_bytes(&head));
    buf_done(&head);
}

static size_t take_handshake(struct load *load, struct client *client, const unsigned char *data, size_t length)
{
    const unsigned char *end = memmem(data, length, "\r\n\r\n", 4);
    if (!end)
        return 0;
    if (memcmp(data, "HTTP/1.1 101", 12) != 0)
        errx(1, "the handshake was refused: %.*s", (int)length, (const char *)data);
    if (client->speech->is_packed && http_field(bytes_of(data, (size_t)(end - data) + 2), "Sec-WebSocket-Extensions").length == 0)
        errx(1, "the server does not compress: %.*s", (int)length, (const char *)data);
    client->is_answered = true;
    client_greet(load, client, bytes_of(NULL, 0));
    return (size_t)(end - data) + 4;
}

static void take_control(struct load *load, struct client *client, enum ws_opcode opcode, struct bytes payload)
{
    if (opcode == WS_CLOSE)
        errx(1, "the server closed a client: %.*s", (int)payload.length, (const char *)payload.data);
    if (opcode != WS_PING)
        return;
    client_send(client, WS_PONG, payload);
    client_pinged(load, client);
}

/* A message that must be whole to be understood: of the greeting, or too short for a delivery. */
static void take_words(struct load *load, struct client *client, struct bytes message)
{
    if (!client->is_open)
        client_greet(load, client, message);
    else if (client->speech->answer_ping)
        client->speech->answer_ping(client, message);
}

/* Reads one frame's header, and what must be whole. Returns the bytes used; 0: more are needed. */
static size_t take_frame(struct load *load, struct client *client, const unsigned char *data, size_t length)
{
    if (length < 2)
        return 0;
    uint64_t payload = data[1] & 0x7f;
    size_t header = payload == 127 ? 10 : payload == 126 ? 4 : 2;
    if (length < header)
        return 0;
    if (header == 4) {
        payload = (uint64_t)data[2] << 8 | data[3];
    } else if (header == 10) {
        memcpy(&payload, data + 2, 8);
        payload = be64toh(payload);
    }
    enum ws_opcode opcode = data[0] & 0xf;
    bool is_stream = client->speech->stream_bytes != NULL;
    bool is_delivery = client->speech->is_packed ? data[0] & WS_PACKED : payload >= load->message_min;
    client->is_counted = client->is_open && !is_stream && is_delivery;
    if (opcode < WS_CLOSE && client->is_open && (is_stream || client->is_counted)) {
        client->skip = payload;
        return header;
    }
    if (length < header + payload)
        return 0;
    if (opcode >= WS_CLOSE)
        take_control(load, client, opcode, bytes_of(data + header, payload));
    else
        take_words(load, client, bytes_of(data + header, payload));
    return header + payload;
}

static void take_stream(struct load *load, struct client *client, const unsigned char *data, size_t length)
{
    const struct speech *speech = client->speech;
    while (length) {
        if (client->item == 0) {
            client->is_counted = data[0] == speech->stream_mark;
            client->item = client->is_counted ? speech->stream_bytes(load->message_min) : speech->stream_other_bytes;
        }
        size_t used = MIN(client->item, (uint64_t)length);
        client->item -= used;
        if (client->item == 0 && client->is_counted)
            client_took(load, client, 1);
        data += used;
        length -= used;
    }
}

static size_t websocket_take(struct load *load, struct client *client, const unsigned char *data, size_t length)
{
    if (client->skip == 0)
        return client->is_answered ? take_frame(load, client, data, length) : take_handshake(load, client, data, length);
    size_t used = MIN(client->skip, (uint64_t)length);
    client->skip -= used;
    if (client->speech->stream_bytes)
        take_stream(load, client, data, used);
    else if (client->skip == 0)
        client_took(load, client, 1);
    return used;
}

const struct carrier carrier_websocket = {websocket_begin, websocket_take};
