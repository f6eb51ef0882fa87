/*
 * Filters, orders and choices of columns: the first line is the cells' text, the rest an expression. Whatever is read can be asked, and
 * what it says of a row is the contrary of what its negation says.
 */
#include "lib/filter.h"

#include <stdlib.h>

static void ask(struct bytes expression, const struct row_columns *columns, const struct filter *filter, const struct cell *cells)
{
    struct filter opposite = {0};
    struct buf text = {0};
    buf_add_text(&text, "not (");
    buf_add_bytes(&text, expression);
    buf_add_byte(&text, ')');
    bool answer = filter_wants(filter, cells);
    if (filter_read(buf_bytes(&text), columns, &opposite, NULL) == DECODE_DONE && filter_wants(&opposite, cells) == answer)
        abort();
    filter_done(&opposite);
    buf_done(&text);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const unsigned char *end = size ? memchr(data, '\n', size) : NULL;
    struct bytes text = bytes_of(data, end ? (size_t)(end - data) : size), expression = bytes_of(data + text.length, size - text.length);
    if (end)
        expression = bytes_of(expression.data + 1, expression.length - 1);
    struct row_columns columns;
    row_columns_read("user:text queued:bytes age:span groups:count slow:flag data:json until:time", &columns);
    const struct cell cells[] = {cell_text(text), cell_number(size), cell_number(size * 1000), cell_number(3), cell_number(size & 1), cell_text(text),
                                 cell_empty()};
    struct filter filter = {0};
    struct fault fault = {0};
    bool is_read = filter_read(expression, &columns, &filter, &fault) == DECODE_DONE;
    if (is_read != (fault.id == FAULT_NONE) || filter.count > FILTER_STEPS_MAX || expression.length > FILTER_BYTES_MAX * is_read + size * !is_read)
        abort();
    if (is_read)
        ask(expression, &columns, &filter, cells);
    filter_done(&filter);

    struct row_order order;
    struct row_choice choice;
    if (row_order_read(expression, &columns, &order, &fault) == DECODE_DONE && (order.count == 0 || order.count > ROW_KEYS_MAX))
        abort();
    if (row_choice_read(expression, &columns, &choice, &fault) == DECODE_DONE && (choice.count == 0 || choice.count > ROW_COLUMNS_MAX))
        abort();
    return 0;
}
