/*
 * HTTP answers: status lines, the headers that every answer has, problems (RFC 9457), CORS (the Fetch standard).
 */
#include "daemon/net/http_answer.h"

#include "daemon/config/config.h"
#include "lib/json.h"

#include <stdio.h>
#include <time.h>

enum { COPIED_BODY_MAX = 4096 };

static const char *http_phrase(unsigned status)
{
    static const struct { unsigned status; const char *phrase; } phrases[] = {
        {200, "OK"}, {204, "No Content"}, {400, "Bad Request"}, {401, "Unauthorized"}, {403, "Forbidden"},
        {404, "Not Found"}, {405, "Method Not Allowed"}, {406, "Not Acceptable"}, {408, "Request Timeout"},
        {409, "Conflict"}, {413, "Content Too Large"}, {414, "URI Too Long"}, {415, "Unsupported Media Type"},
        {417, "Expectation Failed"}, {426, "Upgrade Required"}, {429, "Too Many Requests"},
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

static void http_add_head(struct link *link, struct buf *out, unsigned status, const char *content_type, const char *extra)
{
    buf_add_bytes(out, BYTES("HTTP/1.1 "));
    buf_add_decimal(out, status);
    http_add_field(out, BYTES(" "), http_phrase(status));
    http_add_field(out, BYTES("Date: "), http_date(link->worker));
    buf_add_bytes(out, BYTES("Cache-Control: no-store\r\n"));
    if (content_type) {
        http_add_field(out, BYTES("Content-Type: "), content_type);
        buf_add_bytes(out, BYTES("X-Content-Type-Options: nosniff\r\n"));
    }
    if (link->work->origin) {
        http_add_field(out, BYTES("Access-Control-Allow-Origin: "), link->work->origin);
        buf_add_bytes(out, BYTES("Vary: Origin\r\n"));
    }
    if (!link->keeps_alive)
        buf_add_bytes(out, BYTES("Connection: close\r\n"));
    else if (link->minor_version == 0)
        buf_add_bytes(out, BYTES("Connection: keep-alive\r\n"));
    if (extra)
        buf_add_text(out, extra);
}

/* The answer is queued: now the next request, or the end. */
static void http_finish(struct link *link)
{
    link->is_listening = false;
    if (!link->keeps_alive) {
        link_set_deadline(link, 0);
        link_close_gracefully(link);
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

void http_respond(struct link *link, const struct response *response)
{
    if (link->is_closed)
        return;
    struct buf *head = &link->worker->head_out;
    buf_clear(head);
    http_add_head(link, head, response->status, response->content_type, response->extra);
    if (response->status != 204) {
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
    else
        link_send_both(link, buf_bytes(head), body);
    if (!link->is_closed)
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
    struct response response = {.status = row->status, .extra = extra || row->status != 429 ? extra : "Retry-After: 1\r\n"};
    if (buf_status(&body) == 0) {
        response.content_type = "application/problem+json";
        response.body = buf_bytes(&body);
    }
    http_respond(link, &response);
    buf_done(&body);
}

void http_begin_stream(struct link *link, const char *content_type)
{
    struct buf out = {0};
    /* The stream ends with the socket, so no length and no chunks; proxies are asked not to hold it back. */
    link->keeps_alive = false;
    link->is_streaming = true;
    http_add_head(link, &out, 200, content_type, "X-Accel-Buffering: no\r\n");
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
    link_set_deadline(link, 0);
    link_send_buf(link, &out);
    buf_done(&out);
}
