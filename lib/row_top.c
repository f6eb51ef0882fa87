/*
 * Row top: see row_top.h.
 */
#include "lib/row_top.h"

#include <stdlib.h>

enum { SMALLEST_HEAP = 16 };

void row_top_done(struct row_top *top)
{
    for (size_t i = 0; i < top->count; i++)
        free(top->rows[i]);
    free(top->rows);
    top->rows = NULL;
    top->count = top->capacity = 0;
}

static enum admin_kind top_kind(const struct row_top *top, unsigned key)
{
    return top->columns->columns[top->order.keys[key].column].kind;
}

/* Less than 0: a stands before b. */
static int kept_compare(const struct row_top *top, const struct row_kept *a, const struct row_kept *b)
{
    for (unsigned i = 0; i < top->order.count; i++) {
        int order = cell_compare(top_kind(top, i), &a->keys[i], &b->keys[i]);
        if (order)
            return top->order.keys[i].is_descending ? -order : order;
    }
    return (a->number > b->number) - (a->number < b->number);
}

static void top_swap(struct row_top *top, size_t a, size_t b)
{
    struct row_kept *row = top->rows[a];
    top->rows[a] = top->rows[b];
    top->rows[b] = row;
}

/* The row at `index` may stand before those below it. */
static void top_sink(struct row_top *top, size_t index, size_t count)
{
    while (true) {
        size_t last = index, left = 2 * index + 1;
        for (size_t child = left; child < left + 2 && child < count; child++)
            if (kept_compare(top, top->rows[child], top->rows[last]) > 0)
                last = child;
        if (last == index)
            return;
        top_swap(top, index, last);
        index = last;
    }
}

static void top_rise(struct row_top *top, size_t index)
{
    for (; index && kept_compare(top, top->rows[index], top->rows[(index - 1) / 2]) > 0; index = (index - 1) / 2)
        top_swap(top, index, (index - 1) / 2);
}

bool row_top_offer(struct row_top *top, const struct cell *cells)
{
    struct row_kept row = {.number = ++top->seen};
    if (top->count < top->max)
        return true;
    for (unsigned i = 0; i < top->order.count; i++)
        row.keys[i] = cells[top->order.keys[i].column];
    return top->max && kept_compare(top, &row, top->rows[0]) < 0;
}

static struct row_kept *kept_new(const struct row_top *top, const struct cell *cells, struct bytes said)
{
    size_t length = said.length;
    for (unsigned i = 0; i < top->order.count; i++)
        if (kind_is_text(top_kind(top, i)))
            length += cells[top->order.keys[i].column].text.length;
    struct row_kept *row = malloc(sizeof(*row) + length);
    if (!row)
        return NULL;
    row->number = top->seen;
    row->length = (uint32_t)said.length;
    unsigned char *at = row->bytes;
    memcpy(at, said.data, said.length);
    at += said.length;
    for (unsigned i = 0; i < top->order.count; i++) {
        row->keys[i] = cells[top->order.keys[i].column];
        if (!kind_is_text(top_kind(top, i)))
            continue;
        struct bytes text = row->keys[i].text;
        if (text.length)
            memcpy(at, text.data, text.length);
        row->keys[i].text = bytes_of(at, text.length);
        at += text.length;
    }
    return row;
}

static bool top_grow(struct row_top *top)
{
    if (top->count < top->capacity)
        return true;
    size_t capacity = MIN(top->capacity ? top->capacity * 2 : (size_t)SMALLEST_HEAP, top->max);
    struct row_kept **rows = realloc(top->rows, capacity * sizeof(struct row_kept *));
    if (!rows)
        return false;
    top->rows = rows;
    top->capacity = capacity;
    return true;
}

void row_top_add(struct row_top *top, const struct cell *cells, struct bytes said)
{
    struct row_kept *row = kept_new(top, cells, said);
    if (!row || (top->count < top->max && !top_grow(top))) {
        free(row);
        top->has_failed = true;
        return;
    }
    if (top->count < top->max) {
        top->rows[top->count++] = row;
        top_rise(top, top->count - 1);
        return;
    }
    free(top->rows[0]);
    top->rows[0] = row;
    top_sink(top, 0, top->count);
}

/* The last one of those left goes to their end. */
void row_top_finish(struct row_top *top)
{
    for (size_t left = top->count; left > 1; left--) {
        top_swap(top, 0, left - 1);
        top_sink(top, 0, left - 1);
    }
}
