/*
 * Server-sent events: the same events, whole and byte by byte, and none larger than it may be.
 */
#include "lib/client/event_stream.h"

#include <stdlib.h>

enum { EVENT_MAX = 64 };

static void add_event(void *argument, struct bytes data, struct bytes id)
{
    struct buf *seen = argument;
    if (data.length > EVENT_MAX || memchr(data.length ? data.data : (const unsigned char *)"x", '\r', data.length))
        abort();
    buf_add_bytes(seen, id);
    buf_add_byte(seen, '=');
    buf_add_bytes(seen, data);
    buf_add_byte(seen, ';');
}

static int feed(const unsigned char *data, size_t size, size_t step, struct buf *seen)
{
    struct event_stream stream;
    int r = 0;
    event_stream_init(&stream, EVENT_MAX);
    for (size_t at = 0; at < size && r == 0; at += step)
        r = event_stream_read(&stream, bytes_of(data + at, MIN(step, size - at)), add_event, seen);
    event_stream_done(&stream);
    return r;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct buf whole = {0}, pieces = {0};
    if (feed(data, size, size ? size : 1, &whole) != feed(data, size, 1, &pieces) || !bytes_equal(buf_bytes(&whole), buf_bytes(&pieces)))
        abort();
    buf_done(&whole);
    buf_done(&pieces);
    return 0;
}
