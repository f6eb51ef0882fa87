/*
 * Notice: what listeners on the admin socket are told of connections: who came, who went, and what clients sent to the
 * server. Made only while somebody listens; never waits for a listener.
 */
#pragma once

#include "lib/envelope.h"

struct connection;
struct fault;
struct json_writer;

/* Who it is, in all that is said of it: "connectionId" and "userId". */
void notice_add_identity(struct json_writer *json, const struct connection *connection);

void notice_connected(struct connection *connection);
void notice_disconnected(struct connection *connection, const struct fault *why);
/* An event for the server. false: nobody listens, or a listener is too far behind to take it. */
bool notice_event(struct connection *connection, const struct envelope *envelope);
