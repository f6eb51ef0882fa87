/*
 * Client: the one object behind rtc.h. Each part has its own file and its own struct here; what they have to tell one another
 * goes through the functions below:
 *
 *     client      states, start, stop, what the caller is told, the end      link      a transport's side of it all
 *     connect     attempts: negotiate, resume, one transport after another   carry     envelopes over the link of now
 *     upgrade     a better transport while connected                         requests  invoke, join, leave and their replies
 *
 * Nothing is freed while a transport or a handler may still return into it: links that are over wait for client_sweep().
 */
#pragma once

#include "lib/client/groups.h"
#include "lib/client/handlers.h"
#include "lib/client/io.h"
#include "lib/client/random.h"
#include "lib/client/replies.h"
#include "lib/client/sent_queue.h"
#include "lib/client/session.h"

enum { KINDS_MAX = OFFERS_MAX };

struct negotiation;
struct tls_context;
struct url;

/* How a connection is being made, or made again. */
struct attempt {
    struct negotiation *negotiation;    /* under way, or NULL */
    struct io_timer timer;              /* until the next attempt, or until a transport must have greeted */
    unsigned failed_count;              /* since the connection was lost that last was of use */
    uint64_t since_ms;                  /* when it was lost, or rtc_start() */
    uint64_t opened_ms, opened_mark;    /* when a link was greeted last, and how far all numbers had come then */
    bool was_connected;                 /* since rtc_start() */
    bool is_new;                        /* a connection was negotiated that no transport has carried yet */
    bool has_negotiated;                /* in this attempt */
    bool has_fresh_token;               /* a refused token was asked for anew: only once until connected */
    bool is_network;                    /* whatever failed in this attempt did so of the network */
    size_t order[OFFERS_MAX], count, next;      /* offers of the session, as they are tried */
    struct rtc_error last;              /* why the last of them failed */
    char *access_token;                 /* for the requests of now; NULL: none */
};

/* A better transport is being tried while another one carries the connection. */
struct upgrade {
    struct io_timer timer;              /* until the next try, or until the transport must have greeted */
    unsigned failed_count;
    bool is_due;                        /* it waits for what is under way upwards */
    bool is_restoring;                  /* the old transport is being opened again, since the better one failed */
    size_t next;                        /* offer being tried */
    uint64_t switched_ms;               /* when a better one took over; 0: none did */
};

struct carry {
    struct io_timer flush_timer, ack_timer, alive_timer;
    bool owes_ack, owes_pong;
    uint64_t pinged_ms;                 /* 0: nothing was asked since something was heard */
    struct buf pong;                    /* the data to answer with */
    struct buf text;                    /* strings of the message that is being handed out */
};

struct rtc_client {
    struct options options;
    struct codec_set codecs;
    const struct rtc_transport_kind *kinds[KINDS_MAX];      /* the caller's favourite first */
    size_t kind_count;
    struct io io;
    struct random_draw random;

    enum rtc_state state;
    struct rtc_error error;             /* rtc_error() */
    struct rtc_life life;
    void *life_argument;
    bool wants_break;                   /* rtc_break() */
    unsigned lives;                     /* how often it has ended: a callback may have ended it, and begun anew */

    struct session session;
    struct sent_queue sent;
    struct handlers handlers;
    struct replies replies;
    struct io_timer reply_timer;
    struct groups groups;

    struct attempt attempt;
    struct upgrade upgrade;
    struct carry carry;
    struct rtc_link *link;              /* carries the connection, or NULL */
    struct rtc_link *candidate;         /* is being opened, or NULL */
    size_t offer_at;                    /* the session's offer that `link` is of */
    struct list links;                  /* all of them, those that are over as well */
    struct io_timer sweep_timer;
    struct list farewells;              /* requests that end connections at the server */
};

/* client.c */
struct rtc_client *client_new(const struct options *options, struct rtc_error *error);
/* What https needs, once it is needed: it is read from files, and costs more memory than all the rest. */
struct tls_context *client_tls(const struct rtc_client *client);        /* NULL until then */
/* What the connection's server is shown; NULL: nothing. */
const char *client_access_token(const struct rtc_client *client);
enum rtc_code client_prepare_tls(struct rtc_client *client, const struct url *url, struct rtc_error *error);
struct abilities client_abilities(const struct rtc_client *client);
void client_enter(struct rtc_client *client, enum rtc_state state);
enum rtc_code client_fail(struct rtc_client *client, enum rtc_code code, const char *format, ...) PRINTF_LIKE(3, 4);  /* for rtc_error() */
/* The end, until rtc_start(): `why` is what on_close and the handlers of replies get. */
void client_finish(struct rtc_client *client, const struct rtc_error *why);
void client_drop_link(struct rtc_client *client, struct rtc_link **link, bool is_final);
void client_log(struct rtc_client *client, enum rtc_level level, const char *format, ...) PRINTF_LIKE(3, 4);
/* A function as an io timer's, with the client that the timer is in. */
#define CLIENT_OF(timer, member) CONTAINER_OF(timer, struct rtc_client, member)

/* connect.c */
void connect_start(struct rtc_client *client);
void connect_stop(struct rtc_client *client);
void connect_lost(struct rtc_client *client, const struct rtc_error *why);
void connect_negotiated(struct rtc_client *client, struct session *session);        /* takes its content */
void connect_refused(struct rtc_client *client, const struct rtc_error *why);       /* the negotiation failed */
void connect_link_failed(struct rtc_client *client, const struct rtc_error *why);
/* The candidate was greeted: it carries the connection from now on. `welcome` NULL: without a word (see is_polled). */
void connect_greeted(struct rtc_client *client, struct rtc_link *link, struct welcome *welcome);

/* carry.c */
void carry_begin(struct rtc_client *client);                    /* the link has changed */
void carry_stop(struct rtc_client *client);
void carry_flush_soon(struct rtc_client *client);
void carry_received(struct rtc_client *client);                 /* a numbered envelope came */

uint64_t client_timeout_ms(const struct rtc_client *client);    /* of silence, after which a transport is lost */

/* receive.c: what a link brought. */
void receive_envelope(struct rtc_link *link, struct bytes text);

/* upgrade.c */
void upgrade_greeted(struct rtc_client *client);                /* another link carries the connection */
void upgrade_stop(struct rtc_client *client);
void upgrade_writable(struct rtc_client *client);               /* nothing is under way upwards */
bool upgrade_is_trying(const struct rtc_client *client);
/* Is it, or was it a moment ago? Then one request of the client's may overtake another. */
bool upgrade_is_recent(const struct rtc_client *client);
void upgrade_link_failed(struct rtc_client *client, const struct rtc_error *why);   /* the candidate, while connected */

/* requests.c */
/* A request's reply, in no list yet; timeout_ms 0: the usual. NULL: out of memory. */
struct reply *requests_expect(struct rtc_client *client, enum reply_kind kind, const char *group, unsigned timeout_ms,
                              rtc_reply_fn *on_reply, void *argument);
void requests_arm(struct rtc_client *client);                   /* for the next timeout */

/* answers.c */
void requests_answer(struct rtc_client *client, const struct rtc_envelope *envelope);
/* A new connection: `lost` holds what was sent on the old one, and is freed. Joins are sent again; other requests move to `ret_failed`. */
void requests_restart(struct rtc_client *client, struct list *lost, struct replies *ret_failed);
void requests_fail_all(struct rtc_client *client, struct replies *failed, const struct rtc_error *why);
