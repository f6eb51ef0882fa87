/*
 * Limits: how many connections there are, in all, by address and by user (limits.c), and how often what may be done
 * (limits_rate.c). Shared by all threads. The one lock of the counts is taken when a connection is made, parked or ended, never
 * for a message; those of the rates only where an option limits them.
 */
#pragma once

#include "daemon/core/buckets.h"
#include "daemon/core/connection.h"

struct config;
struct limits;

struct limits *limits_new(void);                /* NULL: out of memory */
void limits_free(struct limits *limits);

/* Counts one in: FAULT_NONE, NODE_FULL, ADDRESS_FULL or INTERNAL (out of memory). Unix-socket peers have no address limit. */
enum fault_id limits_enter(struct limits *limits, const struct config *config, const struct peer_address *address);
/* May the user, whose newest connection has just been counted, have that many? 0 or -EDQUOT. */
MUST_CHECK int limits_check_user(const struct config *config, const struct place *user);
void limits_leave(struct limits *limits, const struct peer_address *address);
size_t limits_connection_count(struct limits *limits);
struct buckets *limits_buckets(struct limits *limits);

/* May the connection, and its user, do one more of these now? FAULT_NONE, or RATE_LIMITED with the option's name. */
enum limited { LIMITED_MESSAGES, LIMITED_PUBLISHES, LIMITED_JOINS };
enum fault_id limits_take(struct connection *connection, enum limited what, struct fault *fault);
/* What was taken met back-pressure, and will be tried again. */
void limits_put_back(const struct connection *connection, enum limited what);
/* May a connection be made for this address? */
enum fault_id limits_take_connect(struct hub *hub, const struct peer_address *address, struct fault *fault);
/* May this address show credentials, or were too many refused? Each refusal is noted. */
enum fault_id limits_may_prove(struct hub *hub, const struct peer_address *address, struct fault *fault);
void limits_note_failure(struct hub *hub, const struct peer_address *address);
/* May this address begin a TLS handshake, or did too many of its come to nothing? Each such one is noted. */
bool limits_may_shake_hands(struct hub *hub, const struct peer_address *address);
void limits_note_handshake(struct hub *hub, const struct peer_address *address);
