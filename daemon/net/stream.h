/*
 * Stream: what the lasting transports share: sending a connection's numbered envelopes and the unnumbered ones in
 * between over one link, with one system call for each turn, and keeping count of what the socket has taken.
 */
#pragma once

#include "daemon/core/message.h"
#include "daemon/net/link.h"

#include <sys/uio.h>

enum { STREAM_PIECES_MAX = 3, STREAM_SCRATCH = 48 };

/* How one numbered envelope looks on this transport: fills `pieces`, returns how many. `scratch` lives as long as they do. */
typedef int stream_frame_fn(const struct connection *connection, uint64_t number, const struct encoding *encoding,
                            struct iovec pieces[static STREAM_PIECES_MAX], char scratch[static STREAM_SCRATCH]);

void stream_flush(struct connection *connection, stream_frame_fn *frame);

/* Queues bytes behind what is under way; they go out at the end of the turn. Too many unread ones pause reading. */
void stream_queue(struct connection *connection, struct bytes bytes);

/* Before the last words: sends what it can, and completes the envelope that is half sent. The link knows the connection no
 * more afterwards; it may be closed. */
void stream_finish(struct link *link, stream_frame_fn *frame, const struct fault *why);

/* What every lasting transport looks after when it tends: acknowledgements, forgetting, slow consumers. Milliseconds
 * until the next look, or 0: the connection is no longer open. */
uint64_t stream_tend(struct connection *connection, uint64_t now_ms);
