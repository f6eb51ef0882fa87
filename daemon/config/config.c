/*
 * Config: the life of a snapshot. Made with all defaults; freed row by row.
 */
#include "daemon/config/config_file.h"
#include "daemon/config/option.h"

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
    for (size_t i = 0; i < option_count; i++) {
        option_clear(config, &options[i]);
        free(config->origins[i]);
    }
    free(config);
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
        const char *indent = dot ? "  " : "";
        buf_add_format(out, "%s# %s", indent, option->summary);
        if (option->details[0])
            buf_add_format(out, " %s", option->details);
        buf_add_format(out, "\n#%s%s: ", indent, dot ? dot + 1 : option->path);
        if (option->kind == OPTION_LIST)
            buf_add_format(out, "[%s%s%s]\n", option->fallback[0] ? "\"" : "", option->fallback, option->fallback[0] ? "\"" : "");
        else
            buf_add_format(out, option->kind == OPTION_TEXT ? "\"%s\"\n" : "%s\n", option->fallback);
    }
}
