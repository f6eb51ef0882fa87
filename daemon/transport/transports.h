/*
 * Transports: the list. A new one is a file, an extern and a line here.
 */
#pragma once

#include "daemon/net/router.h"

extern const struct transport_front websocket_front, sse_front, longpoll_front, shortpoll_front;

/* In the server's order of preference. */
enum { TRANSPORT_COUNT = 4 };
extern const struct transport_front *const transport_fronts[TRANSPORT_COUNT];
