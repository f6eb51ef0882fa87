/*
 * Builder: the setters of rtc.h, which only remember. A mistake is found when the client is built (client_new), so that a
 * chain of calls needs one check.
 */
#include "lib/client/options.h"

#include "lib/client/client.h"
#include "lib/client/error.h"
#include "lib/client/tls.h"

#include <stdlib.h>
#include <strings.h>

struct rtc_builder {
    struct options options;
};

struct rtc_builder *rtc_builder_new(void)
{
    struct rtc_builder *builder = calloc(1, sizeof(*builder));
    if (builder)
        options_init(&builder->options);
    return builder;
}

void rtc_builder_free(struct rtc_builder *builder)
{
    if (!builder)
        return;
    options_done(&builder->options);
    free(builder);
}

void rtc_builder_url(struct rtc_builder *builder, const char *url)
{
    options_set_text(&builder->options, &builder->options.url, url);
}

void rtc_builder_transports(struct rtc_builder *builder, const char *names)
{
    options_set_text(&builder->options, &builder->options.transports, names);
}

void rtc_builder_transport(struct rtc_builder *builder, const struct rtc_transport_kind *kind)
{
    struct options *options = &builder->options;
    if (options->kind_count < OPTIONS_LIST_MAX)
        options->kinds[options->kind_count++] = kind;
    else
        options->has_too_many = true;
}

void rtc_builder_protocols(struct rtc_builder *builder, const char *names)
{
    options_set_text(&builder->options, &builder->options.protocols, names);
}

void rtc_builder_codec(struct rtc_builder *builder, const struct rtc_codec *codec)
{
    struct options *options = &builder->options;
    if (options->codec_count < OPTIONS_LIST_MAX)
        options->codecs[options->codec_count++] = codec;
    else
        options->has_too_many = true;
}

void rtc_builder_access_token(struct rtc_builder *builder, const char *token)
{
    options_set_text(&builder->options, &builder->options.token, token);
    builder->options.token_from = NULL;
}

void rtc_builder_access_token_from(struct rtc_builder *builder, rtc_token_fn *token, void *argument)
{
    options_set_text(&builder->options, &builder->options.token, NULL);
    builder->options.token_from = token;
    builder->options.token_argument = argument;
}

void rtc_builder_user(struct rtc_builder *builder, const char *user)
{
    options_set_text(&builder->options, &builder->options.user, user);
}

/* A word of RFC 9110 section 5.6.2, and none of those that say where a request ends or how the connection goes on. */
static bool is_header_name(const char *name)
{
    static const char *const own[] = {"host", "connection", "content-length", "content-type", "transfer-encoding", "upgrade", "te", "trailer",
                                      "expect", "accept", "accept-encoding", "sec-websocket-key", "sec-websocket-version",
                                      "sec-websocket-protocol", "sec-websocket-extensions"};
    static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < COUNT_OF(own); i++)
        if (strcasecmp(name, own[i]) == 0)
            return false;
    return name[0] && strspn(name, word) == strlen(name);
}

static bool is_header_value(const char *value)
{
    for (; *value; value++)
        if (((unsigned char)*value < ' ' && *value != '\t') || *value == 0x7f)
            return false;
    return true;
}

void rtc_builder_header(struct rtc_builder *builder, const char *name, const char *value)
{
    struct options *options = &builder->options;
    if (!name || !value || !is_header_name(name) || !is_header_value(value)) {
        options->has_bad_header = true;
        return;
    }
    buf_add_text(&options->headers, name);
    buf_add_text(&options->headers, ": ");
    buf_add_text(&options->headers, value);
    buf_add_text(&options->headers, "\r\n");
}

void rtc_builder_reconnect_delays(struct rtc_builder *builder, const unsigned *delays_ms, size_t count)
{
    options_set_delays(&builder->options, delays_ms, count);
}

void rtc_builder_reconnect_jitter(struct rtc_builder *builder, unsigned percent)
{
    builder->options.jitter_percent = percent;
}

void rtc_builder_reconnect_policy(struct rtc_builder *builder, rtc_retry_fn *policy, void *argument)
{
    builder->options.policy = policy;
    builder->options.policy_argument = argument;
}

void rtc_builder_retry_first(struct rtc_builder *builder, bool is_on)
{
    builder->options.retries_first = is_on;
}

void rtc_builder_keep_alive_ms(struct rtc_builder *builder, unsigned ms)
{
    builder->options.keep_alive_ms = ms;
}

void rtc_builder_timeout_ms(struct rtc_builder *builder, unsigned ms)
{
    builder->options.timeout_ms = ms;
}

void rtc_builder_open_timeout_ms(struct rtc_builder *builder, unsigned ms)
{
    builder->options.open_timeout_ms = ms;
}

void rtc_builder_upgrade_ms(struct rtc_builder *builder, unsigned ms)
{
    builder->options.upgrade_ms = ms;
}

void rtc_builder_queue(struct rtc_builder *builder, size_t envelopes, size_t bytes)
{
    builder->options.queue_envelopes = envelopes;
    builder->options.queue_bytes = bytes;
}

void rtc_builder_tls(struct rtc_builder *builder, const struct rtc_tls *tls)
{
    options_set_tls(&builder->options, tls);
}

void rtc_builder_logger(struct rtc_builder *builder, rtc_log_fn *logger, void *argument, enum rtc_level level)
{
    builder->options.logger = logger;
    builder->options.logger_argument = argument;
    builder->options.level = level;
}

struct rtc_client *rtc_builder_build(const struct rtc_builder *builder, struct rtc_error *ret_error)
{
    struct rtc_error error = {0};
    struct rtc_client *client = NULL;
    if (options_check(&builder->options, &error) == RTC_OK)
        client = client_new(&builder->options, &error);
    /* What the builder says has not changed: only that the next client need not read it from files again. */
    if (client && !builder->options.tls_context)
        ((struct rtc_builder *)builder)->options.tls_context = tls_context_ref(client_tls(client));
    if (ret_error)
        *ret_error = error;
    return client;
}
