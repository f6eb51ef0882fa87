/*
 * Dial: see dial.h.
 */
#include "lib/client/dial.h"

#include "lib/client/error.h"
#include "lib/client/resolve.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

enum { HEAD_START_MS = 250, USER_TIMEOUT_MS = 30000 };

struct try {
    struct io_watch watch;
    struct dial *dial;
    bool is_open;                       /* the descriptor is ours */
};

struct dial {
    struct io *io;
    struct resolution *resolution;
    struct addresses addresses;
    struct try tries[ADDRESSES_MAX];    /* of each address, up to `next` */
    size_t next, failed_count;
    struct io_timer timer;              /* until the next address is tried as well */
    int last_error;
    struct url url;
    void (*on_done)(void *owner, int descriptor, const struct rtc_error *why);
    void *owner;
};

static void try_end(struct try *try)
{
    if (!try->is_open)
        return;
    io_watch_stop(try->dial->io, &try->watch);
    close(try->watch.descriptor);
    try->is_open = false;
}

/* Many small messages either way: nothing is gained by waiting; and a peer that is gone should show. */
static void dial_tune(int descriptor)
{
    const int on = 1, user_timeout_ms = USER_TIMEOUT_MS;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof(user_timeout_ms));
}

static void dial_fail(struct dial *dial)
{
    struct rtc_error why;
    struct buf where = {0};
    url_add_authority(&dial->url, &where);
    error_set(&why, RTC_NETWORK, "%s cannot be reached: %s", buf_text(&where), strerror(dial->last_error));
    buf_done(&where);
    io_timer_stop(dial->io, &dial->timer);
    dial->on_done(dial->owner, -1, &why);
}

static void dial_next(struct dial *dial);

static void try_failed(struct try *try, int error)
{
    struct dial *dial = try->dial;
    try_end(try);
    dial->last_error = error;
    dial->failed_count++;
}

/* Where nobody listens on a port of this machine, TCP may connect a socket to itself, if that port was just given to it. */
static bool is_connected_to_itself(int descriptor)
{
    struct sockaddr_storage here = {0}, there = {0};
    socklen_t here_length = sizeof(here), there_length = sizeof(there);
    return getsockname(descriptor, (struct sockaddr *)&here, &here_length) == 0
        && getpeername(descriptor, (struct sockaddr *)&there, &there_length) == 0
        && here_length == there_length && memcmp(&here, &there, here_length) == 0;
}

static void try_on_ready(struct io_watch *watch, uint32_t events)
{
    struct try *try = CONTAINER_OF(watch, struct try, watch);
    struct dial *dial = try->dial;
    int error = 0;
    socklen_t length = sizeof(error);
    if (getsockopt(watch->descriptor, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        error = errno;
    if (!error && is_connected_to_itself(watch->descriptor))
        error = ECONNREFUSED;
    if (error) {
        try_failed(try, error);
        dial_next(dial);
        return;
    }
    io_watch_stop(dial->io, watch);
    io_timer_stop(dial->io, &dial->timer);
    try->is_open = false;
    dial_tune(watch->descriptor);
    dial->on_done(dial->owner, watch->descriptor, NULL);
}

/* -errno */
static int try_begin(struct try *try, const struct address *address)
{
    const struct sockaddr *to = (const struct sockaddr *)&address->storage;
    int descriptor = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return -errno;
    try->watch = (struct io_watch){.descriptor = descriptor, .on_ready = try_on_ready};
    try->is_open = true;
    if (connect(descriptor, to, address->length) < 0 && errno != EINPROGRESS)
        return -errno;
    return io_watch_set(try->dial->io, &try->watch, EPOLLOUT);
}

/* Starts as many as fail at once, and one more. */
static void dial_next(struct dial *dial)
{
    while (dial->next < dial->addresses.count) {
        struct try *try = &dial->tries[dial->next];
        try->dial = dial;
        int r = try_begin(try, &dial->addresses.list[dial->next++]);
        if (r == 0) {
            io_timer_set(dial->io, &dial->timer, HEAD_START_MS);
            return;
        }
        try_failed(try, -r);
    }
    io_timer_stop(dial->io, &dial->timer);
    if (dial->failed_count == dial->addresses.count)
        dial_fail(dial);
}

static void dial_on_timer(struct io_timer *timer)
{
    dial_next(CONTAINER_OF(timer, struct dial, timer));
}

/* The families take turns, beginning with the system's favourite: a broken one costs one head start. */
static void dial_sort(struct addresses *ret, const struct addresses *found)
{
    bool is_taken[ADDRESSES_MAX] = {0};
    int family = found->list[0].storage.ss_family;
    while (ret->count < found->count) {
        size_t at = 0, fallback = found->count;
        for (; at < found->count; at++) {
            if (is_taken[at])
                continue;
            fallback = MIN(fallback, at);
            if (found->list[at].storage.ss_family == family)
                break;
        }
        at = at < found->count ? at : fallback;
        is_taken[at] = true;
        ret->list[ret->count++] = found->list[at];
        family = found->list[at].storage.ss_family == AF_INET ? AF_INET6 : AF_INET;
    }
}

static void dial_on_resolved(void *owner, const struct addresses *found, const struct rtc_error *why)
{
    struct dial *dial = owner;
    if (!found) {
        dial->on_done(dial->owner, -1, why);
        return;
    }
    dial_sort(&dial->addresses, found);
    dial_next(dial);
}

struct dial *dial_start(struct io *io, const struct url *url, void (*on_done)(void *owner, int descriptor, const struct rtc_error *why),
                        void *owner, struct rtc_error *error)
{
    struct dial *dial = calloc(1, sizeof(*dial));
    if (!dial) {
        error_no_memory(error);
        return NULL;
    }
    *dial = (struct dial){.io = io, .url = *url, .on_done = on_done, .owner = owner, .timer.on_due = dial_on_timer};
    dial->resolution = resolve_start(io, url, dial_on_resolved, dial, error);
    if (dial->resolution)
        return dial;
    free(dial);
    return NULL;
}

void dial_end(struct dial *dial)
{
    if (!dial)
        return;
    resolve_cancel(dial->resolution);
    io_timer_stop(dial->io, &dial->timer);
    for (size_t i = 0; i < dial->next; i++)
        try_end(&dial->tries[i]);
    free(dial);
}
