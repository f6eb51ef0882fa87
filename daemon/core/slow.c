/*
 * Slow: see slow.h.
 */
#include "daemon/core/slow.h"

#include "daemon/core/hub.h"
#include "daemon/core/message.h"
#include "daemon/core/trace.h"

enum {
    GAPS_SEEN_MAX = 32,                 /* notices that are counted on in one pass; with more groups some have two */
    GAP_LOOK = 32,                      /* as far before a replaced envelope its group's notice is looked for */
    ROOM_SHARE = 8,                     /* what is made free is one part in so many of the limit */
};

/* One pass over what waits. */
struct pass {
    struct connection *connection;
    uint64_t bytes_max, count_max;      /* as much may be left */
    uint64_t number_max;                /* only up to here */
    uint64_t count_left;
    struct message *gaps[GAPS_SEEN_MAX];
    unsigned gap_count;
    bool has_failed;                    /* no memory for a notice: what was to be dropped is still there */
};

/* One that is there. */
static struct message *slow_at(const struct outbox *outbox, uint32_t index)
{
    struct message *message = outbox_peek(outbox, index);
    assert(message);
    return message;
}

static bool may_be_dropped(const struct message *message)
{
    return message->slow != SLOW_CLOSE && !message->lost;
}

static bool is_of_group(const struct message *message, struct bytes group)
{
    return bytes_equal(message->envelope.group, group);
}

static void pass_note_gap(struct pass *pass, struct message *gap)
{
    pass->gaps[pass->gap_count++ % GAPS_SEEN_MAX] = gap;
}

static struct message *pass_find_gap(const struct pass *pass, struct bytes group)
{
    for (unsigned i = 0; i < MIN(pass->gap_count, (unsigned)GAPS_SEEN_MAX); i++)
        if (is_of_group(pass->gaps[i], group))
            return pass->gaps[i];
    return NULL;
}

/* One more of that group is lost. NULL: out of memory. */
static struct message *slow_new_gap(struct connection *connection, struct bytes group)
{
    struct message *gap = message_new_gap(group);
    if (!gap)
        return NULL;
    message_count_lost(gap, 1);
    metrics_add(&connection->hub->metrics, METRIC_GAPS_TOLD, 1);
    return gap;
}

static void slow_drop(struct connection *connection, struct message *message)
{
    metrics_add(&connection->hub->metrics, METRIC_ENVELOPES_DROPPED, 1);
    if (message->trace)
        trace_settle(message->trace, &connection->outbox, TRACE_DROPPED);
    message_unref(message);
}

static struct message *pass_sift(void *argument, struct message *message, uint64_t number)
{
    struct pass *pass = argument;
    const struct owed *owed = pass->connection->outbox.owed;
    if (message->lost)
        pass_note_gap(pass, message);
    if (!may_be_dropped(message) || number > pass->number_max || pass->has_failed
        || (owed->unsent_bytes <= pass->bytes_max && pass->count_left <= pass->count_max))
        return message;
    struct message *gap = pass_find_gap(pass, message->envelope.group);
    if (gap) {
        message_count_lost(gap, 1);
        pass->count_left--;
        slow_drop(pass->connection, message);
        return NULL;
    }
    gap = slow_new_gap(pass->connection, message->envelope.group);
    pass->has_failed = !gap;
    if (!gap)
        return message;
    pass_note_gap(pass, gap);
    slow_drop(pass->connection, message);
    return gap;
}

static void slow_shed(struct connection *connection, uint64_t bytes_max, uint64_t count_max, uint64_t number_max)
{
    struct pass pass = {.connection = connection, .bytes_max = bytes_max, .count_max = count_max, .number_max = number_max,
                        .count_left = outbox_unsent_count(&connection->outbox)};
    outbox_sift(&connection->outbox, pass_sift, &pass);
}

static bool is_over_hard(const struct config *config, const struct owed *owed)
{
    return owed->unsent_bytes > config->queue.bytes || owed->unsent_count > config->queue.envelopes;
}

static bool is_over_soft(const struct config *config, const struct owed *owed)
{
    return owed->unsent_bytes > config->queue.soft_bytes;
}

static bool is_over_soft_for_long(const struct hub *hub, const struct owed *owed)
{
    return owed->soft_ms && is_over_soft(hub->config, owed)
        && connection_age_ms(hub->now_ms, owed->soft_ms) >= hub->config->queue.soft_time_ms;
}

bool slow_make_room(struct connection *connection)
{
    struct hub *hub = connection->hub;
    const struct config *config = hub->config;
    struct owed *owed = connection->outbox.owed;
    bool is_hard = owed && is_over_hard(config, owed);
    if (!owed || (!is_hard && !is_over_soft_for_long(hub, owed)))
        return true;
    uint64_t bytes_max = is_hard ? config->queue.bytes : config->queue.soft_bytes;
    slow_shed(connection, bytes_max - bytes_max / ROOM_SHARE, config->queue.envelopes - config->queue.envelopes / ROOM_SHARE, UINT64_MAX);
    slow_note_sent(connection);
    return !is_over_hard(config, owed) && !is_over_soft_for_long(hub, owed);
}

/* All that has waited too long may be dropped: none is of those that are to be kept. */
static bool slow_may_lose_old(const struct outbox *outbox)
{
    uint64_t count = outbox->owed->stall_number - outbox_sent(outbox);
    for (uint32_t i = 0; i < count; i++) {
        const struct message *message = outbox_peek(outbox, i);
        if (message && message->slow == SLOW_CLOSE)
            return false;
    }
    return true;
}

bool slow_tend(struct connection *connection)
{
    struct outbox *outbox = &connection->outbox;
    if (outbox_is_stalled(outbox, connection->hub->now_ms)) {
        if (!slow_may_lose_old(outbox))
            return false;
        slow_shed(connection, 0, 0, outbox->owed->stall_number);
        outbox->owed->stall_number = 0;
    }
    return slow_make_room(connection);
}

/* Nothing is sent to it now. Else what was queued a moment ago is about to go, and is not replaced. */
static bool is_waiting(const struct connection *connection)
{
    return !connection->link || connection->outbox.owed->stall_number;
}

static bool is_older_of(const struct message *older, const struct message *newest)
{
    return older->slow == SLOW_LATEST && !older->lost && is_of_group(older, newest->envelope.group)
        && bytes_equal(older->envelope.event_name, newest->envelope.event_name) && bytes_equal(older->envelope.key, newest->envelope.key);
}

/* The loose one before `index` that is a notice of this group, near enough; NULL. */
static struct message *slow_find_gap(const struct outbox *outbox, uint32_t index, struct bytes group)
{
    uint32_t fixed = outbox_fixed_count(outbox);
    for (uint32_t looked = 0; index > fixed && looked < GAP_LOOK; looked++) {
        struct message *message = slow_at(outbox, --index);
        if (message->lost && is_of_group(message, group))
            return message;
    }
    return NULL;
}

static void slow_lose(struct connection *connection, uint32_t index)
{
    struct outbox *outbox = &connection->outbox;
    struct bytes group = slow_at(outbox, index)->envelope.group;
    struct message *gap = slow_find_gap(outbox, index, group);
    if (gap) {
        message_count_lost(gap, 1);
        slow_drop(connection, outbox_take(outbox, index));
    } else if ((gap = slow_new_gap(connection, group))) {
        slow_drop(connection, outbox_swap(outbox, index, gap));
    }
}

/* The newest one takes the place of the one before it with its name. Each envelope that waits is passed by only once for each such
 * name, as the one found moves to the end. */
static void slow_replace(struct connection *connection, const struct message *newest)
{
    struct outbox *outbox = &connection->outbox;
    uint32_t index = outbox_unsent_count(outbox) - 1, fixed = outbox_fixed_count(outbox);
    while (index > fixed) {
        if (!is_older_of(slow_at(outbox, --index), newest))
            continue;
        slow_lose(connection, index);
        return;
    }
}

void slow_look(struct connection *connection, const struct message *newest)
{
    struct hub *hub = connection->hub;
    struct owed *owed = connection->outbox.owed;
    if (newest->slow == SLOW_LATEST && is_waiting(connection))
        slow_replace(connection, newest);
    if (is_over_hard(hub->config, owed)) {
        /* Whether it is too much shows only after the flush at the end of the turn, which therefore comes soon. */
        hub->is_pressed = true;
        hub_mark_dirty(hub, connection);
    } else if (is_over_soft(hub->config, owed) && !owed->soft_ms) {
        /* Never in the future: that would be long ago. 0 has its own meaning. */
        owed->soft_ms = (uint32_t)hub->now_ms ? (uint32_t)hub->now_ms : UINT32_MAX;
        if (connection->link)
            connection_tend_within(connection, hub->config->queue.soft_time_ms);
    } else if (is_over_soft_for_long(hub, owed)) {
        hub_mark_dirty(hub, connection);
    }
}
