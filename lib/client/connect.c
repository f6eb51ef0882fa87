/*
 * Connect: attempts to connect, and to connect again. One attempt negotiates where there is no connection to go on with, then
 * opens one transport after the other until one is greeted. Between two attempts the policy decides how long to wait.
 */
#include "lib/client/client.h"

#include "lib/client/error.h"
#include "lib/client/link.h"
#include "lib/client/negotiate.h"
#include "lib/client/policy.h"

#include <stdlib.h>

enum { USEFUL_MS = 5000 };              /* a connection that lasts so long was of use, even if nothing came over it */

static void connect_attempt(struct rtc_client *client);

static void attempt_end(struct rtc_client *client)
{
    struct attempt *attempt = &client->attempt;
    io_timer_stop(&client->io, &attempt->timer);
    if (attempt->negotiation)
        negotiate_cancel(STEAL(attempt->negotiation));
}

/* The policy may be the caller's, who may stop the client in there. */
static void connect_schedule(struct rtc_client *client, const struct rtc_error *why)
{
    struct attempt *attempt = &client->attempt;
    struct rtc_retry retry = {.attempt = attempt->failed_count, .elapsed_ms = client->io.now_ms - attempt->since_ms,
                              .is_first_connect = !attempt->was_connected, .error = *why};
    uint32_t random;
    random_take(&client->random, &random, sizeof(random));
    unsigned life = client->lives;
    int64_t delay_ms = policy_delay_ms(&client->options, &retry, random);
    if (client->lives != life)
        return;
    if (delay_ms < 0) {
        struct rtc_error end;
        error_set(&end, RTC_GAVE_UP, "no more attempts are made; the last one: %s", why->message);
        client_finish(client, &end);
        return;
    }
    client_log(client, RTC_LOG_INFO, "next attempt in %lld ms", (long long)delay_ms);
    io_timer_set(&client->io, &attempt->timer, (uint64_t)delay_ms);
}

static void connect_attempt_failed(struct rtc_client *client, const struct rtc_error *why)
{
    struct attempt *attempt = &client->attempt;
    client->error = *why;
    attempt_end(client);
    if (!attempt->was_connected && !client->options.retries_first) {
        client_finish(client, why);
        return;
    }
    client_log(client, RTC_LOG_WARNING, "could not connect: %s", why->message);
    attempt->failed_count++;
    connect_schedule(client, why);
}

static bool is_about_credentials(enum rtc_code code)
{
    return code == RTC_UNAUTHORIZED || code == RTC_EXPIRED || code == RTC_FORBIDDEN;
}

/* Credentials that were refused are refused again; but a function may have new ones. */
static void connect_credentials_refused(struct rtc_client *client, const struct rtc_error *why)
{
    struct attempt *attempt = &client->attempt;
    attempt_end(client);
    if (client->options.token_from && !attempt->has_fresh_token) {
        attempt->has_fresh_token = true;
        io_timer_set(&client->io, &attempt->timer, 0);
    } else {
        client_finish(client, why);
    }
}

static void connect_on_timer(struct io_timer *timer)
{
    struct rtc_client *client = CLIENT_OF(timer, attempt.timer);
    unsigned timeout_ms = client->options.open_timeout_ms;
    struct rtc_error why;
    if (client->attempt.negotiation) {
        error_set(&why, RTC_NETWORK, "no answer to the negotiation with %s within %u ms", client->options.url, timeout_ms);
        connect_refused(client, &why);
    } else if (client->candidate) {
        link_fail(client->candidate, RTC_NETWORK, "it was not greeted within %u ms", timeout_ms);
    } else {
        connect_attempt(client);
    }
}

void connect_start(struct rtc_client *client)
{
    free(client->attempt.access_token);
    client->attempt = (struct attempt){.since_ms = client->io.now_ms, .timer.on_due = connect_on_timer};
    io_timer_set(&client->io, &client->attempt.timer, 0);
    client_enter(client, RTC_STATE_CONNECTING);
}

void connect_stop(struct rtc_client *client)
{
    attempt_end(client);
    free(STEAL(client->attempt.access_token));
}

static void connect_open_next(struct rtc_client *client)
{
    struct attempt *attempt = &client->attempt;
    if (attempt->next < attempt->count) {
        io_timer_set(&client->io, &attempt->timer, client->options.open_timeout_ms);
        link_open(client, attempt->order[attempt->next++]);
        return;
    }
    struct rtc_error why = attempt->last;
    if (!attempt->is_network || attempt->has_negotiated)
        error_set(&why, RTC_NO_TRANSPORT, "no transport works with %s; the last one: %s", client->session.url, attempt->last.message);
    connect_attempt_failed(client, &why);
}

/* The one that worked before goes first. */
static void connect_open_first(struct rtc_client *client, bool has_worked)
{
    struct attempt *attempt = &client->attempt;
    attempt->count = attempt->next = 0;
    if (has_worked)
        attempt->order[attempt->count++] = client->offer_at;
    for (size_t i = 0; i < client->session.offer_count; i++)
        if (!has_worked || i != client->offer_at)
            attempt->order[attempt->count++] = i;
    connect_open_next(client);
}

static void connect_negotiate(struct rtc_client *client)
{
    struct attempt *attempt = &client->attempt;
    struct rtc_error why;
    attempt->has_negotiated = true;
    io_timer_set(&client->io, &attempt->timer, client->options.open_timeout_ms);
    attempt->negotiation = negotiate_start(client, &why);
    if (!attempt->negotiation)
        connect_attempt_failed(client, &why);
}

/* The token for the requests of this attempt. false: the client has ended of it. */
static bool connect_take_token(struct rtc_client *client)
{
    const struct options *options = &client->options;
    unsigned life = client->lives;
    const char *token = options->token_from ? options->token_from(options->token_argument) : options->token;
    struct rtc_error why;
    if (client->lives != life)
        return false;
    free(client->attempt.access_token);
    client->attempt.access_token = token ? strdup(token) : NULL;
    if (token && !client->attempt.access_token)
        error_no_memory(&why);
    else if (token && !options_token_is_valid(token))
        error_set(&why, RTC_BAD_ARGUMENT, "access_token: the function's answer holds blanks or control characters");
    else
        return true;
    client_finish(client, &why);
    return false;
}

static void connect_attempt(struct rtc_client *client)
{
    struct attempt *attempt = &client->attempt;
    attempt->has_negotiated = false;
    attempt->is_network = true;
    if (!connect_take_token(client))
        return;
    if (client->session.is_greeted)
        connect_open_first(client, true);
    else
        connect_negotiate(client);
}

void connect_negotiated(struct rtc_client *client, struct session *session)
{
    client->attempt.negotiation = NULL;
    session_done(&client->session);
    client->session = *session;
    *session = (struct session){0};
    client->attempt.is_new = true;
    connect_open_first(client, false);
}

void connect_refused(struct rtc_client *client, const struct rtc_error *why)
{
    if (is_about_credentials(why->code))
        connect_credentials_refused(client, why);
    else
        connect_attempt_failed(client, why);
}

void connect_link_failed(struct rtc_client *client, const struct rtc_error *why)
{
    struct attempt *attempt = &client->attempt;
    attempt->is_network &= why->code == RTC_NETWORK;
    attempt->last = *why;
    io_timer_stop(&client->io, &attempt->timer);
    if (why->code == RTC_NOT_FOUND)
        client->session.is_greeted = false;
    if (why->code == RTC_NOT_FOUND && !attempt->has_negotiated)
        connect_negotiate(client);
    else if (is_about_credentials(why->code))
        connect_credentials_refused(client, why);
    else if (why->code == RTC_RATE_LIMITED || why->code == RTC_DRAINING)
        connect_attempt_failed(client, why);        /* another transport would not be let in either */
    else
        connect_open_next(client);
}

/* How far the numbers have come, both ways. */
static uint64_t connect_mark(const struct rtc_client *client)
{
    return client->session.received + client->sent.first;
}

/* A server that greets and hangs up, again and again, is not to be asked as fast as that goes. */
static bool connect_was_of_use(const struct rtc_client *client)
{
    return connect_mark(client) != client->attempt.opened_mark || client->io.now_ms - client->attempt.opened_ms >= USEFUL_MS;
}

void connect_lost(struct rtc_client *client, const struct rtc_error *why)
{
    struct rtc_error lost = *why;
    unsigned life = client->lives;
    client->error = lost;
    client->attempt.since_ms = client->io.now_ms;
    client->attempt.failed_count = connect_was_of_use(client) ? 0 : client->attempt.failed_count + 1;
    carry_stop(client);
    upgrade_stop(client);
    client_drop_link(client, &client->candidate, false);
    client_drop_link(client, &client->link, false);
    client_log(client, RTC_LOG_WARNING, "the connection was lost: %s", lost.message);
    client_enter(client, RTC_STATE_RECONNECTING);
    if (client->lives == life && client->life.on_reconnecting)
        client->life.on_reconnecting(client, &lost, client->life_argument);
    if (client->lives == life)
        connect_schedule(client, &lost);
}

/* The server goes on with this connection: what it has is dropped, and a new link is given the rest. false: the link has failed. */
static bool connect_go_on(struct rtc_client *client, struct rtc_link *link, const struct welcome *welcome)
{
    if (welcome && sent_queue_acknowledge(&client->sent, welcome->received) < 0) {
        client->session.is_greeted = false;     /* nothing can be resumed there */
        link_fail(link, RTC_BAD_ANSWER, "the server acknowledges envelopes that were never sent");
        return false;
    }
    if (link != client->link)
        sent_queue_rewind(&client->sent);
    return true;
}

static void connect_adopt(struct rtc_client *client, struct rtc_link *link)
{
    if (link == client->candidate)
        client->candidate = NULL;
    if (link != client->link)
        client_drop_link(client, &client->link, false);
    client->link = link;
    client->offer_at = link->offer;
    link->is_open = true;
    client->session.is_greeted = true;
    attempt_end(client);
    client->attempt.has_fresh_token = client->attempt.is_new = false;
    client->attempt.was_connected = true;
}

/* The caller hears of it only when all is as it will be. */
static void connect_tell(struct rtc_client *client, enum rtc_state before, const struct rtc_reconnected *how, struct replies *failed)
{
    struct rtc_error why;
    unsigned life = client->lives;
    if (before != RTC_STATE_CONNECTED)
        client_enter(client, RTC_STATE_CONNECTED);
    error_set(&why, RTC_CONNECTION_LOST, "the connection could not be resumed; whether the server got this request is not known");
    requests_fail_all(client, failed, &why);
    if (before == RTC_STATE_RECONNECTING && client->lives == life && client->life.on_reconnected)
        client->life.on_reconnected(client, how, client->life_argument);
}

/* While connected, the server turns out to have forgotten the connection. false: the caller has ended it. */
static bool connect_forgotten(struct rtc_client *client)
{
    struct rtc_error why;
    unsigned life = client->lives;
    error_set(&why, RTC_CONNECTION_LOST, "the server does not know the connection any more");
    client->error = why;
    client_enter(client, RTC_STATE_RECONNECTING);
    if (client->lives == life && client->life.on_reconnecting)
        client->life.on_reconnecting(client, &why, client->life_argument);
    return client->lives == life;
}

void connect_greeted(struct rtc_client *client, struct rtc_link *link, struct welcome *welcome)
{
    const struct session *session = &client->session;
    struct rtc_reconnected how = {.is_resumed = true};
    struct replies failed;
    struct list lost;
    bool is_new = client->attempt.is_new || (welcome && strcmp(welcome->connection_id, session->connection_id) != 0);
    replies_init(&failed);
    if (is_new && client->state == RTC_STATE_CONNECTED && !connect_forgotten(client))
        return;
    if (!is_new && !connect_go_on(client, link, welcome))
        return;
    bool is_carrier = link == client->link;
    connect_adopt(client, link);
    if (welcome)
        session_take_welcome(&client->session, welcome);
    if (is_new && link_set_urls(link) < 0) {
        struct rtc_error why;
        error_no_memory(&why);
        client_finish(client, &why);
        return;
    }
    if (is_new) {
        link->number = 0;
        how.is_resumed = false;
        how.unacknowledged = sent_queue_restart(&client->sent, &lost);
        requests_restart(client, &lost, &failed);
    }
    if (client->state != RTC_STATE_CONNECTED) {
        client->attempt.opened_ms = client->io.now_ms;
        client->attempt.opened_mark = connect_mark(client);
    }
    client_log(client, RTC_LOG_INFO, "%s carries %s connection %s", link->kind->name, is_new ? "the new" : "the", session->connection_id);
    if (!is_carrier || is_new)
        carry_begin(client);
    if (!is_carrier)
        upgrade_greeted(client);
    connect_tell(client, client->state, &how, &failed);
}
