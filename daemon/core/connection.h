/*
 * Connection: one client's session with the daemon. It outlives the links that carry it.
 *
 * Owned by its worker's hub; other threads hold its handle and look it up. A client between two polls is parked,
 * exactly like one whose WebSocket broke: nothing here knows of polling.
 */
#pragma once

#include "daemon/core/grant.h"
#include "daemon/core/outbox.h"
#include "daemon/core/peer_address.h"
#include "daemon/core/ports.h"
#include "daemon/core/roster.h"
#include "daemon/core/wheel.h"
#include "lib/text.h"

enum connection_state {
    CONNECTION_NEGOTIATED,      /* made, no transport yet */
    CONNECTION_OPEN,            /* a link carries it */
    CONNECTION_PARKED,          /* no link now; the client may come back */
    CONNECTION_CLOSED,          /* over; freed at the end of the turn */
    CONNECTION_STATE_COUNT,
};
const char *connection_state_name(enum connection_state state);

enum { TOKEN_SECRET_BYTES = 18, TOKEN_BYTES = 24, TOKEN_TEXT = 32 };

/*
 * Small, since an idle daemon is mostly these: what only matters while something is owed is in the outbox, what only
 * matters while something is half read or written is in the link. Times are milliseconds of the hub's clock; the short ones
 * wrap, and only their distance to now means something.
 */
struct connection {
    struct hub *hub;
    const struct dialect *dialect;
    const struct transport *transport;  /* the present one, or the last; NULL before the first */
    struct link *link;                  /* NULL unless open */
    struct roster *user;                /* NULL: anonymous */
    uint64_t handle;                    /* worker, generation, slot */
    struct outbox outbox;
    uint64_t received;                  /* numbered envelopes that came from the client */
    /* By state: open timeout, the transport's tending. Parked, its node stands in the hub's list of parked ones, closed in the
     * graveyard. */
    struct timer timer;
    union {                             /* most connections have one group */
        struct membership one;
        struct membership *many;        /* once there have been more: `membership_capacity` of them */
    } memberships;

    uint32_t user_index;
    uint32_t received_untold;           /* the last so many of them the client does not know of */
    uint32_t opened_s;                  /* since when, by the hub's clock */
    uint32_t heard_ms, sent_ms;         /* last sign of life, last byte written */
    uint32_t ping_ms;                   /* when the last ping was sent */
    uint16_t membership_count, membership_capacity;
    struct peer_address address;
    struct uuid id;
    unsigned char secret[TOKEN_SECRET_BYTES];
    uint8_t state;
    uint8_t codec;                      /* enum codec_id */
    uint8_t doom;                       /* enum fault_id: to be closed at the end of the turn */
    bool is_dirty : 1;                  /* stands in the hub's list of those with something to send */
    bool was_opened : 1;
    bool has_forgotten : 1;             /* what was sent and never acknowledged */
    bool has_grant : 1;                 /* it showed an access token: see grant.h */
    bool has_labels : 1;                /* see labels.h */
    bool is_traced : 1;                 /* it is or was owed something that is traced: see trace.h */
    bool is_probed : 1;                 /* stands in the hub's queue of those to be asked for an acknowledgement */
};

/* How long ago one of its short times was. */
static inline uint32_t connection_age_ms(uint64_t now_ms, uint32_t then_ms) { return (uint32_t)now_ms - then_ms; }
/* Its groups: `membership_count` of them. */
static inline struct membership *connection_memberships(const struct connection *connection)
{
    return connection->membership_capacity ? connection->memberships.many : (struct membership *)&connection->memberships.one;
}
static inline uint32_t connection_slot(const struct connection *connection) { return (uint32_t)connection->handle; }

/* What a client proved or may do; handed in when a connection is made. */
struct identity {
    struct bytes user;                  /* empty: anonymous */
    bool is_proved;                     /* by credentials; else a user is a client's claim */
    bool has_token;                     /* it was proved by an access token, and ends with that */
    struct grant_terms terms;
};

/*
 * Makes a connection in state NEGOTIATED, with the open timeout running. NULL with a fault: NODE_FULL, ADDRESS_FULL, USER_FULL,
 * INTERNAL (out of memory).
 */
struct connection *connection_new(struct hub *hub, const struct dialect *dialect, enum codec_id codec,
                                  const struct identity *identity, const struct peer_address *address,
                                  struct fault *fault);

/* The link that carries the connection, if there is one, is told why and let go. What the client is owed stays. To be followed
 * by connection_attach or connection_detach. */
void connection_release(struct connection *connection, enum fault_id why);

/* A link takes the connection up; none carries it now. The state is OPEN afterwards. */
void connection_attach(struct connection *connection, struct link *link, const struct transport *transport);

/* The link is gone (or has been answered): PARKED, with the resume window running; or closed, where nobody can come back. */
void connection_detach(struct connection *connection);

/* The client has acknowledged more than `received`: whoever says so now asked before that, and was overtaken on the way. */
bool connection_is_overtaken(const struct connection *connection, uint64_t received);

/* The client has everything up to `received` and comes back: -ERANGE when that was forgotten or never sent. */
MUST_CHECK int connection_resume(struct connection *connection, uint64_t received);

/* Sends rtc.welcome on the present transport. */
void connection_welcome(struct connection *connection, bool is_resumed);

/* Queues a message, taking the caller's reference over; marks the connection to be flushed at the end of the turn. */
void connection_push(struct connection *connection, struct message *message);

/* Ends the connection: the client is told why and whether coming back makes sense. Freed at the end of the turn. */
void connection_close(struct connection *connection, const struct fault *why, bool reconnect);

/* The same at the end of this turn: for places that must not change the lists they walk. */
void connection_doom(struct connection *connection, enum fault_id why);

/* The client acknowledged. -ERANGE: a number that was never sent; the caller closes it (BAD_ACK). */
MUST_CHECK int connection_acknowledge(struct connection *connection, uint64_t number);
/* One numbered envelope came in: counts it and sends rtc.ack now and then. */
void connection_count_received(struct connection *connection);
/* Sends rtc.ack if the client does not know yet what has come. */
void connection_tell_received(struct connection *connection);

/* Sent messages move to the waiting part, and the oldest may be forgotten. `partial` bytes of the next one have gone too. */
void connection_mark_sent(struct connection *connection, uint32_t count, uint32_t partial);
/* The socket takes no more: starts the slow consumer's clock. Without unsent messages it stops. */
void connection_watch_stall(struct connection *connection);
/* Forgets what was sent more than a resume window ago. Call now and then. */
void connection_forget_old(struct connection *connection);

/* Have the client's transport looked at again within this time. */
void connection_tend_within(struct connection *connection, uint64_t ms);

void connection_token(const struct connection *connection, char ret_text[static TOKEN_TEXT + 1]);
void connection_token_raw(const struct connection *connection, unsigned char ret[static TOKEN_BYTES]);

/* Groups. With a catch_up (archive.h) it holds what was missed up to just here; the caller pushes it. join: 0, -EALREADY, -ENOMEM, -E2BIG (connection.groups reached). leave: 0, -ENOENT. */
MUST_CHECK int connection_join_from(struct connection *connection, struct bytes group, struct catch_up *catch_up);
static inline int connection_join(struct connection *connection, struct bytes group) { return connection_join_from(connection, group, NULL); }
MUST_CHECK int connection_leave(struct connection *connection, struct bytes group);
void connection_leave_at(struct connection *connection, unsigned position);     /* of its memberships; the last takes its place */
/* NULL: it is not in this group. Until it joins or leaves another. */
struct membership *connection_membership(const struct connection *connection, struct bytes group);
/* Leaves by no wish of the client's, which is told (rtc.left). */
void connection_expel(struct connection *connection, unsigned position);
bool connection_is_member(const struct connection *connection, struct bytes group);
struct bytes connection_user(const struct connection *connection);       /* empty: anonymous */
