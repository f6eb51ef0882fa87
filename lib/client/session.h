/*
 * Session: what the client knows of its connection at the server: names, limits, which transports it may use, and how far the
 * numbers of received envelopes have come. Read from the answer to a negotiation and from rtc.welcome; no I/O.
 */
#pragma once

#include "lib/client/codec_set.h"

enum { OFFERS_MAX = 32 };

/* A transport that both sides have. */
struct offer {
    const struct rtc_transport_kind *kind;
    const struct rtc_codec *codec;
    char *path;                         /* or a whole URL */
};

struct session {
    char *url;                          /* of the server that answered: https://eu.example.org/rtc */
    char *connection_id, *token, *user_id;      /* NULL: none */
    char *access_token;                 /* of the redirect that led here, or NULL */
    bool is_elsewhere;                  /* a redirect led to another server than the caller named, whose own token is not for it */
    uint64_t keep_alive_ms, timeout_ms, resume_window_ms;
    size_t message_max;
    struct offer offers[OFFERS_MAX];    /* the client's favourite first */
    size_t offer_count;
    bool is_greeted;                    /* a transport has carried it */
    uint64_t received;                  /* number of the last envelope from the server */
    uint64_t acknowledged;              /* of those: told to the server */
};

/* What the client can do, best first. */
struct abilities {
    const struct rtc_transport_kind *const *kinds;
    size_t kind_count;
    const struct codec_set *codecs;
};

void session_done(struct session *session);

/* Reads {"connectionId":…} into a session that is done; `url` is where it came from. RTC_BAD_ANSWER, RTC_NO_TRANSPORT, RTC_NO_MEMORY. */
enum rtc_code session_read_negotiation(struct session *session, const char *url, const struct abilities *abilities, struct bytes body,
                                       struct rtc_error *error);

/* What rtc.welcome says. The session only changes with session_take_welcome(). */
struct welcome {
    char *connection_id, *token, *user_id;
    uint64_t keep_alive_ms, timeout_ms, resume_window_ms, message_max, received;
};
enum rtc_code welcome_read(struct welcome *ret, struct bytes json, struct rtc_error *error);
void welcome_done(struct welcome *welcome);
/* Takes it over; a new connection starts to count anew. */
void session_take_welcome(struct session *session, struct welcome *welcome);
