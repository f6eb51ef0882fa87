/*
 * Event stream: see event_stream.h. `event` and `retry` are of no use here: all that rtcd sends are messages, and when to come
 * back is the client's policy.
 */
#include "lib/client/event_stream.h"

void event_stream_init(struct event_stream *stream, size_t size_max)
{
    *stream = (struct event_stream){.size_max = size_max};
}

void event_stream_done(struct event_stream *stream)
{
    buf_done(&stream->line);
    buf_done(&stream->data);
    buf_done(&stream->id);
}

static void take_field(struct event_stream *stream, struct bytes line)
{
    const unsigned char *colon = memchr(line.data, ':', line.length);
    size_t length = colon ? (size_t)(colon - line.data) : line.length;
    struct bytes name = bytes_of(line.data, length);
    struct bytes value = colon ? bytes_of(colon + 1, line.length - length - 1) : (struct bytes){0};
    if (value.length && *value.data == ' ')
        value = bytes_of(value.data + 1, value.length - 1);
    if (bytes_is(name, "data")) {
        if (stream->has_data)
            buf_add_byte(&stream->data, '\n');
        buf_add_bytes(&stream->data, value);
        stream->has_data = true;
    } else if (bytes_is(name, "id") && !(value.length && memchr(value.data, '\0', value.length))) {
        buf_clear(&stream->id);
        buf_add_bytes(&stream->id, value);
        stream->has_id = true;
    }
}

/* An empty line ends an event; one without data is none. */
static void take_line(struct event_stream *stream, void (*on_event)(void *argument, struct bytes data, struct bytes id), void *argument)
{
    if (stream->line.length) {
        if (stream->line.data[0] != ':')
            take_field(stream, buf_bytes(&stream->line));
        buf_clear(&stream->line);
        return;
    }
    if (stream->has_data)
        on_event(argument, buf_bytes(&stream->data), stream->has_id ? buf_bytes(&stream->id) : (struct bytes){0});
    buf_clear(&stream->data);
    buf_clear(&stream->id);
    stream->has_data = stream->has_id = false;
}

/* The text may begin with a byte order mark, which is no part of it. */
static struct bytes skip_mark(struct event_stream *stream, struct bytes input)
{
    static const unsigned char mark[] = {0xef, 0xbb, 0xbf};
    while (stream->start < sizeof(mark) && input.length) {
        if (*input.data != mark[stream->start]) {
            buf_add(&stream->line, mark, stream->start);
            stream->start = sizeof(mark);
            break;
        }
        stream->start++;
        input = bytes_of(input.data + 1, input.length - 1);
    }
    return input;
}

int event_stream_read(struct event_stream *stream, struct bytes input, void (*on_event)(void *argument, struct bytes data, struct bytes id),
                      void *argument)
{
    input = skip_mark(stream, input);
    while (input.length) {
        if (stream->after_cr && *input.data == '\n')
            input = bytes_of(input.data + 1, input.length - 1);
        stream->after_cr = false;
        size_t length = 0;
        while (length < input.length && input.data[length] != '\n' && input.data[length] != '\r')
            length++;
        if (stream->line.length + stream->data.length + length > stream->size_max)
            return -EMSGSIZE;
        buf_add(&stream->line, input.data, length);
        if (length == input.length)
            break;
        stream->after_cr = input.data[length] == '\r';
        input = bytes_of(input.data + length + 1, input.length - length - 1);
        int r = buf_status(&stream->line);
        if (r == 0)
            take_line(stream, on_event, argument);
        if (r == 0)
            r = buf_status(&stream->data);
        if (r < 0)
            return r;
    }
    return buf_status(&stream->line);
}
