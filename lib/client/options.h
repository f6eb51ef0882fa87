/*
 * Options: everything that a builder was told, with its defaults. The builder fills one, a client keeps a copy of its own.
 * Owns its text; kinds and codecs are the caller's. Knows nothing of how any of it is used.
 */
#pragma once

#include "lib/buf.h"
#include "lib/rtc.h"

enum { OPTIONS_LIST_MAX = 16 };         /* transports, codecs of the caller's own */

struct tls_context;

struct options {
    char *url;
    char *transports;                   /* names, best first; NULL: all */
    char *protocols;
    const struct rtc_transport_kind *kinds[OPTIONS_LIST_MAX];
    size_t kind_count;
    const struct rtc_codec *codecs[OPTIONS_LIST_MAX];
    size_t codec_count;

    char *token;
    rtc_token_fn *token_from;
    void *token_argument;
    char *user;
    struct buf headers;                 /* "Name: value\r\n" for each */

    unsigned *delays_ms;
    size_t delay_count;
    unsigned jitter_percent;
    rtc_retry_fn *policy;
    void *policy_argument;
    bool retries_first;

    unsigned keep_alive_ms, timeout_ms, open_timeout_ms, upgrade_ms;
    size_t queue_envelopes, queue_bytes;

    bool has_tls;
    struct rtc_tls tls;                 /* its text is owned */
    struct tls_context *tls_context;    /* made of it when the first client was built, and shared by all of them; NULL: not yet */

    rtc_log_fn *logger;
    void *logger_argument;
    enum rtc_level level;

    bool is_failed;                     /* out of memory while something was remembered */
    bool has_too_many;                  /* more kinds or codecs than OPTIONS_LIST_MAX */
    bool has_bad_header;                /* a name or value that may not stand in a request */
};

void options_init(struct options *options);
void options_done(struct options *options);
MUST_CHECK int options_copy(struct options *ret, const struct options *from);      /* -ENOMEM: *ret is done */
void options_set_text(struct options *options, char **place, const char *text);    /* text NULL: none */
void options_set_delays(struct options *options, const unsigned *delays_ms, size_t count);
void options_set_tls(struct options *options, const struct rtc_tls *tls);

/* RTC_BAD_ARGUMENT or RTC_NO_MEMORY, with a sentence that names the property. The URL and TLS files are checked by who reads them. */
enum rtc_code options_check(const struct options *options, struct rtc_error *error);

/* Visible ASCII only: a token stands in a header. */
bool options_token_is_valid(const char *text);

/* Walks "a,b c": names between commas and blanks. false: no more. */
bool options_next_name(struct bytes *rest, struct bytes *ret_name);
