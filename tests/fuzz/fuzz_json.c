/*
 * JSON: whatever the reader takes can be compacted to the same value, and taken again.
 */
#include "lib/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct json_scan scan;
    struct bytes value, again;
    struct buf compact = {0}, twice = {0};
    json_scan_init(&scan, bytes_of(data, size));
    if (json_take_all(&scan, JSON_DEPTH_MAX, &value) < 0) {
        if (!scan.problem || scan.at < data || scan.at > data + size)
            abort();
        return 0;
    }
    json_add_compact(&compact, value);
    json_scan_init(&scan, buf_bytes(&compact));
    if (json_take_all(&scan, JSON_DEPTH_MAX, &again) < 0 || scan.saw_newline)
        abort();
    json_add_compact(&twice, again);
    if (!bytes_equal(buf_bytes(&compact), buf_bytes(&twice)))
        abort();
    buf_done(&compact);
    buf_done(&twice);
    return 0;
}
