/*
 * Options: see options.h.
 */
#include "lib/client/options.h"

#include "lib/client/error.h"
#include "lib/client/tls.h"
#include "lib/envelope.h"

#include <stdlib.h>

enum { PERCENT_MAX = 100 };

void options_init(struct options *options)
{
    static const unsigned delays_ms[] = {0, 2000, 10000, 30000};
    *options = (struct options){.jitter_percent = 25, .open_timeout_ms = 5000, .upgrade_ms = 30000, .queue_envelopes = 1024,
                                .queue_bytes = 1024 * 1024, .level = RTC_LOG_WARNING};
    options_set_delays(options, delays_ms, COUNT_OF(delays_ms));
}

/* The texts that an options owns: whoever adds one adds it here, and it is copied and freed. */
static char **options_text(struct options *options, unsigned index)
{
    char **const texts[] = {
        &options->url, &options->transports, &options->protocols, &options->token, &options->user,
        (char **)&options->tls.ca_file, (char **)&options->tls.certificate_file, (char **)&options->tls.key_file,
        (char **)&options->tls.server_name,
    };
    return index < COUNT_OF(texts) ? texts[index] : NULL;
}

void options_done(struct options *options)
{
    assert(options);
    char **text;
    for (unsigned i = 0; (text = options_text(options, i)); i++)
        free(*text);
    free(options->delays_ms);
    tls_context_unref(options->tls_context);
    buf_done(&options->headers);
    *options = (struct options){0};
}

void options_set_text(struct options *options, char **place, const char *text)
{
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy)
        options->is_failed = true;
    free(*place);
    *place = copy;
}

void options_set_delays(struct options *options, const unsigned *delays_ms, size_t count)
{
    unsigned *copy = calloc(count ? count : 1, sizeof(*copy));
    if (!copy) {
        options->is_failed = true;
        return;
    }
    if (count)
        memcpy(copy, delays_ms, count * sizeof(*copy));
    free(options->delays_ms);
    options->delays_ms = copy;
    options->delay_count = count;
}

void options_set_tls(struct options *options, const struct rtc_tls *tls)
{
    static const struct rtc_tls none;
    options->has_tls = tls != NULL;
    tls_context_unref(STEAL(options->tls_context));
    tls = tls ? tls : &none;
    options_set_text(options, (char **)&options->tls.ca_file, tls->ca_file);
    options_set_text(options, (char **)&options->tls.certificate_file, tls->certificate_file);
    options_set_text(options, (char **)&options->tls.key_file, tls->key_file);
    options_set_text(options, (char **)&options->tls.server_name, tls->server_name);
    options->tls.is_unverified = tls->is_unverified;
}

int options_copy(struct options *ret, const struct options *from)
{
    char **text;
    *ret = *from;
    ret->delays_ms = NULL;
    ret->headers = (struct buf){0};
    tls_context_ref(ret->tls_context);
    for (unsigned i = 0; (text = options_text(ret, i)); i++)
        *text = NULL;
    for (unsigned i = 0; (text = options_text(ret, i)); i++)
        options_set_text(ret, text, *options_text((struct options *)from, i));
    options_set_delays(ret, from->delays_ms, from->delay_count);
    buf_add_bytes(&ret->headers, buf_bytes(&from->headers));
    if (!ret->is_failed && buf_status(&ret->headers) == 0)
        return 0;
    options_done(ret);
    return -ENOMEM;
}

bool options_next_name(struct bytes *rest, struct bytes *ret_name)
{
    static const char between[] = ", ";
    while (rest->length && strchr(between, *rest->data)) {
        rest->data++;
        rest->length--;
    }
    size_t length = 0;
    while (length < rest->length && !strchr(between, rest->data[length]))
        length++;
    *ret_name = bytes_of(rest->data, length);
    rest->data += length;
    rest->length -= length;
    return length != 0;
}

bool options_token_is_valid(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

enum rtc_code options_check(const struct options *options, struct rtc_error *error)
{
    if (options->is_failed || buf_status(&options->headers) < 0)
        return error_no_memory(error);
    if (!options->url)
        return error_set(error, RTC_BAD_ARGUMENT, "url: it is missing; give one such as https://example.org/rtc");
    if (options->has_too_many)
        return error_set(error, RTC_BAD_ARGUMENT, "transport, codec: there may be %d of your own", OPTIONS_LIST_MAX);
    if (options->has_bad_header)
        return error_set(error, RTC_BAD_ARGUMENT, "header: a name is a word such as X-Tenant that the library does not set itself, and a "
                         "value has no line ends or other control characters");
    if (options->token && !options_token_is_valid(options->token))
        return error_set(error, RTC_BAD_ARGUMENT, "access_token: it may hold neither blanks nor control characters");
    if (options->user && !name_is_valid(bytes_text(options->user), NAME_MAX_BYTES))
        return error_set(error, RTC_BAD_ARGUMENT, "user: a name is 1 to 255 bytes of UTF-8 without control characters");
    if (options->jitter_percent > PERCENT_MAX)
        return error_set(error, RTC_BAD_ARGUMENT, "reconnect_jitter: it is a part of the delay, 0 to 100 percent");
    if (options->keep_alive_ms && options->timeout_ms && options->keep_alive_ms >= options->timeout_ms)
        return error_set(error, RTC_BAD_ARGUMENT, "keep_alive_ms: it must be less than timeout_ms, or every silence is a loss");
    if (options->open_timeout_ms == 0)
        return error_set(error, RTC_BAD_ARGUMENT, "open_timeout_ms: a transport needs some time to open");
    if (options->queue_envelopes == 0 || options->queue_bytes == 0)
        return error_set(error, RTC_BAD_ARGUMENT, "queue: it must hold at least one envelope and one byte");
    if (!options->tls.certificate_file != !options->tls.key_file)
        return error_set(error, RTC_BAD_ARGUMENT, "tls: a certificate_file needs its key_file, and the other way round");
    return RTC_OK;
}
