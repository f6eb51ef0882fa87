/*
 * Client: the clients of the load generator, as cheap as can be: they count the messages that reach them, answer pings and
 * polls, and look at nothing else. All share one epoll descriptor and one read buffer. What is said on a connection is in
 * speech.h; how it is carried (WebSocket, server-sent events, polls) is a struct carrier. Whatever goes wrong ends the
 * program with a message: a benchmark with a lost client measures nothing.
 */
#pragma once

#include "lib/ws_frame.h"

#include <sys/types.h>

struct load;
struct client;
struct speech;

/* Groups are numbers here; their names have one length, so that all messages of a run have one length too. */
enum { GROUP_NONE = -1, GROUP_NAME = 6 };
struct role {
    int group;                          /* a member of */
    int to;                             /* publishes to */
    uint32_t user;                      /* 0: nobody */
};
void group_name(int group, char ret_name[static GROUP_NAME + 1]);

struct carrier {
    void (*begin)(struct load *load, struct client *client);
    /* Takes what has come, and returns how much of it is done with; 0: more is needed. */
    size_t (*take)(struct load *load, struct client *client, const unsigned char *data, size_t length);
};
extern const struct carrier carrier_websocket, carrier_events, carrier_polls, carrier_posts;

struct client {
    int descriptor;                     /* -1: none */
    const struct speech *speech;
    struct role role;
    bool is_open;                       /* greeted: whatever comes now can be a delivery */
    bool is_answered;                   /* the server has answered the first request */
    bool is_counted;                    /* what comes now counts, once it is whole */
    bool is_pinged;                     /* since load_expect_pings() */
    uint8_t step;                       /* of the greeting */
    struct buf held;                    /* what came in part, and must be whole */
    uint64_t skip;                      /* bytes of the current frame still to come */
    uint64_t item, line;                /* streams: bytes of the current item (still to come, or so far), of its line */
    char *token;                        /* what it shows when it comes back, or polls again; NULL: nothing */
    uint64_t messages;
    struct ssl_st *tls;                 /* NULL: plain */
};

struct load {
    int epoll;
    uint16_t port;
    struct ssl_ctx_st *tls;             /* its clients speak TLS; NULL: they do not */
    uint32_t message_min;               /* shorter messages are the protocol's own (rtc.ack) and do not count */
    struct client *clients;
    uint32_t count, open_count, pinged_count;
    uint64_t messages;                  /* of all clients */
    void (*on_message)(struct client *client, void *argument);      /* NULL: only counted */
    void (*on_answer)(struct client *client, struct bytes body, void *argument);        /* to a POST */
    void *argument;
};

void load_init(struct load *load, uint16_t port, bool is_tls, uint32_t message_min, uint32_t count_max);
/* Closes all with a reset, so that no port is left waiting. */
void load_done(struct load *load);

/* Adds a client that is to be opened. */
struct client *load_add(struct load *load, const struct speech *speech, struct role role);
/* Opens clients that are not, `at_once` under way at a time, and returns when all are open. */
void load_open(struct load *load, uint32_t first, uint32_t count, uint32_t at_once);
/* Breaks their links; they can be opened again, and then say who they were. */
void load_cut(struct load *load, uint32_t first, uint32_t count);
/* From now on they read nothing. */
void load_deafen(struct load *load, uint32_t first, uint32_t count);
/* From now on pinged_count counts the clients that were pinged, each once. */
void load_expect_pings(struct load *load);

/* Waits up to `wait_ms` for events and handles them: false when nothing came. */
bool load_wait(struct load *load, int wait_ms);
/* The same, for as long as a server that is well may be silent. */
bool load_turn(struct load *load);

/* Publishes once, in the client's speech. */
void client_publish(struct client *client, int group, struct bytes data);
void client_send(struct client *client, enum ws_opcode opcode, struct bytes payload);
void client_send_raw(struct client *client, struct bytes bytes);

/* For the carriers. */
void client_opened(struct load *load, struct client *client);
void client_took(struct load *load, struct client *client, uint32_t count);
void client_pinged(struct load *load, struct client *client);
/* A message of the greeting: answers it, and opens the client if it was the last. */
void client_greet(struct load *load, struct client *client, struct bytes message);

/* client_tls.c, for client.c. */
struct ssl_ctx_st *client_tls_context(void);
void client_tls_context_free(struct ssl_ctx_st *context);
void client_tls_open(struct load *load, struct client *client);
void client_tls_close(struct client *client);
void client_tls_send(struct client *client, struct bytes bytes);
ssize_t client_tls_receive(struct client *client, void *room, size_t size);     /* as recv(2) */
/* How such a client begins: the bytes. */
size_t client_tls_hello(unsigned char *room, size_t size);
