/*
 * Transcoding: what becomes JSON is JSON, goes back, and from then on stays what it is.
 */
#include "lib/json.h"
#include "lib/transcode.h"

#include <stdlib.h>

static void check(struct bytes json)
{
    struct buf packed = {0}, text = {0}, packed_again = {0};
    const char *problem;
    if (transcode_to_msgpack(&packed, json, &problem) == 0) {
        if (transcode_to_json(&text, buf_bytes(&packed), &problem) < 0)
            abort();
        if (transcode_to_msgpack(&packed_again, buf_bytes(&text), &problem) < 0)
            abort();
        if (!bytes_equal(buf_bytes(&packed), buf_bytes(&packed_again)))
            abort();
    }
    buf_done(&packed);
    buf_done(&text);
    buf_done(&packed_again);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct buf text = {0};
    struct bytes value;
    struct json_scan scan;
    check(bytes_of(data, size));
    if (transcode_to_json(&text, bytes_of(data, size), NULL) == 0) {
        json_scan_init(&scan, buf_bytes(&text));
        if (json_take_all(&scan, JSON_DEPTH_MAX, &value) < 0 && size < 64)
            abort();
    }
    buf_done(&text);
    return 0;
}
