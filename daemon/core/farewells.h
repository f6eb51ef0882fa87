/*
 * Farewells: connections that were ended for good, or with their token, while no transport carried them, so that their clients could not be told. A client
 * that comes back with such a token is told then, rather than taken for one that never was. Bounded: the oldest are forgotten, and
 * all after the resume window.
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
    unsigned next;
};

void farewells_done(struct farewells *farewells);
/* Out of memory: it is not remembered, and the client finds its token unknown. */
void farewells_add(struct hub *hub, const struct connection *connection, const struct fault *why);
/* Why the connection with that token was ended; NULL: not known. */
const struct fault *farewells_find(const struct hub *hub, const struct token *token);
