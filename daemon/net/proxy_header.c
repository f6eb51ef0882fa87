/*
 * PROXY header: see proxy_header.h.
 */
#include "daemon/net/proxy_header.h"

#include <string.h>

static const unsigned char signature[] = {'\r', '\n', '\r', '\n', '\0', '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

enum {
    AT_COMMAND = sizeof(signature), AT_FAMILY, AT_LENGTH,
    VERSION_2 = 0x20, COMMAND_LOCAL = 0, COMMAND_PROXY = 1,
    UNSPEC = 0x00, TCP_OVER_IP4 = 0x11, TCP_OVER_IP6 = 0x21, STREAM_OVER_UNIX = 0x31,
};

/* How long the addresses of a family are; -1: it is none that a client of ours can have come by. */
static int address_bytes(unsigned char family)
{
    switch (family) {
    case UNSPEC:
        return 0;
    case TCP_OVER_IP4:
        return 2 * (4 + 2);
    case TCP_OVER_IP6:
        return 2 * (16 + 2);
    case STREAM_OVER_UNIX:
        return 2 * 108;
    default:
        return -1;
    }
}

static uint16_t read_uint16(const unsigned char *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* The source comes first, and the ports behind both addresses. */
static struct peer_address read_address(unsigned char family, const unsigned char *at)
{
    struct in_addr ip4;
    struct in6_addr ip6;
    switch (family) {
    case TCP_OVER_IP4:
        memcpy(&ip4, at, sizeof(ip4));
        return peer_address_of_ip4(&ip4, read_uint16(at + 8));
    case TCP_OVER_IP6:
        memcpy(&ip6, at, sizeof(ip6));
        return peer_address_of_ip6(&ip6, read_uint16(at + 32));
    default:
        return (struct peer_address){.family = AF_UNIX};
    }
}

/* As soon as a byte is wrong, however many are still to come. */
static enum decode check_fixed(struct bytes input, struct fault *fault)
{
    if (memcmp(input.data, signature, MIN(input.length, sizeof(signature))) != 0)
        return fault_set(fault, FAULT_BAD_REQUEST, "it does not begin with a PROXY header of version 2");
    if (input.length > AT_COMMAND && input.data[AT_COMMAND] != (VERSION_2 | COMMAND_LOCAL)
        && input.data[AT_COMMAND] != (VERSION_2 | COMMAND_PROXY))
        return fault_set(fault, FAULT_BAD_REQUEST, "version and command are 0x%02x", input.data[AT_COMMAND]);
    if (input.length > AT_FAMILY && input.data[AT_COMMAND] == (VERSION_2 | COMMAND_PROXY) && address_bytes(input.data[AT_FAMILY]) < 0)
        return fault_set(fault, FAULT_BAD_REQUEST, "clients do not come by the protocol 0x%02x", input.data[AT_FAMILY]);
    return DECODE_MORE;
}

enum decode proxy_header_read(struct bytes input, struct proxy_header *ret, size_t *ret_wanted, struct fault *fault)
{
    *ret_wanted = PROXY_HEADER_FIXED;
    if (input.length == 0)
        return DECODE_MORE;
    enum decode result = check_fixed(input, fault);
    if (result != DECODE_MORE || input.length < PROXY_HEADER_FIXED)
        return result;

    unsigned char family = input.data[AT_FAMILY];
    bool is_local = input.data[AT_COMMAND] == (VERSION_2 | COMMAND_LOCAL);
    size_t length = read_uint16(input.data + AT_LENGTH);
    if (!is_local && length < (size_t)address_bytes(family))
        return fault_set(fault, FAULT_BAD_REQUEST, "%zu bytes hold no address of the family 0x%02x", length, family);
    if (PROXY_HEADER_FIXED + length > PROXY_HEADER_MAX)
        return fault_set(fault, FAULT_BAD_REQUEST, "it has %zu bytes, and %d at most are taken", PROXY_HEADER_FIXED + length, PROXY_HEADER_MAX);
    *ret_wanted = PROXY_HEADER_FIXED + length;
    if (input.length < *ret_wanted)
        return DECODE_MORE;
    *ret = (struct proxy_header){.has_address = !is_local && family != UNSPEC, .bytes = *ret_wanted};
    if (ret->has_address)
        ret->address = read_address(family, input.data + PROXY_HEADER_FIXED);
    return DECODE_DONE;
}
