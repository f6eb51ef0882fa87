/*
 * Option: see option.h.
 */
#include "daemon/config/option.h"

#include "daemon/config/rule_list.h"
#include "lib/text.h"

#include <stdio.h>
#include <stdlib.h>

const struct config_option *option_find_in(const struct option_table *table, const char *path)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->rows[i].path, path) == 0)
            return &table->rows[i];
    return NULL;
}

const struct config_option *option_find(const char *path)
{
    return option_find_in(&option_table, path);
}

/* "keep-alive" without its section, or with a wrong one. */
static const struct config_option *option_by_last_part(const struct option_table *table, const char *path)
{
    const struct config_option *found = NULL;
    const char *dot = strrchr(path, '.'), *last = dot ? dot + 1 : path;
    for (size_t i = 0; i < table->count; i++) {
        const char *own = strrchr(table->rows[i].path, '.');
        if (!own || strcmp(own + 1, last) != 0)
            continue;
        if (found)
            return NULL;
        found = &table->rows[i];
    }
    return found;
}

const struct config_option *option_nearest_in(const struct option_table *table, const char *path)
{
    size_t nearest = table->count;
    unsigned best = 1 + (unsigned)strlen(path) / 3;
    for (size_t i = 0; i < table->count; i++) {
        unsigned distance = text_distance(path, table->rows[i].path, best);
        if (distance < best || (distance == best && nearest == table->count)) {
            best = distance;
            nearest = i;
        }
    }
    return nearest < table->count ? &table->rows[nearest] : option_by_last_part(table, path);
}

const struct config_option *option_nearest(const char *path)
{
    return option_nearest_in(&option_table, path);
}

static void *option_member(const void *base, const struct config_option *option)
{
    return (char *)base + option->offset;
}

static size_t option_index(const struct config_option *option)
{
    return (size_t)(option - options);
}

static int option_refuse(struct buf *reason, const char *text, const char *allowed)
{
    buf_add_text(reason, "\"");
    text_add_escaped(reason, bytes_text(text), 80);
    buf_add_format(reason, "\" is not right: %s", allowed);
    return -EINVAL;
}

static void option_add_amount(const struct config_option *option, uint64_t value, struct buf *out)
{
    if (option->special && value == 0)
        buf_add_text(out, option->special);
    else if (option->kind == OPTION_SIZE)
        text_add_size(out, value);
    else if (option->kind == OPTION_SPAN)
        text_add_span(out, value);
    else
        buf_add_format(out, option->is_octal ? "0%llo" : "%llu", (unsigned long long)value);
}

static int option_refuse_amount(const struct config_option *option, struct buf *reason, const char *text)
{
    static const char *const forms[] = {
        [OPTION_NUMBER] = "a whole number", [OPTION_SIZE] = "a size such as 64KiB", [OPTION_SPAN] = "a time such as 15s",
    };
    struct buf allowed = {0};
    buf_add_text(&allowed, option->is_octal ? "an octal number such as 0660" : forms[option->kind]);
    if (option->special)
        buf_add_format(&allowed, ", or %s,", option->special);
    if (option->min) {
        buf_add_text(&allowed, " of at least ");
        option_add_amount(option, option->min, &allowed);
    }
    if (option->max) {
        buf_add_text(&allowed, option->min ? " and at most " : " of at most ");
        option_add_amount(option, option->max, &allowed);
    }
    buf_add_text(&allowed, " is expected");
    int r = option_refuse(reason, text, buf_text(&allowed));
    buf_done(&allowed);
    return r;
}

static int option_read_octal(const char *text, uint64_t *ret)
{
    char *end;
    if (strspn(text, "01234567") != strlen(text) || !*text || strlen(text) > 5)
        return -EBADMSG;
    *ret = strtoul(text, &end, 8);
    return 0;
}

static int option_set_amount(void *base, const struct config_option *option, const char *text, struct buf *reason)
{
    uint64_t value = 0;
    struct bytes bytes = bytes_text(text);
    bool is_special = option->special && strcmp(text, option->special) == 0;
    int r = 0;
    if (option->is_octal)
        r = option_read_octal(text, &value);
    else if (!is_special && option->kind == OPTION_SIZE)
        r = text_parse_size(bytes, &value);
    else if (!is_special && option->kind == OPTION_SPAN)
        r = text_parse_span(bytes, &value);
    else if (!is_special)
        r = text_parse_uint(bytes, &value);
    bool is_in_range = is_special || (value >= option->min && (!option->max || value <= option->max));
    if (r < 0 || !is_in_range)
        return option_refuse_amount(option, reason, text);
    *(uint64_t *)option_member(base, option) = value;
    return 0;
}

static int option_set_flag(void *base, const struct config_option *option, const char *text, struct buf *reason)
{
    static const struct { const char *word; bool value; } words[] = {
        {"true", true}, {"yes", true}, {"on", true}, {"false", false}, {"no", false}, {"off", false},
    };
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (strcmp(words[i].word, text) == 0) {
            *(bool *)option_member(base, option) = words[i].value;
            return 0;
        }
    }
    return option_refuse(reason, text, "true or false is expected");
}

/* The word at `index` of a choice; its length, or 0 behind the last. */
static size_t choice_word(const struct config_option *option, unsigned index, const char **ret)
{
    const char *at = option->choices;
    while (index-- > 0 && *at) {
        at += strcspn(at, " ");
        at += strspn(at, " ");
    }
    *ret = at;
    return strcspn(at, " ");
}

static int option_set_choice(void *base, const struct config_option *option, const char *text, struct buf *reason)
{
    const char *word;
    size_t length;
    for (unsigned i = 0; (length = choice_word(option, i, &word)) > 0; i++) {
        if (strlen(text) == length && memcmp(word, text, length) == 0) {
            *(unsigned *)option_member(base, option) = i;
            return 0;
        }
    }
    char allowed[120];
    snprintf(allowed, sizeof(allowed), "one of these is expected: %s", option->choices);
    return option_refuse(reason, text, allowed);
}

static int option_set_text(void *base, const struct config_option *option, const char *text, struct buf *reason)
{
    const char *allowed = option->check ? option->check(text) : NULL;
    if (allowed)
        return option_refuse(reason, text, allowed);
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    char **member = option_member(base, option);
    free(*member);
    *member = copy;
    return 0;
}

int option_append(void *base, const struct config_option *option, const char *item, struct buf *reason)
{
    const char *allowed = option->check ? option->check(item) : NULL;
    if (allowed)
        return option_refuse(reason, item, allowed);
    struct text_list *list = option_member(base, option);
    char **items = realloc(list->items, (list->count + 1) * sizeof(*items));
    if (!items)
        return -ENOMEM;
    list->items = items;
    items[list->count] = strdup(item);
    if (!items[list->count])
        return -ENOMEM;
    list->count++;
    return 0;
}

static int option_set_list(void *base, const struct config_option *option, const char *text, struct buf *reason)
{
    option_clear(base, option);
    int r = 0;
    while (r == 0 && *text) {
        size_t length = strcspn(text, ",");
        char *item = strndup(text, length);
        r = item ? option_append(base, option, item, reason) : -ENOMEM;
        free(item);
        text += length;
        text += strspn(text, ", ");
    }
    return r;
}

static int option_note(struct config *config, const struct config_option *option, const char *origin)
{
    char **slot = &config->origins[option_index(option)];
    free(*slot);
    *slot = origin ? strdup(origin) : NULL;
    return origin && !*slot ? -ENOMEM : 0;
}

int option_fill(void *base, const struct config_option *option, const char *text, struct buf *reason)
{
    switch (option->kind) {
    case OPTION_FLAG:
        return option_set_flag(base, option, text, reason);
    case OPTION_TEXT:
        return option_set_text(base, option, text, reason);
    case OPTION_LIST:
        return option_set_list(base, option, text, reason);
    case OPTION_CHOICE:
        return option_set_choice(base, option, text, reason);
    default:
        return option_set_amount(base, option, text, reason);
    }
}

int option_set(struct config *config, const struct config_option *option, const char *text, const char *origin,
               struct buf *reason)
{
    int r = option_fill(config, option, text, reason);
    return r < 0 ? r : option_note(config, option, origin);
}

void option_clear(void *base, const struct config_option *option)
{
    if (option->kind == OPTION_TEXT) {
        char **text = option_member(base, option);
        free(*text);
        *text = NULL;
    } else if (option->kind == OPTION_LIST) {
        struct text_list *list = option_member(base, option);
        for (size_t i = 0; i < list->count; i++)
            free(list->items[i]);
        free(list->items);
        *list = (struct text_list){0};
    }
}

int option_add(struct config *config, const struct config_option *option, const char *item, const char *origin,
               struct buf *reason)
{
    int r = option_append(config, option, item, reason);
    return r < 0 ? r : option_note(config, option, origin);
}

bool option_is_set(const void *base, const struct config_option *option)
{
    const void *member = (const char *)base + option->offset;
    return option->fallback || (option->kind == OPTION_LIST ? ((const struct text_list *)member)->count > 0 : *(char *const *)member != NULL);
}

void option_print(const void *base, const struct config_option *option, struct buf *out)
{
    const void *member = option_member(base, option);
    const struct text_list *list = member;
    const char *word;
    switch (option->kind) {
    case OPTION_FLAG:
        buf_add_text(out, *(const bool *)member ? "true" : "false");
        break;
    case OPTION_TEXT:
        buf_add_text(out, *(char *const *)member);
        break;
    case OPTION_LIST:
        for (size_t i = 0; i < list->count; i++) {
            if (i)
                buf_add_text(out, ", ");
            buf_add_text(out, list->items[i]);
        }
        break;
    case OPTION_CHOICE: {
        size_t length = choice_word(option, *(const unsigned *)member, &word);
        buf_add(out, word, length);
        break;
    }
    default:
        option_add_amount(option, *(const uint64_t *)member, out);
        break;
    }
}

const char *option_origin(const struct config *config, const struct config_option *option)
{
    const char *origin = config->origins[option_index(option)];
    return origin ? origin : "default";
}

const char *option_reload_name(enum option_reload reload)
{
    static const char *const names[] = {
        [RELOAD_NOW] = "now", [RELOAD_NEW] = "new connections", [RELOAD_RESTART] = "restart",
    };
    return names[reload];
}

int option_copy(struct config *to, const struct config *from, const struct config_option *option)
{
    struct buf text = {0}, reason = {0};
    option_print(from, option, &text);
    int r = buf_status(&text);
    if (r == 0)
        r = option_set(to, option, buf_text(&text), from->origins[option_index(option)], &reason);
    assert(r != -EINVAL);
    buf_done(&text);
    buf_done(&reason);
    return r;
}

bool option_is_same(const void *a, const void *b, const struct config_option *option)
{
    struct buf text_a = {0}, text_b = {0};
    option_print(a, option, &text_a);
    option_print(b, option, &text_b);
    bool is_same = bytes_equal(buf_bytes(&text_a), buf_bytes(&text_b));
    buf_done(&text_a);
    buf_done(&text_b);
    return is_same;
}

void options_report_changes(const struct config *old, const struct config *new, struct buf *report)
{
    unsigned changed = 0;
    for (size_t i = 0; i < option_count; i++) {
        if (option_is_same(old, new, &options[i]))
            continue;
        changed++;
        buf_add_format(report, "%s changed%s\n", options[i].path,
                       options[i].reload == RELOAD_RESTART ? "; restart rtcd to take it up" : "");
    }
    for (size_t i = 0; i < RULE_LIST_COUNT; i++) {
        if (rule_list_is_same(rule_lists[i], old, new))
            continue;
        changed++;
        buf_add_format(report, "%s changed\n", rule_lists[i]->name);
    }
    if (!changed)
        buf_add_text(report, "no option changed; files with keys, secrets and certificates were read again\n");
}

int options_keep_until_restart(const struct config *old, struct config *new)
{
    int r = 0;
    for (size_t i = 0; i < option_count && r == 0; i++)
        if (options[i].reload == RELOAD_RESTART && !option_is_same(old, new, &options[i]))
            r = option_copy(new, old, &options[i]);
    return r;
}
