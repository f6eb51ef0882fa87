/*
 * Network: see network.h. Items are read each time they are asked: they are few, and only what a proxy forwards asks.
 */
#include "daemon/config/network.h"

#include "lib/buf.h"
#include "lib/text.h"

#include <arpa/inet.h>

enum { IP6_BITS = 128, IP4_PREFIX_BITS = 96 };

/* Do the first bits agree? */
static bool has_prefix(const struct in6_addr *a, const struct in6_addr *b, unsigned bits)
{
    unsigned bytes = bits / 8, rest = bits % 8;
    unsigned mask = 0xff00u >> rest;
    return memcmp(a, b, bytes) == 0 && (rest == 0 || ((a->s6_addr[bytes] ^ b->s6_addr[bytes]) & mask & 0xff) == 0);
}

/* Nothing but zeros behind the prefix: else somebody meant another network. */
static bool is_base(const struct network *network)
{
    for (unsigned bit = network->prefix_bits; bit < IP6_BITS; bit++)
        if (network->ip.s6_addr[bit / 8] & 0x80u >> bit % 8)
            return false;
    return true;
}

int network_parse(const char *text, struct network *ret)
{
    char ip[INET6_ADDRSTRLEN];
    *ret = (struct network){.family = AF_UNIX};
    if (strcmp(text, "unix") == 0)
        return 0;
    size_t length = strcspn(text, "/");
    if (length >= sizeof(ip))
        return -EINVAL;
    memcpy(ip, text, length);
    ip[length] = '\0';
    ret->family = strchr(ip, ':') ? AF_INET6 : AF_INET;
    bool is_ip4 = ret->family == AF_INET;
    ret->ip.s6_addr[10] = ret->ip.s6_addr[11] = is_ip4 ? 0xff : 0;
    if (inet_pton(ret->family, ip, is_ip4 ? &ret->ip.s6_addr[12] : ret->ip.s6_addr) != 1)
        return -EINVAL;

    uint64_t bits = is_ip4 ? IP6_BITS - IP4_PREFIX_BITS : IP6_BITS, most = bits;
    if (text[length] == '/' && (text_parse_uint(bytes_text(text + length + 1), &bits) < 0 || bits > most))
        return -EINVAL;
    ret->prefix_bits = (unsigned)bits + (is_ip4 ? IP4_PREFIX_BITS : 0);
    return is_base(ret) ? 0 : -EINVAL;
}

bool networks_hold(const struct text_list *items, sa_family_t family, const struct in6_addr *ip)
{
    struct network network;
    for (size_t i = 0; i < items->count; i++)
        if (network_parse(items->items[i], &network) == 0 && network.family == family
            && has_prefix(&network.ip, ip, network.prefix_bits))
            return true;
    return false;
}
