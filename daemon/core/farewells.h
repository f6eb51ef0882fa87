/*
 * Farewells: connections that were ended for good, or with their token, while no transport carried them, so that their clients could not be told. A client
 * that comes back with such a token is told then, rather than taken for one that never was. Bounded: the oldest are forgotten, and
 * all after the resume window.
 *
 * Beside them, those that their own clients ended: a request of such a client that was overtaken on the way must not make a connection that
 * nobody uses.
 */
#pragma once

#include "lib/fault.h"

struct connection;
struct farewell;
struct hub;
struct token;

enum { FAREWELLS_MAX = 1024 };

struct farewells {
    struct farewell *ring;              /* NULL until there is one */
    struct departure *departures;       /* the same of clients that ended their connections */
    unsigned next, next_departure;
};

void farewells_done(struct farewells *farewells);
/* Out of memory: it is not remembered, and the client finds its token unknown. */
void farewells_add(struct hub *hub, const struct connection *connection, const struct fault *why);
/* Why the connection with that token was ended; NULL: not known. */
const struct fault *farewells_find(const struct hub *hub, const struct token *token);

/* The client ended this connection, which may have other requests under way. */
void farewells_add_departure(struct hub *hub, const struct connection *connection);
bool farewells_has_departed(const struct hub *hub, const struct token *token);
