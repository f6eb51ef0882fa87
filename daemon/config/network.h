/*
 * Network: a set of addresses, as an item of http.trusted-proxies writes it.
 */
#pragma once

#include "daemon/config/config.h"

#include <netinet/in.h>

struct network {
    sa_family_t family;         /* AF_INET, AF_INET6; AF_UNIX: whoever comes by a Unix socket */
    struct in6_addr ip;         /* IPv4 as ::ffff:a.b.c.d */
    unsigned prefix_bits;       /* of `ip` */
};

/* "10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1", "unix". -EINVAL: also where bits are set behind the prefix. */
MUST_CHECK int network_parse(const char *text, struct network *ret);
/* Is the address in one of the networks that the items name? */
bool networks_hold(const struct text_list *items, sa_family_t family, const struct in6_addr *ip);
