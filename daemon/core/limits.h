/*
 * Limits: how many connections there are, in all, by address, and parked by user. Shared by all threads behind one lock that
 * is taken when a connection is made, parked or ended, never for a message.
 */
#pragma once

#include "daemon/core/connection.h"

struct config;
struct limits;

struct limits *limits_new(void);                /* NULL: out of memory */
void limits_free(struct limits *limits);

/* Counts one in: FAULT_NONE, NODE_FULL, ADDRESS_FULL or INTERNAL (out of memory). Unix-socket peers have no address limit. */
enum fault_id limits_enter(struct limits *limits, const struct config *config, const struct peer_address *address);
void limits_leave(struct limits *limits, const struct peer_address *address);
size_t limits_connection_count(struct limits *limits);
