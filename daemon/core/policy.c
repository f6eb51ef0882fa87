/*
 * Policy: see policy.h. Today's rules are the options under publish.* and connection.anonymous.
 */
#include "daemon/core/policy.h"

#include "daemon/config/config.h"
#include "daemon/core/connection.h"
#include "daemon/core/hub.h"
#include "daemon/core/limits.h"

static enum fault_id policy_refuse(struct fault *fault, const char *detail)
{
    fault_set(fault, FAULT_FORBIDDEN, "%s", detail);
    return FAULT_FORBIDDEN;
}

enum fault_id policy_may_send(struct connection *connection, struct fault *fault)
{
    return limits_take(connection, LIMITED_MESSAGES, fault);
}

static enum fault_id policy_may_publish_to(const struct connection *connection, const struct target *to, struct fault *fault)
{
    const struct config *config = connection->hub->config;
    switch (to->kind) {
    case TARGET_GROUP:
        if (config->publish.to_group == WHO_ANYONE)
            return FAULT_NONE;
        if (config->publish.to_group == WHO_NOBODY)
            return policy_refuse(fault, "clients may not publish to groups here (publish.to-group)");
        if (!connection_is_member(connection, to->name))
            return policy_refuse(fault, "only members may publish to this group; join it first (publish.to-group)");
        return FAULT_NONE;
    case TARGET_USER:
        return config->publish.to_user ? FAULT_NONE
            : policy_refuse(fault, "clients may not publish to users here (publish.to-user)");
    case TARGET_CONNECTION:
        return config->publish.to_connection ? FAULT_NONE
            : policy_refuse(fault, "clients may not publish to connections here (publish.to-connection)");
    case TARGET_ALL:
        return config->publish.to_all ? FAULT_NONE
            : policy_refuse(fault, "clients may not publish to everybody here (publish.to-all)");
    default:
        return FAULT_NONE;
    }
}

enum fault_id policy_may_publish(struct connection *connection, const struct target *to, struct fault *fault)
{
    enum fault_id refusal = policy_may_publish_to(connection, to, fault);
    return refusal == FAULT_NONE ? limits_take(connection, LIMITED_PUBLISHES, fault) : refusal;
}

enum fault_id policy_may_join(struct connection *connection, struct bytes group, struct fault *fault)
{
    if (!name_is_valid(group, NAME_MAX_BYTES)) {
        fault_set(fault, FAULT_BAD_ENVELOPE,
                  "a group's name is 1 to %d bytes of UTF-8 without control characters", NAME_MAX_BYTES);
        return FAULT_BAD_ENVELOPE;
    }
    if (connection->membership_count >= connection->hub->config->connection.groups
        && !connection_is_member(connection, group)) {
        fault_set(fault, FAULT_TOO_MANY_GROUPS, "a connection may be in %u groups (connection.groups); leave one first",
                  (unsigned)connection->hub->config->connection.groups);
        return FAULT_TOO_MANY_GROUPS;
    }
    return limits_take(connection, LIMITED_JOINS, fault);
}

enum fault_id policy_may_connect_anonymously(const struct config *config, struct fault *fault)
{
    if (config->connection.anonymous)
        return FAULT_NONE;
    fault_set(fault, FAULT_UNAUTHORIZED, "connections need credentials here (connection.anonymous is off)");
    return FAULT_UNAUTHORIZED;
}
