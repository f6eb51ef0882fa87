/*
 * Rule list: a list of mappings in the config, each with options of its own: `groups`, `webhooks`. One row of rule_lists[] each;
 * reading, copying, comparing, `rtcctl show config`, the sample and rtcd.yaml(5) go by these rows.
 *
 * A list's array and its length are members of struct config. A rule's struct begins with `char *origin`, "file:line".
 */
#pragma once

#include "daemon/config/option.h"

struct rule_list {
    const char *name;                       /* the section: its options' paths begin so */
    const struct option_table *table;       /* those of a required option (no fallback) first */
    size_t items, count;                    /* offsets in struct config: of the pointer to the array, of its length (size_t) */
    size_t rule_bytes, max;
    const char *expected, *heading;         /* "rules …, each with match and more"; a sentence for the sample */
    const char *(*finish)(const struct config *config, void *rule, const char **ret_option);    /* see rule_list_finish(); NULL is fine */
    void (*done)(void *rule);               /* frees what is not an option's; NULL is fine */
    void (*copy)(void *to, const void *from);               /* the same beyond options; NULL is fine */
};

enum { RULE_LIST_COUNT = 2 };
extern const struct rule_list *const rule_lists[RULE_LIST_COUNT];

/* By its section's name; RULE_LIST_COUNT: there is none. */
size_t rule_list_find(const char *name);
size_t rule_list_count(const struct rule_list *list, const struct config *config);
void *rule_list_rule(const struct rule_list *list, const struct config *config, size_t index);
static inline const char *rule_origin(const void *rule) { return *(char *const *)rule; }

/* One more rule at the end, at its defaults. Valid until the next is added. NULL: out of memory. */
void *rule_list_add(const struct rule_list *list, struct config *config, const char *origin);
/* Once its options are set. NULL, or what is wrong with it as a whole (a sentence's end), and of which option. */
const char *rule_list_finish(const struct rule_list *list, const struct config *config, void *rule, const char **ret_option);
bool rule_is_same(const struct rule_list *list, const void *a, const void *b);
bool rule_list_is_same(const struct rule_list *list, const struct config *a, const struct config *b);

/* Of all lists. */
void rule_lists_clear(struct config *config);
MUST_CHECK int rule_lists_copy(struct config *to, const struct config *from);       /* -ENOMEM */
