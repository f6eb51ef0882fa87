/*
 * Link: see link.h. What a transport tells goes on to the client's parts, but for a link that is over.
 */
#include "lib/client/link.h"

#include "lib/client/error.h"
#include "lib/client/url.h"
#include "lib/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* The offer's address: what the server said, in the light of the URL where it said so. */
static int link_add_address(const struct rtc_link *link, struct buf *out)
{
    const struct session *session = &link->client->session;
    const struct offer *offer = &session->offers[link->offer];
    struct url url;
    struct rtc_error error;
    if (url_resolve(session->url, offer->path, &url, &error) == RTC_OK && client_prepare_tls(link->client, &url, &error) == RTC_OK)
        url_add_text(&url, out);
    else
        buf_add_text(out, offer->path);     /* a transport of the caller's own may read it otherwise */
    buf_add_text(out, strchr(offer->path, '?') ? "&token=" : "?token=");
    text_add_url_encoded(out, bytes_text(session->token));
    if (!link->kind->is_polled) {
        buf_add_text(out, "&received=");
        buf_add_decimal(out, session->received);
    }
    if (link->client->options.user) {
        buf_add_text(out, "&user=");
        text_add_url_encoded(out, bytes_text(link->client->options.user));
    }
    return buf_status(out);
}

static void link_forget_urls(struct rtc_link *link)
{
    free(STEAL(link->url));
    free(STEAL(link->send_url));
    free(STEAL(link->authorization));
}

int link_set_urls(struct rtc_link *link)
{
    struct buf url = {0}, send_url = {0};
    const struct session *session = &link->client->session;
    const char *access_token = client_access_token(link->client);
    int r = link_add_address(link, &url);
    buf_add_text(&send_url, session->url);
    buf_add_text(&send_url, "/send?token=");
    text_add_url_encoded(&send_url, bytes_text(session->token));
    if (r == 0)
        r = buf_status(&send_url);
    if (r == 0) {
        link_forget_urls(link);
        link->url = strdup(buf_text(&url));
        link->send_url = strdup(buf_text(&send_url));
        if (!link->url || !link->send_url || (access_token && asprintf(&link->authorization, "Bearer %s", access_token) < 0))
            r = -ENOMEM;
    }
    buf_done(&url);
    buf_done(&send_url);
    return r;
}

void link_open(struct rtc_client *client, size_t offer)
{
    struct rtc_link *link = calloc(1, sizeof(*link));
    struct rtc_error why;
    error_no_memory(&why);
    if (!link) {
        client_finish(client, &why);
        return;
    }
    *link = (struct rtc_link){.client = client, .offer = offer, .kind = client->session.offers[offer].kind,
                              .codec = client->session.offers[offer].codec, .number = client->session.received,
                              .heard_ms = client->io.now_ms};
    list_append(&client->links, &link->node);
    client->candidate = link;
    client_log(client, RTC_LOG_DEBUG, "%s: opening", link->kind->name);
    if (link_set_urls(link) == 0)
        link->transport = link->kind->open(link, link->kind->argument);
    if (!link->transport)
        rtc_link_failed(link, &why, true);
}

void link_end(struct rtc_link *link, bool is_final)
{
    link->is_over = true;
    link->is_final |= is_final;
    if (!io_timer_is_set(&link->client->sweep_timer))
        io_later(&link->client->io, &link->client->sweep_timer);
}

void link_free(struct rtc_link *link)
{
    link->is_over = true;
    if (link->transport)
        link->kind->close(STEAL(link->transport), link->is_final);
    list_remove(&link->node);
    link_forget_urls(link);
    free(link);
}

void link_log(struct rtc_link *link, enum rtc_level level, const char *format, ...)
{
    char text[RTC_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    client_log(link->client, level, "%s: %s", link->kind->name, text);
}

void link_fail(struct rtc_link *link, enum rtc_code code, const char *format, ...)
{
    char text[RTC_MESSAGE_MAX];
    struct rtc_error why;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    error_set(&why, code, "%s", text);
    rtc_link_failed(link, &why, true);
}

const char *rtc_link_url(const struct rtc_link *link)
{
    return link->url;
}

const char *rtc_link_send_url(const struct rtc_link *link)
{
    return link->send_url;
}

const char *rtc_link_token(const struct rtc_link *link)
{
    return link->client->session.token;
}

const char *rtc_link_authorization(const struct rtc_link *link)
{
    return link->authorization;
}

const char *rtc_link_protocol(const struct rtc_link *link)
{
    return link->codec->name;
}

uint64_t rtc_link_received(const struct rtc_link *link)
{
    return link->client->session.received;
}

size_t rtc_link_message_max(const struct rtc_link *link)
{
    return link->client->session.message_max;
}

bool rtc_link_may_poll(struct rtc_link *link)
{
    link->has_waited |= link->is_held;
    return !link->is_held && !link->is_over;
}

void rtc_link_number(struct rtc_link *link, uint64_t next)
{
    link->number = next - 1;
}

void rtc_link_envelope(struct rtc_link *link, struct rtc_bytes text)
{
    if (link->is_over)
        return;
    link->heard_ms = link->client->io.now_ms;
    receive_envelope(link, bytes_from(text));
}

void rtc_link_heard(struct rtc_link *link)
{
    if (link->is_over)
        return;
    link->heard_ms = link->client->io.now_ms;
    /* Who polled before is not greeted again: an answer alone says that the connection is still there. */
    if (!link->is_open && link->kind->is_polled)
        connect_greeted(link->client, link, NULL);
}

void rtc_link_acknowledged(struct rtc_link *link, uint64_t received)
{
    struct rtc_client *client = link->client;
    if (link->is_over || link != client->link)
        return;
    if (sent_queue_acknowledge(&client->sent, received) < 0)
        link_fail(link, RTC_BAD_ANSWER, "the server acknowledges an envelope that was never sent");
}

void rtc_link_writable(struct rtc_link *link)
{
    struct rtc_client *client = link->client;
    if (link->is_over || link != client->link)
        return;
    upgrade_writable(client);
    carry_flush_soon(client);
}

/* Lost while it carries the connection, or did it never come so far? */
void rtc_link_failed(struct rtc_link *link, const struct rtc_error *why, bool can_reconnect)
{
    struct rtc_client *client = link->client;
    if (link->is_over)
        return;
    link_end(link, false);
    client_log(client, RTC_LOG_INFO, "%s: %s", link->kind->name, why->message);
    bool is_carrier = link == client->link, is_candidate = link == client->candidate;
    if (is_carrier)
        client->link = NULL;
    if (is_candidate)
        client->candidate = NULL;
    /* That another transport took the connection over (rtc-protocol(7)) is the client's own doing when it has just tried a better one. */
    bool is_taken_over = why->code == RTC_UNSUPPORTED && upgrade_is_recent(client);
    if (!can_reconnect && !is_taken_over)
        client_finish(client, why);
    else if (is_candidate && client->state == RTC_STATE_CONNECTED)
        upgrade_link_failed(client, why);
    else if (is_candidate)
        connect_link_failed(client, why);
    else if (is_carrier && !upgrade_is_trying(client))     /* else the better one decides what becomes of it */
        connect_lost(client, why);
}

/* The watches of transports that do not know the library's own loop. */
struct rtc_watch {
    struct io_watch watch;
    struct io *io;
    void (*on_ready)(void *argument, uint32_t events);
    void *argument;
};

static void link_on_ready(struct io_watch *io_watch, uint32_t events)
{
    struct rtc_watch *watch = CONTAINER_OF(io_watch, struct rtc_watch, watch);
    watch->on_ready(watch->argument, events);
}

struct rtc_watch *rtc_link_watch(struct rtc_link *link, int descriptor, uint32_t events, void (*on_ready)(void *argument, uint32_t events),
                                 void *argument)
{
    struct rtc_watch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return NULL;
    *watch = (struct rtc_watch){.io = link_io(link), .on_ready = on_ready, .argument = argument};
    watch->watch = (struct io_watch){.descriptor = descriptor, .on_ready = link_on_ready};
    if (io_watch_set(watch->io, &watch->watch, events) < 0) {
        free(watch);
        return NULL;
    }
    return watch;
}

void rtc_watch_change(struct rtc_watch *watch, uint32_t events)
{
    io_watch_change(watch->io, &watch->watch, events);
}

void rtc_watch_free(struct rtc_watch *watch)
{
    if (!watch)
        return;
    io_watch_stop(watch->io, &watch->watch);
    free(watch);
}
