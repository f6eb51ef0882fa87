/*
 * Stream: see stream.h.
 */
#include "lib/client/stream.h"

#include "lib/client/dial.h"
#include "lib/client/error.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    READ_BYTES = 16 * 1024, READS_MAX = 8,      /* in one turn: others are to be served as well */
    TLS_PIECE = 16 * 1024,                      /* what one TLS record holds */
    KEPT_BYTES = 4096,
};

struct stream {
    struct io *io;
    struct url url;
    struct list node;                   /* in io->finishing */
    struct dial *dial;                  /* until it is connected */
    struct tls *tls;                    /* NULL: plain */
    struct io_watch watch;
    bool has_socket, is_open, is_finishing, is_closed, wants_to_write;
    unsigned busy;                      /* depth of calls to the handler; freed when it is 0 */
    struct buf plain;                   /* to be sent, from before it was open */
    struct buf out;                     /* to be sent, as it goes out */
    size_t sent;                        /* of it, this much has gone */
    struct io_timer timer;              /* tells a failure later; the limit of stream_finish */
    struct rtc_error failed;
    const struct stream_handler *handler;
    void *owner;
};

static void stream_release(struct stream *stream)
{
    dial_end(STEAL(stream->dial));
    io_timer_stop(stream->io, &stream->timer);
    if (stream->has_socket) {
        io_watch_stop(stream->io, &stream->watch);
        close(stream->watch.descriptor);
        stream->has_socket = false;
    }
}

static void stream_leave(struct stream *stream)
{
    if (--stream->busy || !stream->is_closed)
        return;
    list_remove(&stream->node);
    tls_free(stream->tls);
    buf_done(&stream->plain);
    buf_done(&stream->out);
    free(stream);
}

void stream_close(struct stream *stream)
{
    if (!stream)
        return;
    stream->busy++;
    stream->is_closed = true;
    stream_release(stream);
    stream_leave(stream);
}

/* The end, as the owner hears of it. */
static void stream_end(struct stream *stream, const struct rtc_error *why)
{
    /* A send that failed knows why; reading after it shows but an end, as if it were in order. */
    struct rtc_error end = stream->failed.code != RTC_OK ? stream->failed : *why;
    stream_release(stream);
    if (stream->is_finishing)
        stream->is_closed = true;       /* whoever called holds it until stream_leave() */
    else if (!stream->is_closed)
        stream->handler->on_end(stream->owner, &end);
}

static void stream_end_network(struct stream *stream, const char *what, int error)
{
    struct rtc_error why;
    struct buf where = {0};
    url_add_authority(&stream->url, &where);
    error_set(&why, RTC_NETWORK, "the connection to %s broke%s%s%s", buf_text(&where), what, error ? ": " : "", error ? strerror(error) : "");
    buf_done(&where);
    stream_end(stream, &why);
}

/* From a call of the owner's, who must not be called back now. */
static void stream_end_later(struct stream *stream, const struct rtc_error *why)
{
    if (stream->failed.code != RTC_OK)
        return;
    stream->failed = *why;
    io_later(stream->io, &stream->timer);
}

static void stream_on_timer(struct io_timer *timer)
{
    struct stream *stream = CONTAINER_OF(timer, struct stream, timer);
    stream->busy++;
    if (stream->is_finishing)
        stream_close(stream);
    else
        stream_end(stream, &stream->failed);
    stream_leave(stream);
}

static bool stream_is_drained(const struct stream *stream)
{
    return stream->sent == stream->out.length;
}

/* What has gone is dropped once it is most of the queue, so that each byte is moved but once; and no idle stream keeps much. */
static void stream_tidy(struct stream *stream)
{
    if (stream_is_drained(stream) && stream->out.capacity > KEPT_BYTES)
        buf_done(&stream->out);
    else if (stream_is_drained(stream) || stream->sent > stream->out.length / 2)
        buf_consume(&stream->out, stream->sent);
    else
        return;
    stream->sent = 0;
}

/* -errno; what does not go now waits for EPOLLOUT. */
static int stream_write(struct stream *stream)
{
    while (!stream_is_drained(stream)) {
        ssize_t sent = send(stream->watch.descriptor, stream->out.data + stream->sent, stream->out.length - stream->sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN)
            return -errno;
        if (sent < 0)
            break;
        stream->sent += (size_t)sent;
    }
    stream_tidy(stream);
    bool wants_to_write = !stream_is_drained(stream);
    if (wants_to_write != stream->wants_to_write)
        io_watch_change(stream->io, &stream->watch, wants_to_write ? EPOLLIN | EPOLLOUT : EPOLLIN);
    stream->wants_to_write = wants_to_write;
    return 0;
}

/* What TLS has to say goes out. -errno. */
static int stream_push(struct stream *stream)
{
    int r = stream->tls ? tls_give(stream->tls, &stream->out) : 0;
    return r < 0 ? r : stream_write(stream);
}

static enum rtc_code stream_broke(const struct stream *stream, int r, struct rtc_error *why)
{
    return error_set(why, r == -ENOMEM ? RTC_NO_MEMORY : RTC_NETWORK, "the connection to %s broke: %s", stream->url.host, strerror(-r));
}

/* Piece by piece, so that TLS's own memory, which never shrinks, stays small. */
static enum rtc_code stream_encrypt(struct stream *stream, struct bytes bytes, struct rtc_error *why)
{
    while (bytes.length) {
        size_t piece = MIN(bytes.length, (size_t)TLS_PIECE);
        enum rtc_code code = tls_write(stream->tls, bytes_of(bytes.data, piece), why);
        int r = code == RTC_OK ? tls_give(stream->tls, &stream->out) : 0;
        if (code != RTC_OK || r < 0)
            return code != RTC_OK ? code : stream_broke(stream, r, why);
        bytes = bytes_of(bytes.data + piece, bytes.length - piece);
    }
    return RTC_OK;
}

static enum rtc_code stream_queue(struct stream *stream, struct bytes bytes, struct rtc_error *why)
{
    struct buf *queue = stream->is_open ? &stream->out : &stream->plain;
    if (bytes.length > STREAM_QUEUE_MAX - MIN(stream_queued_bytes(stream), (size_t)STREAM_QUEUE_MAX))
        return error_set(why, RTC_NETWORK, "%s takes nothing: %d bytes wait for it", stream->url.host, STREAM_QUEUE_MAX);
    if (stream->is_open && stream->tls)
        return stream_encrypt(stream, bytes, why);
    buf_add_bytes(queue, bytes);
    return buf_status(queue) < 0 ? error_no_memory(why) : RTC_OK;
}

void stream_send(struct stream *stream, struct bytes bytes)
{
    struct rtc_error why;
    if (stream->is_closed || stream->failed.code != RTC_OK || (!stream->has_socket && !stream->dial))
        return;
    enum rtc_code code = stream_queue(stream, bytes, &why);
    int r = code == RTC_OK && stream->is_open ? stream_write(stream) : 0;
    if (r < 0)
        code = stream_broke(stream, r, &why);
    if (code != RTC_OK)
        stream_end_later(stream, &why);
}

size_t stream_queued_bytes(const struct stream *stream)
{
    return stream->plain.length + stream->out.length - stream->sent;
}

void stream_set_handler(struct stream *stream, const struct stream_handler *handler, void *owner)
{
    stream->handler = handler;
    stream->owner = owner;
}

/* Connected, and TLS is agreed on: what waited goes out, before anything that the owner sends now. */
static void stream_opened(struct stream *stream)
{
    struct buf plain = stream->plain;
    stream->plain = (struct buf){0};
    stream->is_open = true;
    stream_send(stream, buf_bytes(&plain));
    buf_done(&plain);
    if (stream->handler->on_open)
        stream->handler->on_open(stream->owner);
}

static void stream_shake_hands(struct stream *stream)
{
    struct rtc_error why;
    enum decode result = tls_handshake(stream->tls, &why);
    int r = stream_push(stream);            /* an alert, too */
    if (result == DECODE_BAD)
        stream_end(stream, &why);
    else if (r < 0)
        stream_end_network(stream, " in the TLS handshake", -r);
    else if (result == DECODE_DONE)
        stream_opened(stream);
}

/* false: the stream is no more. */
static bool stream_take_tls(struct stream *stream, struct bytes bytes)
{
    unsigned char data[READ_BYTES];
    struct rtc_error why;
    size_t length;
    if (tls_take(stream->tls, bytes) < 0) {
        stream_end_network(stream, "", ENOMEM);
        return false;
    }
    if (!stream->is_open)
        stream_shake_hands(stream);
    while (stream->is_open && !stream->is_closed && stream->has_socket) {
        enum decode result = tls_read(stream->tls, data, sizeof(data), &length, &why);
        if (result == DECODE_MORE) {
            int r = stream_push(stream);        /* such as new keys */
            if (r < 0)
                stream_end_network(stream, "", -r);
            return r == 0;
        }
        if (result == DECODE_DONE && length && !stream->is_finishing) {
            stream->handler->on_data(stream->owner, data, length);
            continue;
        }
        if (result == DECODE_DONE)
            why = (struct rtc_error){0};
        if (length == 0)
            stream_end(stream, &why);
    }
    return !stream->is_closed && stream->has_socket;
}

static void stream_read(struct stream *stream)
{
    unsigned char data[READ_BYTES];
    for (int i = 0; i < READS_MAX && stream->has_socket && !stream->is_closed; i++) {
        ssize_t got = recv(stream->watch.descriptor, data, sizeof(data), 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got < 0) {
            stream_end_network(stream, "", errno);
        } else if (got == 0 && stream->tls) {
            stream_end_network(stream, stream->is_open ? " without a word of TLS" : " in the TLS handshake", 0);
        } else if (got == 0) {
            stream_end(stream, &(struct rtc_error){0});
        } else if (stream->tls) {
            if (!stream_take_tls(stream, bytes_of(data, (size_t)got)))
                return;
        } else if (!stream->is_finishing) {
            stream->handler->on_data(stream->owner, data, (size_t)got);
        }
        if (got < (ssize_t)sizeof(data))
            return;
    }
}

static void stream_on_ready(struct io_watch *watch, uint32_t events)
{
    struct stream *stream = CONTAINER_OF(watch, struct stream, watch);
    stream->busy++;
    if (events & EPOLLOUT) {
        int r = stream_write(stream);
        if (r < 0)
            stream_end_network(stream, "", -r);
        else if (stream_is_drained(stream) && stream->is_finishing)
            shutdown(watch->descriptor, SHUT_WR);
        else if (stream_is_drained(stream) && stream->is_open && stream->handler->on_writable)
            stream->handler->on_writable(stream->owner);
    }
    if (events & ~EPOLLOUT && stream->has_socket && !stream->is_closed)
        stream_read(stream);
    stream_leave(stream);
}

static void stream_on_dialed(void *owner, int descriptor, const struct rtc_error *why)
{
    struct stream *stream = owner;
    stream->busy++;
    if (descriptor < 0) {
        stream_end(stream, why);
        stream_leave(stream);
        return;
    }
    stream->watch = (struct io_watch){.descriptor = descriptor, .on_ready = stream_on_ready};
    stream->has_socket = true;
    dial_end(STEAL(stream->dial));
    int r = io_watch_set(stream->io, &stream->watch, EPOLLIN);
    if (r < 0)
        stream_end_network(stream, "", -r);
    else if (stream->tls)
        stream_shake_hands(stream);
    else
        stream_opened(stream);
    stream_leave(stream);
}

struct stream *stream_open(struct io *io, const struct url *url, struct tls_context *tls, const struct stream_handler *handler,
                           void *owner, struct rtc_error *error)
{
    struct stream *stream = calloc(1, sizeof(*stream));
    if (!stream) {
        error_no_memory(error);
        return NULL;
    }
    *stream = (struct stream){.io = io, .url = *url, .handler = handler, .owner = owner, .timer.on_due = stream_on_timer};
    list_init(&stream->node);
    error_no_memory(error);             /* what else there can be no context for TLS of */
    stream->tls = url->is_tls && tls ? tls_new(tls, url, error) : NULL;
    if (!url->is_tls || stream->tls)
        stream->dial = dial_start(io, url, stream_on_dialed, stream, error);
    if (stream->dial)
        return stream;
    stream_close(stream);
    return NULL;
}

void stream_finish(struct stream *stream, uint64_t ms)
{
    if (!stream)
        return;
    if (stream->is_open && stream->tls && stream->has_socket) {
        tls_close(stream->tls);
        (void)!stream_push(stream);
    }
    if (!stream->has_socket || !stream->is_open || stream->failed.code != RTC_OK) {
        stream_close(stream);
        return;
    }
    /* Closing while something is unread would reset the connection, and what was sent last might be lost with it. */
    if (stream_is_drained(stream))
        shutdown(stream->watch.descriptor, SHUT_WR);
    stream->is_finishing = true;
    list_append(&stream->io->finishing, &stream->node);
    io_timer_set(stream->io, &stream->timer, ms);
}

void stream_close_finishing(struct io *io)
{
    LIST_EACH(item, &io->finishing)
        stream_close(CONTAINER_OF(item, struct stream, node));
}
