/*
 * Worker: one thread with its own loop, listeners, links and hub. Other threads reach it through its mailbox alone.
 */
#pragma once

#include "daemon/core/hub.h"
#include "daemon/net/http_parse.h"
#include "daemon/net/flusher.h"
#include "daemon/net/mailbox.h"
#include "daemon/net/poller.h"
#include "daemon/net/reclaim.h"

#include <pthread.h>

struct exchange;
struct listener_set;
struct packer;
struct router;
struct tls_worker;

enum { READ_BUFFER_BYTES = 64 * 1024 };

struct worker {
    unsigned index;
    uint64_t (*clock_ms)(void);         /* clock_now_ms, unless a test has set its own before worker_init */
    pthread_t thread;
    bool is_running;
    struct poller poller;
    struct poll_source mailbox_source;
    uint64_t tick_ms;                   /* when timers and stalled links are looked at next */
    struct hub *hub;
    const struct router *router;
    struct mailbox *mailboxes;          /* of all workers; its own is at `index` */
    unsigned worker_count;

    struct list links;                  /* all that are alive */
    struct list graveyard;              /* links that are closed, freed at the end of the turn */
    struct list stalled;                /* links whose message met back-pressure, tried again each tick */
    struct list resumed;                /* links with kept bytes that their handlers take again */
    struct list listeners;
    size_t link_count;
    bool is_stopping, has_closed;       /* has_closed: all connections, then */
    uint64_t stop_ms;                   /* links still there then are cut */

    struct http_head head;              /* the request being looked at */
    struct buf head_out;                /* the head of the answer being sent */
    struct buf scratch;                 /* for decoders; nothing lives in it across calls */
    struct flusher flusher;
    struct tls_worker *tls;             /* NULL: no client speaks TLS */
    struct packer *packer;              /* NULL: nothing was compressed yet; see worker_packer() */
    struct reclaim reclaim;
    char date[40];                      /* of the Date header, renewed each second */
    uint64_t date_s;
    unsigned char buffer[READ_BUFFER_BYTES];
};

/* Everything but the thread. Negative errno after logging why. */
MUST_CHECK int worker_init(struct worker *worker, unsigned index, struct exchange *exchange, struct config *config,
                           const struct router *router, struct mailbox *mailboxes, unsigned worker_count);
void worker_done(struct worker *worker);
MUST_CHECK int worker_start(struct worker *worker);
/* What the thread does: begin, turns until the worker is finished, end. A turn waits up to `wait_ms` for something to do. */
void worker_begin(struct worker *worker);
void worker_turn(struct worker *worker, int wait_ms);
void worker_end(struct worker *worker);
bool worker_is_finished(struct worker *worker);
/* The hub's port: what a turn left to the flusher goes out. */
void worker_settle(struct worker *worker);
void worker_join(struct worker *worker);            /* after LETTER_STOP */

/* For whatever is compressed on its thread. NULL: out of memory. */
struct packer *worker_packer(struct worker *worker);

/* Milliseconds of a clock that never jumps; also refreshes the hub's. */
uint64_t worker_now(struct worker *worker);
uint64_t clock_now_ms(void);
