/*
 * Link: one accepted socket. Reads into its worker's one buffer, and owns memory of its own only while something is
 * half done (struct link_work): an idle one of a lasting transport is this small struct alone. What the bytes mean is its
 * handler's business: the HTTP front, then perhaps a transport.
 *
 * Closed links stay valid until the end of the turn; `is_closed` says so. One thread touches a link at a time: its
 * worker's, until it is handed over.
 */
#pragma once

#include "daemon/core/connection.h"
#include "daemon/net/worker.h"

#include <sys/types.h>

struct iovec;
struct link;
struct upload;

struct link_handler {
    /* Bytes came in. Returns how many are used up; the rest is kept and shown again with more. 0: more are needed. */
    size_t (*on_data)(struct link *link, unsigned char *data, size_t length);
    /* Everything that waited to be sent has gone; of a lasting transport: the socket takes more. */
    void (*on_drained)(struct link *link);
    /* The peer is gone or was given up; the handler lets go of the link and calls link_free. */
    void (*on_lost)(struct link *link, enum fault_id why);
    /* The deadline set with link_set_deadline has passed. */
    void (*on_deadline)(struct link *link);
    /* Back-pressure may have eased (link_stall). */
    void (*on_retry)(struct link *link);
};

/* What a link needs while it speaks HTTP, and a lasting transport while something is half read or half written. */
struct link_work {
    struct link *link;
    struct buf in, out;                 /* read and not used up; queued and not sent */
    size_t out_offset;
    struct timer timer;
    struct list stalled_node;           /* in the worker's `stalled` or `resumed` */
    void *state;                        /* the transport's own */
    void (*free_state)(void *state);
    struct upload *upload;              /* HTTP: a request whose body is still coming */
    char *origin;                       /* CORS: the allowed Origin to name in the answer; NULL: none */
    struct peer_address address;        /* the client's */
    struct peer_address *proxy;         /* HTTP: the peer, where it is a proxy that said whose the request is; else NULL */
    uint32_t head_resume;               /* HTTP: how far the search for the head's end has come */
    uint32_t drained_bytes;             /* while lingering */
};

struct link {
    struct worker *worker;
    const struct link_handler *handler;
    struct poll_source source;
    struct list node;                   /* in the worker's links, or its graveyard */
    struct connection *connection;      /* NULL while it is only HTTP */
    struct link_work *work;             /* NULL: nothing is half done */
    uint8_t destination;                /* worker it must move to; its own: stays */
    uint8_t minor_version;              /* HTTP/1.x */
    uint8_t window_bits;                /* WebSocket with permessage-deflate: of the client's window; 0: without */
    bool is_closed;
    bool is_tls;                        /* it is a tls_link, which stands between it and the socket */
    bool is_paused : 1;                 /* the handler takes nothing now; what comes is left in the socket */
    bool is_stalled : 1;                /* paused, and asked to try again at each tick */
    bool is_streaming : 1;              /* a lasting transport has it: link_send only queues, the turn's end sends */
    bool keeps_alive : 1;               /* HTTP: another request may follow */
    bool is_head_request : 1;
    bool is_idle : 1;                   /* HTTP: between two requests */
    bool is_listening : 1;              /* held open for a poll: a hang-up is worth knowing at once */
    bool is_misplaced : 1;              /* HTTP in clear, where TLS is spoken */
    bool takes_gzip : 1;                /* polls: the answer may be compressed */
    bool is_yielding : 1;               /* paused, until others have had their turn */
};

/* Takes the descriptor over in any case. `size`: of the link, or of what it is the first member of, which is zeroed and freed with it.
 * NULL: out of memory (and it is closed). */
struct link *link_new(struct worker *worker, int descriptor, const struct peer_address *address, size_t size);
/* Ends it: the socket is closed now, the memory freed at the end of the turn. */
void link_free(struct link *link);
/* The memory, once nobody knows the link any more. */
void link_bury(struct link *link);
/* Sends what waits, then says FIN and reads a little longer, so that a last answer is not lost to a reset. */
void link_close_gracefully(struct link *link);

/* What holds half done things; made if need be. NULL: out of memory. */
struct link_work *link_work(struct link *link);
/* Gives it back if nothing is half done and a lasting transport has the link. */
void link_rest(struct link *link);

/* Queues and, unless a lasting transport has the link, sends what the socket takes. */
void link_send(struct link *link, struct bytes bytes);
void link_send_both(struct link *link, struct bytes first, struct bytes second);
/* The same for what was written into a buf: had it no memory, the link is lost. */
void link_send_buf(struct link *link, const struct buf *buf);
/* Sends what is queued. False: something is left, or the link was lost. */
bool link_flush(struct link *link);
/* The peer has closed its side, so that nobody waits for what its request brings; asks the kernel. */
bool link_has_hung_up(const struct link *link);
static inline size_t link_queued_bytes(const struct link *link)
{
    return link->work ? link->work->out.length - link->work->out_offset : 0;
}
/* Calls on_lost from a safe place. */
void link_lost(struct link *link, enum fault_id why);

/* Waits for readability (unless paused), and for writability if asked. */
void link_arm(struct link *link, bool wants_write);
static inline bool link_waits_to_write(const struct link *link) { return link->source.armed & EPOLLOUT; }
void link_pause(struct link *link);
void link_resume(struct link *link);                    /* what was kept is fed in a moment, by the worker */
void link_feed_kept(struct link *link);                 /* of the worker, where nothing else is being done */
void link_stall(struct link *link);                     /* paused until on_retry */

void link_set_deadline(struct link *link, uint64_t ms); /* 0: none */
void link_set_handler(struct link *link, const struct link_handler *handler);

/* The link moves to another worker once its handler has returned. */
void link_hand_over(struct link *link, unsigned worker);
/* On the new worker: take it up, and feed it what it brought. */
void link_adopt(struct link *link, struct worker *worker);

/* For writers that gather themselves (stream.c). link_try: what sendmsg(2) says, negative errno if it fails. link_count_sent
 * makes of such a result: bytes written, 0: would block, -1: lost (on_lost was called). */
ssize_t link_try(struct link *link, const struct iovec *pieces, size_t count);
ssize_t link_count_sent(struct link *link, ssize_t result);
