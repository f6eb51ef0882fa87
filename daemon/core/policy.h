/*
 * Policy: what a connection may do. The one place that is asked.
 */
#pragma once

#include "daemon/config/config.h"
#include "lib/envelope.h"

struct connection;

/* May it send anything now (limits.messages-*)? */
enum fault_id policy_may_send(struct connection *connection, struct fault *fault);
/* May the connection publish there? FAULT_NONE, or FORBIDDEN with what would have to be different. */
enum fault_id policy_may_publish(struct connection *connection, const struct target *to, struct fault *fault);
/* What becomes of an envelope published there, where too much waits for a client: groups.slow. */
enum config_slow policy_slow(const struct config *config, const struct target *to);
/* May it join this group by itself? */
enum fault_id policy_may_join(struct connection *connection, struct bytes group, struct fault *fault);
/* May it ask about this group (GROUP_PRESENCE, GROUP_HISTORY)? */
enum fault_id policy_may_ask(const struct connection *connection, enum group_action action, struct bytes group, struct fault *fault);
/* Who a client without credentials is, if it may connect at all: FAULT_NONE or UNAUTHORIZED. */
enum fault_id policy_may_connect_anonymously(const struct config *config, struct fault *fault);
