/*
 * Labels: what a verdict (verdict.h) attached to a connection: labels, an object of strings for the server's side, and info, any JSON
 * value. Beside the connections, so that those without any cost nothing. They stay as they are for the connection's whole life.
 */
#pragma once

#include "lib/buf.h"

struct connection;
struct hub;

struct labels {
    uint64_t handle;                    /* of its connection: the key of the table */
    struct bytes labels;                /* {"name":"value",…}; empty: it has none */
    struct bytes info;                  /* compact JSON; empty: it has none */
    unsigned char kept[];
};

void labels_init(struct hub *hub);
void labels_done(struct hub *hub);      /* all connections have let theirs go */

/* Once for each connection. Both empty: it has none. -ENOMEM. */
MUST_CHECK int labels_set(struct hub *hub, struct connection *connection, struct bytes labels, struct bytes info);
void labels_drop(struct hub *hub, struct connection *connection);
/* NULL: it has none. */
const struct labels *labels_find(const struct hub *hub, const struct connection *connection);
