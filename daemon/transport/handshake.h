/*
 * WebSocket's handshake (RFC 6455 section 4): what a client asks for in its headers, and what it is answered. Knows nothing of who the
 * client is.
 */
#pragma once

#include "daemon/net/http.h"
#include "lib/envelope.h"

enum { HANDSHAKE_HEADERS = 320 };

struct handshake {
    enum codec_id codec;
    uint8_t window_bits;                /* of the client, with permessage-deflate; 0: without */
    char headers[HANDSHAKE_HEADERS];    /* of the answer, each with CRLF */
};

/* False: the request was refused. */
bool handshake_agree(struct link *link, const struct request *request, struct handshake *ret);
