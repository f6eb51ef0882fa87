/*
 * Listener: where clients come in. On TCP each worker has a socket of its own (SO_REUSEPORT); a Unix socket or one
 * inherited from systemd is shared by all workers. Pauses accepting while only the reserve of descriptors is left (reserve.h).
 */
#pragma once

#include "daemon/net/worker.h"

struct config;
struct tls_store;

/* Descriptors that systemd handed over (sd_listen_fds(3)), by FileDescriptorName. */
struct inherited {
    int count;
    char **names;
};
MUST_CHECK int inherited_take(struct inherited *ret);                   /* negative errno: the environment is wrong */
int inherited_find(const struct inherited *inherited, const char *name);   /* -1: none */
void inherited_done(struct inherited *inherited);

struct listen_socket {
    int descriptor;
    int worker;                         /* -1: every worker accepts from it */
    bool is_tls, is_proxied;
};

struct listen_sockets {
    struct listen_socket *items;
    size_t count;
    int inherited_count;                /* descriptors below SD_LISTEN_FDS_START + this are systemd's */
    bool has_tls;                       /* one of them at least */
};

/* Opens all that `listen` names, or takes the inherited ones named "rtcd" and "rtcd-tls" in its place. Negative errno after logging what
 * failed; nothing stays open then. The main thread does this before the workers run. */
MUST_CHECK int listen_open(const struct config *config, const struct inherited *inherited, unsigned worker_count,
                           struct listen_sockets *ret);
/* Closes them and takes our own Unix sockets' files away. */
void listen_close(struct listen_sockets *sockets);

/* Adds the worker's share of them to its loop. `tls`: for those where TLS is spoken. */
MUST_CHECK int listener_add_all(struct worker *worker, const struct listen_sockets *sockets, struct tls_store *tls);
/* After a reload: new connections get what the config says now. */
void listener_take_config(struct worker *worker);
void listener_free_all(struct worker *worker);
