/*
 * Life-cycle: the numbers of life-cycle events, and their way to the main thread. Each start of the daemon is an epoch of its own; in
 * it they run from 1, and arrive in that order. Knows not what they say.
 */
#pragma once

#include "daemon/core/notice.h"
#include "daemon/core/ports.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    LIFECYCLE_EPOCH_TEXT = 16,
    LIFECYCLE_EPOCH_SEQUENCE = 1,       /* number of rtc.epoch, the first */
};

struct lifecycle {
    const struct ports *ports;
    atomic_uint wanted;                 /* bit per kind of notice; changed under the lock */
    pthread_mutex_t lock;
    uint64_t sequence;                  /* the last one given; under the lock */
    _Atomic uint64_t lost;              /* numbers given to events that never arrived; written under the lock */
    atomic_bool is_in_step;             /* who makes events waits for room before, so that they may go somewhat beyond it */
    char epoch[LIFECYCLE_EPOCH_TEXT + 1];
};

MUST_CHECK int lifecycle_init(struct lifecycle *lifecycle, const struct ports *ports);     /* -EIO: the kernel has no random bytes */
void lifecycle_done(struct lifecycle *lifecycle);

/* Asked before a notice is made, by any thread. */
static inline bool lifecycle_wants(struct lifecycle *lifecycle, enum notice_kind kind)
{
    return atomic_load_explicit(&lifecycle->wanted, memory_order_relaxed) >> kind & 1;
}

/* From now on these kinds are wanted, bit per kind. The last number given so far: what follows has higher ones. */
uint64_t lifecycle_set_wanted(struct lifecycle *lifecycle, unsigned kinds);
uint64_t lifecycle_sequence(struct lifecycle *lifecycle);

/* Numbers a life-cycle event and posts it to the main thread; returns the number. Where there is no room, that is used up all the
 * same, so the gap shows, and `lost` counts it. Any thread. */
uint64_t lifecycle_tell(struct lifecycle *lifecycle, const struct notice_draft *draft);
/* A number for one that nobody wants to know of; 0: somebody does by now. */
uint64_t lifecycle_skip(struct lifecycle *lifecycle, enum notice_kind kind);
/* While all connections are closed, workers go in step with the main thread, so that nothing of it is lost: they ask for room before each
 * connection, and all its events are taken then. Any thread. */
void lifecycle_set_in_step(struct lifecycle *lifecycle, bool is_in_step);
bool lifecycle_has_room(struct lifecycle *lifecycle);
/* Posts what a client sent, which has no number. 0; -EAGAIN: no room; -ENOMEM. */
MUST_CHECK int lifecycle_pass(struct lifecycle *lifecycle, const struct notice_draft *draft);
