/*
 * HTTP answers: status lines, the headers that every answer has, problems (RFC 9457), CORS (the Fetch standard).
 */
#include "daemon/net/http_answer.h"

#include "daemon/config/config.h"
#include "lib/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>

enum { COPIED_BODY_MAX = 4096 };

static const char *http_phrase(unsigned status)
{
    static const struct { unsigned status; const char *phrase; } phrases[] = {
        {200, "OK"}, {204, "No Content"}, {301, "Moved Permanently"}, {304, "Not Modified"}, {308, "Permanent Redirect"},
        {400, "Bad Request"}, {401, "Unauthorized"}, {403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"},
        {406, "Not Acceptable"}, {408, "Request Timeout"},
        {409, "Conflict"}, {413, "Content Too Large"}, {414, "URI Too Long"}, {415, "Unsupported Media Type"},
        {417, "Expectation Failed"}, {421, "Misdirected Request"}, {422, "Unprocessable Content"}, {426, "Upgrade Required"}, {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"}, {500, "Internal Server Error"}, {501, "Not Implemented"},
        {503, "Service Unavailable"}, {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < COUNT_OF(phrases); i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "Unknown";
}

/* RFC 9110 section 5.6.7; made once a second. */
static const char *http_date(struct worker *worker)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if ((uint64_t)now.tv_sec != worker->date_s) {
        static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
        static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        struct tm utc;
        gmtime_r(&now.tv_sec, &utc);
        snprintf(worker->date, sizeof(worker->date), "%s, %02d %s %04d %02d:%02d:%02d GMT", days[utc.tm_wday % 7],
                 utc.tm_mday, months[utc.tm_mon % 12], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
        worker->date_s = (uint64_t)now.tv_sec;
    }
    return worker->date;
}

static void http_add_field(struct buf *out, struct bytes name, const char *value)
{
    buf_add_bytes(out, name);
    buf_add_text(out, value);
    buf_add_bytes(out, BYTES("\r\n"));
}

static void http_add_head(struct link *link, struct buf *out, const struct response *response)
{
    buf_add_bytes(out, BYTES("HTTP/1.1 "));
    buf_add_decimal(out, response->status);
    http_add_field(out, BYTES(" "), http_phrase(response->status));
    http_add_field(out, BYTES("Date: "), http_date(link->worker));
    http_add_field(out, BYTES("Cache-Control: "), response->cache ? response->cache : "no-store");
    if (response->content_type) {
        http_add_field(out, BYTES("Content-Type: "), response->content_type);
        buf_add_bytes(out, BYTES("X-Content-Type-Options: nosniff\r\n"));
    }
    /* A cache must know of it too where nobody named an origin, or one was refused. */
    buf_add_bytes(out, BYTES("Vary: Origin\r\n"));
    if (link->work->origin)
        http_add_field(out, BYTES("Access-Control-Allow-Origin: "), link->work->origin);
    if (!link->keeps_alive)
        buf_add_bytes(out, BYTES("Connection: close\r\n"));
    else if (link->minor_version == 0)
        buf_add_bytes(out, BYTES("Connection: keep-alive\r\n"));
    if (response->extra)
        buf_add_text(out, response->extra);
}

/* The answer is queued: now the next request, or the end. */
static void http_finish(struct link *link)
{
    free(STEAL(link->work->origin));
    link->is_listening = false;
    if (!link->keeps_alive) {
        link_set_deadline(link, 0);
        link_close_gracefully(link);
        /* A slow reader gets as long for its last answer as for any other. */
        if (link_queued_bytes(link))
            link_set_deadline(link, link->worker->hub->config->http.write_timeout_ms);
        return;
    }
    link->is_idle = true;
    link_set_handler(link, &http_handler);
    if (link_queued_bytes(link)) {
        /* Who does not read answers gets no more of them. */
        link_pause(link);
        link_set_deadline(link, link->worker->hub->config->http.write_timeout_ms);
    } else {
        link_set_deadline(link, link->worker->hub->config->http.idle_timeout_ms);
        link_resume(link);
    }
}

/* One piece is sent for less than two, as long as copying is cheap. */
static void http_join(struct buf *head, struct bytes *body)
{
    if (body->length > COPIED_BODY_MAX)
        return;
    buf_add_bytes(head, *body);
    *body = (struct bytes){0};
}

/* Constant bodies: a slow reader's rest is a place in the program's own bytes, not a copy of them. It is kept as the link's
 * state, and constant_handler sends it. */

static const struct link_handler constant_handler;

/* Nothing of the peer's is read meanwhile. */
static void constant_wait(struct link *link, struct bytes rest)
{
    struct bytes *kept = malloc(sizeof(*kept));
    if (!kept) {
        link_lost(link, FAULT_INTERNAL);
        return;
    }
    *kept = rest;
    link->work->state = kept;
    link->work->free_state = free;
    link_set_handler(link, &constant_handler);
    link_pause(link);
    link_set_deadline(link, link->worker->hub->config->http.write_timeout_ms);
    link_arm(link, true);
}

static void constant_send(struct link *link, struct bytes head, struct bytes body)
{
    struct iovec pieces[] = {{(void *)head.data, head.length}, {(void *)body.data, body.length}};
    ssize_t sent = link_count_sent(link, link_try(link, pieces, body.length ? 2 : 1));
    if (sent < 0 || (size_t)sent == head.length + body.length)
        return;
    size_t of_head = MIN((size_t)sent, head.length), of_body = (size_t)sent - of_head;
    buf_add(&link->work->out, head.data + of_head, head.length - of_head);
    if (buf_status(&link->work->out) < 0)
        link_lost(link, FAULT_INTERNAL);
    else
        constant_wait(link, bytes_of(body.data + of_body, body.length - of_body));
}

static void constant_on_drained(struct link *link)
{
    struct bytes *rest = link->work->state;
    while (rest->length) {
        ssize_t sent = link_count_sent(link, link_try(link, &(struct iovec){(void *)rest->data, rest->length}, 1));
        if (sent == 0)
            link_arm(link, true);
        if (sent <= 0)
            return;
        *rest = bytes_of(rest->data + sent, rest->length - (size_t)sent);
    }
    free(STEAL(link->work->state));
    link->keeps_alive = link->keeps_alive && !link->worker->is_stopping;
    http_finish(link);
}

static size_t constant_on_data(struct link *link, unsigned char *data, size_t length)
{
    return 0;
}

static void constant_on_lost(struct link *link, enum fault_id why)
{
    link_free(link);
}

static const struct link_handler constant_handler = {
    .on_data = constant_on_data,
    .on_drained = constant_on_drained,
    .on_lost = constant_on_lost,
    .on_deadline = link_free,
    .on_retry = link_resume,
};

void http_respond(struct link *link, const struct response *response)
{
    if (link->is_closed)
        return;
    struct buf *head = &link->worker->head_out;
    link->source.is_stranger &= response->status >= 400;
    buf_clear(head);
    http_add_head(link, head, response);
    /* What GET would answer is known of a page, and not of what HEAD must not begin. */
    if (response->status != 204 && response->status != 304 && (response->content_type || !link->is_head_request)) {
        buf_add_bytes(head, BYTES("Content-Length: "));
        buf_add_decimal(head, response->body.length);
        buf_add_bytes(head, BYTES("\r\n"));
    }
    buf_add_bytes(head, BYTES("\r\n"));
    struct bytes body = response->body;
    if (link->is_head_request)
        body = (struct bytes){0};
    http_join(head, &body);

    /* From here on it is HTTP again, also where a poll was held: a link lost in sending reaches nobody else. */
    link_set_handler(link, &http_handler);
    link->is_idle = false;
    if (buf_status(head) < 0)
        link_free(link);
    else if (response->is_constant && !link_queued_bytes(link))
        constant_send(link, buf_bytes(head), body);
    else
        link_send_both(link, buf_bytes(head), body);
    if (!link->is_closed && link->handler == &http_handler)
        http_finish(link);
}

void http_refuse(struct link *link, const struct fault *fault, bool closes, const char *extra)
{
    const struct fault_row *row = &fault_rows[fault->id];
    struct buf body = {0};
    struct json_writer json = json_writer(&body);
    json_begin_object(&json);
    json_key(&json, "status");
    json_add_uint(&json, row->status);
    json_key(&json, "code");
    json_add_text(&json, row->code);
    json_key(&json, "title");
    json_add_text(&json, row->sentence);
    json_key(&json, "detail");
    json_add_text(&json, fault_message(fault));
    json_key(&json, "reason");
    json_add_text(&json, row->name);
    json_end_object(&json);

    metrics_add(&link->worker->hub->metrics, METRIC_REQUESTS_REFUSED, 1);
    if (closes)
        link->keeps_alive = false;
    /* RFC 6750 section 3: who showed nothing is told no error. */
    if (row->status == 401 && !extra)
        extra = fault->id == FAULT_UNAUTHORIZED ? "WWW-Authenticate: Bearer\r\n" : "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n";
    if ((row->status == 429 || row->status == 503) && !extra)
        extra = "Retry-After: 1\r\n";
    struct response response = {.status = row->status, .extra = extra};
    if (buf_status(&body) == 0) {
        response.content_type = "application/problem+json";
        response.body = buf_bytes(&body);
    }
    http_respond(link, &response);
    buf_done(&body);
}

void http_answer_misplaced(struct link *link, const struct http_head *head)
{
    struct bytes host = http_header(head, "host");
    bool redirects = link->worker->hub->config->tls.plain == PLAIN_REDIRECT && host.length && head->path.data[0] == '/';
    struct buf extra = {0};
    link->keeps_alive = false;
    /* No page's business: where it comes from is not looked at here. */
    free(STEAL(link->work->origin));
    if (redirects) {
        buf_add_text(&extra, "Location: https://");
        buf_add_bytes(&extra, host);
        buf_add_bytes(&extra, head->path);
        if (head->query.data) {
            buf_add_byte(&extra, '?');
            buf_add_bytes(&extra, head->query);
        }
        buf_add_text(&extra, "\r\n");
    }
    struct fault fault = {.id = FAULT_PLAIN_HTTP};
    bool keeps_method = head->method != HTTP_GET && head->method != HTTP_HEAD;
    if (redirects && buf_status(&extra) == 0)
        http_respond(link, &(struct response){.status = keeps_method ? 308 : 301, .extra = buf_text(&extra)});
    else
        http_refuse(link, &fault, true, NULL);
    buf_done(&extra);
}

void http_begin_stream(struct link *link, const char *content_type)
{
    struct buf out = {0};
    /* The stream ends with the socket, so no length and no chunks; proxies are asked not to hold it back. */
    link->keeps_alive = false;
    link->is_streaming = true;
    link->source.is_stranger = false;
    http_add_head(link, &out, &(struct response){.status = 200, .content_type = content_type, .extra = "X-Accel-Buffering: no\r\n"});
    buf_add_text(&out, "\r\n");
    link_set_deadline(link, 0);
    link_send_buf(link, &out);
    buf_done(&out);
}

void http_switch(struct link *link, const char *extra)
{
    struct buf out = {0};
    buf_add_format(&out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%s\r\n", extra);
    link->is_streaming = true;
    link->source.is_stranger = false;
    link_set_deadline(link, 0);
    link_send_buf(link, &out);
    buf_done(&out);
}
