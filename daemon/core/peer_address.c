/*
 * Peer address: see peer_address.h.
 */
#include "daemon/core/peer_address.h"

#include <arpa/inet.h>
#include <stdio.h>

void peer_address_print(const struct peer_address *address, char ret_text[static PEER_TEXT_MAX])
{
    char ip[INET6_ADDRSTRLEN] = "";
    if (address->family == AF_INET) {
        inet_ntop(AF_INET, &address->ip.s6_addr[12], ip, sizeof(ip));
        snprintf(ret_text, PEER_TEXT_MAX, "%s:%u", ip, address->port);
    } else if (address->family == AF_INET6) {
        inet_ntop(AF_INET6, &address->ip, ip, sizeof(ip));
        snprintf(ret_text, PEER_TEXT_MAX, "[%s]:%u", ip, address->port);
    } else {
        snprintf(ret_text, PEER_TEXT_MAX, "unix");
    }
}
