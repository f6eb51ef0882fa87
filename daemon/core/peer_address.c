/*
 * Peer address: see peer_address.h.
 */
#include "daemon/core/peer_address.h"

#include "lib/text.h"

#include <arpa/inet.h>
#include <stdio.h>

void peer_address_print(const struct peer_address *address, char ret_text[static PEER_TEXT_MAX])
{
    char ip[INET6_ADDRSTRLEN] = "unix";
    bool is_ip6 = address->family == AF_INET6;
    if (is_ip6)
        inet_ntop(AF_INET6, &address->ip, ip, sizeof(ip));
    else if (address->family == AF_INET)
        inet_ntop(AF_INET, &address->ip.s6_addr[12], ip, sizeof(ip));
    if (address->family == AF_UNIX || address->port == 0)
        snprintf(ret_text, PEER_TEXT_MAX, "%s", ip);
    else
        snprintf(ret_text, PEER_TEXT_MAX, is_ip6 ? "[%s]:%u" : "%s:%u", ip, address->port);
}

struct peer_address peer_address_of_ip4(const struct in_addr *ip, uint16_t port)
{
    struct peer_address address = {.family = AF_INET, .port = port};
    address.ip.s6_addr[10] = address.ip.s6_addr[11] = 0xff;
    memcpy(&address.ip.s6_addr[12], ip, sizeof(*ip));
    return address;
}

struct peer_address peer_address_of_ip6(const struct in6_addr *ip, uint16_t port)
{
    return (struct peer_address){.family = IN6_IS_ADDR_V4MAPPED(ip) ? AF_INET : AF_INET6, .port = port, .ip = *ip};
}

struct peer_address peer_address_of_socket(const struct sockaddr_storage *from)
{
    const struct sockaddr_in *ip4 = (const struct sockaddr_in *)from;
    const struct sockaddr_in6 *ip6 = (const struct sockaddr_in6 *)from;
    if (from->ss_family == AF_INET)
        return peer_address_of_ip4(&ip4->sin_addr, ntohs(ip4->sin_port));
    if (from->ss_family == AF_INET6)
        return peer_address_of_ip6(&ip6->sin6_addr, ntohs(ip6->sin6_port));
    return (struct peer_address){.family = AF_UNIX};
}

/* The port behind a colon; nothing: none is given. */
static int peer_port_parse(struct bytes text, uint16_t *ret)
{
    uint64_t port = 0;
    if (text.length && (text.data[0] != ':' || text_parse_uint(bytes_of(text.data + 1, text.length - 1), &port) < 0 || port > 65535))
        return -EBADMSG;
    *ret = (uint16_t)port;
    return 0;
}

int peer_address_parse(struct bytes text, struct peer_address *ret)
{
    char ip[INET6_ADDRSTRLEN];
    const unsigned char *end = text.data + text.length;
    bool is_bracketed = text.length && text.data[0] == '[';
    const unsigned char *start = text.data + is_bracketed, *colon = text.length ? memchr(text.data, ':', text.length) : NULL;
    bool is_ip6 = colon && (is_bracketed || memchr(colon + 1, ':', (size_t)(end - colon - 1)));
    const unsigned char *stop = is_bracketed ? memchr(text.data, ']', text.length) : is_ip6 || !colon ? end : colon;
    size_t length = stop ? (size_t)(stop - start) : 0;
    uint16_t port;
    if (length == 0 || length >= sizeof(ip) || peer_port_parse(bytes_of(stop + is_bracketed, (size_t)(end - stop - is_bracketed)), &port) < 0)
        return -EBADMSG;
    memcpy(ip, start, length);
    ip[length] = '\0';
    struct in_addr ip4;
    struct in6_addr ip6;
    if (!is_ip6 && !is_bracketed && inet_pton(AF_INET, ip, &ip4) == 1)
        *ret = peer_address_of_ip4(&ip4, port);
    else if (is_ip6 && inet_pton(AF_INET6, ip, &ip6) == 1)
        *ret = peer_address_of_ip6(&ip6, port);
    else
        return -EBADMSG;
    return 0;
}
