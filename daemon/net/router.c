/*
 * Router: see router.h.
 */
#include "daemon/net/router.h"

#include "daemon/config/config.h"
#include "daemon/core/hub.h"
#include "daemon/net/credentials.h"
#include "daemon/net/origin.h"

#include <stdio.h>
#include <stdlib.h>

/* A body that nobody is going to read would be taken for the next request. */
static void route_skip_body(struct link *link, const struct request *request)
{
    if (request->head->is_chunked || request->head->content_length)
        link->keeps_alive = false;
}

static enum route route_refuse(struct link *link, const struct request *request, enum fault_id id, const char *detail,
                               const char *extra)
{
    struct fault fault;
    fault_set(&fault, id, "%s", detail);
    route_skip_body(link, request);
    http_refuse(link, &fault, false, extra);
    return ROUTE_ANSWERED;
}

static const struct transport_front *transport_find(const struct router *router, const char *name)
{
    for (size_t i = 0; i < router->transport_count; i++)
        if (strcmp(router->transports[i]->transport->name, name) == 0)
            return router->transports[i];
    return NULL;
}

/* Does this endpoint take the request? Its transport must be on and claim it. */
static bool endpoint_takes(struct link *link, struct request *request, const struct endpoint *endpoint)
{
    request->transport = NULL;
    if (!endpoint->transport)
        return true;
    const struct transport_front *front = transport_find(link->worker->router, endpoint->transport);
    if (!front || !front->is_on(link->worker->hub->config) || (front->claims && !front->claims(request)))
        return false;
    request->transport = front;
    return true;
}

static bool endpoint_is_at(const struct endpoint *endpoint, struct bytes path)
{
    size_t length = strlen(endpoint->path);
    if (endpoint->is_prefix && path.length > length)
        path.length = length;
    return bytes_is(path, endpoint->path);
}

/* What of the path is behind a dialect's base path; data is NULL: it is not below it. */
static struct bytes path_below(struct bytes path, const char *base_path)
{
    struct bytes base = bytes_text(base_path);
    if (path.length < base.length || memcmp(path.data, base.data, base.length) != 0)
        return (struct bytes){0};
    return bytes_of(path.data + base.length, path.length - base.length);
}

static bool router_find_file(struct link *link, struct request *request, struct bytes path, enum http_method method,
                             unsigned *ret_methods)
{
    const struct router *router = link->worker->router;
    const struct config *config = link->worker->hub->config;
    struct bytes below = path_below(path, config->http.base_path);
    for (size_t i = 0; i < router->file_count; i++) {
        const struct http_file *file = &router->files[i];
        if (!bytes_is(file->is_below_base ? below : path, file->path) || (file->is_on && !file->is_on(config)))
            continue;
        *ret_methods |= METHOD(GET);
        request->file = file;
        return method == HTTP_GET;
    }
    return false;
}

static bool router_find_below(struct link *link, struct request *request, const struct dialect_front *dialect, struct bytes path,
                              enum http_method method, unsigned *ret_methods)
{
    struct bytes below = path_below(path, dialect->base_path(link->worker->hub->config));
    for (size_t e = 0; below.data && e < dialect->endpoint_count; e++) {
        const struct endpoint *endpoint = &dialect->endpoints[e];
        if (!endpoint_is_at(endpoint, below) || !endpoint_takes(link, request, endpoint))
            continue;
        *ret_methods |= endpoint->methods;
        if (!(endpoint->methods & 1u << method))
            continue;
        request->dialect = dialect;
        request->endpoint = endpoint;
        return true;
    }
    return false;
}

/* Finds the endpoint or the file; *ret_methods collects what the path allows. */
static bool router_find(struct link *link, struct request *request, struct bytes path, unsigned *ret_methods)
{
    const struct router *router = link->worker->router;
    enum http_method method = request->head->method == HTTP_HEAD ? HTTP_GET : request->head->method;
    for (size_t d = 0; d < router->dialect_count; d++)
        if (router_find_below(link, request, router->dialects[d], path, method, ret_methods))
            return true;
    return (router->api && router_find_below(link, request, router->api, path, method, ret_methods))
        || router_find_file(link, request, path, method, ret_methods);
}

static void methods_print(unsigned methods, char *out, size_t size)
{
    static const struct { unsigned bit; const char *name; } names[] = {
        {METHOD(GET), "GET, HEAD, "}, {METHOD(POST), "POST, "}, {METHOD(PUT), "PUT, "}, {METHOD(DELETE), "DELETE, "},
    };
    *out = '\0';
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (methods & names[i].bit)
            strncat(out, names[i].name, size - strlen(out) - 1);
    strncat(out, "OPTIONS", size - strlen(out) - 1);
}

/* OPTIONS (RFC 9110 section 9.3.7), and the preflight of the Fetch standard. */
static enum route route_options(struct link *link, struct request *request, unsigned methods)
{
    char names[64], extra[400];
    methods_print(methods, names, sizeof(names));
    int length = snprintf(extra, sizeof(extra), "Allow: %s\r\n", names);
    if (link->work->origin && http_header(request->head, "access-control-request-method").data)
        snprintf(extra + length, sizeof(extra) - (size_t)length,
                 "Access-Control-Allow-Methods: %s\r\n"
                 "Access-Control-Allow-Headers: Authorization, Content-Type, Content-Encoding, Idempotency-Key, Last-Event-ID\r\n"
                 "Access-Control-Max-Age: 86400\r\n", names);
    route_skip_body(link, request);
    http_respond(link, &(struct response){.status = 204, .extra = extra});
    return ROUTE_ANSWERED;
}

static enum route route_no_method(struct link *link, struct request *request, unsigned methods)
{
    char names[64], extra[80], detail[120];
    methods_print(methods, names, sizeof(names));
    snprintf(extra, sizeof(extra), "Allow: %s\r\n", names);
    snprintf(detail, sizeof(detail), "this address takes %s", names);
    return route_refuse(link, request, FAULT_BAD_METHOD, detail, extra);
}

static enum route route_by_key(struct link *link, struct request *request)
{
    struct fault fault;
    if (credentials_take_key(link, request, &fault) == FAULT_NONE)
        return ROUTE_FOUND;
    return route_refuse(link, request, fault.id, fault.detail, NULL);
}

/* The token names the worker that owns the connection: the link goes there with all that was read of it. */
static enum route route_by_token(struct link *link, struct request *request)
{
    struct worker *worker = link->worker;
    struct bytes token = request_parameter(request, "token", &worker->scratch);
    request->has_token = token.data != NULL;
    request->is_token = request->has_token && token_parse(token, &request->token) == 0
        && token_worker(&request->token) < worker->worker_count;
    if (request->is_token && token_worker(&request->token) != worker->index) {
        link_hand_over(link, token_worker(&request->token));
        return ROUTE_HANDED_OVER;
    }
    if (request->is_token && credentials_are_shown(request)) {
        struct connection *connection = request_connection(request, worker->hub);
        struct fault fault = {0};
        if (connection && credentials_check(link, request, connection, &fault) != FAULT_NONE)
            return route_refuse(link, request, fault.id, fault.detail, NULL);
    }
    if (request->endpoint->needs_token && !request_connection(request, worker->hub)) {
        const struct fault *farewell = request_farewell(request, worker->hub);
        if (farewell)
            return route_refuse(link, request, farewell->id, farewell->detail, NULL);
        return route_refuse(link, request, FAULT_UNKNOWN_TOKEN, request->has_token
                            ? "no connection has this token; negotiate again" : "the query parameter token is missing", NULL);
    }
    return ROUTE_FOUND;
}

enum route router_route(struct link *link, struct request *request)
{
    const struct http_head *head = request->head;
    if (link->work->origin && !origin_is_allowed(link, head)) {
        free(STEAL(link->work->origin));
        metrics_add(&link->worker->hub->metrics, METRIC_ORIGINS_REFUSED, 1);
        return route_refuse(link, request, FAULT_FORBIDDEN, "pages from this origin may not connect; allow it in http.origins, or, if "
                            "this host serves it through a proxy that speaks TLS, name that in http.trusted-proxies", NULL);
    }
    if (bytes_is(head->path, "*"))
        return route_options(link, request, METHOD(GET) | METHOD(POST) | METHOD(DELETE));

    struct buf *scratch = &link->worker->scratch;
    buf_clear(scratch);
    unsigned methods = 0;
    bool is_path = text_url_decode(scratch, head->path, false) == 0;
    bool is_found = is_path && router_find(link, request, buf_bytes(scratch), &methods);
    if (!is_found && !methods)
        return route_refuse(link, request, FAULT_NOT_FOUND, "there is nothing at this address", NULL);
    if (head->method == HTTP_OPTIONS)
        return route_options(link, request, methods);
    if (!is_found)
        return route_no_method(link, request, methods);
    if (request->file || head->method == HTTP_HEAD)
        route_skip_body(link, request);
    if (request->file) {
        http_file_serve(link, head, request->file);
        return ROUTE_ANSWERED;
    }
    if (head->method == HTTP_HEAD) {
        /* Opening a transport has effects that HEAD must not have; that the address exists can be said. */
        http_respond(link, &(struct response){.status = 200});
        return ROUTE_ANSWERED;
    }
    return request->endpoint->needs_key ? route_by_key(link, request) : route_by_token(link, request);
}
