/*
 * Problem: what an HTTP answer that is no success means: problem+json (RFC 9457) as rtcd writes it, or whatever a proxy says. Pure.
 */
#pragma once

#include "lib/buf.h"
#include "lib/rtc.h"

/* `what`: who answered, such as "the negotiation with https://…". true: the connection was ended for good; do not come back. */
bool problem_read(unsigned status, struct bytes body, const char *what, struct rtc_error *ret);
/* Is it rtcd's word? A proxy may refuse a WebSocket with any status, and let everything else pass. */
bool problem_is_given(struct bytes body);
