/*
 * Transports: see transports.h.
 */
#include "daemon/transport/transports.h"

const struct transport_front *const transport_fronts[TRANSPORT_COUNT] = {
    &websocket_front, &sse_front, &longpoll_front, &shortpoll_front,
};
