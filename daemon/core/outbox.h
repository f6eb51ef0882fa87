/*
 * Outbox: what one connection is still owed, in order and numbered from 1 (rtc-protocol(7), "Stateful reconnect").
 *
 *     first … sent | unsent … last
 *
 * The front part was sent and waits for its acknowledgement; it may be forgotten, which costs the ability to resume
 * from there. The back part waits to be sent; the slow-consumer limits apply to it. Holds references to
 * messages; an empty one holds no memory. Knows nothing of sockets: transports pull.
 */
#pragma once

#include "lib/base.h"

struct message;

struct outbox {
    struct message **ring;              /* `capacity` slots, a power of two; NULL while empty */
    uint32_t capacity, head;            /* slot of number `first` */
    uint32_t count, unsent_count;
    uint32_t kept_bytes, unsent_bytes;  /* of the front part, of the back part */
    uint64_t first;                     /* number of the oldest one held; count == 0: of the next one pushed */
};

void outbox_init(struct outbox *outbox);
void outbox_done(struct outbox *outbox);

/* Takes its own reference. -ENOMEM: nothing was queued. */
MUST_CHECK int outbox_push(struct outbox *outbox, struct message *message);

static inline uint64_t outbox_last(const struct outbox *outbox) { return outbox->first + outbox->count - 1; }
static inline uint64_t outbox_sent(const struct outbox *outbox) { return outbox_last(outbox) - outbox->unsent_count; }

/* The unsent message number outbox_sent() + 1 + index; NULL beyond the end. Borrowed. */
struct message *outbox_peek(const struct outbox *outbox, uint32_t index);
/* The next `count` unsent ones have gone out. */
void outbox_mark_sent(struct outbox *outbox, uint32_t count);

/* The peer has everything up to `number`. -ERANGE: it was never sent. Numbers acknowledged before are fine. */
MUST_CHECK int outbox_acknowledge(struct outbox *outbox, uint64_t number);

/* The peer came back having everything up to `number`: all later ones are unsent again. -ERANGE: forgotten or never
 * sent; nothing changes. */
MUST_CHECK int outbox_rewind(struct outbox *outbox, uint64_t number);

/* Forgets the oldest sent ones until the limits hold, and those up to `number` (0: none). Returns how many. */
uint32_t outbox_forget(struct outbox *outbox, uint32_t count_max, uint32_t bytes_max, uint64_t number);
