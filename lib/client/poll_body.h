/*
 * Poll body: what a poll's answer and a POST of envelopes look like, in both protocols (rtc-protocol(7), "Transports"). No I/O.
 */
#pragma once

#include "lib/buf.h"
#include "lib/rtc.h"

/*
 * Reads {"first":N,"messages":[…]}: calls `on_first` once, then `on_one` for each envelope's own text. The whole body is
 * checked before the first call. -EBADMSG: it is not of that form; nothing was called.
 */
MUST_CHECK int poll_body_read(struct bytes body, bool is_msgpack, void (*on_first)(void *argument, uint64_t first),
                              void (*on_one)(void *argument, struct bytes text), void *argument);

/* An array of envelopes. */
void poll_body_write(struct buf *out, bool is_msgpack, const struct rtc_bytes *envelopes, size_t count);
