/*
 * Outbox: see outbox.h. A ring of message references that doubles as it fills and goes away when it empties.
 */
#include "daemon/core/outbox.h"

#include "daemon/core/message.h"
#include "daemon/core/trace.h"

#include <stdlib.h>

enum { SMALLEST_RING = 4 };

void outbox_init(struct outbox *outbox)
{
    *outbox = (struct outbox){.first = 1};
}

static struct message **owed_slot(struct owed *owed, uint32_t index)
{
    return &owed->ring[(owed->head + index) & (owed->capacity - 1)];
}

/* The calls are few, and how many to drop is known where they stand. */
static inline __attribute__((always_inline)) void outbox_drop_front(struct outbox *outbox, uint32_t count, enum trace_fate fate)
{
    struct owed *owed = outbox->owed;
    for (uint32_t i = 0; i < count; i++) {
        struct message *message = *owed_slot(owed, 0);
        owed->kept_bytes -= message->size;
        owed->head = (owed->head + 1) & (owed->capacity - 1);
        owed->count--;
        outbox->first++;
        if (message->trace)
            trace_settle(message->trace, outbox, fate);
        message_unref(message);
    }
    if (owed && owed->count == 0) {
        free(owed);
        outbox->owed = NULL;
    }
}

void outbox_done(struct outbox *outbox)
{
    outbox_mark_sent(outbox, outbox_unsent_count(outbox), 0);
    outbox_drop_front(outbox, outbox_count(outbox), TRACE_CLOSED);
}

int outbox_grow(struct outbox *outbox)
{
    struct owed *old = outbox->owed;
    uint32_t capacity = old ? old->capacity * 2 : SMALLEST_RING;
    struct owed *owed = malloc(sizeof(*owed) + capacity * sizeof(owed->ring[0]));
    if (!owed)
        return -ENOMEM;
    *owed = old ? *old : (struct owed){0};
    owed->capacity = capacity;
    owed->head = 0;
    for (uint32_t i = 0; i < owed->count; i++)
        owed->ring[i] = *owed_slot(old, i);
    free(old);
    outbox->owed = owed;
    return 0;
}

uint32_t outbox_fixed_count(const struct outbox *outbox)
{
    const struct owed *owed = outbox->owed;
    if (!owed)
        return 0;
    uint64_t sent = outbox_sent(outbox);
    return MAX((uint32_t)(owed->sent_before - MIN(sent, owed->sent_before)), (uint32_t)(owed->partial > 0));
}

static struct message **owed_unsent_slot(struct owed *owed, uint32_t index)
{
    return owed_slot(owed, owed->count - owed->unsent_count + index);
}

/* One is gone from there. The one that the clock of slow consumers waits for may have moved up. */
static void owed_note_gone(struct owed *owed, uint64_t number, uint32_t bytes)
{
    owed->unsent_bytes -= bytes;
    if (owed->stall_number >= number)
        owed->stall_number--;
}

struct message *outbox_take(struct outbox *outbox, uint32_t index)
{
    struct owed *owed = outbox->owed;
    assert(owed && index < owed->unsent_count && index >= outbox_fixed_count(outbox));
    struct message *message = *owed_unsent_slot(owed, index);
    uint64_t number = outbox_sent(outbox) + 1 + index;
    for (uint32_t i = index; i + 1 < owed->unsent_count; i++)
        *owed_unsent_slot(owed, i) = *owed_unsent_slot(owed, i + 1);
    owed_note_gone(owed, number, message->size);
    owed->unsent_count--;
    owed->count--;
    return message;
}

struct message *outbox_swap(struct outbox *outbox, uint32_t index, struct message *message)
{
    struct owed *owed = outbox->owed;
    assert(owed && index < owed->unsent_count && index >= outbox_fixed_count(outbox));
    struct message **slot = owed_unsent_slot(owed, index), *before = *slot;
    owed->unsent_bytes += message->size - before->size;
    *slot = message;
    return before;
}

void outbox_sift(struct outbox *outbox, outbox_sift_fn *sift, void *argument)
{
    struct owed *owed = outbox->owed;
    if (!owed)
        return;
    uint64_t sent = outbox_sent(outbox);
    uint32_t left = outbox_fixed_count(outbox), count = owed->unsent_count;
    for (uint32_t i = left; i < count; i++) {
        struct message *message = *owed_unsent_slot(owed, i);
        uint32_t bytes = message->size;
        struct message *stays = sift(argument, message, sent + 1 + i);
        if (stays) {
            owed->unsent_bytes += stays->size - bytes;
            *owed_unsent_slot(owed, left++) = stays;
        } else {
            owed_note_gone(owed, sent + 1 + left, bytes);
        }
    }
    owed->count -= count - left;
    owed->unsent_count = left;
}

void outbox_mark_part_sent(struct outbox *outbox, uint32_t count, uint32_t partial)
{
    struct owed *owed = outbox->owed;
    assert(count <= outbox_unsent_count(outbox) && (partial == 0 || (owed && count < owed->unsent_count)));
    if (!owed)
        return;
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct message *message = outbox_peek(outbox, i);
        assert(message);
        bytes += message->size;
    }
    owed->unsent_count -= count;
    owed->unsent_bytes -= bytes;
    owed->kept_bytes += bytes;
    owed->partial = partial;
}

/* The highest number that the peer can have seen. */
static uint64_t outbox_ever_sent(const struct outbox *outbox)
{
    uint64_t sent = outbox_sent(outbox);
    return outbox->owed ? MAX(sent, outbox->owed->sent_before) : sent;
}

int outbox_acknowledge(struct outbox *outbox, uint64_t number)
{
    if (number > outbox_ever_sent(outbox))
        return -ERANGE;
    /* What is being sent again stays: some of it may be half way into the socket. */
    number = MIN(number, outbox_sent(outbox));
    if (number >= outbox->first)
        outbox_drop_front(outbox, (uint32_t)(number - outbox->first + 1), TRACE_ACKNOWLEDGED);
    return 0;
}

int outbox_rewind(struct outbox *outbox, uint64_t number)
{
    uint64_t ever_sent = outbox_ever_sent(outbox);
    if (number + 1 < outbox->first || number > ever_sent)
        return -ERANGE;
    if (number > outbox_sent(outbox))
        outbox_mark_sent(outbox, (uint32_t)(number - outbox_sent(outbox)), 0);
    if (number >= outbox->first)
        outbox_drop_front(outbox, (uint32_t)(number - outbox->first + 1), TRACE_ACKNOWLEDGED);
    struct owed *owed = outbox->owed;
    if (owed) {
        owed->sent_before = ever_sent;
        owed->unsent_bytes += owed->kept_bytes;
        owed->kept_bytes = 0;
        owed->unsent_count = owed->count;
        owed->forget_number = 0;
        outbox_restart(outbox);
    }
    return 0;
}

uint32_t outbox_forget(struct outbox *outbox, uint32_t count_max, uint32_t bytes_max, uint64_t number)
{
    uint32_t forgotten = 0;
    while (outbox_has_kept(outbox) && (outbox_keeps_more(outbox, count_max, bytes_max) || outbox->first <= number)) {
        outbox_drop_front(outbox, 1, TRACE_FORGOTTEN);
        forgotten++;
    }
    return forgotten;
}

bool outbox_watch(struct outbox *outbox, uint64_t now_ms, uint64_t patience_ms)
{
    struct owed *owed = outbox->owed;
    if (!owed)
        return false;
    if (owed->unsent_count == 0) {
        owed->stall_number = 0;
        return false;
    }
    if (owed->stall_number && outbox_sent(outbox) < owed->stall_number)
        return false;
    owed->stall_number = outbox_last(outbox);
    owed->stall_ms = (uint32_t)(now_ms + patience_ms);
    return true;
}

static bool is_past(uint64_t now_ms, uint32_t then_ms)
{
    return (int32_t)((uint32_t)now_ms - then_ms) >= 0;
}

bool outbox_is_stalled(const struct outbox *outbox, uint64_t now_ms)
{
    const struct owed *owed = outbox->owed;
    return owed && owed->stall_number && outbox_sent(outbox) < owed->stall_number && is_past(now_ms, owed->stall_ms);
}

uint64_t outbox_stalls_in_ms(const struct outbox *outbox, uint64_t now_ms)
{
    const struct owed *owed = outbox->owed;
    if (!owed || !owed->stall_number)
        return UINT64_MAX;
    return is_past(now_ms, owed->stall_ms) ? 1 : owed->stall_ms - (uint32_t)now_ms;
}

void outbox_restart(struct outbox *outbox)
{
    struct owed *owed = outbox->owed;
    if (!owed)
        return;
    /* What is half sent may arrive whole all the same: a link's last bytes are not always known. */
    owed->sent_before = MAX(owed->sent_before, outbox_sent(outbox) + (owed->partial > 0));
    owed->stall_number = owed->partial = 0;
}

uint32_t outbox_forget_old(struct outbox *outbox, uint64_t now_ms, uint64_t age_ms)
{
    struct owed *owed = outbox->owed;
    if (!owed || (owed->forget_number && !is_past(now_ms, owed->forget_ms)))
        return 0;
    uint64_t number = owed->forget_number;
    owed->forget_number = outbox_sent(outbox);
    owed->forget_ms = (uint32_t)(now_ms + age_ms);
    return outbox_forget(outbox, UINT32_MAX, UINT32_MAX, number);
}
