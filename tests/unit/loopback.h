/*
 * Loopback: what the tests of librtc's lower half share: a loop, a listening socket of this machine, and a server's side that is
 * played by the test itself, in the same thread, while the loop turns.
 */
#pragma once

#include "tests/unit/test.h"

#include "lib/client/io.h"
#include "lib/client/url.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000 };           /* a test that waits as long as this for one thing has failed */

struct loopback {
    struct io io;
    int listener;
    struct url url;
};

/* A port of this address where somebody listens; backlog 0 and one connection: nobody else gets through. */
static inline int loopback_listen(const char *host, uint16_t *port, int backlog)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(*port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(*port)};
    bool is_v4 = inet_pton(AF_INET, host, &v4.sin_addr) == 1;
    assert_true(is_v4 || inet_pton(AF_INET6, host, &v6.sin6_addr) == 1);
    struct sockaddr *address = is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
    socklen_t length = is_v4 ? sizeof(v4) : sizeof(v6);
    const int on = 1;
    int listener = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(listener, address, length) < 0 || listen(listener, backlog) < 0 || getsockname(listener, address, &length) < 0)
        fail_msg("listening on %s port %u: %s", host, *port, strerror(errno));
    *port = ntohs(is_v4 ? v4.sin_port : v6.sin6_port);
    return listener;
}

static inline void loopback_init(struct loopback *loopback)
{
    *loopback = (struct loopback){.url = {.host = "127.0.0.1", .path = "/rtc"}};
    assert_int_equal(io_init(&loopback->io), 0);
    loopback->listener = loopback_listen("127.0.0.1", &loopback->url.port, 64);
}

static inline void loopback_done(struct loopback *loopback)
{
    close(loopback->listener);
    io_done(&loopback->io);
}

/* Lets the client go on once it can, or until `descriptor` (-1: none) is ready as well. */
static inline void loopback_turn(struct loopback *loopback, int descriptor, short events)
{
    struct pollfd waits[] = {{.fd = loopback->io.epoll, .events = POLLIN}, {.fd = descriptor, .events = events}};
    int timeout_ms = io_timeout_ms(&loopback->io);
    int r = poll(waits, COUNT_OF(waits), timeout_ms < 0 || timeout_ms > PATIENCE_MS ? PATIENCE_MS : timeout_ms);
    if (r == 0 && timeout_ms < 0)
        fail_msg("nothing happens");
    io_process(&loopback->io);
}

#define UNTIL(loopback, condition) \
    do { \
        uint64_t give_up_ms_ = (loopback)->io.now_ms + PATIENCE_MS; \
        while (!(condition)) { \
            loopback_turn(loopback, -1, 0); \
            if ((loopback)->io.now_ms > give_up_ms_) \
                fail_msg("still not: %s", #condition); \
        } \
    } while (0)

static inline int loopback_accept_at(struct loopback *loopback, int listener)
{
    int peer;
    while ((peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0) {
        assert_int_equal(errno, EAGAIN);
        loopback_turn(loopback, listener, POLLIN);
    }
    return peer;
}

static inline int loopback_accept(struct loopback *loopback)
{
    return loopback_accept_at(loopback, loopback->listener);
}

static inline bool loopback_has_caller(const struct loopback *loopback)
{
    struct pollfd wait = {.fd = loopback->listener, .events = POLLIN};
    return poll(&wait, 1, 0) > 0;
}

/* Reads exactly so much; 0 bytes mean the end, which `ret` shows by its length. */
static inline void loopback_read(struct loopback *loopback, int peer, size_t length, struct buf *ret)
{
    while (ret->length < length) {
        ssize_t got = recv(peer, buf_room(ret, length - ret->length), length - ret->length, 0);
        if (got < 0 && errno == EAGAIN) {
            loopback_turn(loopback, peer, POLLIN);
            continue;
        }
        if (got <= 0)
            return;
        ret->length += (size_t)got;
    }
}

static inline void loopback_expect(struct loopback *loopback, int peer, const char *text)
{
    struct buf got = {0};
    loopback_read(loopback, peer, strlen(text), &got);
    assert_bytes(buf_bytes(&got), text);
    buf_done(&got);
}

static inline void loopback_expect_end(struct loopback *loopback, int peer)
{
    struct buf got = {0};
    loopback_read(loopback, peer, 1, &got);
    assert_int_equal(got.length, 0);
    buf_done(&got);
}

static inline void loopback_say(struct loopback *loopback, int peer, struct bytes bytes)
{
    while (bytes.length) {
        ssize_t sent = send(peer, bytes.data, bytes.length, MSG_NOSIGNAL);
        if (sent < 0) {
            assert_int_equal(errno, EAGAIN);
            loopback_turn(loopback, peer, POLLOUT);
            continue;
        }
        bytes = bytes_of(bytes.data + sent, bytes.length - (size_t)sent);
    }
}

static inline unsigned open_descriptors(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}
