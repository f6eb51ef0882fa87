/*
 * Upload: see upload.h.
 */
#include "lib/client/upload.h"

#include "lib/client/error.h"
#include "lib/client/poll_body.h"
#include "lib/client/problem.h"
#include "lib/json.h"

enum { TRIES = 4, FIRST_WAIT_MS = 100, BUSY_WAIT_MS = 1000 };

void link_add_fields(const struct rtc_link *link, struct buf *out)
{
    buf_add_bytes(out, buf_bytes(&link->client->options.headers));
    if (link->authorization)
        buf_add_format(out, "Authorization: %s\r\n", link->authorization);
}

static void upload_finish(struct upload *upload)
{
    io_timer_stop(link_io(upload->link), &upload->timer);
    buf_done(&upload->body);
    upload->is_under_way = upload->is_waiting = false;
    upload->failed_count = 0;
}

static void upload_fail(struct upload *upload, const struct rtc_error *why)
{
    struct rtc_error error = *why;
    upload_finish(upload);
    rtc_link_failed(upload->link, &error, true);
}

static void upload_ask(struct upload *upload)
{
    struct rtc_link *link = upload->link;
    struct buf address = {0}, fields = {0};
    struct url url;
    struct rtc_error why;
    buf_add_text(&address, rtc_link_send_url(link));
    if (upload->first)
        buf_add_format(&address, "&first=%llu", (unsigned long long)upload->first);
    buf_add_format(&fields, "Content-Type: %s\r\nAccept: application/json\r\n", codec_content_type(link->codec));
    link_add_fields(link, &fields);
    upload->is_waiting = false;
    if (buf_status(&fields) < 0 || buf_status(&upload->body) < 0) {
        error_no_memory(&why);
        upload_fail(upload, &why);
    } else if (url_parse(buf_text(&address), &url, &why) != RTC_OK) {
        upload_fail(upload, &why);
    } else {
        io_timer_set(link_io(link), &upload->timer, client_timeout_ms(link->client));
        caller_ask(&upload->caller, &(struct caller_request){.method = "POST", .url = &url, .fields = buf_bytes(&fields), .has_body = true,
                                                             .body = buf_bytes(&upload->body), .is_repeatable = true});
    }
    buf_done(&address);
    buf_done(&fields);
}

static void upload_again_in(struct upload *upload, uint64_t ms)
{
    upload->is_waiting = true;
    io_timer_set(link_io(upload->link), &upload->timer, ms);
}

static void upload_on_failed(void *owner, const struct rtc_error *why)
{
    struct upload *upload = owner;
    if (why->code != RTC_NETWORK || ++upload->failed_count == TRIES)
        upload_fail(upload, why);
    else
        upload_again_in(upload, FIRST_WAIT_MS << (2 * (upload->failed_count - 1)));
}

static void upload_on_timer(struct io_timer *timer)
{
    struct upload *upload = CONTAINER_OF(timer, struct upload, timer);
    struct rtc_error why;
    if (upload->is_waiting) {
        upload_ask(upload);
        return;
    }
    caller_cancel(&upload->caller);
    error_set(&why, RTC_NETWORK, "the server does not answer to what was sent");
    upload_fail(upload, &why);
}

static void upload_on_done(void *owner, unsigned status, struct bytes body)
{
    struct upload *upload = owner;
    struct rtc_link *link = upload->link;
    struct json_scan scan;
    struct bytes json;
    struct rtc_error why;
    uint64_t received;
    if (status != 200) {
        problem_read(status, body, "sending", &why);
        /* A server that is too busy has taken some, maybe, and wants the rest again. */
        if (why.code == RTC_RATE_LIMITED)
            upload_again_in(upload, BUSY_WAIT_MS);
        else
            upload_fail(upload, &why);
        return;
    }
    json_scan_init(&scan, body);
    if (json_take_all(&scan, JSON_DEPTH_MAX, &json) < 0 || json_uint(json_member(json, "received"), &received) < 0) {
        error_set(&why, RTC_BAD_ANSWER, "the answer to what was sent does not say how much was received");
        upload_fail(upload, &why);
        return;
    }
    upload_finish(upload);
    rtc_link_acknowledged(link, received);
    rtc_link_writable(link);
    if (upload->on_sent)
        upload->on_sent(upload);
}

static const struct caller_handler upload_handler = {.on_done = upload_on_done, .on_failed = upload_on_failed};

void upload_init(struct upload *upload, struct rtc_link *link, void (*on_sent)(struct upload *upload))
{
    *upload = (struct upload){.link = link, .on_sent = on_sent, .timer.on_due = upload_on_timer};
    caller_init(&upload->caller, link_io(link), client_tls(link->client), &upload_handler, upload);
}

void upload_done(struct upload *upload)
{
    caller_done(&upload->caller);
    upload_finish(upload);
}

void upload_send(struct upload *upload, uint64_t first, const struct rtc_bytes *envelopes, size_t count)
{
    upload->first = first;
    upload->is_under_way = true;
    poll_body_write(&upload->body, codec_is_binary(upload->link->codec), envelopes, count);
    upload_ask(upload);
}
