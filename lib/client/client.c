/*
 * Client: see client.h. Its making and its end, its states, and what the caller is told of them.
 */
#include "lib/client/client.h"

#include "lib/client/error.h"
#include "lib/client/farewell.h"
#include "lib/client/kinds.h"
#include "lib/client/link.h"
#include "lib/client/stream.h"
#include "lib/client/tls.h"
#include "lib/client/url.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void client_sweep(struct io_timer *timer)
{
    struct rtc_client *client = CLIENT_OF(timer, sweep_timer);
    LIST_EACH(item, &client->links) {
        struct rtc_link *link = CONTAINER_OF(item, struct rtc_link, node);
        if (link->is_over)
            link_free(link);
    }
}

/* The parts that are checked against one another: the URL, the names, the files for TLS. */
static enum rtc_code client_prepare(struct rtc_client *client, const struct options *options, struct rtc_error *error)
{
    struct url url;
    if (options_copy(&client->options, options) < 0)
        return error_no_memory(error);
    enum rtc_code code = url_parse(options->url, &url, error);
    if (code == RTC_OK && strchr(url.path, '?'))
        code = error_set(error, RTC_BAD_ARGUMENT, "url: a query does not belong there; see rtc_builder_user() and rtc_builder_access_token()");
    if (code == RTC_OK)
        code = codec_set_init(&client->codecs, &client->options, error);
    if (code == RTC_OK)
        code = kinds_choose(&client->options, client->kinds, &client->kind_count, error);
    if (code != RTC_OK)
        return code;
    /* The files are read now, so that a mistake in them shows at once. */
    url.is_tls |= options->has_tls;
    return client_prepare_tls(client, &url, error);
}

const char *client_access_token(const struct rtc_client *client)
{
    const struct session *session = &client->session;
    return session->access_token ? session->access_token : session->is_elsewhere ? NULL : client->attempt.access_token;
}

struct tls_context *client_tls(const struct rtc_client *client)
{
    return client->options.tls_context;
}

enum rtc_code client_prepare_tls(struct rtc_client *client, const struct url *url, struct rtc_error *error)
{
    if (!url->is_tls || client->options.tls_context)
        return RTC_OK;
    return tls_context_new(&client->options.tls, &client->options.tls_context, error);
}

struct rtc_client *client_new(const struct options *options, struct rtc_error *error)
{
    struct rtc_client *client = calloc(1, sizeof(*client));
    if (!client) {
        error_no_memory(error);
        return NULL;
    }
    int r = io_init(&client->io);
    if (r < 0) {
        error_set(error, RTC_INTERNAL, "the system gives no event descriptor: %s", strerror(-r));
        free(client);
        return NULL;
    }
    list_init(&client->links);
    list_init(&client->farewells);
    handlers_init(&client->handlers);
    replies_init(&client->replies);
    groups_init(&client->groups);
    sent_queue_init(&client->sent, options->queue_envelopes, options->queue_bytes);
    client->sweep_timer.on_due = client_sweep;
    if (client_prepare(client, options, error) == RTC_OK)
        return client;
    rtc_free(client);
    return NULL;
}

void rtc_free(struct rtc_client *client)
{
    if (!client)
        return;
    client->life = (struct rtc_life){0};
    handlers_done(&client->handlers);
    replies_done(&client->replies);
    client->state = RTC_STATE_STOPPED;
    connect_stop(client);
    carry_stop(client);
    upgrade_stop(client);
    client_drop_link(client, &client->candidate, false);
    client_drop_link(client, &client->link, true);
    client_sweep(&client->sweep_timer);
    farewell_stop_all(client);
    sent_queue_done(&client->sent);
    groups_done(&client->groups);
    session_done(&client->session);
    codec_set_done(&client->codecs);
    buf_done(&client->carry.pong);
    buf_done(&client->carry.text);
    stream_close_finishing(&client->io);
    io_done(&client->io);
    options_done(&client->options);
    free(client);
}

struct abilities client_abilities(const struct rtc_client *client)
{
    return (struct abilities){.kinds = client->kinds, .kind_count = client->kind_count, .codecs = &client->codecs};
}

const char *rtc_version(void)
{
    return RTC_LIBRARY_VERSION;
}

/* Which state may follow which. */
static const unsigned char may_follow[] = {
    [RTC_STATE_STOPPED] = 1 << RTC_STATE_CONNECTING,
    [RTC_STATE_CONNECTING] = 1 << RTC_STATE_CONNECTED | 1 << RTC_STATE_STOPPED,
    [RTC_STATE_CONNECTED] = 1 << RTC_STATE_RECONNECTING | 1 << RTC_STATE_STOPPED,
    [RTC_STATE_RECONNECTING] = 1 << RTC_STATE_CONNECTED | 1 << RTC_STATE_STOPPED,
};

void client_enter(struct rtc_client *client, enum rtc_state state)
{
    enum rtc_state from = client->state;
    assert(may_follow[from] & 1 << state);
    client->state = state;
    client_log(client, RTC_LOG_DEBUG, "%s", rtc_state_name(state));
    if (client->life.on_state_change)
        client->life.on_state_change(client, from, state, client->life_argument);
}

void client_drop_link(struct rtc_client *client, struct rtc_link **link, bool is_final)
{
    if (*link)
        link_end(STEAL(*link), is_final);
}

/*
 * The order matters: all that belonged to the connection is gone before the caller hears of its end, who may start anew in
 * any of the calls.
 */
void client_finish(struct rtc_client *client, const struct rtc_error *why)
{
    struct rtc_error reason = *why;
    if (client->state == RTC_STATE_STOPPED)
        return;
    client->error = reason;
    client->lives++;
    client_log(client, reason.code == RTC_STOPPED ? RTC_LOG_INFO : RTC_LOG_ERROR, "the connection is over: %s", reason.message);
    /* A transport that goes both ways says the last word itself. */
    bool tells_itself = client->link && !client->link->kind->is_downward && !client->link->kind->is_polled;
    if (reason.code == RTC_STOPPED && client->session.token && !tells_itself)
        farewell_send(client);
    connect_stop(client);
    carry_stop(client);
    upgrade_stop(client);
    client_drop_link(client, &client->candidate, false);
    client_drop_link(client, &client->link, true);
    session_done(&client->session);
    sent_queue_done(&client->sent);
    groups_done(&client->groups);
    struct replies replies;
    replies_move(&replies, &client->replies);
    client_enter(client, RTC_STATE_STOPPED);
    requests_fail_all(client, &replies, &reason);
    if (client->life.on_close)
        client->life.on_close(client, &reason, client->life_argument);
}

enum rtc_code rtc_start(struct rtc_client *client)
{
    if (client->state != RTC_STATE_STOPPED)
        return client_fail(client, RTC_BAD_ARGUMENT, "rtc_start: the client is %s already; rtc_stop() it first", rtc_state_name(client->state));
    client->wants_break = false;
    connect_start(client);
    return RTC_OK;
}

void rtc_stop(struct rtc_client *client)
{
    struct rtc_error why;
    error_set(&why, RTC_STOPPED, "rtc_stop() was called");
    client_finish(client, &why);
}

enum rtc_code client_fail(struct rtc_client *client, enum rtc_code code, const char *format, ...)
{
    char text[RTC_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return error_set(&client->error, code, "%s", text);
}

void client_log(struct rtc_client *client, enum rtc_level level, const char *format, ...)
{
    const struct options *options = &client->options;
    char text[2 * RTC_MESSAGE_MAX];
    if (!options->logger || level > options->level)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    options->logger(level, text, options->logger_argument);
}

enum rtc_state rtc_state(const struct rtc_client *client)
{
    return client->state;
}

const char *rtc_state_name(enum rtc_state state)
{
    static const char *const names[] = {
        [RTC_STATE_STOPPED] = "stopped", [RTC_STATE_CONNECTING] = "connecting", [RTC_STATE_CONNECTED] = "connected",
        [RTC_STATE_RECONNECTING] = "reconnecting",
    };
    return (unsigned)state < COUNT_OF(names) ? names[state] : "unknown";
}

const struct rtc_error *rtc_error(const struct rtc_client *client)
{
    return &client->error;
}

const char *rtc_connection_id(const struct rtc_client *client)
{
    return client->session.is_greeted ? client->session.connection_id : NULL;
}

const char *rtc_user_id(const struct rtc_client *client)
{
    return client->session.is_greeted ? client->session.user_id : NULL;
}

const char *rtc_transport_name(const struct rtc_client *client)
{
    return client->link ? client->link->kind->name : NULL;
}

const char *rtc_protocol_name(const struct rtc_client *client)
{
    return client->link ? client->link->codec->name : NULL;
}

void rtc_set_life(struct rtc_client *client, const struct rtc_life *life, void *argument)
{
    client->life = life ? *life : (struct rtc_life){0};
    client->life_argument = argument;
}
