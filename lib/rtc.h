/*
 * librtc: a client of rtcd (rtc-protocol(7)). One `struct rtc_client` is one connection that survives: it negotiates a
 * transport, falls back to another where one does not get through, finds a dead peer, reconnects, and goes on where it was:
 * every envelope once, in order, in both directions.
 *
 * No global state, no signal handlers, no event loop of its own. A client belongs to one thread at a time; different clients
 * may be used by different threads at once (a resolver thread that the library starts for a host name never calls back).
 *
 *   builder   rtc_builder_new() … rtc_builder_build(): every property, checked as a whole
 *   loop      rtc_fd(), rtc_events(), rtc_timeout_ms(), rtc_process() for any loop; rtc_run() for none
 *   events    rtc_on(), rtc_send(), rtc_send_to(), rtc_invoke(), rtc_join(), rtc_leave()
 *
 * Callbacks run inside rtc_process(), rtc_run() and rtc_stop() (and on_state_change inside rtc_start()), never inside the other
 * functions, and may call any of them but rtc_free(), rtc_process() and rtc_run() of the same client. What a callback is given is valid until it returns. What is handed in is copied.
 */
#ifndef RTC_H
#define RTC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

#define RTC_VERSION_MAJOR 0
#define RTC_VERSION_MINOR 1
#define RTC_VERSION_PATCH 0
/* ---- Errors ---------------------------------------------------------------------------------------------------------- */

/*
 * What goes wrong has a code and a sentence. The first group comes from the server (rtc-protocol(7), "Errors and reasons"),
 * the second from this library. rtc_code_name() gives the words that rtcd, rtcctl and rtc.js use as well.
 */
enum rtc_code {
    RTC_OK = 0,
    RTC_BAD_ENVELOPE, RTC_BAD_REQUEST, RTC_TOO_LARGE, RTC_UNAUTHORIZED, RTC_EXPIRED, RTC_FORBIDDEN, RTC_NOT_FOUND,
    RTC_NO_HANDLER, RTC_RATE_LIMITED, RTC_TIMEOUT, RTC_UNSUPPORTED, RTC_DRAINING, RTC_SLOW_CONSUMER, RTC_INTERNAL,

    RTC_BAD_ARGUMENT = 100,     /* a call or a builder's property makes no sense; the sentence says which */
    RTC_NO_MEMORY,
    RTC_NOT_STARTED,            /* the client is stopped */
    RTC_STOPPED,                /* an intended end */
    RTC_NETWORK,                /* no such host, a closed port, a connection that broke */
    RTC_TLS,                    /* the server's certificate is not trusted, or for another name */
    RTC_BAD_ANSWER,             /* what answers there speaks no rtc protocol */
    RTC_TOO_MANY_REDIRECTS,     /* more than 100 in one negotiation */
    RTC_NO_TRANSPORT,           /* every transport was tried and none works */
    RTC_QUEUE_FULL,             /* as much waits to be sent as the builder's queue allows */
    RTC_CONNECTION_LOST,        /* the connection could not be resumed; whether the server got this is not known */
    RTC_GAVE_UP,                /* the reconnect policy wants no more attempts */
    RTC_OTHER,                  /* a code of a handler's own: own_code of struct rtc_error has it */
};

const char *rtc_code_name(enum rtc_code code);      /* "bad-envelope"; never NULL */

/* Of the library, as "0.1.0": it may be newer than the header. */
const char *rtc_version(void);

enum { RTC_MESSAGE_MAX = 240, RTC_OWN_CODE_MAX = 65 };

struct rtc_error {
    enum rtc_code code;
    char own_code[RTC_OWN_CODE_MAX];    /* of a handler, such as "sold-out", where the code is RTC_OTHER; else "" */
    char message[RTC_MESSAGE_MAX];      /* what was wrong, where, what to do; no secrets; "" for RTC_OK */
};

/* Its code as a word: own_code, or rtc_code_name(). As long as `error`. */
const char *rtc_error_word(const struct rtc_error *error);

/* ---- Builder --------------------------------------------------------------------------------------------------------- */

struct rtc_builder;
struct rtc_client;
struct rtc_transport_kind;
struct rtc_codec;

enum rtc_level { RTC_LOG_ERROR, RTC_LOG_WARNING, RTC_LOG_INFO, RTC_LOG_DEBUG };
typedef void rtc_log_fn(enum rtc_level level, const char *text, void *argument);

/* Gives the token for the next request; NULL: none. Called before each negotiation and each reconnect. */
typedef const char *rtc_token_fn(void *argument);

/* One decision of the reconnect policy. */
struct rtc_retry {
    unsigned attempt;                   /* how many have failed since the connection was lost: 0 for the first. One that was lost
                                           again at once, before anything came over it, has failed as well */
    uint64_t elapsed_ms;                /* since it was lost */
    bool is_first_connect;              /* it never was connected */
    struct rtc_error error;             /* why the last one failed, or what was lost */
};
/* Milliseconds until the next attempt, or -1: give up. */
typedef int64_t rtc_retry_fn(const struct rtc_retry *retry, void *argument);

struct rtc_tls {
    const char *ca_file;                /* trusted beside nothing else; NULL: the system's */
    const char *certificate_file;       /* of the client, PEM; NULL: none */
    const char *key_file;
    const char *server_name;            /* to be checked instead of the URL's host; NULL */
    bool is_unverified;                 /* accept any certificate: for tests only */
};

/* NULL: out of memory. Setters remember; mistakes are found by rtc_builder_build(). Free it at any time after building. */
struct rtc_builder *rtc_builder_new(void);
void rtc_builder_free(struct rtc_builder *builder);

void rtc_builder_url(struct rtc_builder *builder, const char *url);             /* http:// or https:// (ws, wss mean the same); path default /rtc */
void rtc_builder_transports(struct rtc_builder *builder, const char *names);    /* best first; "websocket,sse,longpoll,shortpoll" */
void rtc_builder_transport(struct rtc_builder *builder, const struct rtc_transport_kind *kind);    /* one of your own; it must stay */
void rtc_builder_protocols(struct rtc_builder *builder, const char *names);     /* best first; "json,msgpack" */
void rtc_builder_codec(struct rtc_builder *builder, const struct rtc_codec *codec);    /* in place of the built-in one of its name; it must stay */
void rtc_builder_access_token(struct rtc_builder *builder, const char *token);
void rtc_builder_access_token_from(struct rtc_builder *builder, rtc_token_fn *token, void *argument);
void rtc_builder_user(struct rtc_builder *builder, const char *user);           /* where the server takes clients' word (connection.claimed-users) */
void rtc_builder_header(struct rtc_builder *builder, const char *name, const char *value);  /* with every request */
void rtc_builder_reconnect_delays(struct rtc_builder *builder, const unsigned *delays_ms, size_t count);   /* the last repeats; count 0: never; 0, 2, 10, 30 s */
void rtc_builder_reconnect_jitter(struct rtc_builder *builder, unsigned percent);   /* a delay is shortened by up to this; 25 */
void rtc_builder_reconnect_policy(struct rtc_builder *builder, rtc_retry_fn *policy, void *argument);  /* instead of the delays */
void rtc_builder_retry_first(struct rtc_builder *builder, bool is_on);          /* the first connect is tried again as well; off */
void rtc_builder_keep_alive_ms(struct rtc_builder *builder, unsigned ms);       /* 0: as the server says */
void rtc_builder_timeout_ms(struct rtc_builder *builder, unsigned ms);          /* silence after which a transport is lost; 0: as the server says */
void rtc_builder_open_timeout_ms(struct rtc_builder *builder, unsigned ms);     /* until a transport must have greeted; 5000 */
void rtc_builder_upgrade_ms(struct rtc_builder *builder, unsigned ms);          /* how often a better transport is tried; 0: never; 30000 */
void rtc_builder_queue(struct rtc_builder *builder, size_t envelopes, size_t bytes);   /* what may wait to be sent or acknowledged; 1024, 1 MiB */
void rtc_builder_tls(struct rtc_builder *builder, const struct rtc_tls *tls);
void rtc_builder_logger(struct rtc_builder *builder, rtc_log_fn *logger, void *argument, enum rtc_level level);

/* A client, stopped; NULL with *ret_error (which may be NULL). The builder stays the caller's. */
struct rtc_client *rtc_builder_build(const struct rtc_builder *builder, struct rtc_error *ret_error);

/* ---- Life ------------------------------------------------------------------------------------------------------------ */

enum rtc_state { RTC_STATE_STOPPED, RTC_STATE_CONNECTING, RTC_STATE_CONNECTED, RTC_STATE_RECONNECTING };

/* Begins to connect. RTC_BAD_ARGUMENT when it is not stopped. */
enum rtc_code rtc_start(struct rtc_client *client);

/*
 * Ends the connection on purpose: handlers of replies that are still awaited get RTC_STOPPED, on_close RTC_STOPPED. The
 * server is told as far as that goes without waiting; rtc_process() or rtc_run() afterwards sees to the rest.
 */
void rtc_stop(struct rtc_client *client);

/* Frees it, started or not, without calling back. NULL is fine. */
void rtc_free(struct rtc_client *client);

enum rtc_state rtc_state(const struct rtc_client *client);
const char *rtc_state_name(enum rtc_state state);                   /* "connected" */
const struct rtc_error *rtc_error(const struct rtc_client *client); /* of the last call or connection that failed */
const char *rtc_connection_id(const struct rtc_client *client);     /* NULL while there is none; so below */
const char *rtc_user_id(const struct rtc_client *client);
const char *rtc_transport_name(const struct rtc_client *client);
const char *rtc_protocol_name(const struct rtc_client *client);

struct rtc_reconnected {
    bool is_resumed;                    /* the same connection: nothing was lost. Else it is a new one, in the same groups */
    size_t unacknowledged;              /* envelopes that were sent on the old one and may or may not have arrived; not sent again */
};

/* What happens to the connection. Any member may be NULL. */
struct rtc_life {
    void (*on_state_change)(struct rtc_client *client, enum rtc_state from, enum rtc_state to, void *argument);
    void (*on_reconnecting)(struct rtc_client *client, const struct rtc_error *why, void *argument);
    void (*on_reconnected)(struct rtc_client *client, const struct rtc_reconnected *how, void *argument);
    void (*on_close)(struct rtc_client *client, const struct rtc_error *reason, void *argument);    /* once for each rtc_start */
    /* A group was joined again on a new connection: `json` is the reply, as of rtc_join(), and its "recovered" says whether all that came
     * meanwhile follows. Or it was not: `error`, and json is NULL. */
    void (*on_rejoined)(struct rtc_client *client, const char *group, const struct rtc_error *error, const char *json, void *argument);
};
void rtc_set_life(struct rtc_client *client, const struct rtc_life *life, void *argument);

/* ---- Loop ------------------------------------------------------------------------------------------------------------ */

/* One descriptor for all that the client waits for; the same until rtc_free(). It is not to be read, only polled. */
int rtc_fd(const struct rtc_client *client);
/* What to poll it for: POLLIN, or 0 while it waits for nothing. */
short rtc_events(const struct rtc_client *client);
/* How long to poll at most before rtc_process(); -1: for as long as you like. */
int rtc_timeout_ms(const struct rtc_client *client);
/* Does what can be done now, without waiting, and calls back. */
void rtc_process(struct rtc_client *client);
/* Calls rtc_process() until the client has stopped, or rtc_break(). The reason why it stopped; RTC_OK after rtc_stop() or rtc_break(). */
enum rtc_code rtc_run(struct rtc_client *client);
/* From a callback: lets rtc_run() return, and the client as it is. */
void rtc_break(struct rtc_client *client);

/* ---- Events ---------------------------------------------------------------------------------------------------------- */

struct rtc_bytes {
    const void *data;
    size_t length;
};

/* A received envelope. */
struct rtc_message {
    const char *event_name;
    const char *json;                   /* the data as JSON text, NUL-terminated; whatever the protocol is */
    struct rtc_bytes data;              /* as it came, in the connection's protocol */
    const char *group;                  /* through which it came, or NULL */
    uint64_t offset;                    /* in that group's history, or 0 */
    const char *key;                    /* that it was published with, or NULL */
    const char *from_connection_id;     /* where senders are shown, or NULL */
    const char *from_user_id;
};
typedef void rtc_event_fn(struct rtc_client *client, const struct rtc_message *message, void *argument);

/* Handlers of one event are called in the order in which they came. event_name NULL: of every event that has no handler of its own.
 * "rtc.gap" with {"group":G,"lost":N} comes in the place of envelopes of a group that drops them for slow clients; "rtc.joined" and
 * "rtc.left" say who comes and goes, in groups that announce it (rtc-protocol(7), "Presence"). An "rtc.left" whose message has no group says
 * that this client was taken out of the group in its data: it is not joined again. */
enum rtc_code rtc_on(struct rtc_client *client, const char *event_name, rtc_event_fn *handler, void *argument);
/* Takes this handler (with this argument) away, or all of the event where `handler` is NULL. */
void rtc_off(struct rtc_client *client, const char *event_name, rtc_event_fn *handler, void *argument);

enum rtc_target_kind { RTC_TO_SERVER, RTC_TO_GROUP, RTC_TO_USER, RTC_TO_CONNECTION, RTC_TO_ALL };
struct rtc_target {
    enum rtc_target_kind kind;
    const char *name;                   /* of the group, user or connection */
    bool except_self;
    const char *key;                    /* of the value that is set, in a group that remembers the latest of each; NULL: none */
};

/*
 * Sends an event to the server's handlers, or to `to`. `json` is one JSON value (NULL: null), in whatever protocol it travels.
 * While the connection is down it waits in the queue. RTC_QUEUE_FULL, RTC_NOT_STARTED, RTC_BAD_ARGUMENT, RTC_TOO_LARGE: it is
 * not sent.
 */
enum rtc_code rtc_send(struct rtc_client *client, const char *event_name, const char *json);
enum rtc_code rtc_send_to(struct rtc_client *client, const struct rtc_target *to, const char *event_name, const char *json);

/* The answer to a request: `error->code` is RTC_OK and `json` its data, or `json` is NULL. A code of a handler's own that this library
 * does not know comes as RTC_INTERNAL, with the handler's sentence. */
typedef void rtc_reply_fn(struct rtc_client *client, const struct rtc_error *error, const char *json, void *argument);

/* Sends and asks for an answer, called back exactly once (but not when this returns an error, and not after rtc_free()).
 * to NULL: the server. timeout_ms 0: 30 s. */
enum rtc_code rtc_invoke(struct rtc_client *client, const struct rtc_target *to, const char *event_name, const char *json,
                         unsigned timeout_ms, rtc_reply_fn *on_reply, void *argument);

struct rtc_since {
    const char *epoch;                  /* and offset: what followed it. NULL: see last */
    uint64_t offset;
    unsigned last;                      /* the last so many; 0: none */
};
/* The client stays in the group, across reconnects, until rtc_leave(). on_reply may be NULL. A refused join is forgotten. */
enum rtc_code rtc_join(struct rtc_client *client, const char *group, const struct rtc_since *since, rtc_reply_fn *on_reply, void *argument);
enum rtc_code rtc_leave(struct rtc_client *client, const char *group, rtc_reply_fn *on_reply, void *argument);

/* ---- Codecs of your own ---------------------------------------------------------------------------------------------- */

struct rtc_sink;                        /* where bytes are appended */
void rtc_sink_add(struct rtc_sink *sink, const void *data, size_t length);

/* An envelope between the client and a codec. What is not there has no length, a NULL name, or the number 0. */
struct rtc_envelope {
    struct rtc_bytes event_name;
    struct rtc_bytes json;              /* `data`, as JSON text; nothing means null */
    struct rtc_bytes data;              /* received ones: the same as it came, where the codec has it in one piece */
    uint64_t id;
    struct rtc_target to;               /* sent ones */
    struct rtc_bytes group, key, from_connection_id, from_user_id;      /* received ones; sent ones have the key in `to` */
    uint64_t offset;
    bool is_error;                      /* received ones: `json` is the reply's `error` */
};

/*
 * How envelopes are written. The server must know `name`; so this replaces how it is done, not what is done: as "json" it
 * writes UTF-8 text, as "msgpack" binary. Anything but RTC_OK: it cannot be written (the caller of rtc_send() gets the code)
 * or read (the link has failed, and the connection goes on over another).
 */
struct rtc_codec {
    const char *name;                   /* "json" or "msgpack" */
    enum rtc_code (*encode)(const struct rtc_envelope *envelope, struct rtc_sink *sink, void *argument);
    /* Slices point into `text`, or into what the codec keeps until its next call. */
    enum rtc_code (*decode)(struct rtc_bytes text, struct rtc_envelope *ret, void *argument);
    void *argument;
};

/* ---- Transports of your own ------------------------------------------------------------------------------------------ */

struct rtc_link;                        /* one attempt to carry the connection: the client's side of a transport */

/*
 * The same interface that websocket, sse, longpoll and shortpoll use. The client never calls into a transport from within
 * one of the rtc_link_ functions, so whatever a transport reports, it still exists afterwards.
 */
struct rtc_transport_kind {
    const char *name;                   /* as in the negotiation, or one that the server does not know: then it is always tried */
    bool carries_binary;                /* false: it only carries "json" */
    bool is_polled;                     /* it asks again and again, and looks itself for answers that do not come; the server
                                           does not greet it when it polled before */
    bool is_downward;                   /* envelopes for the server go another way, so rtc.ping is not worth an answer */
    /* Begins, and returns its state; NULL: out of memory. rtc.welcome, or rtc_link_failed(), follows now or later. */
    void *(*open)(struct rtc_link *link, void *argument);
    /*
     * Envelopes with the numbers `first`, `first` + 1 …, or, where first is 0, one without a number. The client keeps them
     * until they are acknowledged and sends them again on the next link where they were not: the transport copies what it
     * needs longer, and may forget it when it fails.
     */
    void (*send)(void *transport, uint64_t first, const struct rtc_bytes *envelopes, size_t count);
    /* May something be sent now? false: rtc_link_writable() says when. */
    bool (*is_writable)(void *transport);
    /* Frees it. `is_final`: the connection is over; a transport that is neither polled nor downward tells the server so, as
     * far as that goes without waiting. For the others the client does. */
    void (*close)(void *transport, bool is_final);
    void *argument;                     /* for open() */
};

/* What a transport needs to know. Text stays valid until an envelope is handed over: a new connection has another token. */
const char *rtc_link_url(const struct rtc_link *link);              /* where it is, with ?token= and, unless it is polled, &received= */
const char *rtc_link_send_url(const struct rtc_link *link);         /* …/send?token=, for transports that only carry downwards */
const char *rtc_link_token(const struct rtc_link *link);            /* of the connection; a secret */
const char *rtc_link_authorization(const struct rtc_link *link);    /* "Bearer …", or NULL */
const char *rtc_link_protocol(const struct rtc_link *link);         /* "json" */
uint64_t rtc_link_received(const struct rtc_link *link);            /* number of the last envelope that the client has */
/* false while a better transport is being tried: a poll would take the connection away from it. Then just wait: the client closes
 * this link, or opens another one in its place. */
bool rtc_link_may_poll(struct rtc_link *link);
size_t rtc_link_message_max(const struct rtc_link *link);           /* what the server takes as one envelope, in bytes */

/* What a transport tells; all but failed() may be called while it is being opened. */
void rtc_link_number(struct rtc_link *link, uint64_t next);         /* where numbers are shown: that of the next numbered envelope */
void rtc_link_envelope(struct rtc_link *link, struct rtc_bytes text);   /* one came, numbered or not, in order */
void rtc_link_heard(struct rtc_link *link);                         /* a sign of life that is no envelope: a ping, an empty poll */
void rtc_link_acknowledged(struct rtc_link *link, uint64_t received);
void rtc_link_writable(struct rtc_link *link);
/* It is over; nothing that it tells after this counts, and close() comes soon. can_reconnect: false ends the connection. */
void rtc_link_failed(struct rtc_link *link, const struct rtc_error *why, bool can_reconnect);

/* Waiting, through the client's loop. events: EPOLLIN, EPOLLOUT. NULL: out of memory. To be freed before close() returns. */
struct rtc_watch;
struct rtc_watch *rtc_link_watch(struct rtc_link *link, int descriptor, uint32_t events, void (*on_ready)(void *argument, uint32_t events),
                                 void *argument);
void rtc_watch_change(struct rtc_watch *watch, uint32_t events);
void rtc_watch_free(struct rtc_watch *watch);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
