/*
 * Transport: server-sent events. Each event is an envelope in JSON, its id the envelope's number. Upwards goes by upload.c.
 */
#include "lib/client/upload.h"

#include "lib/client/error.h"
#include "lib/client/event_stream.h"
#include "lib/client/problem.h"
#include "lib/text.h"

#include <stdlib.h>
#include <strings.h>

struct sse {
    struct rtc_link *link;
    struct caller caller;
    struct upload upload;
    struct event_stream events;
};

static void sse_on_event(void *argument, struct bytes data, struct bytes id)
{
    struct sse *sse = argument;
    uint64_t number;
    if (text_parse_uint(id, &number) == 0 && number)
        rtc_link_number(sse->link, number);
    rtc_link_envelope(sse->link, bytes_to(data));
}

static bool sse_on_head(void *owner, const struct http_reader *reader)
{
    static const char type[] = "text/event-stream";
    struct bytes value = http_reader_field(reader, "content-type");
    return reader->status == 200 && value.length >= sizeof(type) - 1 && strncasecmp((const char *)value.data, type, sizeof(type) - 1) == 0;
}

static void sse_on_body(void *owner, struct bytes piece)
{
    struct sse *sse = owner;
    int r = event_stream_read(&sse->events, piece, sse_on_event, sse);
    if (r == -EMSGSIZE)
        link_fail(sse->link, RTC_BAD_ANSWER, "an event has more than %d bytes", CALLER_BODY_MAX);
    else if (r < 0)
        link_fail(sse->link, RTC_NO_MEMORY, "out of memory");
    else
        rtc_link_heard(sse->link);
}

static void sse_on_done(void *owner, unsigned status, struct bytes body)
{
    struct sse *sse = owner;
    struct rtc_error why;
    if (sse->caller.is_in_pieces) {
        link_fail(sse->link, RTC_NETWORK, "the server ended the stream");
    } else if (status == 200) {
        link_fail(sse->link, RTC_BAD_ANSWER, "the answer is no text/event-stream");
    } else {
        bool is_final = problem_read(status, body, "the stream", &why);
        rtc_link_failed(sse->link, &why, !is_final);
    }
}

static void sse_on_failed(void *owner, const struct rtc_error *why)
{
    struct sse *sse = owner;
    rtc_link_failed(sse->link, why, true);
}

static const struct caller_handler sse_handler = {.on_head = sse_on_head, .on_body = sse_on_body, .on_done = sse_on_done,
                                                  .on_failed = sse_on_failed};

static void *sse_open(struct rtc_link *link, void *argument)
{
    struct sse *sse = calloc(1, sizeof(*sse));
    struct buf fields = {0};
    struct url url;
    struct rtc_error why;
    if (!sse)
        return NULL;
    sse->link = link;
    event_stream_init(&sse->events, CALLER_BODY_MAX);
    caller_init(&sse->caller, link_io(link), client_tls(link->client), &sse_handler, sse);
    upload_init(&sse->upload, link, NULL);
    buf_add_text(&fields, "Accept: text/event-stream\r\nCache-Control: no-store\r\n");
    link_add_fields(link, &fields);
    if (buf_status(&fields) < 0)
        link_fail(link, RTC_NO_MEMORY, "out of memory");
    else if (url_parse(rtc_link_url(link), &url, &why) != RTC_OK)
        rtc_link_failed(link, &why, true);
    else
        caller_ask(&sse->caller, &(struct caller_request){.method = "GET", .url = &url, .fields = buf_bytes(&fields), .is_repeatable = true});
    buf_done(&fields);
    return sse;
}

static void sse_send(void *transport, uint64_t first, const struct rtc_bytes *envelopes, size_t count)
{
    struct sse *sse = transport;
    upload_send(&sse->upload, first, envelopes, count);
}

static bool sse_is_writable(void *transport)
{
    struct sse *sse = transport;
    return upload_is_idle(&sse->upload);
}

static void sse_close(void *transport, bool is_final)
{
    struct sse *sse = transport;
    caller_done(&sse->caller);
    upload_done(&sse->upload);
    event_stream_done(&sse->events);
    free(sse);
}

extern const struct rtc_transport_kind transport_sse;
const struct rtc_transport_kind transport_sse = {
    .name = "sse", .is_downward = true, .open = sse_open, .send = sse_send, .is_writable = sse_is_writable, .close = sse_close,
};
