/*
 * PROXY headers: the same verdict whole and byte by byte, and never a byte behind the header.
 */
#include "daemon/net/proxy_header.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct proxy_header whole = {0}, header = {0};
    struct fault fault = {0};
    size_t wanted, length = 0;
    char text[PEER_TEXT_MAX];
    enum decode verdict = proxy_header_read(bytes_of(data, size), &whole, &wanted, &fault);
    if (verdict == DECODE_BAD ? fault.id == FAULT_NONE : verdict == DECODE_DONE ? wanted != whole.bytes || wanted > size : wanted <= size)
        abort();
    if (wanted > PROXY_HEADER_MAX)
        abort();
    enum decode result;
    while ((result = proxy_header_read(bytes_of(data, length), &header, &wanted, &fault)) == DECODE_MORE && length < size)
        length++;
    if (result != verdict || (result == DECODE_DONE && length != whole.bytes))
        abort();
    if (result == DECODE_DONE && whole.has_address)
        peer_address_print(&header.address, text);
    return 0;
}
