/*
 * HTTP heads: the same verdict however the bytes are cut; slices stay inside.
 */
#include "daemon/net/http_parse.h"

#include <stdlib.h>

static const struct http_limits limits = {.head_bytes_max = 4096, .target_bytes_max = 512, .header_count_max = 32,
                                          .body_bytes_max = 65536};

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static struct http_head whole, head;
    struct fault fault = {0};
    size_t resume = 0;
    enum decode verdict = http_parse_head(bytes_of(data, size), &limits, &resume, &whole, &fault);
    if (verdict == DECODE_BAD && fault.id == FAULT_NONE)
        abort();
    if (verdict != DECODE_DONE)
        return 0;
    if (whole.head_bytes > size || whole.path.length > size || (whole.is_chunked && whole.has_length))
        abort();
    resume = 0;
    for (size_t length = 1; length < whole.head_bytes; length++)
        if (http_parse_head(bytes_of(data, length), &limits, &resume, &head, &fault) == DECODE_DONE)
            abort();
    if (http_parse_head(bytes_of(data, size), &limits, &resume, &head, &fault) != DECODE_DONE
        || head.head_bytes != whole.head_bytes || head.header_count != whole.header_count)
        abort();
    struct bytes rest = whole.query, name, value;
    while (http_next_parameter(&rest, &name, &value))
        if (name.length + value.length > whole.query.length)
            abort();
    return 0;
}
