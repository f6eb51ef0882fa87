/*
 * Peer address: where a client comes from. Knows no socket and no header, only how addresses are written.
 */
#pragma once

#include "lib/base.h"

#include <netinet/in.h>

struct peer_address {           /* family AF_INET, AF_INET6 or AF_UNIX; IPv4 as ::ffff:a.b.c.d */
    struct in6_addr ip;
    uint16_t port;
    uint16_t family;
};
enum { PEER_TEXT_MAX = 64 };
void peer_address_print(const struct peer_address *address, char ret_text[static PEER_TEXT_MAX]);
