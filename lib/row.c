/*
 * Row: see row.h.
 */
#include "lib/row.h"

void row_columns_read(const char *columns, struct row_columns *ret)
{
    ret->count = 0;
    while (ret->count < ROW_COLUMNS_MAX && admin_next_column(&columns, &ret->columns[ret->count]))
        ret->count++;
    assert(columns[strspn(columns, " ")] == '\0');
}

int row_columns_find(const struct row_columns *columns, struct bytes name)
{
    for (unsigned i = 0; i < columns->count; i++)
        if (bytes_is(name, columns->columns[i].name))
            return (int)i;
    return -1;
}

void row_columns_add_names(const struct row_columns *columns, struct buf *out)
{
    for (unsigned i = 0; i < columns->count; i++)
        buf_add_format(out, "%s%s", i ? " " : "", columns->columns[i].name);
}

static int text_compare(struct bytes a, struct bytes b)
{
    size_t length = MIN(a.length, b.length);
    int order = length ? memcmp(a.data, b.data, length) : 0;
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

int cell_compare(enum admin_kind kind, const struct cell *a, const struct cell *b)
{
    if (a->is_empty || b->is_empty)
        return b->is_empty - a->is_empty;
    if (kind_is_text(kind))
        return text_compare(a->text, b->text);
    return (a->number > b->number) - (a->number < b->number);
}

static enum decode no_column(const struct row_columns *columns, struct bytes name, struct fault *fault)
{
    struct buf names = {0};
    row_columns_add_names(columns, &names);
    fault_set(fault, FAULT_BAD_ENVELOPE, "there is no column \"%.*s\"; there are: %s", (int)MIN(name.length, (size_t)32),
              (const char *)name.data, buf_text(&names));
    buf_done(&names);
    return DECODE_BAD;
}

/* The next name of a list with commas between, and where it ends. */
static struct bytes take_name(struct bytes text, size_t *at)
{
    size_t start = *at;
    while (*at < text.length && text.data[*at] != ',')
        ++*at;
    struct bytes name = bytes_of(text.data + start, *at - start);
    *at += *at < text.length;
    return name;
}

enum decode row_order_read(struct bytes text, const struct row_columns *columns, struct row_order *ret, struct fault *fault)
{
    size_t at = 0;
    ret->count = 0;
    do {
        struct bytes name = take_name(text, &at);
        bool is_descending = name.length && name.data[0] == '-';
        if (is_descending)
            name = bytes_of(name.data + 1, name.length - 1);
        int column = row_columns_find(columns, name);
        if (column < 0)
            return no_column(columns, name, fault);
        if (ret->count == ROW_KEYS_MAX)
            return fault_set(fault, FAULT_BAD_ENVELOPE, "rows are sorted by at most %d columns", ROW_KEYS_MAX);
        ret->keys[ret->count].column = (uint8_t)column;
        ret->keys[ret->count++].is_descending = is_descending;
    } while (at < text.length);
    return DECODE_DONE;
}

enum decode row_choice_read(struct bytes text, const struct row_columns *columns, struct row_choice *ret, struct fault *fault)
{
    size_t at = 0;
    ret->count = 0;
    do {
        struct bytes name = take_name(text, &at);
        int column = row_columns_find(columns, name);
        if (column < 0)
            return no_column(columns, name, fault);
        if (ret->count == ROW_COLUMNS_MAX)
            return fault_set(fault, FAULT_BAD_ENVELOPE, "at most %d columns are shown", ROW_COLUMNS_MAX);
        ret->columns[ret->count++] = (uint8_t)column;
    } while (at < text.length);
    return DECODE_DONE;
}

void row_choice_all(const struct row_columns *columns, struct row_choice *ret)
{
    ret->count = columns->count;
    for (unsigned i = 0; i < columns->count; i++)
        ret->columns[i] = (uint8_t)i;
}
