/*
 * Floor: the least that a WebSocket broadcaster can do, to measure rtcd against: epoll, one frame made for each message, and
 * then, by the writer that the command line names,
 *   write    one write for each message and member, as soon as the message has come
 *   batched  one writev for each member and loop turn, with all frames of that turn
 *   uring    the same as batched, as one submit of io_uring for all members (floor_uring.c; where liburing was there to build)
 *   tls      the same over TLS, by bare OpenSSL (floor_tls.c)
 * ?group=G makes a client a member, ?to=G lets it publish. It has no limits, timers or logs.
 */
#include "tests/bench/floor.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_AT_ONCE = 512, MESSAGE_MAX = 64 * 1024 };

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
        struct member *member = calloc(1, sizeof(*member));
        member->descriptor = descriptor;
        ws_reader_init(&member->reader, true, MESSAGE_MAX, 1);
        if (floor->writer->accepted)
            floor->writer->accepted(floor, member);
        watch(floor, descriptor, EPOLLIN, EPOLL_CTL_ADD, member);
    }
}

/* The group that the head names as the parameter `key`; NULL: it names none. */
static struct group *find_group(struct floor *floor, const unsigned char *head, size_t length, const char *key)
{
    const char *at = memmem(head, length, key, strlen(key));
    if (!at)
        return NULL;
    at += strlen(key);
    size_t name_length = strcspn(at, " &");
    for (struct group *group = floor->groups; group; group = group->next) {
        if (strlen(group->name) == name_length && memcmp(group->name, at, name_length) == 0)
            return group;
    }
    struct group *group = calloc(1, sizeof(*group));
    group->name = strndup(at, name_length);
    group->next = floor->groups;
    floor->groups = group;
    return group;
}

static void join(struct floor *floor, struct member *member, struct group *group)
{
    if (group->count == group->capacity) {
        group->capacity = group->capacity ? 2 * group->capacity : 4;
        group->members = realloc(group->members, group->capacity * sizeof(struct member *));
    }
    member->group = group;
    member->index = group->count;
    group->members[group->count++] = member;
    if (floor->writer->joined)
        floor->writer->joined(member);
}

static void drop(struct floor *floor, struct member *member)
{
    if (member->group) {
        struct member *last = member->group->members[--member->group->count];
        member->group->members[member->index] = last;
        last->index = member->index;
        if (floor->writer->left)
            floor->writer->left(member);
    }
    if (floor->writer->gone)
        floor->writer->gone(member);
    close(member->descriptor);
    buf_done(&member->in);
    buf_done(&member->rest);
    free(member);
}

void floor_keep_rest(struct floor *floor, struct member *member, const struct iovec *frames, int count, size_t sent)
{
    size_t before = member->rest.length;
    for (int i = 0; i < count; i++) {
        size_t skip = MIN(sent, frames[i].iov_len);
        sent -= skip;
        if (skip < frames[i].iov_len)
            buf_add(&member->rest, (char *)frames[i].iov_base + skip, frames[i].iov_len - skip);
    }
    if (member->rest.length && before == 0)
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

ssize_t floor_receive(struct member *member, void *room, size_t size)
{
    return read(member->descriptor, room, size);
}

ssize_t floor_send(struct member *member, const struct iovec *pieces, int count)
{
    return count == 1 ? write(member->descriptor, pieces->iov_base, pieces->iov_len) : writev(member->descriptor, pieces, count);
}

void floor_write_frames(struct floor *floor, struct group *group)
{
    for (uint32_t i = 0; i < group->count; i++) {
        struct member *member = group->members[i];
        ssize_t sent = member->rest.length == 0 ? floor->writer->send(member, group->frames, group->frame_count) : 0;
        if (sent >= 0 || errno == EAGAIN)
            floor_keep_rest(floor, member, group->frames, group->frame_count, sent > 0 ? (size_t)sent : 0);
    }
}

static const struct writer writers[] = {
    {.name = "write", .frames_per_turn = 1, .write = floor_write_frames, .receive = floor_receive, .send = floor_send},
    {.name = "batched", .frames_per_turn = FRAMES_PER_TURN, .write = floor_write_frames, .receive = floor_receive, .send = floor_send},
};

static const struct writer *find_writer(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(writers); i++) {
        if (strcmp(writers[i].name, name) == 0)
            return &writers[i];
    }
    if (strcmp(writer_tls.name, name) == 0)
        return &writer_tls;
#ifdef HAVE_URING
    if (strcmp(writer_uring.name, name) == 0)
        return &writer_uring;
#endif
    errx(64, "%s: no such writer in this build", name);
}

/* Everybody gets what was said to their group. */
static void flush(struct floor *floor)
{
    for (struct group *group = floor->waiting; group; group = group->next_waiting)
        floor->writer->write(floor, group);
    if (floor->waiting && floor->writer->finish)
        floor->writer->finish(floor);
    for (struct group *group = floor->waiting; group; group = group->next_waiting) {
        for (int i = 0; i < group->frame_count; i++)
            free(group->frames[i].iov_base);
        group->frame_count = 0;
    }
    floor->waiting = NULL;
}

static void take_message(struct floor *floor, struct group *group, enum ws_opcode opcode, struct bytes message)
{
    struct buf frame = {0};
    if (!group)
        errx(1, "a client without ?to= publishes");
    if (group->frame_count == 0) {
        group->next_waiting = floor->waiting;
        floor->waiting = group;
    }
    ws_add_frame(&frame, opcode, message);
    group->frames[group->frame_count++] = (struct iovec){frame.data, frame.length};
    if (group->frame_count == floor->writer->frames_per_turn)
        flush(floor);
}

static size_t take_handshake(struct floor *floor, struct member *member, unsigned char *data, size_t length)
{
    char accept[WS_ACCEPT_TEXT + 1], answer[256];
    unsigned char *end = memmem(data, length, "\r\n\r\n", 4), *key = memmem(data, length, "Sec-WebSocket-Key: ", 19);
    if (!end || !key || end - key < 19 + 24 || ws_accept(bytes_of(key + 19, 24), accept) < 0)
        errx(1, "not a handshake");
    int size = snprintf(answer, sizeof(answer), "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
    if (floor->writer->send(member, &(struct iovec){answer, (size_t)size}, 1) != size)
        err(1, "write");
    struct group *group = find_group(floor, data, (size_t)(end - data), "group=");
    member->to = find_group(floor, data, (size_t)(end - data), "to=");
    if (group)
        join(floor, member, group);
    member->is_open = true;
    return (size_t)(end - data) + 4;
}

/* A message that one read does not hold comes in pieces. */
static void take_piece(struct floor *floor, struct member *member, const struct ws_piece *piece)
{
    if (piece->is_last && !member->is_cut) {
        take_message(floor, member->to, piece->opcode, bytes_of(piece->data, piece->length));
        return;
    }
    buf_add(&member->in, piece->data, piece->length);
    member->is_cut = !piece->is_last;
    if (piece->is_last) {
        take_message(floor, member->to, piece->opcode, buf_bytes(&member->in));
        buf_done(&member->in);
    }
}

static void read_member(struct floor *floor, struct member *member)
{
    size_t held = member->is_cut ? 0 : member->in.length, at = 0;
    if (held) {
        memcpy(buffer, member->in.data, held);
        buf_done(&member->in);
    }
    ssize_t got = floor->writer->receive(member, buffer + held, sizeof(buffer) - held);
    if (got < 0 && errno == EAGAIN) {
        buf_add(&member->in, buffer, held);
        return;
    }
    if (got <= 0) {
        drop(floor, member);
        return;
    }
    size_t length = held + (size_t)got;
    if (!member->is_open)
        at = take_handshake(floor, member, buffer, length);
    while (at < length) {
        struct ws_piece piece;
        struct fault fault;
        size_t used;
        enum decode result = ws_read(&member->reader, buffer + at, length - at, &used, &piece, &fault);
        if (result == DECODE_BAD)
            errx(1, "the generator's frames are wrong: %s", fault_message(&fault));
        if (result == DECODE_MORE) {
            buf_add(&member->in, buffer + at, length - at);
            return;
        }
        if (piece.event == WS_EVENT_DATA)
            take_piece(floor, member, &piece);
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
    if (argc != 3 && argc != 5)
        errx(64, "usage: floor PORT write|batched|uring, or floor PORT tls CERTIFICATE KEY");
    struct floor floor = {.epoll = epoll_create1(EPOLL_CLOEXEC), .listener = listen_on((uint16_t)atoi(argv[1])),
                          .writer = find_writer(argv[2]), .certificate = argv[3], .key = argc == 5 ? argv[4] : NULL};
    if (floor.writer->init)
        floor.writer->init(&floor);
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
