/*
 * Policy: what a connection may do. The one place that is asked, so that tokens and group patterns have one place to
 * be looked at later.
 */
#pragma once

#include "lib/envelope.h"

struct connection;

/* May it send anything now (limits.messages-*)? */
enum fault_id policy_may_send(struct connection *connection, struct fault *fault);
/* May the connection publish there? FAULT_NONE, or FORBIDDEN with what would have to be different. */
enum fault_id policy_may_publish(struct connection *connection, const struct target *to, struct fault *fault);
/* May it join this group by itself? */
enum fault_id policy_may_join(struct connection *connection, struct bytes group, struct fault *fault);
/* Who a client without credentials is, if it may connect at all: FAULT_NONE or UNAUTHORIZED. */
struct config;
enum fault_id policy_may_connect_anonymously(const struct config *config, struct fault *fault);
