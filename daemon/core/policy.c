/*
 * Policy: see policy.h. What decides are the rules under groups, else the options groups-default.* and publish.*.
 */
#include "daemon/core/policy.h"

#include "daemon/config/groups.h"
#include "daemon/core/connection.h"
#include "daemon/core/hub.h"
#include "daemon/core/limits.h"

#include <stdio.h>

static enum fault_id policy_refuse(struct fault *fault, const char *detail)
{
    fault_set(fault, FAULT_FORBIDDEN, "%s", detail);
    return FAULT_FORBIDDEN;
}

enum fault_id policy_may_send(struct connection *connection, struct fault *fault)
{
    return limits_take(connection, LIMITED_MESSAGES, fault);
}

/* What decides where no rule does, and what is asked, for sentences. */
static const struct { const char *option, *what; } actions[GROUP_ACTION_COUNT] = {
    [GROUP_JOIN] = {"groups-default.join", "join this group"},
    [GROUP_PUBLISH] = {"publish.to-group", "publish to this group"},
    [GROUP_PRESENCE] = {"groups-default.presence", "ask who is in this group"},
    [GROUP_HISTORY] = {"groups-default.history", "ask what was published to this group"},
};

static enum fault_id policy_refuse_action(const struct group_rule *rule, enum group_action action, enum config_who who, struct fault *fault)
{
    enum { PATTERN_SHOWN_MAX = 40 };
    static const char *const sentences[] = {
        [WHO_NOBODY] = "clients may not %s (%s%s)",
        [WHO_TOKEN] = "only clients whose access token allows it may %s (%s%s)",
        [WHO_MEMBERS] = "only members may %s (%s%s)",
    };
    bool is_default = !rule || rule->may[action] == WHO_DEFAULT, is_shown = rule && strlen(rule->match) <= PATTERN_SHOWN_MAX;
    char text[sizeof(fault->detail)];
    snprintf(text, sizeof(text), sentences[who], actions[action].what, is_default ? actions[action].option : "groups: ",
             is_default ? "" : is_shown ? rule->match : "one of its rules");
    return policy_refuse(fault, text);
}

/* Its group is found among the connection's own first: there the rule is known. */
static enum fault_id policy_may(const struct connection *connection, enum group_action action, struct bytes group, struct fault *fault)
{
    const struct hub *hub = connection->hub;
    const struct membership *membership = connection_membership(connection, group);
    const struct group_rule *rule = membership ? roster_rule(hub, membership->roster) : config_group_rule(hub->config, group);
    enum config_who who = config_who_may(hub->config, rule, action);
    if (who == WHO_ANYONE || (who == WHO_MEMBERS && membership))
        return FAULT_NONE;
    return policy_refuse_action(rule, action, who, fault);
}

static enum fault_id policy_may_publish_to(const struct connection *connection, const struct target *to, struct fault *fault)
{
    const struct config *config = connection->hub->config;
    switch (to->kind) {
    case TARGET_GROUP:
        return policy_may(connection, GROUP_PUBLISH, to->name, fault);
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

enum config_slow policy_slow(const struct config *config, const struct target *to)
{
    const struct group_rule *rule = to->kind == TARGET_GROUP ? config_group_rule(config, to->name) : NULL;
    return rule ? rule->slow : SLOW_CLOSE;
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
    if (policy_may(connection, GROUP_JOIN, group, fault) != FAULT_NONE)
        return fault->id;
    return limits_take(connection, LIMITED_JOINS, fault);
}

enum fault_id policy_may_ask(const struct connection *connection, enum group_action action, struct bytes group, struct fault *fault)
{
    return policy_may(connection, action, group, fault);
}

enum fault_id policy_may_connect_anonymously(const struct config *config, struct fault *fault)
{
    if (config->connection.anonymous)
        return FAULT_NONE;
    fault_set(fault, FAULT_UNAUTHORIZED, "connections need credentials here (connection.anonymous is off)");
    return FAULT_UNAUTHORIZED;
}
