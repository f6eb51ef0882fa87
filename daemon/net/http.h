/*
 * HTTP: the front of every link. Reads requests one after the other (RFC 9112), keeps their deadlines, hands them to the
 * router, and writes answers. Whatever is ambiguous is refused and the link closed.
 */
#pragma once

#include "daemon/net/http_parse.h"
#include "daemon/net/link.h"
#include "lib/admin_commands.h"

struct dialect_front;
struct endpoint;
struct http_file;
struct transport_front;
struct verdict;

enum { REQUEST_CALLER = 80 };

struct request {
    const struct http_head *head;
    const unsigned char *head_bytes;    /* where its slices lie */
    struct bytes body;
    const struct dialect_front *dialect;
    const struct endpoint *endpoint;            /* NULL: the request is for a file */
    const struct http_file *file;
    const struct transport_front *transport;    /* NULL: the endpoint serves by itself */
    bool has_token, is_token;           /* the parameter is there; it is well formed, and here it is */
    struct token token;
    enum admin_access access;           /* of an endpoint that needs a key: what the key may do, */
    char caller[REQUEST_CALLER];        /* and whose it is */
    const struct verdict *verdict;      /* of the gate, where it has waited there (admission.h); else NULL */
};

/* The connection whose token the request carries; NULL: none, or it is not here any more. */
struct connection *request_connection(const struct request *request, struct hub *hub);
/* Why that connection was ended for good, where its client was not told; NULL: not known. */
const struct fault *request_farewell(const struct request *request, const struct hub *hub);

/* The value of a query parameter, decoded into `scratch`; data is NULL when it is absent or badly encoded. */
struct bytes request_parameter(const struct request *request, const char *name, struct buf *scratch);

struct response {
    unsigned status;
    const char *content_type;               /* NULL: no body */
    struct bytes body;
    bool is_constant;                       /* the body stays as it is as long as the program runs */
    const char *cache;                      /* Cache-Control; NULL: nothing is kept */
    const char *extra;                      /* further header lines, each with CRLF; or NULL */
};

/* Puts a new link under the front. */
void http_start(struct link *link);
/* Answers the present request; then the next one is read, or the link closed. */
void http_respond(struct link *link, const struct response *response);
/* Answers with application/problem+json (RFC 9457). `closes`: nothing more is read from this link. */
void http_refuse(struct link *link, const struct fault *fault, bool closes, const char *extra);
/* The head of an answer without an end (SSE); what follows is link_send()'s. */
void http_begin_stream(struct link *link, const char *content_type);
/* The head of 101 (WebSocket). `extra` has its own header lines. */
void http_switch(struct link *link, const char *extra);
/* The answer comes later: nothing more is read, and a hang-up goes to `handler`. The caller sets a deadline. */
void http_hold(struct link *link, const struct link_handler *handler);
/* A copy of the request, its body too, for when its answer can only be found later; NULL: out of memory. */
struct upload *http_keep(const struct request *request);
/* Serves what was kept, as if it had just come: the link is not held any more. Frees it. */
void http_serve_kept(struct link *link, struct upload *kept, const struct verdict *verdict);
/* The daemon stops: links that only wait are closed. */
void http_stop(struct link *link);

void upload_free(struct upload *upload);
