/*
 * TLS: the certificates and rules of the moment, and one peer's session, as a filter: bytes in, bytes out. Knows no socket, no link
 * and no HTTP. The only door to OpenSSL's TLS.
 */
#pragma once

#include "lib/buf.h"

struct config;
struct tls_tickets;

/*
 * Certificates and rules, as they were when it was made: immutable, counted. A reload makes a new one; sessions keep the one that they
 * began with.
 */
struct tls;

/* 0; -EINVAL: `problems` got a line for each mistake; -ENOMEM. */
MUST_CHECK int tls_new(const struct config *config, struct tls_tickets *tickets, struct tls **ret, struct buf *problems);
struct tls *tls_ref(struct tls *tls);
void tls_unref(struct tls *tls);                    /* NULL is fine */

/* Where workers find the one for new sessions. Any thread. */
struct tls_store;
struct tls_store *tls_store_new(void);              /* empty; NULL: out of memory */
void tls_store_free(struct tls_store *store);
/* Replaces what is in it by what the config and the files say now; if that fails it stays, as of tls_new. */
MUST_CHECK int tls_store_load(struct tls_store *store, const struct config *config, struct buf *problems);
struct tls *tls_store_take(struct tls_store *store);    /* the caller's own reference */

/*
 * Desk: where sessions read and write. A thread has one for all of its sessions: the caller lays what came from a peer on it, calls,
 * and sends off what lies in `out` afterwards.
 */
struct tls_desk {
    struct bio_method_st *method;
    struct bio_st *bio;
    struct bytes in;                    /* came from the peer and not yet taken; calls take all of it */
    struct buf out;                     /* goes to the peer */
    const char *failure;                /* why the last handshake failed */
};
MUST_CHECK int tls_desk_init(struct tls_desk *desk);
void tls_desk_done(struct tls_desk *desk);

enum { TLS_RECORD_MAX = 16384 };

struct tls_session {
    struct ssl_st *ssl;                 /* NULL: it has not begun */
    struct tls *tls;
    char *user;                         /* the client's certificate says who it is: "" nobody; NULL: it showed none, or is not asked */
};
enum tls_progress { TLS_DONE, TLS_MORE, TLS_FAILED };

/* Takes the reference to `tls` over in any case. -ENOMEM. */
MUST_CHECK int tls_session_init(struct tls_session *session, struct tls *tls, struct tls_desk *desk);
void tls_session_done(struct tls_session *session);
/* It works at another desk from now on. */
void tls_session_move(struct tls_session *session, struct tls_desk *desk);
bool tls_session_is_resumed(const struct tls_session *session);

/* The handshake, as far as what has come leads. FAILED: the peer is told, by what lies in `out`; nothing else may be called then. */
enum tls_progress tls_session_accept(struct tls_session *session, struct tls_desk *desk);
/* What has come, in clear: its length. `room` must be as large as what is on the desk and TLS_RECORD_MAX together. *ret_is_over: the
 * peer says that nothing more will come, or broke the rules. */
size_t tls_session_read(struct tls_session *session, struct tls_desk *desk, void *room, size_t size, bool *ret_is_over);
/* Makes one record of it: at most TLS_RECORD_MAX bytes. -ECONNRESET: the session is over; -ENOMEM. */
MUST_CHECK int tls_session_write(struct tls_session *session, struct tls_desk *desk, const void *data, size_t length);
/* Says that nothing more will come from us. */
void tls_session_end(struct tls_session *session, struct tls_desk *desk);
