/*
 * History: see history.h. A ring that grows with what it holds, up to its limits.
 */
#include "daemon/core/history.h"

#include "daemon/core/message.h"
#include "lib/text.h"

#include <stdlib.h>

enum { SMALLEST_RING = 4 };

struct entry {
    struct message *message;
    uint64_t at_ms;
};

struct history {
    char epoch[HISTORY_EPOCH_TEXT + 1];
    uint32_t capacity, head, count;         /* slots, a power of two or 0; the oldest one's; those in use */
    uint64_t bytes, offset;                 /* of all that are held; the newest one's */
    struct entry *ring;
};

struct history *history_new(uint64_t random)
{
    struct history *history = calloc(1, sizeof(*history));
    struct buf text = {0};
    if (!history)
        return NULL;
    text_add_base64url(&text, bytes_of(&random, sizeof(random)));
    if (buf_status(&text) < 0) {
        free(history);
        return NULL;
    }
    memcpy(history->epoch, text.data, HISTORY_EPOCH_TEXT);
    buf_done(&text);
    return history;
}

static struct entry *history_entry(const struct history *history, uint32_t index)
{
    return &history->ring[(history->head + index) & (history->capacity - 1)];
}

static void history_drop_oldest(struct history *history)
{
    struct message *message = history_entry(history, 0)->message;
    history->bytes -= message->size;
    history->head = (history->head + 1) & (history->capacity - 1);
    history->count--;
    message_unref(message);
}

void history_clear(struct history *history)
{
    while (history->count)
        history_drop_oldest(history);
    free(STEAL(history->ring));
    history->capacity = history->head = 0;
}

void history_free(struct history *history)
{
    if (!history)
        return;
    history_clear(history);
    free(history);
}

const char *history_epoch(const struct history *history)
{
    return history->epoch;
}

uint64_t history_offset(const struct history *history)
{
    return history->offset;
}

uint32_t history_count(const struct history *history)
{
    return history->count;
}

static int history_grow(struct history *history)
{
    uint32_t capacity = history->capacity ? history->capacity * 2 : SMALLEST_RING;
    struct entry *ring = malloc(capacity * sizeof(*ring));
    if (!ring)
        return -ENOMEM;
    for (uint32_t i = 0; i < history->count; i++)
        ring[i] = *history_entry(history, i);
    free(history->ring);
    history->ring = ring;
    history->capacity = capacity;
    history->head = 0;
    return 0;
}

/* Of the oldest one. Threads look at the clock one after the other, and come here in another order. */
static uint64_t history_age(const struct history *history, uint64_t now_ms)
{
    uint64_t at_ms = history_entry(history, 0)->at_ms;
    return now_ms > at_ms ? now_ms - at_ms : 0;
}

void history_trim(struct history *history, const struct history_limits *limits, uint64_t now_ms)
{
    while (history->count && (history->count > limits->count || history->bytes > limits->bytes || history_age(history, now_ms) > limits->age_ms))
        history_drop_oldest(history);
    if (history->count == 0)
        history_clear(history);
}

int history_append(struct history *history, struct message *message, const struct history_limits *limits, uint64_t now_ms)
{
    message->envelope.offset = ++history->offset;
    if (history->count == history->capacity && history_grow(history) < 0) {
        history_clear(history);
        return -ENOMEM;
    }
    *history_entry(history, history->count++) = (struct entry){message, now_ms};
    history->bytes += message->size;
    message_ref_many(message, 1);
    history_trim(history, limits, now_ms);
    return 0;
}

int history_since(const struct history *history, uint64_t offset, uint32_t *ret_count)
{
    if (offset > history->offset || history->offset - offset > history->count)
        return -ERANGE;
    *ret_count = (uint32_t)(history->offset - offset);
    return 0;
}

struct message *history_message(const struct history *history, uint64_t offset)
{
    assert(offset <= history->offset && history->offset - offset < history->count);
    return history_entry(history, history->count - 1 - (uint32_t)(history->offset - offset))->message;
}
