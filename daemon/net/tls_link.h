/*
 * TLS link: what stands between a link and its socket where TLS is spoken. To the link it looks like the socket: what it reads and
 * writes is in clear. Owns the handshake: its deadline, its share of a turn, its refusals. What happens on OpenSSL's side is in tls.c.
 */
#pragma once

#include "daemon/net/link.h"
#include "daemon/net/tls.h"

/* Of a worker, where any client of the daemon speaks TLS; NULL elsewhere. */
struct tls_worker;
MUST_CHECK int tls_worker_new(struct tls_store *store, struct tls_worker **ret);
void tls_worker_free(struct tls_worker *tls);                       /* NULL is fine */
/* Handshakes that had to wait go on, as many as a turn may bear. */
void tls_worker_turn(struct tls_worker *tls);
bool tls_worker_is_busy(const struct tls_worker *tls);              /* some still wait */

/* A client has connected where TLS is spoken. As link_new(). */
struct link *tls_link_new(struct worker *worker, int descriptor, const struct peer_address *address);
/* Waits for the handshake; once that is done the link is HTTP's. */
void tls_link_begin_handshake(struct link *link);
/* The daemon stops: true if the link was in its handshake, and is closed. */
bool tls_link_stop(struct link *link);

/* Of links whose is_tls is set: link.c asks instead of the socket. */
ssize_t tls_link_receive(struct link *link, void *room, size_t size);               /* as recv(2): 0: the end; -1: errno */
ssize_t tls_link_send(struct link *link, const struct iovec *pieces, size_t count); /* as link_try() */
/* What is encrypted already goes out. 0; -EAGAIN: not all of it; else the link is lost. */
int tls_link_flush(struct link *link);
/* Before FIN: says that nothing more will come. False: the socket does not take that now; call again when it does. */
bool tls_link_end(struct link *link);
void tls_link_settle(struct link *link);            /* it has come to another worker */
void tls_link_done(struct link *link);

/* Who the client is by its certificate (tls.client-user): "": nobody; NULL: nothing is known. */
const char *tls_link_user(const struct link *link);
