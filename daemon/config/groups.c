/*
 * Groups: see groups.h.
 */
#include "daemon/config/groups.h"

#include "lib/pattern.h"

static const char *on_finish(const struct config *config, void *argument, const char **ret_option)
{
    struct group_rule *rule = argument;
    _Static_assert(PATTERN_MAX_BYTES <= UINT8_MAX, "a rule has a byte for it");
    assert(rule->match);
    rule->match_bytes = (uint8_t)strlen(rule->match);
    rule->plain_bytes = (uint8_t)strcspn(rule->match, "*");
    return NULL;
}

_Static_assert(offsetof(struct group_rule, origin) == 0, "as rule_list.h says");
const struct rule_list group_list = {
    .name = "groups", .table = &group_option_table, .items = offsetof(struct config, groups), .count = offsetof(struct config, group_count),
    .rule_bytes = sizeof(struct group_rule), .max = GROUP_RULES_MAX, .expected = "a list of rules is expected, each with match and more",
    .heading = "Rules for groups.", .finish = on_finish,
};

const struct group_rule *config_group_rule(const struct config *config, struct bytes group)
{
    for (size_t i = 0; i < config->group_count; i++) {
        const struct group_rule *rule = &config->groups[i];
        /* Most rules are not the one, and begin otherwise. */
        bool may_match = group.length >= rule->plain_bytes && (rule->plain_bytes == 0 || rule->match[0] == (char)group.data[0]);
        if (may_match && pattern_matches(bytes_of(rule->match, rule->match_bytes), group))
            return rule;
    }
    return NULL;
}
