/*
 * Policy: what a connection may do. The one place that is asked.
 */
#pragma once

#include "daemon/config/rights.h"
#include "lib/envelope.h"

struct catch_up;
struct connection;
struct group_rule;

/* How it is decided who may do something with a group, and what decided. */
struct judgement {
    enum group_action action;
    bool is_allowed;
    enum config_who who;                /* may, by the rule or the option */
    const struct group_rule *rule;      /* that matches; NULL: none does */
    const char *option;                 /* that decides, where the rule leaves it out or there is none; NULL: the rule decides */
    bool is_by_token;                   /* it is allowed by the rights alone: by this pattern of theirs */
    struct bytes pattern;
};
/* The decision itself: `rule` is the group's, `rights` are those of the token. */
void policy_judge(const struct config *config, const struct group_rule *rule, enum group_action action, struct bytes group,
                  bool is_member, struct rights rights, struct judgement *ret);
/* The same for a connection, by its groups and its token. */
void policy_judge_connection(const struct connection *connection, enum group_action action, struct bytes group, struct judgement *ret);
/* Who may and what says so, as a refusal. */
void policy_explain(const struct judgement *judgement, struct fault *fault);


/* May it send anything now (limits.messages-*)? */
enum fault_id policy_may_send(struct connection *connection, struct fault *fault);
/* May the connection publish there? FAULT_NONE, or FORBIDDEN with what would have to be different. *ret_slow is as policy_slow. */
enum fault_id policy_may_publish(struct connection *connection, const struct target *to, enum config_slow *ret_slow, struct fault *fault);
/* What becomes of an envelope published there, where too much waits for a client: groups.slow. Looks through all rules. */
enum config_slow policy_slow(const struct config *config, const struct target *to);
/* Could it be in this group, whoever puts it there? FAULT_NONE, BAD_ENVELOPE (no name) or TOO_MANY_GROUPS. */
enum fault_id policy_can_be_in(const struct connection *connection, struct bytes group, struct fault *fault);
/* Joins, if it may, and is told what it missed (archive.h; NULL: it does not ask): FAULT_NONE, BAD_ENVELOPE, TOO_MANY_GROUPS, FORBIDDEN, RATE_LIMITED or INTERNAL. */
enum fault_id policy_join(struct connection *connection, struct bytes group, struct catch_up *missed, struct fault *fault);
/* It has a new access token: leaves the groups that only the old one's rights had let it join, and tells the client. */
void policy_review(struct connection *connection);
/* May it ask about this group (GROUP_PRESENCE, GROUP_HISTORY)? */
enum fault_id policy_may_ask(const struct connection *connection, enum group_action action, struct bytes group, struct fault *fault);
/* Who a client without credentials is, if it may connect at all: FAULT_NONE or UNAUTHORIZED. */
enum fault_id policy_may_connect_anonymously(const struct config *config, struct fault *fault);
