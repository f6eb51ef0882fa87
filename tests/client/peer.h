/*
 * What the peer plugs in: a codec and a transport of its own, by nothing but rtc.h.
 */
#pragma once

#include "lib/rtc.h"

/* JSON written by hand, with "by":"peer" in each envelope so that one sees whose it is. */
const struct rtc_codec *peer_codec(void);
/* Envelopes as lines of JSON over TCP to this port of 127.0.0.1; the first line it sends is the token and what it has received. */
const struct rtc_transport_kind *peer_transport(uint16_t port);
