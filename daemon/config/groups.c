/*
 * Groups: see groups.h.
 */
#include "daemon/config/groups.h"

#include "lib/pattern.h"

#include <stdlib.h>

static void group_rule_done(struct group_rule *rule)
{
    for (size_t i = 0; i < group_option_table.count; i++)
        option_clear(rule, &group_option_table.rows[i]);
    free(rule->origin);
}

static int group_rule_init(struct group_rule *rule, const char *origin)
{
    struct buf reason = {0};
    *rule = (struct group_rule){.origin = strdup(origin)};
    int r = rule->origin ? 0 : -ENOMEM;
    for (size_t i = 0; i < group_option_table.count && r == 0; i++)
        if (group_option_table.rows[i].fallback)
            r = option_fill(rule, &group_option_table.rows[i], group_option_table.rows[i].fallback, &reason);
    assert(r != -EINVAL);
    buf_done(&reason);
    if (r < 0)
        group_rule_done(rule);
    return r;
}

struct group_rule *config_add_group(struct config *config, const char *origin)
{
    struct group_rule *groups = realloc(config->groups, (config->group_count + 1) * sizeof(*groups));
    if (!groups)
        return NULL;
    config->groups = groups;
    return group_rule_init(&groups[config->group_count], origin) == 0 ? &groups[config->group_count++] : NULL;
}

void config_finish_group(struct group_rule *rule)
{
    _Static_assert(PATTERN_MAX_BYTES <= UINT8_MAX, "a rule has a byte for it");
    assert(rule->match);
    rule->match_bytes = (uint8_t)strlen(rule->match);
    rule->plain_bytes = (uint8_t)strcspn(rule->match, "*");
}

void config_clear_groups(struct config *config)
{
    for (size_t i = 0; i < config->group_count; i++)
        group_rule_done(&config->groups[i]);
    free(config->groups);
    config->groups = NULL;
    config->group_count = 0;
}

int config_copy_groups(struct config *to, const struct config *from)
{
    struct buf text = {0}, reason = {0};
    int r = 0;
    config_clear_groups(to);
    for (size_t i = 0; i < from->group_count && r == 0; i++) {
        struct group_rule *rule = config_add_group(to, from->groups[i].origin);
        r = rule ? 0 : -ENOMEM;
        for (size_t k = 0; k < group_option_table.count && r == 0; k++) {
            buf_clear(&text);
            option_print(&from->groups[i], &group_option_table.rows[k], &text);
            r = buf_status(&text) < 0 ? -ENOMEM : option_fill(rule, &group_option_table.rows[k], buf_text(&text), &reason);
        }
        if (r == 0)
            config_finish_group(rule);
    }
    assert(r != -EINVAL);
    buf_done(&text);
    buf_done(&reason);
    return r;
}

bool config_has_same_groups(const struct config *a, const struct config *b)
{
    bool is_same = a->group_count == b->group_count;
    for (size_t i = 0; i < a->group_count && is_same; i++)
        for (size_t k = 0; k < group_option_table.count && is_same; k++)
            is_same = option_is_same(&a->groups[i], &b->groups[i], &group_option_table.rows[k]);
    return is_same;
}

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
