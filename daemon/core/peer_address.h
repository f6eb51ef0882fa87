/*
 * Peer address: where a client comes from. Knows no socket and no header, only how addresses are written.
 */
#pragma once

#include "lib/buf.h"

#include <netinet/in.h>

struct peer_address {           /* family AF_INET, AF_INET6 or AF_UNIX; IPv4 as ::ffff:a.b.c.d */
    struct in6_addr ip;
    uint16_t port;              /* 0: not known */
    uint16_t family;
};
enum { PEER_TEXT_MAX = 64 };
void peer_address_print(const struct peer_address *address, char ret_text[static PEER_TEXT_MAX]);

/* Of IP and any port. */
struct peer_address peer_address_of_ip4(const struct in_addr *ip, uint16_t port);
struct peer_address peer_address_of_ip6(const struct in6_addr *ip, uint16_t port);     /* ::ffff:a.b.c.d is IPv4 */
/* What accept(2) says; whatever is not IP is AF_UNIX. */
struct peer_address peer_address_of_socket(const struct sockaddr_storage *from);
/* "192.0.2.1", "192.0.2.1:8000", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:8000". -EBADMSG. */
MUST_CHECK int peer_address_parse(struct bytes text, struct peer_address *ret);
