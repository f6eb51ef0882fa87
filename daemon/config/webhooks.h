/*
 * Webhooks: the rules of the section `webhooks`, as part of a config. Their options are the rows of webhook_options.c; which events
 * there are, and which a rule is for, is found here.
 */
#pragma once

#include "daemon/config/rule_list.h"

extern const struct option_table webhook_option_table;
extern const struct rule_list webhook_list;

extern const char *const webhook_event_names[WEBHOOK_EVENT_COUNT];     /* "online" */
/* WEBHOOK_EVENT_COUNT: there is none of that name. */
enum webhook_event webhook_event_find(struct bytes name);

static inline bool webhook_rule_wants(const struct webhook_rule *rule, enum webhook_event event) { return rule->events >> event & 1; }
/* Is one of its patterns for this group? One without patterns is for all. */
bool webhook_rule_has_group(const struct webhook_rule *rule, struct bytes group);
