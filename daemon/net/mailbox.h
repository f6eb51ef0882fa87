/*
 * Mailbox: the bounded queue through which a thread hears from all others. Many may post, one takes.
 *
 * The bound is soft: senders whose letters may be refused ask for room first; a letter that must not be lost (an adopted
 * link, a config) is taken beyond it. A sleeping owner is woken through an eventfd; the owner posting to itself wakes nobody,
 * since it looks again before it sleeps.
 */
#pragma once

#include "daemon/core/letter.h"

#include <pthread.h>
#include <stdatomic.h>

struct letters {
    struct letter *array;
    size_t capacity, count;
};

struct mailbox {
    pthread_mutex_t lock;
    pthread_t owner;
    struct letters posted;                  /* what the owner has not seen yet; under the lock */
    _Atomic size_t posted_count;            /* ever; written under the lock */
    size_t bound;
    bool has_owner, is_signalled;
    int event_fd;

    /* Touched by the owner alone, but for the count: it takes all that is posted at once, and then needs no lock for each. */
    struct letters taken;
    size_t next;                            /* of `taken` */
    _Atomic size_t taken_count;             /* ever */
};

MUST_CHECK int mailbox_init(struct mailbox *mailbox, size_t bound);
void mailbox_done(struct mailbox *mailbox);
void mailbox_own(struct mailbox *mailbox);                  /* by the thread that will take */

MUST_CHECK int mailbox_post(struct mailbox *mailbox, const struct letter *letter);      /* -ENOMEM */
bool mailbox_has_room(struct mailbox *mailbox);
bool mailbox_is_empty(struct mailbox *mailbox);
/* Takes the oldest letter; false when there is none. */
bool mailbox_take(struct mailbox *mailbox, struct letter *ret);
/* The one behind it, if that is known without asking the others; NULL otherwise. Valid until the next call. */
const struct letter *mailbox_peek(const struct mailbox *mailbox);
/* After the eventfd became readable. */
void mailbox_hear(struct mailbox *mailbox);
