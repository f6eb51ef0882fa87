/*
 * Farewells: see farewells.h.
 */
#include "daemon/core/farewells.h"

#include "daemon/config/config.h"
#include "daemon/core/hub.h"

#include <stdlib.h>

struct farewell {
    uint64_t until_ms;                  /* 0: none */
    struct token token;
    struct fault why;
};

struct departure {
    uint64_t until_ms;                  /* 0: none */
    struct token token;
};

void farewells_done(struct farewells *farewells)
{
    free(STEAL(farewells->ring));
    free(STEAL(farewells->departures));
}

void farewells_add(struct hub *hub, const struct connection *connection, const struct fault *why)
{
    struct farewells *farewells = &hub->farewells;
    if (!farewells->ring)
        farewells->ring = calloc(FAREWELLS_MAX, sizeof(*farewells->ring));
    if (!farewells->ring)
        return;
    struct farewell *farewell = &farewells->ring[farewells->next++ % FAREWELLS_MAX];
    farewell->until_ms = hub->now_ms + hub->config->resume.window_ms;
    farewell->why = *why;
    connection_token_raw(connection, farewell->token.raw);
}

const struct fault *farewells_find(const struct hub *hub, const struct token *token)
{
    const struct farewell *ring = hub->farewells.ring;
    for (unsigned i = 0; ring && i < FAREWELLS_MAX; i++)
        if (hub->now_ms < ring[i].until_ms && token_is_same(&ring[i].token, token))
            return &ring[i].why;
    return NULL;
}

void farewells_add_departure(struct hub *hub, const struct connection *connection)
{
    struct farewells *farewells = &hub->farewells;
    if (!farewells->departures)
        farewells->departures = calloc(FAREWELLS_MAX, sizeof(*farewells->departures));
    if (!farewells->departures)
        return;
    struct departure *departure = &farewells->departures[farewells->next_departure++ % FAREWELLS_MAX];
    departure->until_ms = hub->now_ms + hub->config->resume.window_ms;
    connection_token_raw(connection, departure->token.raw);
}

bool farewells_has_departed(const struct hub *hub, const struct token *token)
{
    const struct departure *ring = hub->farewells.departures;
    for (unsigned i = 0; ring && i < FAREWELLS_MAX; i++)
        if (hub->now_ms < ring[i].until_ms && token_is_same(&ring[i].token, token))
            return true;
    return false;
}
