/*
 * PROXY protocol, version 2: the header that a proxy puts before everything else on a connection, to say whose it is. Without I/O:
 * bytes in, done/more/bad out.
 */
#pragma once

#include "daemon/core/peer_address.h"
#include "lib/fault.h"

enum {
    PROXY_HEADER_FIXED = 16,        /* what says how long the rest is */
    PROXY_HEADER_MAX = 4096,        /* with the addresses and what further fields a proxy adds, which are passed over */
};

struct proxy_header {
    bool has_address;               /* false: the proxy speaks for itself (LOCAL), or does not know the client's (UNSPEC) */
    struct peer_address address;    /* AF_UNIX where the client came to the proxy by a Unix socket */
    size_t bytes;                   /* of the whole header */
};

/* MORE: call again with the same start and more bytes; *ret_wanted is how many the header has, as far as that is known, and never more
 * than it has: whoever reads no further leaves what follows in the socket. */
enum decode proxy_header_read(struct bytes input, struct proxy_header *ret, size_t *ret_wanted, struct fault *fault);
