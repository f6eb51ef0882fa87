/*
 * Daemon state: what the files of the daemon itself share: daemon.c has the start and the end, daemon_config.c the config in force,
 * daemon_threads.c the threads and what they say to each other, daemon_hooks.c what hears of clients and answers them.
 */
#pragma once

#include "daemon/admin/admin.h"
#include "daemon/certificates.h"
#include "daemon/daemon.h"
#include "daemon/hook/handlers.h"
#include "daemon/hook/webhooks.h"
#include "daemon/net/listener.h"
#include "daemon/net/router.h"
#include "daemon/net/worker.h"
#include "daemon/store/store.h"

struct daemon {
    const struct daemon_arguments *arguments;
    struct config *config;
    struct event_base *base;
    struct event *signals[3], *mailbox_event;
    struct inherited inherited;
    struct listen_sockets sockets;
    struct certificates *certificates;  /* NULL: no client speaks TLS */
    struct mailbox *mailboxes;          /* of the workers, then the main thread's */
    struct router router;
    struct exchange *exchange;
    struct store *store;                /* NULL: histories are in memory alone */
    struct worker *workers;
    unsigned worker_count, ready_count, running_count;
    struct metrics metrics;             /* the main thread's own */
    struct notices notices;
    struct handlers *handlers;
    struct plugins *plugins;            /* NULL: there are none */
    struct event *handlers_event;
    struct webhooks webhooks;
    struct jwks *jwks;
    struct admin *admin;
    struct watchdog *watchdog;
    bool is_stopping;
};

/* Parts, see the table in daemon.c: each starts with 0 or a negative errno, and stops after a failed start too. */
int daemon_load_config(struct daemon *daemon);
void daemon_drop_config(struct daemon *daemon);
int daemon_start_mailboxes(struct daemon *daemon);
void daemon_stop_mailboxes(struct daemon *daemon);
int daemon_start_exchange(struct daemon *daemon);
void daemon_stop_exchange(struct daemon *daemon);
int daemon_start_notices(struct daemon *daemon);
int daemon_start_handlers(struct daemon *daemon);
void daemon_stop_handlers(struct daemon *daemon);
int daemon_start_webhooks(struct daemon *daemon);
void daemon_stop_webhooks(struct daemon *daemon);
int daemon_start_workers(struct daemon *daemon);
void daemon_stop_workers(struct daemon *daemon);

/* From now on this config is everybody's; takes the reference over. */
void daemon_publish_config(struct daemon *daemon, struct config *config);
/* Reads the config again; *report says what changed, or what is wrong. For struct admin_host. */
int daemon_reload(void *daemon, struct buf *report);
/* Puts a letter into a worker's mailbox: see struct ports. */
int daemon_post(void *daemon, unsigned worker, const struct letter *letter);
/* The config in force. */
struct config *daemon_config(void *daemon);
/* The time of day, Unix milliseconds. */
uint64_t daemon_wall_ms(void *daemon);
