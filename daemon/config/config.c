/*
 * Config: the life of a snapshot. Made with all defaults; freed row by row.
 */
#include "daemon/config/config_file.h"
#include "daemon/config/option.h"
#include "daemon/config/rule_list.h"

#include <stdlib.h>

struct config *config_ref(struct config *config)
{
    atomic_fetch_add_explicit(&config->reference_count, 1, memory_order_relaxed);
    return config;
}

void config_unref(struct config *config)
{
    if (!config || atomic_fetch_sub_explicit(&config->reference_count, 1, memory_order_acq_rel) != 1)
        return;
    if (config->free_keys)
        config->free_keys(config);
    for (size_t i = 0; i < option_count; i++) {
        option_clear(config, &options[i]);
        free(config->origins[i]);
    }
    rule_lists_clear(config);
    free(config);
}

struct config *config_clone(const struct config *config)
{
    SCOPED(config) clone = calloc(1, sizeof(*clone));
    if (!clone)
        return NULL;
    atomic_init(&clone->reference_count, 1);
    for (size_t i = 0; i < option_count; i++)
        if (option_copy(clone, config, &options[i]) < 0)
            return NULL;
    return rule_lists_copy(clone, config) == 0 ? STEAL(clone) : NULL;
}

enum { SAMPLE_WIDTH = 100 };

/* As comments, broken at blanks. */
static void sample_add_text(struct buf *out, const char *indent, const char *text, size_t *column)
{
    while (*text) {
        size_t length = strcspn(text, " ");
        bool is_new = *column == 0 || *column + 1 + length > SAMPLE_WIDTH;
        if (is_new) {
            buf_add_format(out, "%s%s#", *column ? "\n" : "", indent);
            *column = strlen(indent) + 1;
        }
        buf_add_format(out, " %.*s", (int)length, text);
        *column += 1 + length;
        text += length;
        text += strspn(text, " ");
    }
}

/* `dash` begins an item of a list. */
static void sample_add_option(struct buf *out, const struct config_option *option, const char *margin, const char *dash)
{
    const char *dot = strchr(option->path, '.'), *value = option->fallback ? option->fallback : option->example;
    bool is_list = option->kind == OPTION_LIST, is_quoted = option->kind == OPTION_TEXT || (is_list && value[0]);
    size_t column = 0;
    sample_add_text(out, margin, option->summary, &column);
    sample_add_text(out, margin, option->details, &column);
    buf_add_format(out, "\n#%s%s%s: %s%s%s%s%s\n", margin, dash, dot ? dot + 1 : option->path, is_list ? "[" : "",
                   is_quoted ? "\"" : "", value, is_quoted ? "\"" : "", is_list ? "]" : "");
}

/* An example, since there are none by default. */
static void sample_add_rules(struct buf *out, const struct rule_list *list)
{
    buf_add_format(out, "\n# %s There are none by default.\n#%s:\n", list->heading, list->name);
    for (size_t i = 0; i < list->table->count; i++)
        sample_add_option(out, &list->table->rows[i], "  ", i ? "  " : "- ");
}

void config_print_sample(struct buf *out)
{
    buf_add_text(out, "# Every option of rtcd at its default. rtcd.yaml(5) says more.\n");
    const char *section = "";
    for (size_t i = 0; i < option_count; i++) {
        const struct config_option *option = &options[i];
        const char *dot = strchr(option->path, '.');
        size_t length = dot ? (size_t)(dot - option->path) : 0;
        if (dot && (strncmp(section, option->path, length) != 0 || section[length] != '.'))
            buf_add_format(out, "\n#%.*s:\n", (int)length, option->path);
        else if (!dot)
            buf_add_text(out, "\n");
        section = dot ? option->path : "";
        sample_add_option(out, option, dot ? "  " : "", "");
    }
    for (size_t i = 0; i < RULE_LIST_COUNT; i++)
        sample_add_rules(out, rule_lists[i]);
}
