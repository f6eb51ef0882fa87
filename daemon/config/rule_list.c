/*
 * Rule list: see rule_list.h.
 */
#include "daemon/config/rule_list.h"

#include "daemon/config/groups.h"
#include "daemon/config/webhooks.h"

#include <stdlib.h>

const struct rule_list *const rule_lists[RULE_LIST_COUNT] = {&group_list, &webhook_list};

size_t rule_list_find(const char *name)
{
    size_t index = 0;
    while (index < RULE_LIST_COUNT && strcmp(rule_lists[index]->name, name) != 0)
        index++;
    return index;
}

static char **list_items(const struct rule_list *list, const struct config *config)
{
    return (char **)((char *)config + list->items);
}

static size_t *list_length(const struct rule_list *list, const struct config *config)
{
    return (size_t *)((char *)config + list->count);
}

size_t rule_list_count(const struct rule_list *list, const struct config *config)
{
    return *list_length(list, config);
}

void *rule_list_rule(const struct rule_list *list, const struct config *config, size_t index)
{
    assert(index < rule_list_count(list, config));
    return *list_items(list, config) + index * list->rule_bytes;
}

static void rule_done(const struct rule_list *list, void *rule)
{
    for (size_t i = 0; i < list->table->count; i++)
        option_clear(rule, &list->table->rows[i]);
    if (list->done)
        list->done(rule);
    free(*(char **)rule);
}

static int rule_init(const struct rule_list *list, void *rule, const char *origin)
{
    struct buf reason = {0};
    memset(rule, 0, list->rule_bytes);
    *(char **)rule = strdup(origin);
    int r = rule_origin(rule) ? 0 : -ENOMEM;
    for (size_t i = 0; i < list->table->count && r == 0; i++)
        if (list->table->rows[i].fallback)
            r = option_fill(rule, &list->table->rows[i], list->table->rows[i].fallback, &reason);
    assert(r != -EINVAL);
    buf_done(&reason);
    if (r < 0)
        rule_done(list, rule);
    return r;
}

void *rule_list_add(const struct rule_list *list, struct config *config, const char *origin)
{
    size_t *count = list_length(list, config);
    char **items = list_items(list, config), *grown = realloc(*items, (*count + 1) * list->rule_bytes);
    if (!grown)
        return NULL;
    *items = grown;
    if (rule_init(list, grown + *count * list->rule_bytes, origin) < 0)
        return NULL;
    return rule_list_rule(list, config, (*count)++);
}

const char *rule_list_finish(const struct rule_list *list, const struct config *config, void *rule, const char **ret_option)
{
    return list->finish ? list->finish(config, rule, ret_option) : NULL;
}

bool rule_is_same(const struct rule_list *list, const void *a, const void *b)
{
    bool is_same = true;
    for (size_t i = 0; i < list->table->count && is_same; i++)
        is_same = option_is_same(a, b, &list->table->rows[i]);
    return is_same;
}

bool rule_list_is_same(const struct rule_list *list, const struct config *a, const struct config *b)
{
    size_t count = rule_list_count(list, a);
    bool is_same = count == rule_list_count(list, b);
    for (size_t i = 0; i < count && is_same; i++)
        is_same = rule_is_same(list, rule_list_rule(list, a, i), rule_list_rule(list, b, i));
    return is_same;
}

static void rule_list_clear(const struct rule_list *list, struct config *config)
{
    for (size_t i = 0; i < rule_list_count(list, config); i++)
        rule_done(list, rule_list_rule(list, config, i));
    free(*list_items(list, config));
    *list_items(list, config) = NULL;
    *list_length(list, config) = 0;
}

void rule_lists_clear(struct config *config)
{
    for (size_t i = 0; i < RULE_LIST_COUNT; i++)
        rule_list_clear(rule_lists[i], config);
}

static int rule_copy(const struct rule_list *list, struct config *to, const void *from)
{
    struct buf text = {0}, reason = {0};
    const char *option;
    void *rule = rule_list_add(list, to, rule_origin(from));
    int r = rule ? 0 : -ENOMEM;
    for (size_t i = 0; i < list->table->count && r == 0; i++) {
        buf_clear(&text);
        option_print(from, &list->table->rows[i], &text);
        r = buf_status(&text) < 0 ? -ENOMEM : option_fill(rule, &list->table->rows[i], buf_text(&text), &reason);
    }
    if (r == 0 && rule_list_finish(list, to, rule, &option))
        r = -EINVAL;
    assert(r != -EINVAL);
    if (r == 0 && list->copy)
        list->copy(rule, from);
    buf_done(&text);
    buf_done(&reason);
    return r;
}

int rule_lists_copy(struct config *to, const struct config *from)
{
    int r = 0;
    rule_lists_clear(to);
    for (size_t i = 0; i < RULE_LIST_COUNT; i++)
        for (size_t k = 0; k < rule_list_count(rule_lists[i], from) && r == 0; k++)
            r = rule_copy(rule_lists[i], to, rule_list_rule(rule_lists[i], from, k));
    return r;
}
