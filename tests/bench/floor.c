/*
 * Floor: the least that a WebSocket broadcaster can do, to measure rtcd against: epoll, one frame made for each message,
 * and at the end of each loop turn one writev for each member with all frames of that turn. It has no groups, limits,
 * timers or logs. With --echo each message goes back to its sender alone.
 */
#include "lib/ws_frame.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { EVENTS_AT_ONCE = 512, FRAMES_PER_TURN = 256, MESSAGE_MAX = 64 * 1024 };

struct member {
    int descriptor;
    bool is_open;
    uint32_t index;
    struct ws_reader reader;
    struct buf in, rest;                /* half a frame; what the socket did not take */
};

struct floor {
    int epoll, listener;
    bool is_echo;
    struct member **members;
    uint32_t count, capacity;
    struct iovec frames[FRAMES_PER_TURN];       /* of this turn */
    struct member *senders[FRAMES_PER_TURN];
    int frame_count;
};

static unsigned char buffer[MESSAGE_MAX + 256];

static void watch(struct floor *floor, int descriptor, uint32_t events, int operation, void *what)
{
    struct epoll_event event = {.events = events, .data.ptr = what};
    if (epoll_ctl(floor->epoll, operation, descriptor, &event) < 0)
        err(1, "epoll_ctl");
}

static void accept_members(struct floor *floor)
{
    for (int descriptor; (descriptor = accept4(floor->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0; ) {
        int on = 1;
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (floor->count == floor->capacity) {
            floor->capacity = floor->capacity ? 2 * floor->capacity : 1024;
            floor->members = realloc(floor->members, floor->capacity * sizeof(struct member *));
        }
        struct member *member = calloc(1, sizeof(*member));
        member->descriptor = descriptor;
        member->index = floor->count;
        ws_reader_init(&member->reader, true, MESSAGE_MAX, 1);
        floor->members[floor->count++] = member;
        watch(floor, descriptor, EPOLLIN, EPOLL_CTL_ADD, member);
    }
}

static void drop(struct floor *floor, struct member *member)
{
    struct member *last = floor->members[--floor->count];
    floor->members[member->index] = last;
    last->index = member->index;
    for (int i = 0; i < floor->frame_count; i++) {
        if (floor->senders[i] == member)
            floor->senders[i] = NULL;
    }
    close(member->descriptor);
    buf_done(&member->in);
    buf_done(&member->rest);
    free(member);
}

static void write_frames(struct floor *floor, struct member *member, struct iovec *frames, int count)
{
    ssize_t sent = member->rest.length ? 0 : writev(member->descriptor, frames, count);
    if (sent < 0 && errno != EAGAIN)
        return;
    size_t taken = sent > 0 ? (size_t)sent : 0;
    for (int i = 0; i < count; i++) {
        size_t skip = MIN(taken, frames[i].iov_len);
        taken -= skip;
        buf_add(&member->rest, (char *)frames[i].iov_base + skip, frames[i].iov_len - skip);
    }
    if (member->rest.length)
        watch(floor, member->descriptor, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD, member);
}

static void write_rest(struct floor *floor, struct member *member)
{
    ssize_t sent = write(member->descriptor, member->rest.data, member->rest.length);
    if (sent > 0)
        buf_consume(&member->rest, (size_t)sent);
    if (member->rest.length)
        return;
    buf_done(&member->rest);
    watch(floor, member->descriptor, EPOLLIN, EPOLL_CTL_MOD, member);
}

/* The end of a loop turn: everybody gets what was said in it. */
static void flush(struct floor *floor)
{
    for (uint32_t i = 0; i < floor->count && floor->frame_count && !floor->is_echo; i++) {
        struct member *member = floor->members[i];
        if (member->is_open && member != floor->senders[0])
            write_frames(floor, member, floor->frames, floor->frame_count);
    }
    for (int i = 0; i < floor->frame_count; i++) {
        if (floor->is_echo && floor->senders[i])
            write_frames(floor, floor->senders[i], &floor->frames[i], 1);
        free(floor->frames[i].iov_base);
    }
    floor->frame_count = 0;
}

static void take_message(struct floor *floor, struct member *member, const struct ws_piece *piece)
{
    struct buf frame = {0};
    if (floor->frame_count == FRAMES_PER_TURN)
        flush(floor);
    ws_add_frame(&frame, piece->opcode, bytes_of(piece->data, piece->length));
    floor->frames[floor->frame_count] = (struct iovec){frame.data, frame.length};
    floor->senders[floor->frame_count++] = member;
}

static size_t take_handshake(struct member *member, unsigned char *data, size_t length)
{
    char accept[WS_ACCEPT_TEXT + 1], answer[256];
    unsigned char *end = memmem(data, length, "\r\n\r\n", 4), *key = memmem(data, length, "Sec-WebSocket-Key: ", 19);
    if (!end || !key || end - key < 19 + 24 || ws_accept(bytes_of(key + 19, 24), accept) < 0)
        errx(1, "not a handshake");
    int size = snprintf(answer, sizeof(answer), "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
    if (write(member->descriptor, answer, (size_t)size) != size)
        err(1, "write");
    member->is_open = true;
    return (size_t)(end - data) + 4;
}

static void read_member(struct floor *floor, struct member *member)
{
    size_t held = member->in.length, at = 0;
    memcpy(buffer, member->in.data ? member->in.data : buffer, held);
    buf_done(&member->in);
    ssize_t got = read(member->descriptor, buffer + held, sizeof(buffer) - held);
    if (got <= 0) {
        drop(floor, member);
        return;
    }
    size_t length = held + (size_t)got;
    if (!member->is_open)
        at = take_handshake(member, buffer, length);
    while (at < length) {
        struct ws_piece piece;
        struct fault fault;
        size_t used;
        enum decode result = ws_read(&member->reader, buffer + at, length - at, &used, &piece, &fault);
        if (result == DECODE_BAD || (result == DECODE_DONE && piece.event == WS_EVENT_DATA && !piece.is_last))
            errx(1, "the generator sends whole messages only");
        if (result == DECODE_MORE) {
            buf_add(&member->in, buffer + at, length - at);
            return;
        }
        if (piece.event == WS_EVENT_DATA)
            take_message(floor, member, &piece);
        at += used;
    }
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 4096) < 0)
        err(1, "port %u", port);
    return listener;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        errx(64, "usage: floor PORT [--echo]");
    struct floor floor = {.epoll = epoll_create1(EPOLL_CLOEXEC), .listener = listen_on((uint16_t)atoi(argv[1])),
                          .is_echo = argc > 2 && strcmp(argv[2], "--echo") == 0};
    watch(&floor, floor.listener, EPOLLIN, EPOLL_CTL_ADD, NULL);
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct epoll_event events[EVENTS_AT_ONCE];
        int count = epoll_wait(floor.epoll, events, EVENTS_AT_ONCE, -1);
        for (int i = 0; i < count; i++) {
            struct member *member = events[i].data.ptr;
            if (!member)
                accept_members(&floor);
            else if (member->rest.length && (events[i].events & EPOLLOUT))
                write_rest(&floor, member);
            else
                read_member(&floor, member);
        }
        flush(&floor);
    }
}
