/*
 * Caller: see caller.h.
 */
#include "lib/client/caller.h"

#include "lib/client/error.h"

static void caller_hang_up(struct caller *caller)
{
    stream_close(STEAL(caller->stream));
    caller->is_kept = false;
}

static void caller_finish(struct caller *caller)
{
    caller->is_busy = false;
    http_reader_done(&caller->reader);
    buf_done(&caller->request);
}

static void caller_fail(struct caller *caller, const struct rtc_error *why)
{
    struct rtc_error error = *why;
    caller_hang_up(caller);
    caller_finish(caller);
    caller->handler->on_failed(caller->owner, &error);
}

static void caller_on_fail_timer(struct io_timer *timer)
{
    struct caller *caller = CONTAINER_OF(timer, struct caller, fail_timer);
    caller_fail(caller, &caller->failed);
}

static void caller_fail_later(struct caller *caller, const struct rtc_error *why)
{
    caller->failed = *why;
    io_later(caller->io, &caller->fail_timer);
}

static void caller_complete(struct caller *caller, bool has_more)
{
    unsigned status = caller->reader.status;
    struct buf body = caller->body;
    caller->body = (struct buf){0};
    if (!caller->reader.can_stay || has_more)
        caller_hang_up(caller);
    caller_finish(caller);
    caller->handler->on_done(caller->owner, status, buf_bytes(&body));
    buf_done(&body);
}

/* false: the answer is not wanted any more. */
static bool caller_take(struct caller *caller, enum http_event event, struct bytes piece, struct rtc_error *error)
{
    if (event == HTTP_EVENT_HEAD) {
        const struct stream *stream = caller->stream;
        bool is_in_pieces = caller->handler->on_head && caller->handler->on_head(caller->owner, &caller->reader);
        if (caller->stream == stream)
            caller->is_in_pieces = is_in_pieces;
    } else if (caller->is_in_pieces) {
        caller->handler->on_body(caller->owner, piece);
    } else if (piece.length > CALLER_BODY_MAX - caller->body.length) {
        error_set(error, RTC_BAD_ANSWER, "the answer has more than %d bytes", CALLER_BODY_MAX);
        return false;
    } else {
        buf_add_bytes(&caller->body, piece);
        if (buf_status(&caller->body) < 0) {
            error_no_memory(error);
            return false;
        }
    }
    return true;
}

static void caller_on_data(void *owner, unsigned char *data, size_t length)
{
    struct caller *caller = owner;
    struct rtc_error why;
    struct bytes input = bytes_of(data, length), piece;
    enum http_event event;
    enum decode result = DECODE_DONE;
    size_t used;
    /* Who cancels in a callback may ask anew at once: over another stream, of which this is not the answer. */
    const struct stream *stream = caller->stream;
    caller->has_heard = true;
    if (!caller->is_busy) {
        caller_hang_up(caller);         /* nobody asked */
        return;
    }
    while (caller->stream == stream && (result = http_read(&caller->reader, input, &used, &event, &piece, &why)) == DECODE_DONE) {
        input = bytes_of(input.data + used, input.length - used);
        if (event == HTTP_EVENT_END) {
            caller_complete(caller, input.length != 0);
            return;
        }
        if (!caller_take(caller, event, piece, &why)) {
            result = DECODE_BAD;
            break;
        }
    }
    if (caller->stream == stream && result == DECODE_BAD)
        caller_fail(caller, &why);
}

static void caller_connect(struct caller *caller);

static void caller_on_end(void *owner, const struct rtc_error *why)
{
    struct caller *caller = owner;
    struct rtc_error error = *why;
    if (!caller->is_busy) {
        caller_hang_up(caller);
    } else if (caller->has_heard && http_reader_ends_at_close(&caller->reader) && why->code == RTC_OK) {
        caller->reader.can_stay = false;
        caller_complete(caller, false);
    } else if (caller->is_kept && !caller->has_heard && caller->is_repeatable) {
        /* The server had closed it meanwhile, as servers do with idle connections. */
        caller_hang_up(caller);
        caller_connect(caller);
    } else {
        if (error.code == RTC_OK)
            error_set(&error, RTC_NETWORK, "%s hung up %s", caller->url.host, caller->has_heard ? "in the middle of its answer" : "without an answer");
        caller_fail(caller, &error);
    }
}

static const struct stream_handler caller_stream_handler = {.on_data = caller_on_data, .on_end = caller_on_end};

static void caller_connect(struct caller *caller)
{
    struct rtc_error why;
    caller->stream = stream_open(caller->io, &caller->url, caller->tls, &caller_stream_handler, caller, &why);
    if (caller->stream)
        stream_send(caller->stream, buf_bytes(&caller->request));
    else
        caller_fail_later(caller, &why);
}

void caller_init(struct caller *caller, struct io *io, struct tls_context *tls, const struct caller_handler *handler, void *owner)
{
    *caller = (struct caller){.io = io, .tls = tls, .handler = handler, .owner = owner, .fail_timer.on_due = caller_on_fail_timer};
}

void caller_cancel(struct caller *caller)
{
    io_timer_stop(caller->io, &caller->fail_timer);
    caller_hang_up(caller);
    caller_finish(caller);
    buf_done(&caller->body);
}

void caller_done(struct caller *caller)
{
    if (caller->io)
        caller_cancel(caller);
}

static int caller_write(struct caller *caller, const struct caller_request *request)
{
    struct buf *out = &caller->request;
    buf_clear(out);
    buf_add_format(out, "%s %s HTTP/1.1\r\nHost: ", request->method, request->url->path);
    url_add_authority(request->url, out);
    buf_add_text(out, "\r\n");
    buf_add_bytes(out, request->fields);
    if (request->has_body)
        buf_add_format(out, "Content-Length: %zu\r\n", request->body.length);
    buf_add_text(out, "\r\n");
    if (request->has_body)
        buf_add_bytes(out, request->body);
    return buf_status(out);
}

void caller_ask(struct caller *caller, const struct caller_request *request)
{
    struct rtc_error why;
    assert(!caller->is_busy);
    if (caller->stream && !url_is_same_server(&caller->url, request->url))
        caller_hang_up(caller);
    caller->url = *request->url;
    caller->is_busy = true;
    caller->is_repeatable = request->is_repeatable;
    caller->has_heard = caller->is_in_pieces = false;
    caller->is_kept = caller->stream != NULL;
    buf_done(&caller->body);
    http_reader_init(&caller->reader);
    if (caller_write(caller, request) < 0) {
        error_no_memory(&why);
        caller_fail_later(caller, &why);
    } else if (caller->stream) {
        stream_send(caller->stream, buf_bytes(&caller->request));
    } else {
        caller_connect(caller);
    }
}
