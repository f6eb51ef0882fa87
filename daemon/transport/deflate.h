/*
 * permessage-deflate (RFC 7692) on a WebSocket link that agreed on it: messages on their way out are compressed once for all who get
 * them, those that come in are taken apart within connection.message-bytes. Each message stands for itself, in both directions.
 */
#pragma once

#include "daemon/net/stream.h"

/* A stream_frame_fn: the compressed form where there is one and the client's window is large enough for it. */
int deflate_frame(const struct connection *connection, uint64_t number, const struct encoding *encoding,
                  struct iovec pieces[static STREAM_PIECES_MAX], char scratch[static STREAM_SCRATCH]);

/* Appends one message of this link's own. -E2BIG: it is to go as it is; -ENOMEM: as well. */
MUST_CHECK int deflate_pack(struct link *link, struct bytes text, struct buf *out);

/* The text of a message that came. BAD: the connection cannot go on. */
enum decode deflate_unpack(struct link *link, struct bytes packed, bool is_text, struct buf *out, struct fault *fault);
