/*
 * Slot queue: see slot_queue.h.
 */
#include "daemon/core/slot_queue.h"

#include <stdlib.h>
#include <string.h>

enum { SMALLEST_QUEUE = 64, KEPT_MAX = 4096 };

void slot_queue_done(struct slot_queue *queue)
{
    free(queue->slots);
    *queue = (struct slot_queue){0};
}

/* Room at the end: by moving to the front what waits, where that frees half, else by more memory. */
static int slot_queue_make_room(struct slot_queue *queue)
{
    uint32_t waiting = slot_queue_waiting(queue);
    if (queue->head > queue->capacity / 2) {
        memmove(queue->slots, queue->slots + queue->head, waiting * sizeof(*queue->slots));
        queue->head = 0;
        queue->count = waiting;
        return 0;
    }
    uint32_t capacity = queue->capacity ? queue->capacity * 2 : SMALLEST_QUEUE;
    uint32_t *slots = realloc(queue->slots, capacity * sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    queue->slots = slots;
    queue->capacity = capacity;
    return 0;
}

int slot_queue_push(struct slot_queue *queue, uint32_t slot)
{
    if (queue->count == queue->capacity) {
        int r = slot_queue_make_room(queue);
        if (r < 0)
            return r;
    }
    queue->slots[queue->count++] = slot;
    return 0;
}

uint32_t slot_queue_take(struct slot_queue *queue, uint32_t *ret_slots, uint32_t max)
{
    uint32_t taken = MIN(slot_queue_waiting(queue), max);
    if (taken)
        memcpy(ret_slots, queue->slots + queue->head, taken * sizeof(*ret_slots));
    queue->head += taken;
    if (queue->head == queue->count) {
        queue->head = queue->count = 0;
        if (queue->capacity > KEPT_MAX)
            slot_queue_done(queue);
    }
    return taken;
}
