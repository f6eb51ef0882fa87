/*
 * Stream: a connection to a server, plain or TLS, as bytes both ways. Knows nothing of what they mean.
 */
#pragma once

#include "lib/client/io.h"
#include "lib/client/tls.h"
#include "lib/client/url.h"

enum { STREAM_QUEUE_MAX = 16 * 1024 * 1024 };       /* bytes that wait to be sent; more: the stream has failed */

struct stream;

struct stream_handler {
    void (*on_open)(void *owner);
    void (*on_data)(void *owner, unsigned char *data, size_t length);       /* may be changed in place */
    void (*on_writable)(void *owner);                                       /* all that waited has been sent; NULL is fine */
    void (*on_end)(void *owner, const struct rtc_error *why);               /* once; code RTC_OK: the peer closed in order */
};

/* Calls back later, never within these functions. NULL: failed at once, see `error`. `tls` is for https. */
struct stream *stream_open(struct io *io, const struct url *url, struct tls_context *tls, const struct stream_handler *handler,
                           void *owner, struct rtc_error *error);
/* Sends, or queues what does not go at once; before on_open too. What goes wrong is told by on_end. */
void stream_send(struct stream *stream, struct bytes bytes);
size_t stream_queued_bytes(const struct stream *stream);
/* Another owner; no data that came before is lost. */
void stream_set_handler(struct stream *stream, const struct stream_handler *handler, void *owner);
/* No call comes after either; fine in any callback. close: at once. finish: once all is sent and the peer has closed as well, or
 * after `ms`; it frees itself. */
void stream_close(struct stream *stream);
void stream_finish(struct stream *stream, uint64_t ms);
/* Those that finish, at once: before io_done. */
void stream_close_finishing(struct io *io);
