/*
 * Negotiate: see negotiate.h.
 */
#include "lib/client/negotiate.h"

#include "lib/client/caller.h"
#include "lib/client/error.h"
#include "lib/client/problem.h"
#include "lib/json.h"
#include "lib/text.h"

#include <stdlib.h>

enum { HOPS_MAX = 100 };

struct negotiation {
    struct rtc_client *client;
    struct caller caller;
    char *url;                          /* of the server, without /negotiate */
    char *access_token;                 /* of the last redirect; NULL: the client's own */
    unsigned hops;
    bool is_elsewhere;                  /* a redirect led to another server: the client's own token is not for it */
};

void negotiate_cancel(struct negotiation *negotiation)
{
    caller_done(&negotiation->caller);
    free(negotiation->url);
    free(negotiation->access_token);
    free(negotiation);
}

static void negotiate_refuse(struct negotiation *negotiation, const struct rtc_error *why)
{
    struct rtc_client *client = negotiation->client;
    struct rtc_error error = *why;
    client->attempt.negotiation = NULL;
    negotiate_cancel(negotiation);
    connect_refused(client, &error);
}

/* What the client can do. */
static void add_body(const struct rtc_client *client, struct buf *out)
{
    struct json_writer json = json_writer(out);
    json_begin_object(&json);
    json_key(&json, "transports");
    json_begin_array(&json);
    for (size_t i = 0; i < client->kind_count; i++)
        json_add_text(&json, client->kinds[i]->name);
    json_end_array(&json);
    json_key(&json, "protocols");
    json_begin_array(&json);
    for (size_t i = 0; i < client->codecs.count; i++)
        json_add_text(&json, client->codecs.list[i]->name);
    json_end_array(&json);
    json_end_object(&json);
}

static enum rtc_code negotiate_set_url(struct negotiation *negotiation, const char *text, struct rtc_error *error)
{
    struct url url;
    struct buf plain = {0};
    enum rtc_code code = url_parse(text, &url, error);
    if (code == RTC_OK)
        code = client_prepare_tls(negotiation->client, &url, error);
    if (code != RTC_OK)
        return code;
    negotiation->caller.tls = client_tls(negotiation->client);
    url_add_text(&url, &plain);
    while (plain.length && plain.data[plain.length - 1] == '/')
        plain.length--;
    free(negotiation->url);
    negotiation->url = strdup(buf_text(&plain));
    buf_done(&plain);
    return negotiation->url && negotiation->url[0] ? RTC_OK : error_no_memory(error);
}

static const char *negotiate_token(const struct negotiation *negotiation)
{
    if (negotiation->access_token)
        return negotiation->access_token;
    return negotiation->is_elsewhere ? NULL : negotiation->client->attempt.access_token;
}

static enum rtc_code negotiate_ask(struct negotiation *negotiation, struct rtc_error *error)
{
    const struct rtc_client *client = negotiation->client;
    const char *token = negotiate_token(negotiation);
    struct buf address = {0}, fields = {0}, body = {0};
    struct url url;
    buf_add_text(&address, negotiation->url);
    buf_add_text(&address, "/negotiate");
    if (client->options.user) {
        buf_add_text(&address, "?user=");
        text_add_url_encoded(&address, bytes_text(client->options.user));
    }
    buf_add_text(&fields, "Content-Type: application/json\r\nAccept: application/json\r\n");
    buf_add_bytes(&fields, buf_bytes(&client->options.headers));
    if (token)
        buf_add_format(&fields, "Authorization: Bearer %s\r\n", token);
    add_body(client, &body);
    enum rtc_code code = buf_status(&fields) < 0 || buf_status(&body) < 0 ? error_no_memory(error) : url_parse(buf_text(&address), &url, error);
    /* A negotiation that nobody takes up is forgotten: so a second one does no harm. */
    if (code == RTC_OK)
        caller_ask(&negotiation->caller, &(struct caller_request){.method = "POST", .url = &url, .fields = buf_bytes(&fields), .has_body = true,
                                                                  .body = buf_bytes(&body), .is_repeatable = true});
    buf_done(&address);
    buf_done(&fields);
    buf_done(&body);
    return code;
}

/* The answer says where to negotiate instead. */
static enum rtc_code negotiate_follow(struct negotiation *negotiation, struct bytes json, struct rtc_error *error)
{
    struct buf text = {0}, token = {0};
    struct bytes content;
    struct url from, to;
    char quoted[ERROR_QUOTE];
    if (++negotiation->hops > HOPS_MAX)
        return error_set(error, RTC_TOO_MANY_REDIRECTS, "the negotiation was redirected more than %d times; the last time by %s", HOPS_MAX,
                         negotiation->url);
    enum rtc_code code = url_parse(negotiation->url, &from, error);
    if (json_string(json_member(json, "url"), &text, &content) < 0)
        content = (struct bytes){0};
    char *url = strndup(content.data ? (const char *)content.data : "", content.length);
    if (!url) {
        buf_done(&text);
        buf_done(&token);
        return error_no_memory(error);
    }
    if (code == RTC_OK && (url_parse(url, &to, NULL) != RTC_OK || strlen(url) != content.length || strchr(to.path, '?')))
        code = error_set(error, RTC_BAD_ANSWER, "%s redirects to what is no URL of a server: %s", negotiation->url, error_quote(content, quoted));
    if (code == RTC_OK && from.is_tls && !to.is_tls)
        code = error_set(error, RTC_BAD_ANSWER, "%s redirects to %s, which is not encrypted", negotiation->url, url);
    if (code == RTC_OK) {
        bool is_other = !url_is_same_server(&from, &to);
        negotiation->is_elsewhere |= is_other;
        if (is_other)
            free(STEAL(negotiation->access_token));     /* a token goes to whom it was given for */
        code = negotiate_set_url(negotiation, url, error);
    }
    buf_clear(&text);
    if (code == RTC_OK && json_string(json_member(json, "accessToken"), &token, &content) == 0) {
        free(negotiation->access_token);
        negotiation->access_token = strndup((const char *)content.data, content.length);
        if (!negotiation->access_token)
            code = error_no_memory(error);
        else if (!options_token_is_valid(negotiation->access_token))
            code = error_set(error, RTC_BAD_ANSWER, "the accessToken of a redirect holds blanks or control characters");
    }
    free(url);
    buf_done(&text);
    buf_done(&token);
    return code;
}

static enum rtc_code negotiate_read(struct negotiation *negotiation, struct bytes body, struct session *ret, struct rtc_error *error)
{
    struct json_scan scan;
    struct bytes json;
    char quoted[ERROR_QUOTE];
    struct abilities abilities = client_abilities(negotiation->client);
    json_scan_init(&scan, body);
    if (json_take_all(&scan, JSON_DEPTH_MAX, &json) < 0 || json_type(json) != JSON_OBJECT)
        return error_set(error, RTC_BAD_ANSWER, "the answer to the negotiation with %s is no JSON object: %s", negotiation->url,
                         error_quote(body, quoted));
    if (json_member(json, "url").length) {
        enum rtc_code code = negotiate_follow(negotiation, json, error);
        return code == RTC_OK ? negotiate_ask(negotiation, error) : code;
    }
    enum rtc_code code = session_read_negotiation(ret, negotiation->url, &abilities, json, error);
    if (code == RTC_OK)
        ret->access_token = STEAL(negotiation->access_token);
    ret->is_elsewhere = negotiation->is_elsewhere;
    return code;
}

static void negotiate_on_done(void *owner, unsigned status, struct bytes body)
{
    struct negotiation *negotiation = owner;
    struct rtc_client *client = negotiation->client;
    struct session session = {0};
    struct rtc_error why;
    if (status != 200) {
        struct buf what = {0};
        buf_add_format(&what, "the negotiation with %s", negotiation->url);
        problem_read(status, body, buf_text(&what), &why);
        buf_done(&what);
        negotiate_refuse(negotiation, &why);
    } else if (negotiate_read(negotiation, body, &session, &why) != RTC_OK) {
        negotiate_refuse(negotiation, &why);
    } else if (session.token) {
        client->attempt.negotiation = NULL;
        negotiate_cancel(negotiation);
        connect_negotiated(client, &session);
    }
}

static void negotiate_on_failed(void *owner, const struct rtc_error *why)
{
    negotiate_refuse(owner, why);
}

static const struct caller_handler negotiate_handler = {.on_done = negotiate_on_done, .on_failed = negotiate_on_failed};

struct negotiation *negotiate_start(struct rtc_client *client, struct rtc_error *error)
{
    struct negotiation *negotiation = calloc(1, sizeof(*negotiation));
    if (!negotiation) {
        error_no_memory(error);
        return NULL;
    }
    negotiation->client = client;
    caller_init(&negotiation->caller, &client->io, client_tls(client), &negotiate_handler, negotiation);
    if (negotiate_set_url(negotiation, client->options.url, error) == RTC_OK && negotiate_ask(negotiation, error) == RTC_OK)
        return negotiation;
    negotiate_cancel(negotiation);
    return NULL;
}
