/*
 * Bench client: many WebSocket clients of one daemon on one epoll descriptor: they connect, check the handshake, wait for
 * rtc.welcome, answer Pings, and hand each message on. Knows nothing of rates, and keeps no clock.
 */
#pragma once

#include "cli/bench_target.h"
#include "cli/random.h"
#include "lib/ws_frame.h"

enum bench_state {
    BENCH_CONNECTING,                   /* TCP */
    BENCH_ASKING,                       /* the handshake is sent, its answer is awaited */
    BENCH_GREETING,                     /* rtc.welcome is awaited */
    BENCH_OPEN,
    BENCH_LEAVING,                      /* a Close is sent, the daemon's is awaited */
    BENCH_CLOSED,
};

struct bench_client {
    int descriptor;
    enum bench_state state;
    bool waits_for_room;                /* `out` could not all be sent */
    char accept[WS_ACCEPT_TEXT + 1];    /* what the handshake's answer has to carry */
    struct ws_reader reader;
    struct buf in;                      /* the part that has come of a head, a frame's header or a control frame */
    struct buf message;                 /* the part that has come of a message */
    struct buf out;
    uint64_t received;                  /* kept by whoever owns on_message */
};

struct bench_clients {
    int epoll;
    const struct bench_target *target;
    bool is_msgpack;
    struct bench_failure *failure;      /* what befell the first that failed */
    /* An open client got a message, or was lost. */
    void (*on_message)(void *argument, struct bench_client *client, struct bytes message);
    void (*on_lost)(void *argument, struct bench_client *client);
    void *argument;

    struct bench_client *all;
    uint64_t started, open, closed;
    uint64_t received_bytes;
    unsigned char *read_buffer;
    struct random_pool random;
};

/* Takes what stands above `all` from the caller. false: failure says why. bench_clients_done() in any case. */
MUST_CHECK bool bench_clients_init(struct bench_clients *clients, uint64_t count);
void bench_clients_done(struct bench_clients *clients);

/* Begins one more. */
void bench_clients_start(struct bench_clients *clients);

/* The descriptor ends the wait of bench_clients_turn() as well: while it is readable, or each time that it becomes so. */
MUST_CHECK bool bench_clients_watch(struct bench_clients *clients, int descriptor, bool each_time);

/* Waits until something happens, at most `wait_ms`, and handles it. */
void bench_clients_turn(struct bench_clients *clients, int wait_ms);

/* Frames an envelope; bench_client_flush() sends it. */
void bench_client_add(struct bench_clients *clients, struct bench_client *client, struct bytes envelope);
void bench_client_flush(struct bench_clients *clients, struct bench_client *client);

/* Says goodbye, so that the daemon keeps nothing for a client that will not come back. */
void bench_clients_leave(struct bench_clients *clients);

/* A message of the protocol's own (rtc.error and the like) as JSON, kept in `room`. -EBADMSG. */
MUST_CHECK int bench_client_read(const struct bench_clients *clients, struct bytes message, struct buf *room, struct bytes *ret_json);
