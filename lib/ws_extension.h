/*
 * WebSocket extensions: what a client offers in Sec-WebSocket-Extensions (RFC 6455 section 9.1), of which permessage-deflate (RFC 7692)
 * may be taken. No I/O.
 *
 * Neither side remembers anything from one message to the next: so one compressed message serves all who get it, and an idle
 * connection needs no memory for it.
 */
#pragma once

#include "lib/buf.h"

enum { WS_WINDOW_BITS_MIN = 8, WS_WINDOW_BITS_MAX = 15, WS_EXTENSION_ANSWER = 128 };

struct ws_deflate {
    uint8_t window_bits;            /* the client remembers so much of a message while it reads it; 0: nothing was agreed on */
    bool names_window;              /* it asked for that, and wants to see it in the answer */
};

/* The first offer in one header line that can be kept; malformed ones and those that ask for something unknown are passed over. False:
 * there is none. */
bool ws_deflate_choose(struct bytes line, struct ws_deflate *ret);

/* The value of the answer's header. */
void ws_deflate_print(const struct ws_deflate *agreed, char ret_text[static WS_EXTENSION_ANSWER]);

/* A message of this length refers no further back than the window reaches, however it was compressed. */
static inline bool ws_deflate_fits(unsigned window_bits, size_t length)
{
    return window_bits == WS_WINDOW_BITS_MAX || length <= (size_t)1 << window_bits;
}
