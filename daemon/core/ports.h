/*
 * Ports: all that core calls outward, as tables of functions. Core knows no socket, no loop and no clock.
 */
#pragma once

#include "lib/envelope.h"

struct connection;
struct hub;
struct letter;
struct link;
struct message;

enum { LINK_BYTES = 72 };       /* of a struct link: core does not know what it is, but fetches it ahead */

/*
 * Transport: how a link carries a connection. One constant record in a file of its own under transport/, one line in
 * transport/transports.c. It asks the connection's dialect for every byte that has a meaning.
 */
struct transport {
    const char *name;           /* "websocket": in negotiation, options, columns */
    const char *path;           /* below the base path, of the native dialect: "/websocket" */
    bool is_lasting;            /* the link stays while the connection is open; else each answer ends it */
    bool is_two_way;            /* it brings the client's envelopes as well, and nothing else may: only their order numbers them */
    bool carries_binary;

    /* Sends what is owed, as much as the socket takes now, or leaves that to the port `settle`; asks to be called again when
     * the socket takes more. */
    void (*flush)(struct connection *connection);
    /* An unnumbered protocol envelope (rtc-protocol(7), "Stateful reconnect"), in order with the rest. */
    void (*send_unnumbered)(struct connection *connection, struct bytes text);
    /* Time has passed: ping, give a silent peer up. Returns milliseconds until the next look (0: none needed). */
    uint64_t (*tend)(struct connection *connection, uint64_t now_ms);
    /* Asks the client for an acknowledgement of all that was sent; NULL: there is no way to. The connection has a link that is open. */
    void (*probe)(struct connection *connection);
    /* Ends the link, saying why where the transport has words for it. `farewell`, if not empty, is the dialect's last
     * envelope. The connection has already let go of the link; nothing that happens to the link from now on reaches it. */
    void (*close)(struct link *link, const struct fault *why, struct bytes farewell);
};

/*
 * Dialect: what messages mean and how a client greets. One constant record in a file of its own under dialect/, one
 * line in dialect/dialects.c.
 */
struct dialect {
    const char *name;
    uint8_t index;              /* in dialects[], below MESSAGE_DIALECTS_MAX */
    bool numbers_sse;           /* SSE events carry the envelope's number as their id */
    bool is_resumable;          /* clients may come back to a connection; else it ends with its link */
    bool mixes_types;           /* WebSocket messages may be text or binary, whatever the connection's codec; receive is told by the
                                 * codec, and answers in it by setting the connection's */
    bool packs_unnumbered;      /* its unnumbered envelopes may be compressed: none has a secret in it */
    const char *subprotocol;    /* Sec-WebSocket-Protocol is this with the codec's name behind it; NULL: none is looked at */

    /* Takes one message of the client's, as its transport delivered it, in `codec`. 0; -EAGAIN: nothing was taken, try again when
     * there is room (back-pressure); -ECONNRESET: the connection is over. */
    int (*receive)(struct connection *connection, struct bytes text, enum codec_id codec);
    /* Appends the envelope as it stands on the wire. -EBADMSG: its data has no form in this codec; -ENOMEM. */
    int (*encode)(struct buf *out, const struct envelope *envelope, enum codec_id codec);
    /* The protocol's own envelopes, in the connection's codec; an empty result means that the dialect has none. */
    void (*add_welcome)(struct connection *connection, bool is_resumed, struct buf *out);
    void (*add_ping)(struct connection *connection, struct buf *out);
    void (*add_ack)(struct connection *connection, struct buf *out);
    void (*add_farewell)(struct connection *connection, const struct fault *why, bool reconnect, struct buf *out);
    /* A poll's body: what stands before, between and behind `count` envelopes of which the first has number `first`. */
    void (*add_poll_start)(struct connection *connection, uint64_t first, size_t count, struct buf *out);
    void (*add_poll_between)(struct connection *connection, struct buf *out);
    void (*add_poll_end)(struct connection *connection, struct buf *out);
    const char *(*poll_content_type)(struct connection *connection);
};

/* What the exchange and the hubs need of the threads around them. */
struct ports {
    /* Puts a letter into a worker's mailbox (index MAIN_MAILBOX: the main thread's); owns the letter's references
     * afterwards. Any thread. -EAGAIN: it is full (only asked of those letters that may be refused); -ENOMEM. */
    int (*post)(void *argument, unsigned worker, const struct letter *letter);
    /* Is there room for more in that mailbox? */
    bool (*has_room)(void *argument, unsigned worker);
    /* On the worker's own thread: sends what the transports' flush left for now. */
    void (*settle)(void *argument, unsigned worker);
    /* The time of day, Unix milliseconds; for what people or other machines set an end to. Any thread. */
    uint64_t (*wall_ms)(void *argument);
    /* Milliseconds of a clock that never jumps, the one of all hubs. Any thread. */
    uint64_t (*now_ms)(void *argument);
    void *argument;
};

enum { MAIN_MAILBOX = 255, WORKERS_MAX = 64 };
