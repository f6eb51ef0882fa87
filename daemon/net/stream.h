/*
 * Stream: what the lasting transports share: sending a connection's numbered envelopes and the unnumbered ones in
 * between over one link, with one system call for each turn, and keeping count of what the socket has taken.
 */
#pragma once

#include "daemon/core/message.h"
#include "daemon/net/flusher.h"
#include "daemon/net/link.h"

/* Sends now what the socket takes. */
void stream_flush(struct connection *connection, stream_frame_fn *frame);
/* The same at the end of the turn, where it may be left to the flusher. */
void stream_flush_turn(struct connection *connection, stream_frame_fn *frame);
/* Of the flusher: what came of a parcel that waited. */
void stream_on_sent(struct parcel *parcel, ssize_t result);

/* Queues bytes behind what is under way; they go out at the end of the turn. Too many unread ones pause reading. If there was no
 * memory for them, the connection is closed. */
void stream_queue(struct connection *connection, const struct buf *bytes);

/* Before the last words: sends what it can, and completes the envelope that is half sent. The link knows the connection no
 * more afterwards; it may be closed. */
void stream_finish(struct link *link, stream_frame_fn *frame, const struct fault *why);

/* What every lasting transport looks after when it tends: acknowledgements, forgetting, slow consumers. Milliseconds
 * until the next look, or 0: the connection is no longer open. */
uint64_t stream_tend(struct connection *connection, uint64_t now_ms);
