/*
 * Option: the engine over the rows of options.c, and over those of the rules of lists (rule_list.h). Sets, prints, checks, copies and
 * compares row by row, so no list of options exists but the tables. What has a `base` is for the structs of either table.
 */
#pragma once

#include "daemon/config/config.h"
#include "lib/buf.h"

enum option_kind { OPTION_FLAG, OPTION_NUMBER, OPTION_SIZE, OPTION_SPAN, OPTION_TEXT, OPTION_LIST, OPTION_CHOICE };

enum option_reload {
    RELOAD_NOW,             /* a reload takes it up at once */
    RELOAD_NEW,             /* for connections made afterwards */
    RELOAD_RESTART,         /* only a restart does */
};

struct config_option {
    const char *path;       /* "resume.window" */
    enum option_kind kind;
    size_t offset;          /* of the member in its struct */
    const char *fallback;   /* the default, as one would write it; NULL: it must be given (in a rule of a list only) */
    const char *example;    /* what the sample shows where there is no default */
    uint64_t min, max;      /* NUMBER, SIZE, SPAN; max 0: no limit */
    const char *choices;    /* CHOICE: the words, separated by blanks, in the order of the enum */
    const char *special;    /* NUMBER: a word that means 0, or NULL */
    bool is_octal;
    /* Further check of a text or of each item of a list: NULL, or what would be right. */
    const char *(*check)(const char *text);
    enum option_reload reload;
    const char *summary;    /* one sentence */
    const char *details;    /* more, or "" */
};

extern const struct config_option options[];
extern const size_t option_count;

/* The same for another table. */
struct option_table {
    const struct config_option *rows;
    size_t count;
};
extern const struct option_table option_table;      /* all of options[] */

/* NULL when there is none. */
const struct config_option *option_find(const char *path);
const struct config_option *option_find_in(const struct option_table *table, const char *path);
const struct config_option *option_nearest_in(const struct option_table *table, const char *path);
/* The option with the most similar path, else the only one whose last part is the same; NULL when none is near. */
const struct config_option *option_nearest(const char *path);

/* Sets it from text (a list: separated by commas). `origin` is copied; NULL: the default. 0; -ENOMEM; -EINVAL: *reason gets
 * what is wrong and what is allowed. */
MUST_CHECK int option_set(struct config *config, const struct config_option *option, const char *text,
                          const char *origin, struct buf *reason);
/* The same without a note where it comes from. */
MUST_CHECK int option_fill(void *base, const struct config_option *option, const char *text, struct buf *reason);
/* Empties a list, and adds one item. */
void option_clear(void *base, const struct config_option *option);
MUST_CHECK int option_append(void *base, const struct config_option *option, const char *item, struct buf *reason);
MUST_CHECK int option_add(struct config *config, const struct config_option *option, const char *item,
                          const char *origin, struct buf *reason);

/* false: it must be given, and was not. */
bool option_is_set(const void *base, const struct config_option *option);

/* As one would write it; text_parse and option_set take it back. */
void option_print(const void *base, const struct config_option *option, struct buf *out);
const char *option_origin(const struct config *config, const struct config_option *option);     /* "default" */
const char *option_reload_name(enum option_reload reload);      /* "now", "new connections", "restart" */
/* Value and origin. 0 or -ENOMEM. */
MUST_CHECK int option_copy(struct config *to, const struct config *from, const struct config_option *option);
bool option_is_same(const void *a, const void *b, const struct config_option *option);

/* Names what changed, a line each, and what of that only a restart takes up. */
void options_report_changes(const struct config *old, const struct config *new, struct buf *report);
/* What only a restart takes up stays in force until then, in the new snapshot too. -ENOMEM. */
MUST_CHECK int options_keep_until_restart(const struct config *old, struct config *new);
