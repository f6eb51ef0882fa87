/*
 * Slot queue: connections that have something to send, by their slots, first in, first out. A slot whose connection is gone,
 * or is another's now, does no harm: whoever takes it looks. Whether a connection stands in a queue, its is_dirty says.
 */
#pragma once

#include "lib/base.h"

struct slot_queue {
    uint32_t *slots;                    /* from `head` on they wait */
    uint32_t head, count, capacity;
};

static inline uint32_t slot_queue_waiting(const struct slot_queue *queue) { return queue->count - queue->head; }
MUST_CHECK int slot_queue_push(struct slot_queue *queue, uint32_t slot);             /* -ENOMEM: it is not in the queue */
/* Takes up to `max` from the front. Returns how many. */
uint32_t slot_queue_take(struct slot_queue *queue, uint32_t *ret_slots, uint32_t max);
void slot_queue_done(struct slot_queue *queue);
