/*
 * Poller: which descriptors of a worker are ready, by epoll(7), level-triggered.
 *
 * libevent, which runs the main thread, keeps an event and two maps for each descriptor: 168 bytes and more, a third of
 * what an idle connection may cost, and a change of what is waited for is two system calls there. A source costs 16 bytes
 * here, inside its owner, and a change one system call. Timers are the wheel's business.
 */
#pragma once

#include "lib/base.h"

#include <sys/epoll.h>

enum {
    POLLER_BATCH = 256,
    STRANGERS_PER_TURN = 8,             /* one costs as much as ten to a hundred messages */
};

struct poll_source {
    void (*on_ready)(struct poll_source *source, uint32_t events);      /* EPOLLIN and so on */
    int descriptor;
    uint32_t armed : 31;                /* what it waits for; 0: it is not in the set, and no hang-up is told either */
    uint32_t is_stranger : 1;           /* told after all others, and only so many in a turn: else a flood of them held all up */
};

struct poller {
    int descriptor;
    int count, at;                      /* of the batch that is being told */
    unsigned told_strangers;            /* so far */
    struct epoll_event batch[POLLER_BATCH];
};

MUST_CHECK int poller_init(struct poller *poller);
void poller_done(struct poller *poller);

/* Waits for `events` from now on; 0: for nothing. Negative errno: the kernel has no memory for it, and nothing changed. */
MUST_CHECK int poller_arm(struct poller *poller, struct poll_source *source, uint32_t events);
/* Forgets the source: on_ready is not called any more, not even for what this turn has found already. */
void poller_remove(struct poller *poller, struct poll_source *source);
/* The same where the descriptor is closed next, which takes it out of the set by itself. */
void poller_forget(struct poller *poller, struct poll_source *source);

/* Waits up to `wait_ms` (-1: without an end) for something to be ready. What is, is told by poller_tell, once the owner has
 * looked at the clock. */
void poller_wait(struct poller *poller, int wait_ms);
void poller_tell(struct poller *poller);
/* The turn of the strangers. True: there were some. Those who were too many are found again when it waits next. */
bool poller_tell_strangers(struct poller *poller);
