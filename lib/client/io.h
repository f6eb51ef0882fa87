/*
 * Io: one client's loop: an epoll descriptor, which an outer loop can poll as well, and timers. Calls back only in io_process().
 * Knows nothing of what it waits for.
 */
#pragma once

#include "lib/list.h"

#include <sys/epoll.h>

enum { IO_BATCH = 64 };

struct io {
    int epoll;
    uint64_t now_ms;                    /* since the machine started, sleep included; refreshed by io_process and io_refresh */
    struct list timers;                 /* the next one first */
    struct epoll_event ready[IO_BATCH]; /* of the round under way */
    int ready_count;
    struct list finishing;              /* streams that send their last and end by themselves (stream.c) */
};

struct io_watch {
    int descriptor;
    void (*on_ready)(struct io_watch *watch, uint32_t events);      /* EPOLLERR and EPOLLHUP come unasked */
    bool is_set;
};

struct io_timer {
    struct list node;
    uint64_t due_ms;
    void (*on_due)(struct io_timer *timer);
    bool is_set;
};

MUST_CHECK int io_init(struct io *io);          /* -errno */
void io_done(struct io *io);                    /* everything must have been stopped */
void io_refresh(struct io *io);

/* Any watch may be stopped, and freed after that, in any callback. -errno. */
MUST_CHECK int io_watch_set(struct io *io, struct io_watch *watch, uint32_t events);
void io_watch_change(struct io *io, struct io_watch *watch, uint32_t events);
void io_watch_stop(struct io *io, struct io_watch *watch);      /* harmless when it is not set; before the descriptor is closed */

void io_timer_set(struct io *io, struct io_timer *timer, uint64_t ms);      /* from now; again: moves it */
void io_timer_stop(struct io *io, struct io_timer *timer);
static inline bool io_timer_is_set(const struct io_timer *timer) { return timer->is_set; }
/* At the end of this round, or of the next one. */
static inline void io_later(struct io *io, struct io_timer *timer) { io_timer_set(io, timer, 0); }

/* How long to wait for the descriptor: 0 … INT_MAX, or -1 for ever. */
int io_timeout_ms(const struct io *io);
/* One round, without waiting: whatever is ready, then the timers that are due. */
void io_process(struct io *io);
