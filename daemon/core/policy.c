/*
 * Policy: see policy.h. What decides are the rules under groups, else the options groups-default.* and publish.*, and the
 * rights that an access token gives.
 */
#include "daemon/core/policy.h"

#include "daemon/config/groups.h"
#include "daemon/core/archive.h"
#include "daemon/core/connection.h"
#include "daemon/core/exchange.h"
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

/* What decides where no rule does, and what is asked, for sentences. */
static const struct { const char *option, *what; } actions[GROUP_ACTION_COUNT] = {
    [GROUP_JOIN] = {"groups-default.join", "join this group"},
    [GROUP_PUBLISH] = {"publish.to-group", "publish to this group"},
    [GROUP_PRESENCE] = {"groups-default.presence", "ask who is in this group"},
    [GROUP_HISTORY] = {"groups-default.history", "ask what was published to this group"},
};

void policy_judge(const struct config *config, const struct group_rule *rule, enum group_action action, struct bytes group,
                  bool is_member, struct rights rights, struct judgement *ret)
{
    bool is_default = !rule || rule->may[action] == WHO_DEFAULT;
    enum config_who who = config_who_may(config, rule, action);
    *ret = (struct judgement){.action = action, .who = who, .rule = rule, .option = is_default ? actions[action].option : NULL};
    if (who == WHO_ANYONE || (who == WHO_MEMBERS && is_member))
        ret->is_allowed = true;
    else if (who != WHO_NOBODY)
        ret->is_allowed = ret->is_by_token = rights_allow(rights, action, group, &ret->pattern);
}

void policy_explain(const struct judgement *judgement, struct fault *fault)
{
    enum { PATTERN_SHOWN_MAX = 40 };
    static const char *const sentences[] = {
        [WHO_NOBODY] = "clients may not %s (%s%s)",
        [WHO_TOKEN] = "only clients whose access token allows it may %s (%s%s)",
        [WHO_MEMBERS] = "only members may %s (%s%s)",
        [WHO_ANYONE] = "all clients may %s (%s%s)",
    };
    const struct group_rule *rule = judgement->option ? NULL : judgement->rule;
    const char *pattern = !rule ? "" : strlen(rule->match) <= PATTERN_SHOWN_MAX ? rule->match : "one of its rules";
    fault_set(fault, FAULT_FORBIDDEN, sentences[judgement->who], actions[judgement->action].what, rule ? "groups: " : judgement->option,
              pattern);
}

/* Its group is found among the connection's own first: there the rule is known. What its token allows is only looked up where
 * that may decide. */
void policy_judge_connection(const struct connection *connection, enum group_action action, struct bytes group, struct judgement *ret)
{
    const struct hub *hub = connection->hub;
    const struct membership *membership = connection_membership(connection, group);
    const struct group_rule *rule = membership ? roster_rule(hub, membership->roster) : config_group_rule(hub->config, group);
    policy_judge(hub->config, rule, action, group, membership, (struct rights){0}, ret);
    if (!ret->is_allowed && connection->has_grant)
        policy_judge(hub->config, rule, action, group, membership, grants_rights(hub, connection), ret);
}

static enum fault_id policy_may(const struct connection *connection, enum group_action action, struct bytes group,
                                struct judgement *judgement, struct fault *fault)
{
    policy_judge_connection(connection, action, group, judgement);
    if (judgement->is_allowed)
        return FAULT_NONE;
    policy_explain(judgement, fault);
    return fault->id;
}

/* Beside groups: the option, or its token's rights. */
static enum fault_id policy_may_reach(const struct connection *connection, enum target_kind kind, bool is_on, const char *refusal,
                                      struct fault *fault)
{
    if (is_on || (connection->has_grant && rights_allow_target(grants_rights(connection->hub, connection), kind)))
        return FAULT_NONE;
    return policy_refuse(fault, refusal);
}

static enum fault_id policy_may_publish_to(const struct connection *connection, const struct target *to, struct judgement *judgement,
                                           struct fault *fault)
{
    const struct config *config = connection->hub->config;
    switch (to->kind) {
    case TARGET_GROUP:
        return policy_may(connection, GROUP_PUBLISH, to->name, judgement, fault);
    case TARGET_USER:
        return policy_may_reach(connection, to->kind, config->publish.to_user, "clients may not publish to users here (publish.to-user)",
                                fault);
    case TARGET_CONNECTION:
        return policy_may_reach(connection, to->kind, config->publish.to_connection,
                                "clients may not publish to connections here (publish.to-connection)", fault);
    case TARGET_ALL:
        return policy_may_reach(connection, to->kind, config->publish.to_all, "clients may not publish to everybody here (publish.to-all)",
                                fault);
    default:
        return FAULT_NONE;
    }
}

static enum config_slow policy_slow_by(const struct group_rule *rule)
{
    return rule ? rule->slow : SLOW_CLOSE;
}

enum fault_id policy_may_publish(struct connection *connection, const struct target *to, enum config_slow *ret_slow, struct fault *fault)
{
    struct judgement judgement;
    judgement.rule = NULL;
    enum fault_id refusal = policy_may_publish_to(connection, to, &judgement, fault);
    *ret_slow = policy_slow_by(judgement.rule);
    return refusal == FAULT_NONE ? limits_take(connection, LIMITED_PUBLISHES, fault) : refusal;
}

enum config_slow policy_slow(const struct config *config, const struct target *to)
{
    return policy_slow_by(to->kind == TARGET_GROUP ? config_group_rule(config, to->name) : NULL);
}

enum fault_id policy_can_be_in(const struct connection *connection, struct bytes group, struct fault *fault)
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
    return FAULT_NONE;
}

/* What was missed is for those who may ask for it. Who is in the group already only learns where it is. */
static void policy_review_missed(const struct connection *connection, struct bytes group, bool is_new, struct catch_up *missed)
{
    const struct hub *hub = connection->hub;
    struct fault refusal;
    if (!is_new) {
        missed->epoch = (struct bytes){0};
        missed->last = 0;
        (void)archive_read(hub->exchange->directory, group, hub->config, hub->now_ms, missed);
    } else if (policy_may_ask(connection, GROUP_HISTORY, group, &refusal) != FAULT_NONE) {
        catch_up_done(missed);
        missed->is_complete = false;
    }
}

enum fault_id policy_join(struct connection *connection, struct bytes group, struct catch_up *missed, struct fault *fault)
{
    struct judgement judgement;
    if (policy_can_be_in(connection, group, fault) != FAULT_NONE
        || policy_may(connection, GROUP_JOIN, group, &judgement, fault) != FAULT_NONE
        || limits_take(connection, LIMITED_JOINS, fault) != FAULT_NONE)
        return fault->id;
    int r = connection_join_from(connection, group, missed);
    if (r == -ENOMEM) {
        fault_set(fault, FAULT_INTERNAL, "out of memory");
        return fault->id;
    }
    if (r == 0)
        connection_membership(connection, group)->is_by_token = judgement.is_by_token;
    if (missed)
        policy_review_missed(connection, group, r == 0, missed);
    return FAULT_NONE;
}

void policy_review(struct connection *connection)
{
    const struct hub *hub = connection->hub;
    struct rights rights = grants_rights(hub, connection);
    /* From behind: the last one takes the place of one that is left. */
    for (unsigned left = connection->membership_count; left > 0; left--) {
        const struct membership *membership = &connection_memberships(connection)[left - 1];
        struct judgement judgement;
        if (!membership->is_by_token)
            continue;
        policy_judge(hub->config, roster_rule(hub, membership->roster), GROUP_JOIN, place_name(membership->roster->place), false, rights,
                     &judgement);
        if (judgement.is_allowed)
            continue;
        connection_expel(connection, left - 1);
        metrics_add(&connection->hub->metrics, METRIC_MEMBERSHIPS_ENDED, 1);
    }
}

enum fault_id policy_may_ask(const struct connection *connection, enum group_action action, struct bytes group, struct fault *fault)
{
    struct judgement judgement;
    return policy_may(connection, action, group, &judgement, fault);
}

enum fault_id policy_may_connect_anonymously(const struct config *config, struct fault *fault)
{
    if (config->connection.anonymous)
        return FAULT_NONE;
    fault_set(fault, FAULT_UNAUTHORIZED, "connections need credentials here (connection.anonymous is off)");
    return FAULT_UNAUTHORIZED;
}
