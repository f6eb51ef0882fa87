/*
 * Row: what a listing is made of: cells under the columns of a command's row in admin_commands.def. Reads which of them somebody
 * wants to see, and by which to sort. Knows no listing.
 */
#pragma once

#include "lib/admin_commands.h"
#include "lib/fault.h"

enum { ROW_COLUMNS_MAX = 32, ROW_KEYS_MAX = 4 };

struct row_columns {
    struct admin_column columns[ROW_COLUMNS_MAX];
    unsigned count;
};
void row_columns_read(const char *columns, struct row_columns *ret);
/* By its name; -1: there is none. */
int row_columns_find(const struct row_columns *columns, struct bytes name);
/* Their names with blanks between. */
void row_columns_add_names(const struct row_columns *columns, struct buf *out);

/* By its column's kind: text or json stand in `text`, all else in `number`, a flag as 0 or 1. */
struct cell {
    bool is_empty;
    struct bytes text;
    uint64_t number;
};
static inline struct cell cell_text(struct bytes text) { return (struct cell){.text = text}; }
static inline struct cell cell_number(uint64_t number) { return (struct cell){.number = number}; }
static inline struct cell cell_empty(void) { return (struct cell){.is_empty = true}; }
static inline bool kind_is_text(enum admin_kind kind) { return kind == ADMIN_KIND_TEXT || kind == ADMIN_KIND_JSON; }
/* Texts by their bytes; empty ones come first. */
int cell_compare(enum admin_kind kind, const struct cell *a, const struct cell *b);

/* "queued,-age": by the first, and where that is the same by the next; - is the largest first. */
struct row_order {
    struct { uint8_t column; bool is_descending; } keys[ROW_KEYS_MAX];
    unsigned count;                     /* 0: as they come */
};
enum decode row_order_read(struct bytes text, const struct row_columns *columns, struct row_order *ret, struct fault *fault);

/* "id,user": which columns, in that order. */
struct row_choice {
    uint8_t columns[ROW_COLUMNS_MAX];
    unsigned count;
};
enum decode row_choice_read(struct bytes text, const struct row_columns *columns, struct row_choice *ret, struct fault *fault);
/* All of them. */
void row_choice_all(const struct row_columns *columns, struct row_choice *ret);
