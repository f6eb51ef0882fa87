/*
 * Client: one WebSocket client of the load generator, as cheap as can be: it counts the messages that reach it, answers
 * pings, and looks at nothing else. All clients share one epoll descriptor and one read buffer. Whatever goes wrong ends
 * the program with a message: a benchmark with a lost client measures nothing.
 */
#pragma once

#include "lib/ws_frame.h"

struct client {
    int descriptor;
    bool is_open;                       /* the handshake, and the greeting if there is one, have come */
    bool is_greeted;
    uint8_t held_bytes;                 /* of a frame's header, or of a control frame, that came in part */
    unsigned char held[WS_HEADER_MAX + WS_CONTROL_MAX];
    uint64_t skip;                      /* payload bytes of the current frame still to come */
    bool is_counted;                    /* the current frame counts */
    uint64_t messages;
};

struct load {
    int epoll;
    uint16_t port;
    bool expects_greeting;              /* the first message after the handshake is the server's own */
    uint64_t message_min;               /* shorter messages are the protocol's own (rtc.ack) and do not count */
    struct client *clients;
    uint32_t count, open_count;
    uint64_t messages;                  /* of all clients */
};

void load_init(struct load *load, uint16_t port, bool expects_greeting, uint64_t message_min, uint32_t count_max);
/* Closes all with a reset, so that no port is left waiting. */
void load_done(struct load *load);

/* Opens `count` more clients, `at_once` under way at a time, and returns when all are open. `protocol`: NULL, or a
 * subprotocol. */
void load_open(struct load *load, uint32_t count, uint32_t at_once, const char *target, const char *protocol);

/* Waits for events and handles them: false when nothing came for ten seconds. */
bool load_turn(struct load *load);

/* Sends one masked message. */
void client_send(struct client *client, enum ws_opcode opcode, struct bytes payload);
