/*
 * Row top: the first rows of a listing by some order, however many there are: a bounded heap with the last of them on top, which
 * gives way to any that comes before it. Of two alike the one that came first is first.
 */
#pragma once

#include "lib/row.h"

struct row_kept {
    uint64_t number;                    /* that it came as */
    struct cell keys[ROW_KEYS_MAX];     /* their texts stand behind the row's own */
    uint32_t length;                    /* of what is said of the row: `bytes` */
    unsigned char bytes[];
};

struct row_top {
    const struct row_columns *columns;
    struct row_order order;
    size_t max;
    struct row_kept **rows;             /* a heap; once it is finished, in order */
    size_t count, capacity;
    uint64_t seen;                      /* all that were offered */
    bool has_failed;                    /* no memory: what is there is not to be used */
};

static inline struct row_top row_top(const struct row_columns *columns, const struct row_order *order, size_t max)
{
    return (struct row_top){.columns = columns, .order = *order, .max = max};
}
void row_top_done(struct row_top *top);
/* Is it among the first? If so, it is to be added. */
bool row_top_offer(struct row_top *top, const struct cell *cells);
/* The row that was offered last; `said` is copied. */
void row_top_add(struct row_top *top, const struct cell *cells, struct bytes said);
/* Puts them in order; nothing is added afterwards. */
void row_top_finish(struct row_top *top);
