/*
 * Caller: HTTP requests to servers, one at a time, over a connection that is kept from one to the next where it goes to the same
 * server. Embedded in who asks. The owner may free it in on_done and on_failed, which are the last thing that is done.
 */
#pragma once

#include "lib/client/http_response.h"
#include "lib/client/stream.h"

enum { CALLER_BODY_MAX = 16 * 1024 * 1024 };

struct caller_handler {
    /* NULL is fine. true: the body comes piece by piece, to on_body, as long as it lasts. */
    bool (*on_head)(void *owner, const struct http_reader *reader);
    void (*on_body)(void *owner, struct bytes piece);
    /* Whole; the body is empty where it came in pieces. */
    void (*on_done)(void *owner, unsigned status, struct bytes body);
    void (*on_failed)(void *owner, const struct rtc_error *why);
};

struct caller_request {
    const char *method;
    const struct url *url;
    struct bytes fields;                /* "Name: value\r\n" for each; Host, Connection and Content-Length are added */
    bool has_body;
    struct bytes body;
    bool is_repeatable;                 /* doing it twice is the same as once: a kept connection that breaks gets a second try */
};

struct caller {
    struct io *io;
    struct tls_context *tls;
    struct stream *stream;
    struct url url;                     /* where the stream goes */
    struct http_reader reader;
    struct buf request, body;
    bool is_busy, is_kept, is_repeatable, has_heard, is_in_pieces;
    struct io_timer fail_timer;
    struct rtc_error failed;
    const struct caller_handler *handler;
    void *owner;
};

void caller_init(struct caller *caller, struct io *io, struct tls_context *tls, const struct caller_handler *handler, void *owner);
void caller_done(struct caller *caller);        /* no call comes after this */
/* What goes wrong is told later, by on_failed. */
void caller_ask(struct caller *caller, const struct caller_request *request);
/* Ends the request under way, and its connection. In on_head and on_body too: what these were given is gone then. */
void caller_cancel(struct caller *caller);
