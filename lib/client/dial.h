/*
 * Dial: a TCP connection to a host: its addresses one after the other, the next one beside a slow one after a quarter of a second
 * (RFC 8305, in its simple form). The caller sets the limit of time.
 */
#pragma once

#include "lib/client/io.h"
#include "lib/client/url.h"

struct dial;

/*
 * Calls `on_done` once, later: with a connected non-blocking descriptor that is the owner's now, or -1 and `why`. `dial` is to be
 * ended with dial_end() in any case. NULL: failed at once, see `error`.
 */
struct dial *dial_start(struct io *io, const struct url *url, void (*on_done)(void *owner, int descriptor, const struct rtc_error *why),
                        void *owner, struct rtc_error *error);
void dial_end(struct dial *dial);
