/*
 * Arguments: what was typed, read by the synopsis of the command's row. Knows no command by name.
 */
#pragma once

#include "lib/admin_commands.h"

enum { ARGUMENTS_MAX = 16 };

enum output_format { OUTPUT_AUTO, OUTPUT_TABLE, OUTPUT_TSV, OUTPUT_JSON, OUTPUT_NDJSON };

struct invocation {
    const struct admin_command *command;        /* NULL: none was given */
    struct admin_argument arguments[ARGUMENTS_MAX];
    const char *values[ARGUMENTS_MAX];          /* NULL: not given; "" for a flag without value */
    unsigned argument_count;
    const char *socket;
    enum output_format format;
    const char *columns;                        /* --columns a,b */
    bool no_header;
    bool wants_help, wants_version;
    const char *words[4];                       /* what is no row: help [COMMAND], completion SHELL */
    unsigned word_count;
};

/* 0; an exit status after saying on standard error what is wrong. */
MUST_CHECK int arguments_read(int argc, char **argv, struct invocation *ret);

/* The value of an argument by its name ("group"); NULL: not given. */
const char *arguments_value(const struct invocation *invocation, const char *name);

/* Does its command know an argument of that name? */
bool arguments_takes(const struct invocation *invocation, const char *name);

/* By the words typed, joined by blanks; NULL. */
const struct admin_command *arguments_command(const char *words);
/* Says that there is no such command, and which ones may be meant. Returns the exit status. */
int arguments_suggest(const char *typed);
