/*
 * Transport: long and short polling. Polls come one after the other; each says how far the client is, which acknowledges what
 * came. Upwards goes by upload.c.
 */
#include "lib/client/upload.h"

#include "lib/client/error.h"
#include "lib/client/poll_body.h"
#include "lib/client/problem.h"

#include <stdlib.h>

enum {
    LONG_WAIT_MS = 25000,
    FIRST_WAIT_MS = 1,          /* the first one only asks whether the connection is there; 0 would be another transport */
    SHORT_PAUSE_MS = 1000,
    EMPTY_PAUSE_MS = 500,       /* a long poll that ended empty too soon: something between does not let it wait */
};

struct polling {
    struct rtc_link *link;
    struct caller caller;
    struct upload upload;
    struct io_timer timer;      /* until the next poll, or until an answer must have come */
    bool is_long, has_polled;
    bool is_eager;              /* something was sent that may have an answer: the next pause is left out */
    uint64_t wait_ms, asked_ms;
    uint64_t received;          /* when it was asked: an answer with nothing new is an empty one */
};

static void polling_ask(struct polling *polling)
{
    struct rtc_link *link = polling->link;
    struct buf address = {0}, fields = {0};
    struct url url;
    struct rtc_error why;
    if (!rtc_link_may_poll(link))
        return;
    polling->wait_ms = !polling->is_long ? 0 : polling->has_polled ? LONG_WAIT_MS : FIRST_WAIT_MS;
    polling->asked_ms = link_io(link)->now_ms;
    polling->received = rtc_link_received(link);
    polling->has_polled = true;
    polling->is_eager = false;
    buf_add_format(&address, "%s&received=%llu&wait=%llu", rtc_link_url(link), (unsigned long long)rtc_link_received(link),
                   (unsigned long long)polling->wait_ms);
    buf_add_format(&fields, "Accept: %s\r\n", codec_content_type(link->codec));
    link_add_fields(link, &fields);
    if (buf_status(&fields) < 0)
        error_no_memory(&why);
    else if (url_parse(buf_text(&address), &url, &why) == RTC_OK)
        why.code = RTC_OK;
    if (why.code == RTC_OK) {
        link->client->session.acknowledged = rtc_link_received(link);
        io_timer_set(link_io(link), &polling->timer, polling->wait_ms + client_timeout_ms(link->client));
        caller_ask(&polling->caller, &(struct caller_request){.method = "GET", .url = &url, .fields = buf_bytes(&fields), .is_repeatable = true});
    } else {
        rtc_link_failed(link, &why, true);
    }
    buf_done(&address);
    buf_done(&fields);
}

static void polling_on_timer(struct io_timer *timer)
{
    struct polling *polling = CONTAINER_OF(timer, struct polling, timer);
    if (!polling->caller.is_busy) {
        polling_ask(polling);
        return;
    }
    caller_cancel(&polling->caller);
    link_fail(polling->link, RTC_NETWORK, "the server does not answer to a poll");
}

static void polling_on_first(void *argument, uint64_t first)
{
    rtc_link_number(((struct polling *)argument)->link, first);
}

static void polling_on_one(void *argument, struct bytes text)
{
    rtc_link_envelope(((struct polling *)argument)->link, bytes_to(text));
}

static uint64_t polling_pause_ms(const struct polling *polling)
{
    if (polling->received != rtc_link_received(polling->link) || polling->is_eager)
        return 0;
    /* Who does not ask for as long as the resume window is forgotten. */
    if (!polling->is_long)
        return MIN((uint64_t)SHORT_PAUSE_MS, polling->link->client->session.resume_window_ms / 3);
    bool was_short = link_io(polling->link)->now_ms - polling->asked_ms < EMPTY_PAUSE_MS;
    return was_short && polling->wait_ms != FIRST_WAIT_MS ? EMPTY_PAUSE_MS : 0;
}

static void polling_on_done(void *owner, unsigned status, struct bytes body)
{
    struct polling *polling = owner;
    struct rtc_link *link = polling->link;
    struct rtc_error why;
    io_timer_stop(link_io(link), &polling->timer);
    if (status != 200 && status != 204) {
        bool is_final = problem_read(status, body, "a poll", &why);
        rtc_link_failed(link, &why, !is_final);
        return;
    }
    if (status == 200 && poll_body_read(body, codec_is_binary(link->codec), polling_on_first, polling_on_one, polling) < 0) {
        char quoted[ERROR_QUOTE];
        link_fail(link, RTC_BAD_ANSWER, "the answer to a poll makes no sense: %s", error_quote(body, quoted));
        return;
    }
    rtc_link_heard(link);
    if (!link->is_over)
        io_timer_set(link_io(link), &polling->timer, polling_pause_ms(polling));
}

static void polling_on_failed(void *owner, const struct rtc_error *why)
{
    struct polling *polling = owner;
    io_timer_stop(link_io(polling->link), &polling->timer);
    rtc_link_failed(polling->link, why, true);
}

static const struct caller_handler polling_handler = {.on_done = polling_on_done, .on_failed = polling_on_failed};

static void polling_on_sent(struct upload *upload)
{
    struct polling *polling = CONTAINER_OF(upload, struct polling, upload);
    polling->is_eager = true;
    if (!polling->caller.is_busy && io_timer_is_set(&polling->timer))
        io_timer_set(link_io(polling->link), &polling->timer, 0);
}

static void *polling_open(struct rtc_link *link, bool is_long)
{
    struct polling *polling = calloc(1, sizeof(*polling));
    if (!polling)
        return NULL;
    *polling = (struct polling){.link = link, .is_long = is_long, .timer.on_due = polling_on_timer};
    caller_init(&polling->caller, link_io(link), client_tls(link->client), &polling_handler, polling);
    upload_init(&polling->upload, link, polling_on_sent);
    polling_ask(polling);
    return polling;
}

static void *longpoll_open(struct rtc_link *link, void *argument)
{
    return polling_open(link, true);
}

static void *shortpoll_open(struct rtc_link *link, void *argument)
{
    return polling_open(link, false);
}

static void polling_send(void *transport, uint64_t first, const struct rtc_bytes *envelopes, size_t count)
{
    struct polling *polling = transport;
    upload_send(&polling->upload, first, envelopes, count);
}

static bool polling_is_writable(void *transport)
{
    struct polling *polling = transport;
    return upload_is_idle(&polling->upload);
}

static void polling_close(void *transport, bool is_final)
{
    struct polling *polling = transport;
    io_timer_stop(link_io(polling->link), &polling->timer);
    caller_done(&polling->caller);
    upload_done(&polling->upload);
    free(polling);
}

#define POLLING(kind_name, open_function) { \
    .name = kind_name, .carries_binary = true, .is_polled = true, .open = open_function, .send = polling_send, \
    .is_writable = polling_is_writable, .close = polling_close, \
}

extern const struct rtc_transport_kind transport_longpoll, transport_shortpoll;
const struct rtc_transport_kind transport_longpoll = POLLING("longpoll", longpoll_open);
const struct rtc_transport_kind transport_shortpoll = POLLING("shortpoll", shortpoll_open);
