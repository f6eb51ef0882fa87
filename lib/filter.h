/*
 * Filter: which rows of a listing somebody wants, said by an expression over its columns:
 *
 *     user=ann and (state=parked or queued>=64KiB) and not address~127.**
 *
 * A comparison is a column, one of = != < <= > >= ~, and a value: text, in quotes (' or ") where it has blanks, brackets or quotes in
 * it, or is empty; sizes as 64KiB, times as 30s or 1h30m, flags as true and false. ~ is for text and takes a pattern (pattern.h).
 * `not` binds closest, then `and`, then `or`. What a row has nothing of differs from every value (!=), and is met by no other comparison.
 *
 * Reads what strangers wrote: no I/O, and bounds on everything.
 */
#pragma once

#include "lib/row.h"

enum {
    FILTER_BYTES_MAX = 1024,
    FILTER_DEPTH_MAX = 16,              /* brackets and nots inside one another */
    FILTER_STEPS_MAX = 64,              /* comparisons, ands, ors and nots */
};

enum filter_sign { FILTER_EQUAL, FILTER_UNEQUAL, FILTER_LESS, FILTER_LESS_EQUAL, FILTER_MORE, FILTER_MORE_EQUAL, FILTER_LIKE };

/* Operands stand before what joins them, so that nothing needs to be looked at twice. */
struct filter_step {
    enum { FILTER_TEST, FILTER_NOT, FILTER_AND, FILTER_OR } what;
    uint8_t column;
    enum filter_sign sign;
    enum admin_kind kind;
    uint64_t number;
    uint32_t text_at, text_length;      /* in `texts` */
};

struct filter {
    struct filter_step steps[FILTER_STEPS_MAX];
    unsigned count;                     /* 0: every row is wanted */
    unsigned pattern_bytes;             /* of all patterns: what a row costs beside the rest */
    struct buf texts;
};

/* `ret` is all zero, and owns nothing if this fails: what was wrong, and where, is in the fault. */
enum decode filter_read(struct bytes text, const struct row_columns *columns, struct filter *ret, struct fault *fault);
void filter_done(struct filter *filter);
/* `cells` stand under the columns that the filter was read for. */
bool filter_wants(const struct filter *filter, const struct cell *cells);
