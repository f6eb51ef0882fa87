/*
 * Speech: what a client of the load generator says to a server, and how it knows a delivery, one row for each server and
 * transport. It knows no sockets; carriers (client.h) move its bytes.
 */
#pragma once

#include "tests/bench/client.h"

struct speech {
    const char *name;
    const struct carrier *carrier;
    const char *publisher;              /* the speech of who publishes to such members; NULL: this one */
    const char *subprotocol;            /* NULL: none */
    bool is_packed;                     /* offers permessage-deflate, and counts as a delivery what comes compressed */
    enum ws_opcode opcode;              /* of what the client says */
    bool is_pinged_until_acknowledged;  /* a ping that comes after a delivery shows that the server waits for its pong */

    /* WebSocket and events: the request's target; polls: the whole next request. */
    void (*add_request)(struct buf *out, const struct client *client);
    /* Called with each message until it returns true: the client is known and a member. On WebSocket first with an empty one,
     * after the handshake. What it adds to `say` is sent. NULL: there is no greeting. */
    bool (*greet)(struct client *client, struct bytes message, struct buf *say);
    void (*add_publish)(struct buf *out, int group, struct bytes data);
    /* Publishing by HTTP: a whole request, of `batch` messages where the server takes more than one. NULL: it has no such way. */
    void (*add_post)(struct buf *out, int group, struct bytes data, uint32_t batch, const char *key);
    bool has_batches;
    /* For messages too short for a delivery. NULL: they mean nothing. */
    void (*answer_ping)(struct client *client, struct bytes message);

    /* Where frames carry a stream: how long a delivery is, its first byte, and how long all else is. */
    uint64_t (*stream_bytes)(uint32_t data_bytes);
    unsigned char stream_mark;
    uint8_t stream_other_bytes;

    /* Polls: how many messages an answer has, and what the next poll must know. */
    uint32_t (*take_answer)(struct client *client, struct bytes head, struct bytes body);
};

/* NULL: there is none. */
const struct speech *speech_find(const char *name);
const struct speech *speech_of_publisher(const struct speech *speech);
void speech_print_names(void);

/* A field of an HTTP head; empty: it has none (client_http.c). */
struct bytes http_field(struct bytes head, const char *name);
