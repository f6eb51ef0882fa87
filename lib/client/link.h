/*
 * Link: one attempt of one transport to carry the connection, as the client sees it; what rtc.h calls `struct rtc_link`.
 * It counts the envelopes that it brings for itself, from where its URL said that the client was: so what two links bring
 * twice, while one takes over from the other, is known as such.
 */
#pragma once

#include "lib/buf.h"
#include "lib/client/client.h"

struct rtc_link {
    struct list node;
    struct rtc_client *client;
    const struct rtc_transport_kind *kind;
    const struct rtc_codec *codec;
    size_t offer;                       /* of the session */
    void *transport;                    /* its state; NULL: closed */
    char *url, *send_url, *authorization;
    uint64_t number;                    /* of the last numbered envelope that it brought */
    uint64_t heard_ms;
    bool is_open;                       /* greeted */
    bool is_over;                       /* it failed, or the client is done with it */
    bool is_final;                      /* when it is closed, the connection is over */
    bool is_held;                       /* no more polls: see rtc_link_may_poll() */
    bool has_waited;                    /* a poll was held back, so it must be opened anew */
};

/* Opens the session's offer as the client's candidate. Whatever comes of it, a failure too, is told as of any link. */
void link_open(struct rtc_client *client, size_t offer);
/* The client is done with it: closed and freed by the next client_sweep, at once or at the end of this round. */
void link_end(struct rtc_link *link, bool is_final);
void link_free(struct rtc_link *link);
/* Its URLs, from what the session is now: a transport that polls may be given a new connection with a new token. -ENOMEM. */
MUST_CHECK int link_set_urls(struct rtc_link *link);
/* For transports that come with the library: io timers, TLS. */
static inline struct io *link_io(const struct rtc_link *link) { return &link->client->io; }
void link_log(struct rtc_link *link, enum rtc_level level, const char *format, ...) PRINTF_LIKE(3, 4);
/* As rtc_link_failed, with a sentence. */
void link_fail(struct rtc_link *link, enum rtc_code code, const char *format, ...) PRINTF_LIKE(3, 4);
