/*
 * Groups: the rules of the section `groups`, as part of a config. Their options are the rows of group_options.c; which rule
 * holds for a group is found here.
 */
#pragma once

#include "daemon/config/rule_list.h"

/* Its rows; those of a required option (no fallback) first. */
extern const struct option_table group_option_table;
extern const struct rule_list group_list;

/* The first rule that matches, or NULL. Looks through all of them: keep the answer where it is asked for often, with the
 * config's generation. */
const struct group_rule *config_group_rule(const struct config *config, struct bytes group);
/* Who may do that where this rule holds (NULL: none does). Never WHO_DEFAULT. */
static inline enum config_who config_who_may(const struct config *config, const struct group_rule *rule, enum group_action action)
{
    return rule && rule->may[action] != WHO_DEFAULT ? rule->may[action] : config->may[action];
}
