/*
 * Outbox: see outbox.h. A ring of message references that doubles as it fills and goes away when it empties.
 */
#include "daemon/core/outbox.h"

#include "daemon/core/message.h"

#include <stdlib.h>

enum { SMALLEST_RING = 4 };

void outbox_init(struct outbox *outbox)
{
    *outbox = (struct outbox){.first = 1};
}

static struct message **outbox_slot(const struct outbox *outbox, uint32_t index)
{
    return &outbox->ring[(outbox->head + index) & (outbox->capacity - 1)];
}

static void outbox_drop_front(struct outbox *outbox, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct message *message = *outbox_slot(outbox, 0);
        outbox->kept_bytes -= message->size;
        outbox->head = (outbox->head + 1) & (outbox->capacity - 1);
        outbox->count--;
        outbox->first++;
        message_unref(message);
    }
    if (outbox->count == 0) {
        free(outbox->ring);
        outbox->ring = NULL;
        outbox->capacity = outbox->head = 0;
    }
}

void outbox_done(struct outbox *outbox)
{
    outbox_mark_sent(outbox, outbox->unsent_count);
    outbox_drop_front(outbox, outbox->count);
}

static int outbox_grow(struct outbox *outbox)
{
    uint32_t capacity = outbox->capacity ? outbox->capacity * 2 : SMALLEST_RING;
    struct message **ring = malloc(capacity * sizeof(*ring));
    if (!ring)
        return -ENOMEM;
    for (uint32_t i = 0; i < outbox->count; i++)
        ring[i] = *outbox_slot(outbox, i);
    free(outbox->ring);
    outbox->ring = ring;
    outbox->capacity = capacity;
    outbox->head = 0;
    return 0;
}

int outbox_push(struct outbox *outbox, struct message *message)
{
    if (outbox->count == outbox->capacity && outbox_grow(outbox) < 0)
        return -ENOMEM;
    message_ref_many(message, 1);
    *outbox_slot(outbox, outbox->count) = message;
    outbox->count++;
    outbox->unsent_count++;
    outbox->unsent_bytes += message->size;
    return 0;
}

struct message *outbox_peek(const struct outbox *outbox, uint32_t index)
{
    if (index >= outbox->unsent_count)
        return NULL;
    return *outbox_slot(outbox, outbox->count - outbox->unsent_count + index);
}

void outbox_mark_sent(struct outbox *outbox, uint32_t count)
{
    assert(count <= outbox->unsent_count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = outbox_peek(outbox, 0)->size;
        outbox->unsent_bytes -= size;
        outbox->kept_bytes += size;
        outbox->unsent_count--;
    }
}

int outbox_acknowledge(struct outbox *outbox, uint64_t number)
{
    if (number > outbox_sent(outbox))
        return -ERANGE;
    if (number >= outbox->first)
        outbox_drop_front(outbox, (uint32_t)(number - outbox->first + 1));
    return 0;
}

int outbox_rewind(struct outbox *outbox, uint64_t number)
{
    if (number + 1 < outbox->first || number > outbox_sent(outbox))
        return -ERANGE;
    if (number >= outbox->first)
        outbox_drop_front(outbox, (uint32_t)(number - outbox->first + 1));
    outbox->unsent_bytes += outbox->kept_bytes;
    outbox->kept_bytes = 0;
    outbox->unsent_count = outbox->count;
    return 0;
}

uint32_t outbox_forget(struct outbox *outbox, uint32_t count_max, uint32_t bytes_max, uint64_t number)
{
    uint32_t forgotten = 0;
    while (outbox->count > outbox->unsent_count
           && (outbox->count - outbox->unsent_count > count_max || outbox->kept_bytes > bytes_max
               || outbox->first <= number)) {
        outbox_drop_front(outbox, 1);
        forgotten++;
    }
    return forgotten;
}
