/*
 * Session: see session.h.
 */
#include "lib/client/session.h"

#include "lib/client/error.h"
#include "lib/client/kinds.h"
#include "lib/json.h"

#include <stdio.h>
#include <stdlib.h>

void session_done(struct session *session)
{
    for (size_t i = 0; i < session->offer_count; i++)
        free(session->offers[i].path);
    free(session->url);
    free(session->connection_id);
    free(session->token);
    free(session->user_id);
    free(session->access_token);
    *session = (struct session){0};
}

/* The string that a member is, in memory of its own. -ENOENT: it is not there, or null. */
static int read_text(struct bytes json, const char *name, char **ret)
{
    struct buf scratch = {0};
    struct bytes value = json_member(json, name), text;
    int r = -ENOENT;
    *ret = NULL;
    if (value.length && json_type(value) != JSON_NULL) {
        r = json_string(value, &scratch, &text);
        /* A name that holds a NUL would be another one in C. */
        if (r == 0 && memchr(text.data, '\0', text.length))
            r = -EBADMSG;
        if (r == 0 && !(*ret = strndup((const char *)text.data, text.length)))
            r = -ENOMEM;
    }
    buf_done(&scratch);
    return r;
}

static uint64_t read_number(struct bytes json, const char *name, uint64_t fallback)
{
    uint64_t value;
    return json_uint(json_member(json, name), &value) == 0 ? value : fallback;
}

/* Limits that make no sense would mean a connection that breaks all the time. */
enum { KEEP_ALIVE_MS = 15000, TIMEOUT_MS = 30000, RESUME_WINDOW_MS = 60000, SPAN_MIN_MS = 50, SPAN_MAX_MS = 24 * 3600 * 1000, MESSAGE_BYTES = 64 * 1024,
       MESSAGE_MAX_BYTES = 64 * 1024 * 1024 };

static uint64_t read_span(struct bytes json, const char *name, uint64_t fallback)
{
    uint64_t ms = read_number(json, name, fallback);
    return MIN(MAX(ms, (uint64_t)SPAN_MIN_MS), (uint64_t)SPAN_MAX_MS);
}

static uint64_t read_message_max(struct bytes json)
{
    return MIN(MAX(read_number(json, "maxMessageSize", MESSAGE_BYTES), (uint64_t)1), (uint64_t)MESSAGE_MAX_BYTES);
}

/* The client's favourite among the protocols that the server has for this transport; NULL: none in common. */
static const struct rtc_codec *choose_codec(const struct abilities *abilities, const struct rtc_transport_kind *kind, struct bytes names)
{
    for (size_t i = 0; i < abilities->codecs->count; i++) {
        const struct rtc_codec *codec = abilities->codecs->list[i];
        struct json_scan scan;
        struct bytes name;
        if (codec_is_binary(codec) && !kind->carries_binary)
            continue;
        json_scan_init(&scan, names);
        int r = json_enter(&scan, '[');
        while (r == 0 && json_next_element(&scan, JSON_DEPTH_MAX, &name) == 1)
            if (json_string_is(name, codec->name))
                return codec;
    }
    return NULL;
}

/* What the server says of a transport; empty: nothing. */
static struct bytes find_row(struct bytes transports, const char *name)
{
    struct json_scan scan;
    struct bytes row;
    json_scan_init(&scan, transports);
    int r = json_enter(&scan, '[');
    while (r == 0 && json_next_element(&scan, JSON_DEPTH_MAX, &row) == 1)
        if (json_string_is(json_member(row, "name"), name))
            return row;
    return (struct bytes){0};
}

/* The caller's own transport may be one that the server never heard of: then it knows itself how it gets there. */
static int add_offer(struct session *session, const struct abilities *abilities, const struct rtc_transport_kind *kind, struct bytes row)
{
    struct offer offer = {.kind = kind};
    if (row.length) {
        offer.codec = choose_codec(abilities, kind, json_member(row, "protocols"));
        /* On this server, and so as safe as the negotiation was. */
        if (offer.codec && (read_text(row, "path", &offer.path) < 0 || !offer.path || offer.path[0] != '/' || offer.path[1] == '/'))
            offer.codec = NULL;
    } else if (!kinds_is_built_in(kind->name)) {
        offer.codec = abilities->codecs->list[0];
        for (size_t i = 0; !kind->carries_binary && i < abilities->codecs->count && codec_is_binary(offer.codec); i++)
            offer.codec = abilities->codecs->list[i];
        if (asprintf(&offer.path, "%s/%s", session->url, kind->name) < 0)
            return -ENOMEM;
    }
    if (offer.codec && session->offer_count < OFFERS_MAX)
        session->offers[session->offer_count++] = offer;
    else
        free(offer.path);
    return 0;
}

enum rtc_code session_read_negotiation(struct session *session, const char *url, const struct abilities *abilities, struct bytes body,
                                       struct rtc_error *error)
{
    *session = (struct session){.url = strdup(url)};
    if (!session->url)
        return error_no_memory(error);
    int r = read_text(body, "connectionId", &session->connection_id);
    if (r == 0)
        r = read_text(body, "connectionToken", &session->token);
    struct bytes transports = json_member(body, "transports");
    if (r == 0 && json_type(transports) != JSON_ARRAY)
        r = -EBADMSG;
    for (size_t i = 0; r == 0 && i < abilities->kind_count; i++)
        r = add_offer(session, abilities, abilities->kinds[i], find_row(transports, abilities->kinds[i]->name));
    session->keep_alive_ms = read_span(body, "keepAlive", KEEP_ALIVE_MS);
    session->timeout_ms = read_span(body, "timeout", TIMEOUT_MS);
    session->resume_window_ms = read_span(body, "resumeWindow", RESUME_WINDOW_MS);
    session->message_max = read_message_max(body);
    if (r == 0 && session->offer_count)
        return RTC_OK;
    session_done(session);
    if (r == -ENOMEM)
        return error_no_memory(error);
    if (r < 0)
        return error_set(error, RTC_BAD_ANSWER, "the answer to the negotiation with %s has no connectionId, connectionToken and transports", url);
    return error_set(error, RTC_NO_TRANSPORT, "%s and this client have no transport and protocol in common; see transports and protocols", url);
}

enum rtc_code welcome_read(struct welcome *ret, struct bytes json, struct rtc_error *error)
{
    *ret = (struct welcome){0};
    int r = read_text(json, "connectionId", &ret->connection_id);
    if (r == 0)
        r = read_text(json, "connectionToken", &ret->token);
    if (r == 0) {
        r = read_text(json, "userId", &ret->user_id);
        r = r == -ENOENT ? 0 : r;
    }
    if (r < 0) {
        welcome_done(ret);
        return r == -ENOMEM ? error_no_memory(error)
                            : error_set(error, RTC_BAD_ANSWER, "the server's rtc.welcome has no connectionId and connectionToken");
    }
    ret->keep_alive_ms = read_span(json, "keepAlive", KEEP_ALIVE_MS);
    ret->timeout_ms = read_span(json, "timeout", TIMEOUT_MS);
    ret->resume_window_ms = read_span(json, "resumeWindow", RESUME_WINDOW_MS);
    ret->message_max = read_message_max(json);
    ret->received = read_number(json, "received", 0);
    return RTC_OK;
}

void welcome_done(struct welcome *welcome)
{
    free(welcome->connection_id);
    free(welcome->token);
    free(welcome->user_id);
    *welcome = (struct welcome){0};
}

static void take_text(char **place, char **text)
{
    free(*place);
    *place = STEAL(*text);
}

void session_take_welcome(struct session *session, struct welcome *welcome)
{
    bool is_new = !session->connection_id || strcmp(session->connection_id, welcome->connection_id) != 0;
    if (is_new)
        session->received = session->acknowledged = 0;
    take_text(&session->connection_id, &welcome->connection_id);
    take_text(&session->token, &welcome->token);
    take_text(&session->user_id, &welcome->user_id);
    session->keep_alive_ms = welcome->keep_alive_ms;
    session->timeout_ms = welcome->timeout_ms;
    session->resume_window_ms = welcome->resume_window_ms;
    session->message_max = (size_t)welcome->message_max;
    session->is_greeted = true;
}
