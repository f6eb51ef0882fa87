/*
 * Admin commands: the rows of admin_commands.def, and what can be read off them: look-up by words,
 * the grammar in the synopsis, the columns. Shared by the daemon's dispatch and rtcctl, whose own commands
 * (own_commands.def) stand behind them and have no event name.
 */
#pragma once

#include "lib/buf.h"

/* For rows of admin_commands.def: what every listing takes (daemon/admin/admin_rows.h), and the columns of connections. */
#define ADMIN_LISTING "[--filter EXPRESSION] [--sort COLUMNS] [--columns COLUMNS] [--limit N]"
#define ADMIN_PAGES ADMIN_LISTING " [--cursor CURSOR]"
/* So many rows at most are in one page, and in a sorted listing, which has no other. */
enum { ADMIN_ROWS_PAGE = 1000, ADMIN_ROWS_SORTED_MAX = 10000 };
#define ADMIN_CONNECTION_COLUMNS \
    "id:text user:text state:text transport:text protocol:text address:text groups:count queued:bytes age:span " \
    "labels:json info:json"

enum admin_access { ADMIN_VIEWER, ADMIN_OPERATOR, ADMIN_ADMIN, ADMIN_ACCESS_COUNT };
const char *admin_access_name(enum admin_access access);        /* "viewer", "operator", "admin" */

enum admin_command_id {
#define ADMIN_COMMAND(id, words, synopsis, access, columns, summary, details) ADMIN_##id,
#include "lib/admin_commands.def"
    ADMIN_COMMAND_COUNT,                /* of those that the daemon answers */
    ADMIN_LAST_ = ADMIN_COMMAND_COUNT - 1,
#include "lib/own_commands.def"
#undef ADMIN_COMMAND
    COMMAND_COUNT,                      /* with those that rtcctl does by itself */
};

struct admin_command {
    const char *words;          /* "list connections" */
    const char *synopsis;
    enum admin_access access;
    const char *columns;
    const char *summary, *details;
};

extern const struct admin_command admin_commands[COMMAND_COUNT];

/* By event name ("list.connections"); NULL when there is none. */
const struct admin_command *admin_command_by_event(struct bytes event_name);

/* One argument of a synopsis, in order: false at the end. Start with *rest = command->synopsis. */
struct admin_argument {
    char name[32];              /* the data member: "group", "exceptSelf" */
    size_t name_length;
    char word[32];              /* as typed: "--except-self", "count", or "EVENT" */
    char value[32];             /* what its value is called: "GROUP", "N" (a whole number), "EVENT"; "" when it takes none */
    bool is_flag;               /* --x */
    bool is_keyword;            /* a word in lower case, typed as it stands with its value behind: count N */
    bool takes_value;           /* --x VALUE, count N, or positional */
    bool may_lack_value;        /* --x[=VALUE] */
    bool is_optional;
    bool repeats;               /* NAME... */
};
bool admin_next_argument(const char **rest, struct admin_argument *ret);

/* A whole synopsis, for those who ask of it often. */
enum { ADMIN_ARGUMENTS_MAX = 16 };
struct admin_grammar {
    struct admin_argument arguments[ADMIN_ARGUMENTS_MAX];
    unsigned count;
};
void admin_grammar_read(const char *synopsis, struct admin_grammar *ret);
/* By its name; NULL: there is none. */
const struct admin_argument *admin_grammar_find(const struct admin_grammar *grammar, struct bytes name);

enum admin_kind { ADMIN_KIND_TEXT, ADMIN_KIND_COUNT_, ADMIN_KIND_BYTES, ADMIN_KIND_SPAN, ADMIN_KIND_TIME, ADMIN_KIND_FLAG, ADMIN_KIND_JSON };
struct admin_column { char name[32]; enum admin_kind kind; };
bool admin_next_column(const char **rest, struct admin_column *ret);
