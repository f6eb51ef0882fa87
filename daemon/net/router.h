/*
 * Router: which dialect, endpoint and transport, or which file, a request is for, and which worker. Holds the lists that main made
 * up; knows none of their members.
 */
#pragma once

#include "daemon/core/ports.h"
#include "daemon/net/http_file.h"

struct config;

/* A transport as the front sees it: how its requests look, and how it opens a link. One line in transport/transports.c. */
struct transport_front {
    const struct transport *transport;
    bool (*is_on)(const struct config *config);
    bool (*claims)(const struct request *request);      /* among those of one path; NULL: all */
    void (*open)(struct link *link, const struct request *request);
};

/* An address below a dialect's base path. Exactly one of `transport` (by name) and `serve` is set. */
struct endpoint {
    const char *path;
    unsigned methods;                   /* METHOD(GET) | … */
    const char *transport;
    void (*serve)(struct link *link, const struct request *request);
    bool is_prefix;                     /* the path is what its addresses begin with */
    bool needs_token;                   /* refused, before its body is read, without a connection's token */
    bool needs_key;                     /* the same without an API key that has a level */
    bool takes_gzip;                    /* its body may be compressed: it calls coding_read() */
};
#define METHOD(name) (1u << HTTP_##name)

/* A dialect as the front sees it. One line in dialect/dialects.c. */
struct dialect_front {
    const struct dialect *dialect;      /* NULL: its endpoints make no connections */
    const char *(*base_path)(const struct config *config);
    const struct endpoint *endpoints;
    size_t endpoint_count;
    bool is_for_tests;                  /* only in builds that were asked to have it */
};

struct router {
    const struct dialect_front *const *dialects;
    size_t dialect_count;
    const struct transport_front *const *transports;    /* in the server's order of preference */
    size_t transport_count;
    const struct http_file *files;
    size_t file_count;
    const struct dialect_front *api;    /* the admin commands'; or NULL */
};

enum route { ROUTE_FOUND, ROUTE_ANSWERED, ROUTE_HANDED_OVER };

/* Fills the request's dialect, endpoint and transport; or answers it (files, refusals, OPTIONS, HEAD); or lets the link go to
 * the worker that its token names. */
enum route router_route(struct link *link, struct request *request);
