/*
 * Outbox: what one connection is still owed, in order and numbered from 1 (rtc-protocol(7), "Stateful reconnect").
 *
 *     first … sent | unsent … last
 *
 * The front part was sent and waits for its acknowledgement; it may be forgotten, which costs the ability to resume
 * from there. The back part waits to be sent; the slow-consumer limits apply to it (slow.h). A number is only promised once its
 * envelope was sent, at least in part: the others of the back part are loose, may be taken out, and those behind them move up.
 * Holds references to messages; an empty one holds no memory. Knows nothing of sockets: transports pull.
 */
#pragma once

#include "lib/base.h"

struct message;

/* The ring and all that is only worth knowing while something is owed. */
struct owed {
    uint32_t capacity, head;            /* slots, a power of two; the slot of number `first` */
    uint32_t count, unsent_count;
    uint32_t kept_bytes, unsent_bytes;  /* of the front part, of the back part */
    uint32_t partial;                   /* bytes of the first unsent one that the socket has taken */
    uint32_t soft_ms;                   /* over the soft limit since; 0: it is not */
    uint64_t stall_number;              /* slow consumers: this one must be sent by stall_ms; 0: nothing waits */
    uint64_t forget_number;             /* sent and not acknowledged by forget_ms: forgotten */
    uint64_t sent_before;               /* up to here it had been sent, in part at least, when a client came back who lacked some of it */
    uint32_t stall_ms, forget_ms;       /* of the hub's clock, and wrap: only their distance to now means something */
    struct message *ring[];
};

struct outbox {
    struct owed *owed;                  /* NULL while empty */
    uint64_t first;                     /* number of the oldest one held; of the next one pushed while empty */
};

/* Its ends will be touched soon. */
static inline void outbox_prefetch(const struct outbox *outbox)
{
    const struct owed *owed = outbox->owed;
    if (!owed)
        return;
    __builtin_prefetch(&owed->ring[owed->head], 1);
    __builtin_prefetch(&owed->ring[(owed->head + owed->count) & (owed->capacity - 1)], 1);
}

void outbox_init(struct outbox *outbox);
void outbox_done(struct outbox *outbox);

MUST_CHECK int outbox_grow(struct outbox *outbox);       /* for outbox_push */
/* Takes the caller's reference over; `bytes` is what the message is charged with. -ENOMEM: nothing was queued, and the reference
 * is still the caller's. */
MUST_CHECK static inline int outbox_push(struct outbox *outbox, struct message *message, uint32_t bytes)
{
    if ((!outbox->owed || outbox->owed->count == outbox->owed->capacity) && outbox_grow(outbox) < 0)
        return -ENOMEM;
    struct owed *owed = outbox->owed;
    owed->ring[(owed->head + owed->count++) & (owed->capacity - 1)] = message;
    owed->unsent_count++;
    owed->unsent_bytes += bytes;
    return 0;
}

static inline uint32_t outbox_count(const struct outbox *outbox) { return outbox->owed ? outbox->owed->count : 0; }
static inline uint32_t outbox_unsent_count(const struct outbox *outbox) { return outbox->owed ? outbox->owed->unsent_count : 0; }
static inline uint32_t outbox_unsent_bytes(const struct outbox *outbox) { return outbox->owed ? outbox->owed->unsent_bytes : 0; }
static inline uint32_t outbox_kept_bytes(const struct outbox *outbox) { return outbox->owed ? outbox->owed->kept_bytes : 0; }
static inline uint32_t outbox_partial(const struct outbox *outbox) { return outbox->owed ? outbox->owed->partial : 0; }
/* Something was sent and is not acknowledged. */
static inline bool outbox_has_kept(const struct outbox *outbox) { return outbox_count(outbox) > outbox_unsent_count(outbox); }
static inline uint64_t outbox_last(const struct outbox *outbox) { return outbox->first + outbox_count(outbox) - 1; }
static inline uint64_t outbox_sent(const struct outbox *outbox) { return outbox_last(outbox) - outbox_unsent_count(outbox); }

/* The unsent message number outbox_sent() + 1 + index; NULL beyond the end. Borrowed. */
static inline struct message *outbox_peek(const struct outbox *outbox, uint32_t index)
{
    const struct owed *owed = outbox->owed;
    if (!owed || index >= owed->unsent_count)
        return NULL;
    return owed->ring[(owed->head + owed->count - owed->unsent_count + index) & (owed->capacity - 1)];
}
/* The one at that index of all it holds, oldest first. Borrowed. */
static inline struct message *outbox_at(const struct outbox *outbox, uint32_t index)
{
    const struct owed *owed = outbox->owed;
    assert(owed && index < owed->count);
    return owed->ring[(owed->head + index) & (owed->capacity - 1)];
}
/* How many of the unsent ones are not loose. They are in front. */
uint32_t outbox_fixed_count(const struct outbox *outbox);
/* Takes the loose unsent one at that index out. The reference is the caller's. */
struct message *outbox_take(struct outbox *outbox, uint32_t index);
/* Puts another in its place; takes that reference over, and the other one is the caller's. */
struct message *outbox_swap(struct outbox *outbox, uint32_t index, struct message *message);
/* Goes over the loose ones, oldest first. `sift` says what stands in the message's place from now on: itself, another, or NULL:
 * nothing does. Unless it says itself, the reference is its own. `number` is the message's before any was taken out. */
typedef struct message *outbox_sift_fn(void *argument, struct message *message, uint64_t number);
void outbox_sift(struct outbox *outbox, outbox_sift_fn *sift, void *argument);

void outbox_mark_part_sent(struct outbox *outbox, uint32_t count, uint32_t partial);     /* for outbox_mark_sent */
/* The next `count` unsent ones have gone out, and `partial` bytes of the one behind them. */
static inline void outbox_mark_sent(struct outbox *outbox, uint32_t count, uint32_t partial)
{
    struct owed *owed = outbox->owed;
    if (!owed || count != owed->unsent_count) {
        outbox_mark_part_sent(outbox, count, partial);
        return;
    }
    assert(partial == 0);
    owed->kept_bytes += owed->unsent_bytes;
    owed->unsent_count = owed->unsent_bytes = owed->partial = 0;
}

/* The peer has everything up to `number`. -ERANGE: it was never sent. Numbers acknowledged before are fine, and so is what an
 * earlier link brought while this one was being made, although it is being sent again. */
MUST_CHECK int outbox_acknowledge(struct outbox *outbox, uint64_t number);

/* The peer came back having everything up to `number`, which may end with one that was half sent: all later ones are unsent
 * again. -ERANGE: forgotten or never sent; nothing changes. */
MUST_CHECK int outbox_rewind(struct outbox *outbox, uint64_t number);

static inline bool outbox_keeps_more(const struct outbox *outbox, uint32_t count_max, uint32_t bytes_max)
{
    const struct owed *owed = outbox->owed;
    return owed && (owed->count - owed->unsent_count > count_max || owed->kept_bytes > bytes_max);
}
/* Forgets the oldest sent ones until the limits hold, and those up to `number` (0: none). Returns how many. */
uint32_t outbox_forget(struct outbox *outbox, uint32_t count_max, uint32_t bytes_max, uint64_t number);

/* The clock of slow consumers: when something is left unsent, all there is now must have gone within `patience_ms`. True: the clock
 * began to run just now. */
bool outbox_watch(struct outbox *outbox, uint64_t now_ms, uint64_t patience_ms);
bool outbox_is_stalled(const struct outbox *outbox, uint64_t now_ms);
/* How long until it is, if nothing goes; at least 1. */
uint64_t outbox_stalls_in_ms(const struct outbox *outbox, uint64_t now_ms);
/* A new link: the clock starts anew, and nothing is half sent. */
void outbox_restart(struct outbox *outbox);
/* Forgets what was sent more than `age_ms` ago; to be called now and then. Returns how many. */
uint32_t outbox_forget_old(struct outbox *outbox, uint64_t now_ms, uint64_t age_ms);
