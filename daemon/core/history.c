/*
 * History: see history.h. A ring that grows with what it holds, up to its limits, in the order of offsets. What a newer message replaced
 * leaves a hole in it; holes go when they are the oldest, or when there is no room left beside them.
 */
#include "daemon/core/history.h"

#include "daemon/core/message.h"
#include "lib/table.h"
#include "lib/text.h"

#include <stdlib.h>
#include <sys/random.h>

enum { SMALLEST_RING = 4 };

struct entry {
    struct message *message;                /* NULL: a hole */
    uint64_t offset;
    uint64_t at_ms;
};

/* Of one that keeps the latest of each key. */
struct latest {
    struct table keys;                      /* the messages that are held */
    uint32_t erasure_count;                 /* of those among them that took a value away */
    uint64_t erasures_from;                 /* no older offset is such a one */
    bool has_lost_values;
};

struct history {
    uint32_t capacity, head, used;          /* slots, a power of two or 0; the oldest one's, which is no hole; those in use */
    uint32_t count;                         /* of them, without holes */
    uint64_t bytes;                         /* of all that are held */
    uint64_t replaced;                      /* by the newest one; 0: none */
    struct history_state state;             /* but what `latest` has */
    struct entry *ring;
    struct history_sink *sink;
    struct latest *latest;                  /* NULL: all are kept */
};

void history_state_renew(struct history_state *state, uint64_t random)
{
    unsigned char room[HISTORY_EPOCH_TEXT + 8] = {0};
    struct buf text = {.data = room, .capacity = sizeof(room)};
    text_add_base64url(&text, bytes_of(&random, sizeof(random)));
    assert(buf_status(&text) == 0 && text.length == HISTORY_EPOCH_TEXT);
    memcpy(state->epoch, room, HISTORY_EPOCH_TEXT);
    state->epoch[HISTORY_EPOCH_TEXT] = '\0';
}

void history_state_skip(struct history_state *state, uint64_t count)
{
    if (state->gap_count == HISTORY_GAPS_MAX) {
        state->covered_from = MAX(state->covered_from, state->gaps[0].to);
        memmove(state->gaps, state->gaps + 1, (HISTORY_GAPS_MAX - 1) * sizeof(*state->gaps));
        state->gap_count--;
    }
    state->gaps[state->gap_count++] = (struct history_gap){state->offset, state->offset + count};
    state->offset += count;
}

struct history *history_new(uint64_t random)
{
    struct history *history = calloc(1, sizeof(*history));
    if (history)
        history_state_renew(&history->state, random);
    return history;
}

void history_tell(struct history *history, struct history_sink *sink)
{
    history->sink = sink;
}

uint64_t history_replaced(const struct history *history)
{
    return history->replaced;
}

static bool is_erasure(const struct message *message)
{
    return message->envelope.data.length == 0;
}

static struct entry *history_entry(const struct history *history, uint32_t index)
{
    return &history->ring[(history->head + index) & (history->capacity - 1)];
}

/* The first entry with at least this offset; `used` if there is none. */
static uint32_t history_index(const struct history *history, uint64_t offset)
{
    uint32_t low = 0, high = history->used;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (history_entry(history, middle)->offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Leaves a hole, or nothing where it was the oldest. */
static void history_take_out(struct history *history, uint32_t index)
{
    struct entry *entry = history_entry(history, index);
    struct message *message = STEAL(entry->message);
    history->bytes -= message->size;
    history->count--;
    if (history->latest) {
        table_remove(&history->latest->keys, message->envelope.key);
        history->latest->erasure_count -= is_erasure(message);
    }
    message_unref(message);
    while (history->used && !history_entry(history, 0)->message) {
        history->head = (history->head + 1) & (history->capacity - 1);
        history->used--;
    }
}

static void history_forget(struct history *history, uint32_t index)
{
    uint64_t offset = history_entry(history, index)->offset;
    history->state.forgotten = MAX(history->state.forgotten, offset);
    history_take_out(history, index);
    if (history->sink)
        history->sink->on_forgotten(history->sink, offset);
}

static void history_empty(struct history *history)
{
    while (history->count)
        history_take_out(history, 0);
    free(STEAL(history->ring));
    history->capacity = history->head = 0;
}

void history_clear(struct history *history)
{
    history_empty(history);
    history->state.forgotten = history->state.offset;
    history->state.gap_count = 0;
    if (history->latest)
        history->latest->has_lost_values = false;
    if (history->sink)
        history->sink->on_cleared(history->sink);
}

static void latest_free(struct latest *latest)
{
    if (latest)
        table_done(&latest->keys);
    free(latest);
}

void history_free(struct history *history)
{
    if (!history)
        return;
    history_empty(history);
    latest_free(history->latest);
    free(history);
}

const char *history_epoch(const struct history *history)
{
    return history->state.epoch;
}

uint64_t history_offset(const struct history *history)
{
    return history->state.offset;
}

uint32_t history_count(const struct history *history)
{
    return history->count;
}

bool history_keeps_latest(const struct history *history)
{
    return history->latest;
}

bool history_has_lost_values(const struct history *history)
{
    return history->latest && history->latest->has_lost_values;
}

static struct bytes message_key(const void *entry)
{
    return ((const struct message *)entry)->envelope.key;
}

static int latest_new(struct latest **ret)
{
    struct table_seed seed;
    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        return -EIO;
    *ret = calloc(1, sizeof(**ret));
    if (!*ret)
        return -ENOMEM;
    table_init(&(*ret)->keys, &seed, message_key);
    return 0;
}

int history_keep_latest(struct history *history, bool is_latest)
{
    struct latest *latest = NULL;
    if (is_latest == history_keeps_latest(history))
        return 0;
    int r = is_latest ? latest_new(&latest) : 0;
    if (r < 0)
        return r;
    history_empty(history);
    latest_free(history->latest);
    history->latest = latest;
    history_clear(history);
    return 0;
}

struct history *history_restore(const struct history_state *state)
{
    struct history *history = calloc(1, sizeof(*history));
    if (history && state->keeps_latest && latest_new(&history->latest) < 0) {
        free(history);
        return NULL;
    }
    if (!history)
        return NULL;
    history->state = *state;
    if (history->latest)
        history->latest->has_lost_values = state->has_lost_values;
    return history;
}

void history_state(const struct history *history, struct history_state *ret)
{
    *ret = history->state;
    ret->keeps_latest = history_keeps_latest(history);
    ret->has_lost_values = history_has_lost_values(history);
}

/* Moves all to a ring of that many slots, without the holes. */
static int history_move(struct history *history, uint32_t capacity)
{
    struct entry *ring = malloc(capacity * sizeof(*ring));
    uint32_t kept = 0;
    if (!ring)
        return -ENOMEM;
    for (uint32_t i = 0; i < history->used; i++)
        if (history_entry(history, i)->message)
            ring[kept++] = *history_entry(history, i);
    free(history->ring);
    history->ring = ring;
    history->capacity = capacity;
    history->head = 0;
    history->used = kept;
    return 0;
}

static int history_make_slot(struct history *history)
{
    if (history->used < history->capacity)
        return 0;
    bool has_holes = history->used - history->count >= history->capacity / 4 && history->capacity;
    return history_move(history, has_holes ? history->capacity : MAX(history->capacity * 2, (uint32_t)SMALLEST_RING));
}

/* Of the oldest one. Threads look at the clock one after the other, and come here in another order; what was put back may be older than
 * the clock, whose zero it then lies before. */
static uint64_t history_age(const struct history *history, uint64_t now_ms)
{
    uint64_t at_ms = history_entry(history, 0)->at_ms;
    return (int64_t)(now_ms - at_ms) > 0 ? now_ms - at_ms : 0;
}

/* That a value was taken away is of use to who comes back alone; values are to everyone who comes. */
static void history_make_room(struct history *history)
{
    struct latest *latest = history->latest;
    uint32_t index = 0;
    if (latest && latest->erasure_count) {
        index = history_index(history, latest->erasures_from);
        while (!history_entry(history, index)->message || !is_erasure(history_entry(history, index)->message))
            index++;
        latest->erasures_from = history_entry(history, index)->offset;
    } else if (latest) {
        latest->has_lost_values = true;
    }
    history_forget(history, index);
}

void history_trim(struct history *history, const struct history_limits *limits, uint64_t now_ms)
{
    while (history->count && history_age(history, now_ms) > limits->age_ms)
        history_forget(history, 0);
    while (history->count && (history->count > limits->count || history->bytes > limits->bytes))
        history_make_room(history);
    if (history->count == 0)
        history_empty(history);
}

/* Makes room for it under its key. */
static void history_replace(struct history *history, struct bytes key)
{
    const struct message *older = table_find(&history->latest->keys, key);
    if (!older)
        return;
    history->replaced = older->envelope.offset;
    history_take_out(history, history_index(history, older->envelope.offset));
}

static int history_hold(struct history *history, struct message *message, uint64_t now_ms)
{
    int r = history_make_slot(history);
    if (r == 0 && history->latest)
        r = table_insert(&history->latest->keys, message);
    if (r < 0)
        return r;
    *history_entry(history, history->used++) = (struct entry){message, message->envelope.offset, now_ms};
    history->count++;
    history->bytes += message->size;
    if (history->latest)
        history->latest->erasure_count += is_erasure(message);
    message_ref_many(message, 1);
    return 0;
}

int history_append(struct history *history, struct message *message, const struct history_limits *limits, uint64_t now_ms)
{
    int r = 0;
    message->envelope.offset = ++history->state.offset;
    history->replaced = 0;
    if (history->latest && message->envelope.key.length)
        history_replace(history, message->envelope.key);
    if (!history->latest || message->envelope.key.length)
        r = history_hold(history, message, now_ms);
    if (r < 0) {
        history_clear(history);
        if (history->latest)
            history->latest->has_lost_values = true;
        return r;
    }
    history_trim(history, limits, now_ms);
    return 0;
}

int history_put_back(struct history *history, struct message *message, uint64_t at_ms)
{
    assert(!history->latest || message->envelope.key.length);
    if (history->latest)
        history_replace(history, message->envelope.key);
    return history_hold(history, message, at_ms);
}

bool history_covers(const struct history *history, uint64_t offset)
{
    const struct history_state *state = &history->state;
    for (uint32_t i = 0; i < state->gap_count; i++)
        if (offset > state->gaps[i].from && offset < state->gaps[i].to)
            return false;
    return offset >= state->forgotten && offset >= state->covered_from && offset <= state->offset;
}

struct message *history_message(const struct history *history, uint64_t offset)
{
    uint32_t index = history_index(history, offset);
    const struct entry *entry = index < history->used ? history_entry(history, index) : NULL;
    return entry && entry->offset == offset ? entry->message : NULL;
}

struct message *history_older(const struct history *history, struct history_walk *walk)
{
    while (walk->walked < history->used) {
        struct message *message = history_entry(history, history->used - ++walk->walked)->message;
        if (message)
            return message;
    }
    return NULL;
}

struct message *history_after(const struct history *history, uint64_t offset)
{
    for (uint32_t i = history_index(history, offset + 1); i < history->used; i++)
        if (history_entry(history, i)->message)
            return history_entry(history, i)->message;
    return NULL;
}
