/*
 * HTTP: see http.h. Requests in; answers are in http_answer.c.
 */
#include "daemon/net/http.h"

#include "daemon/config/config.h"
#include "daemon/net/forwarded.h"
#include "daemon/net/http_answer.h"
#include "daemon/net/http_coding.h"
#include "daemon/net/origin.h"
#include "daemon/net/router.h"

#include <stdlib.h>

/* Of the body of whoever has proved nothing yet: what they can do is soon said. */
enum { UNPROVED_BODY_MAX = 4096 };

/* A request whose body is still coming, or whose answer has to wait: a copy of its head, since the bytes it came in are gone by then. */
struct upload {
    struct request request;
    struct http_head head;
    struct http_chunked chunked;
    uint64_t left;                  /* of a body with Content-Length */
    struct buf body;
    unsigned char head_bytes[];
};

void upload_free(struct upload *upload)
{
    if (!upload)
        return;
    buf_done(&upload->body);
    free(upload);
}

static void rebase(struct bytes *slice, const unsigned char *from, const unsigned char *to)
{
    if (slice->data)
        slice->data = to + (slice->data - from);
}

static struct upload *upload_new(const struct request *request, uint64_t body_bytes_max)
{
    const struct http_head *head = request->head;
    const unsigned char *bytes = request->head_bytes;
    struct upload *upload = malloc(sizeof(*upload) + head->head_bytes);
    if (!upload)
        return NULL;
    memcpy(upload->head_bytes, bytes, head->head_bytes);
    upload->request = *request;
    upload->head = *head;
    upload->request.head = &upload->head;
    upload->request.head_bytes = upload->head_bytes;
    upload->body = (struct buf){0};
    upload->left = head->content_length;
    http_chunked_init(&upload->chunked, body_bytes_max);

    struct http_head *copy = &upload->head;
    struct bytes *slices[] = {&copy->method_text, &copy->path, &copy->query};
    for (unsigned i = 0; i < COUNT_OF(slices); i++)
        rebase(slices[i], bytes, upload->head_bytes);
    for (unsigned i = 0; i < copy->header_count; i++) {
        rebase(&copy->headers[i].name, bytes, upload->head_bytes);
        rebase(&copy->headers[i].value, bytes, upload->head_bytes);
    }
    return upload;
}

struct bytes request_parameter(const struct request *request, const char *name, struct buf *scratch)
{
    struct bytes rest = request->head->query, wanted = bytes_text(name), found, value;
    while (http_next_parameter(&rest, &found, &value)) {
        if (!bytes_equal(found, wanted))
            continue;
        buf_clear(scratch);
        if (text_url_decode(scratch, value, true) < 0 || !buf_room(scratch, 1))
            break;
        return buf_bytes(scratch);
    }
    return (struct bytes){0};
}

struct connection *request_connection(const struct request *request, struct hub *hub)
{
    return request->is_token ? hub_find_token(hub, &request->token) : NULL;
}

const struct fault *request_farewell(const struct request *request, const struct hub *hub)
{
    return request->is_token ? farewells_find(hub, &request->token) : NULL;
}

static void http_serve(struct link *link, const struct request *request)
{
    if (request->transport)
        request->transport->open(link, request);
    else
        request->endpoint->serve(link, request);
}

/* Takes what there is of the body; serves the request when it is whole. */
static size_t http_read_body(struct link *link, unsigned char *data, size_t length)
{
    struct upload *upload = link->work->upload;
    size_t used;
    struct fault fault = {0};
    enum decode result;
    if (upload->head.is_chunked) {
        result = http_chunked_read(&upload->chunked, bytes_of(data, length), &used, &upload->body, &fault);
    } else {
        used = (size_t)MIN(upload->left, (uint64_t)length);
        buf_add(&upload->body, data, used);
        upload->left -= used;
        result = upload->left ? DECODE_MORE : DECODE_DONE;
    }
    if (buf_status(&upload->body) < 0)
        result = fault_set(&fault, FAULT_INTERNAL, "out of memory");
    if (result == DECODE_BAD) {
        http_refuse(link, &fault, true, NULL);
        return length;
    }
    if (result == DECODE_MORE)
        return used;

    upload = STEAL(link->work->upload);
    upload->request.body = buf_bytes(&upload->body);
    http_serve(link, &upload->request);
    upload_free(upload);
    return used;
}

/* What the answer needs to know of the request after its bytes are gone. */
static int http_note(struct link *link, const struct http_head *head)
{
    link->keeps_alive = head->keeps_alive && !link->worker->is_stopping;
    link->is_head_request = head->method == HTTP_HEAD;
    link->minor_version = head->minor_version;
    free(STEAL(link->work->origin));
    struct bytes origin = http_header(head, "origin");
    if (origin.data == NULL)
        return forwarded_note(link, head);
    link->work->origin = strndup((const char *)origin.data, origin.length);
    return link->work->origin ? forwarded_note(link, head) : -ENOMEM;
}

/* May there be such a body? FAULT_NONE, and where it goes. */
static enum fault_id http_expect_body(struct link *link, const struct request *request, const char **ret_headers, struct fault *fault)
{
    const struct endpoint *endpoint = request->endpoint;
    uint64_t body_bytes_max = link->worker->hub->config->http.body_bytes;
    if (!endpoint->needs_token && !endpoint->needs_key)
        body_bytes_max = MIN(body_bytes_max, (uint64_t)UNPROVED_BODY_MAX);
    if (coding_check(link, request, ret_headers, fault) != FAULT_NONE)
        return fault->id;
    if (request->head->content_length > body_bytes_max) {
        fault_set(fault, FAULT_TOO_LARGE, "a body may have %llu bytes here", (unsigned long long)body_bytes_max);
        return fault->id;
    }
    link->work->upload = upload_new(request, body_bytes_max);
    return link->work->upload ? FAULT_NONE : FAULT_INTERNAL;
}

static size_t http_begin_upload(struct link *link, const struct request *request, size_t length)
{
    const struct config *config = link->worker->hub->config;
    struct fault fault = {.id = FAULT_INTERNAL};
    const char *headers = NULL;
    if (http_expect_body(link, request, &headers, &fault) != FAULT_NONE) {
        http_refuse(link, &fault, true, headers);
        return length;
    }
    size_t head_bytes = request->head->head_bytes;
    if (request->head->expects_continue && length == head_bytes)
        link_send(link, BYTES("HTTP/1.1 100 Continue\r\n\r\n"));
    link_set_deadline(link, config->http.body_timeout_ms);
    return head_bytes;
}

/* No page's business: where it comes from is not looked at. */
static void http_refuse_host(struct link *link)
{
    struct fault fault;
    free(STEAL(link->work->origin));
    metrics_add(&link->worker->hub->metrics, METRIC_HOSTS_REFUSED, 1);
    fault_set(&fault, FAULT_UNKNOWN_HOST, "the Host header does not name one of http.hosts");
    http_refuse(link, &fault, true, NULL);
}

static size_t http_take_request(struct link *link, unsigned char *data, size_t length)
{
    struct worker *worker = link->worker;
    struct request request = {.head = &worker->head, .head_bytes = data};
    struct fault fault = {0};
    metrics_add(&worker->hub->metrics, METRIC_REQUESTS_RECEIVED, 1);
    if (http_note(link, request.head) < 0) {
        fault_set(&fault, FAULT_INTERNAL, "out of memory");
        http_refuse(link, &fault, true, NULL);
        return length;
    }
    if (!origin_host_is_allowed(link, request.head)) {
        http_refuse_host(link);
        return length;
    }
    if (link->is_misplaced) {
        http_answer_misplaced(link, request.head);
        return length;
    }
    switch (router_route(link, &request)) {
    case ROUTE_ANSWERED:
        return link->is_closed ? length : request.head->head_bytes;
    case ROUTE_HANDED_OVER:
        return 0;
    case ROUTE_FOUND:
        break;
    }
    if (request.head->is_chunked || request.head->content_length)
        return http_begin_upload(link, &request, length);
    size_t head_bytes = request.head->head_bytes;
    http_serve(link, &request);
    return head_bytes;
}

static size_t http_on_data(struct link *link, unsigned char *data, size_t length)
{
    if (link->work->upload)
        return http_read_body(link, data, length);

    struct worker *worker = link->worker;
    const struct config *config = worker->hub->config;
    struct http_limits limits = {
        .head_bytes_max = config->http.head_bytes,
        .target_bytes_max = config->http.target_bytes,
        .header_count_max = (unsigned)config->http.header_count,
        .body_bytes_max = config->http.body_bytes,
    };
    struct fault fault = {0};
    size_t resume = link->work->head_resume;
    switch (http_parse_head(bytes_of(data, length), &limits, &resume, &worker->head, &fault)) {
    case DECODE_MORE:
        link->work->head_resume = (uint32_t)resume;
        if (link->is_idle)
            link_set_deadline(link, config->http.head_timeout_ms);
        link->is_idle = false;
        return 0;
    case DECODE_BAD:
        link->is_idle = false;
        link->work->head_resume = 0;
        http_refuse(link, &fault, true, NULL);
        return length;
    default:
        link->is_idle = false;
        link->work->head_resume = 0;
        return http_take_request(link, data, length);
    }
}

static void http_on_drained(struct link *link)
{
    if (!link->is_idle)
        return;
    link_set_deadline(link, link->worker->hub->config->http.idle_timeout_ms);
    link_resume(link);
}

static void http_on_lost(struct link *link, enum fault_id why)
{
    link_free(link);
}

static void http_on_deadline(struct link *link)
{
    struct fault fault = {.id = FAULT_TIMEOUT};
    if (link_queued_bytes(link))
        link_free(link);
    else if (link->work->upload) {
        fault_set(&fault, FAULT_TIMEOUT, "the request's body did not come in time (http.body-timeout)");
        http_refuse(link, &fault, true, NULL);
    } else if (!link->is_idle && link->work->in.length) {
        fault_set(&fault, FAULT_TIMEOUT, "the request's head did not come in time (http.head-timeout)");
        http_refuse(link, &fault, true, NULL);
    } else {
        link_close_gracefully(link);
    }
}

static void http_on_retry(struct link *link)
{
    link_resume(link);
}

const struct link_handler http_handler = {
    .on_data = http_on_data,
    .on_drained = http_on_drained,
    .on_lost = http_on_lost,
    .on_deadline = http_on_deadline,
    .on_retry = http_on_retry,
};

void http_start(struct link *link)
{
    link_set_handler(link, &http_handler);
    link_set_deadline(link, link->worker->hub->config->http.head_timeout_ms);
}

void http_hold(struct link *link, const struct link_handler *handler)
{
    link->is_listening = true;
    link->source.is_stranger = false;
    link_set_handler(link, handler);
    link_pause(link);
}

struct upload *http_keep(const struct request *request)
{
    struct upload *kept = upload_new(request, 0);
    if (!kept)
        return NULL;
    buf_add_bytes(&kept->body, request->body);
    if (buf_status(&kept->body) < 0) {
        upload_free(kept);
        return NULL;
    }
    kept->request.body = buf_bytes(&kept->body);
    return kept;
}

void http_serve_kept(struct link *link, struct upload *kept, const struct verdict *verdict)
{
    link->is_listening = false;
    link_set_handler(link, &http_handler);
    link_set_deadline(link, 0);
    /* What came behind it is fed after this, however it is answered. */
    link_resume(link);
    kept->request.verdict = verdict;
    if (!link->is_closed)
        http_serve(link, &kept->request);
    upload_free(kept);
}

void http_stop(struct link *link)
{
    if (link->handler == &http_handler)
        link_close_gracefully(link);
}
