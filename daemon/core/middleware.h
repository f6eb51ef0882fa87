/*
 * Middleware: who looks at requests for connections, at events and at ends on the worker's own thread, before the daemon's own answer
 * (plug-ins). A table of functions, as core and those above it see them; knows none of their owners.
 */
#pragma once

#include "daemon/core/gate.h"

struct connection;
struct hub;

/* What a client sent to the server, and what is answered. */
struct middleware_event {
    const struct connection *connection;
    struct bytes name, data;            /* data is JSON; empty: null */
    bool wants_reply;
    struct buf answer;                  /* the reply's data in JSON, or an error as {"code":…,"message":…} */
    bool is_error;
};

/* Where nobody has a use for a function it is NULL. */
struct middleware {
    void *argument;
    /* Of a request for a connection: whether and what is offered. The facts name a transport only where the request itself does. */
    void (*negotiate)(void *argument, struct hub *hub, const struct gate_facts *facts, struct verdict *verdict);
    /* Afterwards, when it is known what carries it. */
    void (*connect)(void *argument, struct hub *hub, const struct gate_facts *facts, struct verdict *verdict);
    /* True: it was handled, and the answer is in the event; the caller frees it. */
    bool (*event)(void *argument, struct hub *hub, struct middleware_event *event);
    void (*disconnect)(void *argument, struct hub *hub, const struct connection *connection, const struct fault *why);
    /* For people: "guard 1.0 /usr/lib/…/guard.so". */
    const char *const *names;
    size_t count;
};
