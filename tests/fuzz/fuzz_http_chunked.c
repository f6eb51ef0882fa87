/*
 * Chunked bodies: the same body and end, whole and byte by byte.
 */
#include "daemon/net/http_parse.h"

#include <stdlib.h>

static enum decode feed(const unsigned char *data, size_t size, size_t step, struct buf *body, size_t *ret_used)
{
    struct http_chunked chunked;
    struct fault fault;
    enum decode result = DECODE_MORE;
    http_chunked_init(&chunked, 4096);
    *ret_used = 0;
    while (*ret_used < size && result == DECODE_MORE) {
        size_t used;
        result = http_chunked_read(&chunked, bytes_of(data + *ret_used, MIN(step, size - *ret_used)), &used, body, &fault);
        *ret_used += used;
    }
    return result;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct buf whole = {0}, pieces = {0};
    size_t used_whole, used_pieces;
    enum decode a = feed(data, size, size, &whole, &used_whole), b = feed(data, size, 1, &pieces, &used_pieces);
    if (a != b || (a != DECODE_BAD && (used_whole != used_pieces || !bytes_equal(buf_bytes(&whole), buf_bytes(&pieces))))
        || whole.length > 4096)
        abort();
    buf_done(&whole);
    buf_done(&pieces);
    return 0;
}
