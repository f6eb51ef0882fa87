/*
 * MessagePack: the reader stays inside its input, and a value it took is taken again alone.
 */
#include "lib/msgpack.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct msgpack_scan scan;
    struct bytes value, again;
    msgpack_scan_init(&scan, bytes_of(data, size));
    while (scan.at < scan.end && msgpack_take(&scan, MSGPACK_DEPTH_MAX, &value) == 0) {
        struct msgpack_scan alone;
        msgpack_scan_init(&alone, value);
        if (msgpack_take_all(&alone, MSGPACK_DEPTH_MAX, &again) < 0 || !bytes_equal(value, again))
            abort();
    }
    if (scan.at < data || scan.at > data + size)
        abort();
    return 0;
}
