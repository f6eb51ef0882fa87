/*
 * Webhooks: see webhooks.h.
 */
#include "daemon/config/webhooks.h"

#include "lib/key.h"
#include "lib/pattern.h"

bool webhook_rule_has_group(const struct webhook_rule *rule, struct bytes group)
{
    bool matches = rule->groups.count == 0;
    for (size_t i = 0; i < rule->groups.count && !matches; i++)
        matches = pattern_matches(bytes_text(rule->groups.items[i]), group);
    return matches;
}

static const char *on_finish(const struct config *config, void *argument, const char **ret_option)
{
    struct webhook_rule *rule = argument;
    for (size_t i = 0; i < rule->event_words.count; i++)
        rule->events |= 1u << webhook_event_find(bytes_text(rule->event_words.items[i]));
    for (const struct webhook_rule *other = config->webhooks; other < rule; other++) {
        *ret_option = "webhooks.name";
        if (other->name && strcmp(other->name, rule->name) == 0)
            return "another webhook has this name";
        *ret_option = "webhooks.events";
        if (webhook_rule_wants(other, WEBHOOK_CONNECT) && webhook_rule_wants(rule, WEBHOOK_CONNECT))
            return "another webhook is asked already whether clients may connect";
    }
    *ret_option = "webhooks.retry-delay-max";
    if (rule->retry_delay_max_ms < rule->retry_delay_ms)
        return "it must be at least webhooks.retry-delay";
    return NULL;
}

static void on_done(void *argument)
{
    key_free(((struct webhook_rule *)argument)->key);
}

static void on_copy(void *to, const void *from)
{
    struct key *key = ((const struct webhook_rule *)from)->key;
    ((struct webhook_rule *)to)->key = key ? key_ref(key) : NULL;
}

_Static_assert(offsetof(struct webhook_rule, origin) == 0, "as rule_list.h says");
const struct rule_list webhook_list = {
    .name = "webhooks", .table = &webhook_option_table, .items = offsetof(struct config, webhooks),
    .count = offsetof(struct config, webhook_count), .rule_bytes = sizeof(struct webhook_rule), .max = WEBHOOKS_MAX,
    .expected = "a list is expected, each with name, url, events and more", .heading = "Webhooks.", .finish = on_finish,
    .done = on_done, .copy = on_copy,
};
