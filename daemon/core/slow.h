/*
 * Slow: what happens where more waits for a client than may: over the hard limit (queue.bytes, queue.envelopes) at once, over the
 * soft one (queue.soft-bytes) for longer than queue.soft-time, or an envelope for longer than queue.time. Envelopes say themselves
 * what becomes of them then, by their group's `slow`; whose are to be kept costs the connection. Loss is told in its place (rtc.gap).
 *
 * Looked at only where there is something to look at: what a delivery pays is slow_is_due().
 */
#pragma once

#include "daemon/config/config.h"
#include "daemon/core/hub.h"

/* Over one of the limits, the soft one maybe not for long. */
static inline bool slow_is_due(const struct config *config, const struct owed *owed)
{
    return owed->unsent_bytes > MIN(config->queue.bytes, config->queue.soft_bytes) || owed->unsent_count > config->queue.envelopes;
}

/* The newest, just queued, is of a group whose slow is latest, or the connection is over a limit. */
void slow_look(struct connection *connection, const struct message *newest);
/* At the end of a turn, after the flush: makes room. False: there is none to be made, it is to be closed. */
bool slow_make_room(struct connection *connection);
/* The same when it is tended, and for what waits too long. */
bool slow_tend(struct connection *connection);
/* Some was sent. */
static inline void slow_note_sent(struct connection *connection)
{
    struct owed *owed = connection->outbox.owed;
    if (owed && owed->soft_ms && owed->unsent_bytes <= connection->hub->config->queue.soft_bytes)
        owed->soft_ms = 0;
}
