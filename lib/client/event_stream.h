/*
 * Event stream: a decoder of server-sent events (WHATWG HTML, "Server-sent events"), without I/O: bytes in, events out.
 */
#pragma once

#include "lib/buf.h"

struct event_stream {
    struct buf line, data, id;
    size_t size_max;                    /* of one event */
    unsigned start;                     /* how much of a byte order mark has come; 3: that is over */
    bool has_data, has_id;
    bool after_cr;                      /* a LF that follows belongs to it */
};

void event_stream_init(struct event_stream *stream, size_t size_max);
void event_stream_done(struct event_stream *stream);
/*
 * Calls `on_event` for each event that is whole; `id` is empty when the event has none of its own. -EMSGSIZE: an event is larger
 * than allowed; -ENOMEM. It may not be called again within `on_event`.
 */
MUST_CHECK int event_stream_read(struct event_stream *stream, struct bytes input,
                                 void (*on_event)(void *argument, struct bytes data, struct bytes id), void *argument);
