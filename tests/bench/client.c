/*
 * Client: see client.h.
 */
#include "tests/bench/client.h"

#include <arpa/inet.h>
#include <endian.h>
#include <err.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_AT_ONCE = 512, SILENCE_MS = 10000 };

static unsigned char buffer[256 * 1024];

void load_init(struct load *load, uint16_t port, bool expects_greeting, uint64_t message_min, uint32_t count_max)
{
    *load = (struct load){.port = port, .expects_greeting = expects_greeting, .message_min = message_min};
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->clients = calloc(count_max, sizeof(*load->clients));
    if (load->epoll < 0 || !load->clients)
        err(1, "epoll");
}

void load_done(struct load *load)
{
    struct linger reset = {.l_onoff = 1};
    for (uint32_t i = 0; i < load->count; i++) {
        setsockopt(load->clients[i].descriptor, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        close(load->clients[i].descriptor);
    }
    free(load->clients);
    close(load->epoll);
}

static void send_all(struct client *client, const void *data, size_t length)
{
    ssize_t sent = send(client->descriptor, data, length, MSG_NOSIGNAL);
    if (sent != (ssize_t)length)
        err(1, "send took %zd of %zu bytes", sent, length);
}

void client_send(struct client *client, enum ws_opcode opcode, struct bytes payload)
{
    static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    struct buf frame = {0};
    ws_add_masked_frame(&frame, opcode, payload, mask);
    send_all(client, frame.data, frame.length);
    buf_done(&frame);
}

static void client_start(struct load *load, const char *target, const char *protocol)
{
    struct client *client = &load->clients[load->count];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(load->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    client->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* Blocking: on loopback a connect is over as soon as the server's kernel has room for it. */
    if (client->descriptor < 0 || connect(client->descriptor, (struct sockaddr *)&address, sizeof(address)) < 0)
        err(1, "connection %u", load->count);
    setsockopt(client->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->descriptor, &event) < 0)
        err(1, "epoll_ctl");

    struct buf head = {0};
    buf_add_format(&head, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n", target, load->port);
    if (protocol)
        buf_add_format(&head, "Sec-WebSocket-Protocol: %s\r\n", protocol);
    buf_add_text(&head, "\r\n");
    send_all(client, head.data, head.length);
    buf_done(&head);
    load->count++;
}

static void client_opened(struct load *load, struct client *client)
{
    client->is_open = true;
    load->open_count++;
}

/* The answer to the handshake, in one piece on loopback. Returns its length. */
static size_t take_handshake(struct load *load, struct client *client, const unsigned char *data, size_t length)
{
    const unsigned char *end = memmem(data, length, "\r\n\r\n", 4);
    if (!end || length < 12 || memcmp(data, "HTTP/1.1 101", 12) != 0)
        errx(1, "the handshake was refused: %.*s", (int)length, (const char *)data);
    client->is_greeted = true;
    if (!load->expects_greeting)
        client_opened(load, client);
    return (size_t)(end - data) + 4;
}

static void take_message(struct load *load, struct client *client)
{
    if (!client->is_open) {
        client_opened(load, client);
    } else if (client->is_counted) {
        client->messages++;
        load->messages++;
    }
}

/* Reads one frame's header, and a control frame whole. Returns the bytes used; 0: more are needed. */
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
    if (opcode >= WS_CLOSE) {
        if (length < header + payload)
            return 0;
        if (opcode == WS_CLOSE)
            errx(1, "the server closed a client: %.*s", (int)payload, (const char *)data + header);
        if (opcode == WS_PING)
            client_send(client, WS_PONG, bytes_of(data + header, payload));
        return header + payload;
    }
    client->is_counted = payload >= load->message_min;
    client->skip = payload;
    if (payload == 0)
        take_message(load, client);
    return header;
}

static void client_feed(struct load *load, struct client *client, const unsigned char *data, size_t length)
{
    while (length) {
        size_t used;
        if (client->skip) {
            used = MIN(client->skip, (uint64_t)length);
            client->skip -= used;
            if (client->skip == 0)
                take_message(load, client);
        } else {
            used = client->is_greeted ? take_frame(load, client, data, length) : take_handshake(load, client, data, length);
            if (used == 0) {
                memcpy(client->held, data, length);
                client->held_bytes = (uint8_t)length;
                return;
            }
        }
        data += used;
        length -= used;
    }
}

static void client_read(struct load *load, struct client *client)
{
    size_t held = client->held_bytes;
    memcpy(buffer, client->held, held);
    client->held_bytes = 0;
    ssize_t got = recv(client->descriptor, buffer + held, sizeof(buffer) - held, MSG_DONTWAIT);
    if (got < 0)
        err(1, "recv");
    if (got == 0)
        errx(1, "the server hung up on a client");
    client_feed(load, client, buffer, held + (size_t)got);
}

bool load_turn(struct load *load)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int count = epoll_wait(load->epoll, events, EVENTS_AT_ONCE, SILENCE_MS);
    for (int i = 0; i < count; i++)
        client_read(load, events[i].data.ptr);
    return count > 0;
}

void load_open(struct load *load, uint32_t count, uint32_t at_once, const char *target, const char *protocol)
{
    uint32_t wanted = load->count + count;
    while (load->open_count < wanted) {
        while (load->count < wanted && load->count - load->open_count < at_once)
            client_start(load, target, protocol);
        if (!load_turn(load))
            errx(1, "%u of %u clients are open, and nothing more happens", load->open_count, wanted);
    }
}
