/*
 * Bench client: see bench_client.h. What a daemon says before a client is open is read in bench_handshake.c.
 */
#include "cli/bench_client.h"

#include "cli/bench_handshake.h"
#include "lib/json.h"
#include "lib/text.h"
#include "lib/transcode.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    EVENTS_AT_ONCE = 256,
    READ_BYTES = 64 * 1024,
    MESSAGE_BYTES_MAX = 16 * 1024 * 1024, FRAGMENTS_MAX = 4096,
};

bool bench_clients_init(struct bench_clients *clients, uint64_t count)
{
    clients->epoll = epoll_create1(EPOLL_CLOEXEC);
    clients->all = calloc(count, sizeof(*clients->all));
    clients->read_buffer = malloc(HANDSHAKE_BYTES_MAX + READ_BYTES);
    if (clients->epoll >= 0 && clients->all && clients->read_buffer)
        return true;
    bench_fail(clients->failure, EX_OSERR, "cannot begin: %s", strerror(errno));
    return false;
}

static void client_free(struct bench_client *client)
{
    if (client->state != BENCH_CLOSED && client->descriptor >= 0)
        close(client->descriptor);
    client->state = BENCH_CLOSED;
    buf_done(&client->in);
    buf_done(&client->message);
    buf_done(&client->out);
}

void bench_clients_done(struct bench_clients *clients)
{
    for (uint64_t i = 0; i < clients->started; i++)
        client_free(&clients->all[i]);
    free(clients->all);
    free(clients->read_buffer);
    if (clients->epoll >= 0)
        close(clients->epoll);
}

static void client_close(struct bench_clients *clients, struct bench_client *client)
{
    bool was_open = client->state == BENCH_OPEN;
    client_free(client);
    clients->closed++;
    if (!was_open)
        return;
    clients->open--;
    clients->on_lost(clients->argument, client);
}

static void client_lost(struct bench_clients *clients, struct bench_client *client, int error)
{
    static const char *const doing[] = {
        [BENCH_CONNECTING] = "connecting", [BENCH_ASKING] = "the WebSocket handshake", [BENCH_GREETING] = "the welcome",
        [BENCH_OPEN] = "the run", [BENCH_LEAVING] = "", [BENCH_CLOSED] = "",
    };
    if (client->state == BENCH_ASKING && error == 0)
        bench_handshake_ended(client, clients->failure);
    else if (client->state != BENCH_LEAVING)
        bench_fail(clients->failure, EX_UNAVAILABLE, "connection %llu was lost during %s: %s",
                   (unsigned long long)(client - clients->all) + 1, doing[client->state],
                   error ? strerror(error) : "the server hung up");
    client_close(clients, client);
}

static void client_watch(struct bench_clients *clients, struct bench_client *client, int how, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = client};
    if (epoll_ctl(clients->epoll, how, client->descriptor, &event) < 0)
        client_lost(clients, client, errno);
}

bool bench_clients_watch(struct bench_clients *clients, int descriptor, bool each_time)
{
    struct epoll_event event = {.events = EPOLLIN | (each_time ? EPOLLET : 0)};
    return epoll_ctl(clients->epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

void bench_client_flush(struct bench_clients *clients, struct bench_client *client)
{
    if (client->state == BENCH_CLOSED || client->state == BENCH_CONNECTING || client->out.length == 0)
        return;
    ssize_t sent = send(client->descriptor, client->out.data, client->out.length, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        client_lost(clients, client, errno);
        return;
    }
    if (sent > 0)
        buf_consume(&client->out, (size_t)sent);
    bool waits = client->out.length > 0;
    if (waits != client->waits_for_room) {
        client->waits_for_room = waits;
        client_watch(clients, client, EPOLL_CTL_MOD, EPOLLIN | (waits ? EPOLLOUT : 0));
    }
}

static void client_add_frame(struct bench_clients *clients, struct bench_client *client, enum ws_opcode opcode, struct bytes payload)
{
    unsigned char mask[4];
    random_take(&clients->random, mask, sizeof(mask));
    ws_add_masked_frame(&client->out, opcode, payload, mask);
}

void bench_client_add(struct bench_clients *clients, struct bench_client *client, struct bytes envelope)
{
    client_add_frame(clients, client, clients->is_msgpack ? WS_BINARY : WS_TEXT, envelope);
}

void bench_clients_start(struct bench_clients *clients)
{
    struct bench_client *client = &clients->all[clients->started++];
    const struct bench_target *target = clients->target;
    int on = 1, error = 0;
    client->descriptor = socket(target->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (client->descriptor < 0) {
        error = errno;
    } else {
        setsockopt(client->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (connect(client->descriptor, (const struct sockaddr *)&target->address, target->address_length) < 0)
            error = errno;
    }
    if (error && error != EINPROGRESS) {
        bench_fail(clients->failure, EX_UNAVAILABLE, "cannot open connection %llu: %s%s", (unsigned long long)clients->started,
                   strerror(error), error == EADDRNOTAVAIL ? " (this machine has no port left for that address)" : "");
        client_close(clients, client);
        return;
    }
    ws_reader_init(&client->reader, false, MESSAGE_BYTES_MAX, FRAGMENTS_MAX);
    bench_handshake_ask(client, target, clients->is_msgpack, &clients->random);
    /* Room to write is how an established connection shows. */
    client_watch(clients, client, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

static void client_connected(struct bench_clients *clients, struct bench_client *client)
{
    int error = 0;
    socklen_t length = sizeof(error);
    getsockopt(client->descriptor, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error) {
        client_lost(clients, client, error);
        return;
    }
    client->state = BENCH_ASKING;
    client->waits_for_room = true;
    bench_client_flush(clients, client);
}

int bench_client_read(const struct bench_clients *clients, struct bytes message, struct buf *room, struct bytes *ret_json)
{
    struct json_scan scan;
    if (clients->is_msgpack) {
        if (transcode_to_json(room, message, NULL) < 0)
            return -EBADMSG;
        message = buf_bytes(room);
    }
    json_scan_init(&scan, message);
    return json_take_all(&scan, JSON_DEPTH_MAX, ret_json);
}

static void client_greeted(struct bench_clients *clients, struct bench_client *client, struct bytes message)
{
    struct buf room = {0};
    struct bytes json;
    if (bench_client_read(clients, message, &room, &json) == 0 && json_string_is(json_member(json, "eventName"), "rtc.welcome")) {
        client->state = BENCH_OPEN;
        clients->open++;
    } else {
        struct buf shown = {0};
        text_add_escaped(&shown, message, 80);
        bench_fail(clients->failure, EX_PROTOCOL, "the server's first message is no rtc.welcome: %s", buf_text(&shown));
        buf_done(&shown);
        client_close(clients, client);
    }
    buf_done(&room);
}

static void client_control(struct bench_clients *clients, struct bench_client *client, const struct ws_piece *piece)
{
    struct bytes payload = bytes_of(piece->data, piece->length), reason;
    if (piece->opcode == WS_PING) {
        client_add_frame(clients, client, WS_PONG, payload);
        bench_client_flush(clients, client);
    } else if (piece->opcode == WS_CLOSE) {
        unsigned code = ws_close_code(payload, &reason);
        struct buf shown = {0};
        text_add_escaped(&shown, reason, WS_CONTROL_MAX);
        if (client->state != BENCH_LEAVING)
            bench_fail(clients->failure, EX_UNAVAILABLE, "the server closed connection %llu with code %u%s%s",
                       (unsigned long long)(client - clients->all) + 1, code, shown.length ? ": " : "", buf_text(&shown));
        buf_done(&shown);
        client_close(clients, client);
    }
}

static void client_data(struct bench_clients *clients, struct bench_client *client, const struct ws_piece *piece)
{
    struct bytes message = bytes_of(piece->data, piece->length);
    /* Most messages come in one piece, and are looked at where they lie. */
    bool is_whole = piece->is_last && client->message.length == 0;
    if (!is_whole) {
        buf_add_bytes(&client->message, message);
        message = buf_bytes(&client->message);
    }
    if (!piece->is_last)
        return;
    if (client->state == BENCH_GREETING)
        client_greeted(clients, client, message);
    else if (client->state == BENCH_OPEN)
        clients->on_message(clients->argument, client, message);
    if (!is_whole)
        buf_clear(&client->message);
}

static void client_feed(struct bench_clients *clients, struct bench_client *client, unsigned char *at, size_t left)
{
    while (left && client->state != BENCH_CLOSED) {
        struct ws_piece piece = {0};
        struct fault fault = {0};
        size_t used = 0;
        enum decode result;
        if (client->state == BENCH_ASKING)
            result = bench_handshake_read(client, bytes_of(at, left), clients->is_msgpack, &used, clients->failure);
        else
            result = ws_read(&client->reader, at, left, &used, &piece, &fault);
        if (result == DECODE_MORE) {
            buf_add(&client->in, at, left);
            return;
        }
        if (result == DECODE_BAD) {
            bench_fail(clients->failure, EX_PROTOCOL, "the server's WebSocket framing is broken: %s", fault_message(&fault));
            client_close(clients, client);
            return;
        }
        if (client->state == BENCH_ASKING)
            client->state = BENCH_GREETING;
        else if (piece.event == WS_EVENT_CONTROL)
            client_control(clients, client, &piece);
        else
            client_data(clients, client, &piece);
        at += used;
        left -= used;
    }
}

static void client_readable(struct bench_clients *clients, struct bench_client *client)
{
    size_t held = client->in.length;
    unsigned char *buffer = clients->read_buffer;
    if (held)
        memcpy(buffer, client->in.data, held);
    ssize_t got = recv(client->descriptor, buffer + held, READ_BYTES, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        client_lost(clients, client, got < 0 ? errno : 0);
        return;
    }
    clients->received_bytes += (uint64_t)got;
    buf_clear(&client->in);
    client_feed(clients, client, buffer, held + (size_t)got);
}

void bench_clients_turn(struct bench_clients *clients, int wait_ms)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int count = epoll_wait(clients->epoll, events, EVENTS_AT_ONCE, wait_ms);
    for (int i = 0; i < count; i++) {
        struct bench_client *client = events[i].data.ptr;
        if (!client)
            continue;           /* bench_clients_watch */
        if (client->state == BENCH_CONNECTING)
            client_connected(clients, client);
        else if (events[i].events & EPOLLOUT)
            bench_client_flush(clients, client);
        if (client->state != BENCH_CLOSED && (events[i].events & ~(uint32_t)EPOLLOUT))
            client_readable(clients, client);
    }
}

void bench_clients_leave(struct bench_clients *clients)
{
    static const unsigned char on_purpose[] = {1000 >> 8, 1000 & 0xff};
    for (uint64_t i = 0; i < clients->started; i++) {
        struct bench_client *client = &clients->all[i];
        if (client->state == BENCH_CLOSED)
            continue;
        if (client->state != BENCH_OPEN) {
            client_close(clients, client);
            continue;
        }
        client->state = BENCH_LEAVING;
        clients->open--;
        client_add_frame(clients, client, WS_CLOSE, bytes_of(on_purpose, sizeof(on_purpose)));
        bench_client_flush(clients, client);
    }
}
