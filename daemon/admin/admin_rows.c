/*
 * Admin rows: see admin_rows.h.
 */
#include "daemon/admin/admin_rows.h"

#include "lib/filter.h"
#include "lib/row_top.h"

#include <stdlib.h>

enum { PATTERN_BYTES_PER_SHARE = 8 };           /* a row costs twice as much with so many of them */

struct admin_rows {
    struct row_columns columns;
    struct filter filter;
    struct row_order order;
    struct row_choice choice;
    uint64_t limit, count;
    struct buf text;                    /* the rows so far; of sorted ones the one at hand */
    struct json_writer json;
    struct row_top top;
};

void admin_rows_free(struct admin_rows *rows)
{
    if (!rows)
        return;
    filter_done(&rows->filter);
    row_top_done(&rows->top);
    buf_done(&rows->text);
    free(rows);
}

static enum decode rows_read_texts(struct admin_rows *rows, struct admin_call *call, const char *order, struct fault *fault)
{
    struct bytes filter = {0}, sort = {0}, columns = {0};
    row_choice_all(&rows->columns, &rows->choice);
    if (admin_text(call, "filter", &filter) < 0 || admin_text(call, "sort", &sort) < 0 || admin_text(call, "columns", &columns) < 0)
        return DECODE_BAD;
    if (!sort.data && order)
        sort = bytes_text(order);
    if (filter.data && filter_read(filter, &rows->columns, &rows->filter, fault) != DECODE_DONE)
        return DECODE_BAD;
    if (sort.data && row_order_read(sort, &rows->columns, &rows->order, fault) != DECODE_DONE)
        return DECODE_BAD;
    if (columns.data && row_choice_read(columns, &rows->columns, &rows->choice, fault) != DECODE_DONE)
        return DECODE_BAD;
    return DECODE_DONE;
}

/* False: the call is refused. */
static bool rows_read(struct admin_rows *rows, struct admin_call *call, const char *order)
{
    struct fault fault = {0};
    row_columns_read(call->command->columns, &rows->columns);
    if (rows_read_texts(rows, call, order, &fault) != DECODE_DONE) {
        if (fault.id != FAULT_NONE)
            admin_refuse(&call->back, fault.id, "%s", fault_message(&fault));
        return false;
    }
    rows->limit = ADMIN_ROWS_PAGE;
    if (admin_number(call, "limit", &rows->limit) < 0)
        return false;
    uint64_t limit_max = rows->order.count ? ADMIN_ROWS_SORTED_MAX : ADMIN_ROWS_PAGE;
    rows->limit = MIN(MAX(rows->limit, UINT64_C(1)), limit_max);
    if (rows->order.count && json_type(admin_value(call, "cursor")) != JSON_NULL) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "rows that are sorted come in one page, which a cursor cannot go on behind");
        return false;
    }
    rows->top = row_top(&rows->columns, &rows->order, rows->limit);
    return true;
}

struct admin_rows *admin_rows_new(struct admin_call *call, const char *order)
{
    struct admin_rows *rows = calloc(1, sizeof(*rows));
    if (!rows) {
        admin_refuse(&call->back, FAULT_INTERNAL, "out of memory");
        return NULL;
    }
    rows->json = json_writer(&rows->text);
    if (rows_read(rows, call, order))
        return rows;
    admin_rows_free(rows);
    return NULL;
}

static void rows_say_cell(struct json_writer *json, enum admin_kind kind, const struct cell *cell)
{
    if (cell->is_empty)
        json_add_null(json);
    else if (kind == ADMIN_KIND_TEXT)
        json_add_string(json, cell->text);
    else if (kind == ADMIN_KIND_JSON)
        json_add_raw(json, cell->text);
    else if (kind == ADMIN_KIND_FLAG)
        json_add_bool(json, cell->number);
    else
        json_add_uint(json, cell->number);
}

static void rows_say(struct admin_rows *rows, struct json_writer *json, const struct cell *cells)
{
    json_begin_array(json);
    for (unsigned i = 0; i < rows->choice.count; i++)
        rows_say_cell(json, rows->columns.columns[rows->choice.columns[i]].kind, &cells[rows->choice.columns[i]]);
    json_end_array(json);
}

bool admin_rows_are_sorted(const struct admin_rows *rows)
{
    return rows->order.count > 0;
}

bool admin_rows_is_full(const struct admin_rows *rows)
{
    return !admin_rows_are_sorted(rows) && rows->count >= rows->limit;
}

uint32_t admin_rows_slice(const struct admin_rows *rows, uint32_t slots)
{
    return MAX(slots / (1 + rows->filter.pattern_bytes / PATTERN_BYTES_PER_SHARE), 1u);
}

void admin_rows_add(struct admin_rows *rows, const struct cell *cells)
{
    if (admin_rows_is_full(rows) || !filter_wants(&rows->filter, cells))
        return;
    if (!admin_rows_are_sorted(rows)) {
        rows_say(rows, &rows->json, cells);
        rows->count++;
    } else if (row_top_offer(&rows->top, cells)) {
        struct json_writer json = json_writer(&rows->text);
        buf_clear(&rows->text);
        rows_say(rows, &json, cells);
        rows->top.has_failed = rows->top.has_failed || buf_status(&rows->text) < 0;
        row_top_add(&rows->top, cells, buf_bytes(&rows->text));
    }
}

static void rows_write_sorted(struct admin_rows *rows, struct json_writer *json)
{
    row_top_finish(&rows->top);
    for (size_t i = 0; i < rows->top.count; i++)
        json_add_raw(json, bytes_of(rows->top.rows[i]->bytes, rows->top.rows[i]->length));
    if (rows->top.has_failed)
        buf_fail(json->out);
}

void admin_rows_write(struct admin_rows *rows, struct json_writer *json, struct bytes cursor)
{
    json_begin_object(json);
    json_key(json, "rows");
    json_begin_array(json);
    if (admin_rows_are_sorted(rows))
        rows_write_sorted(rows, json);
    else if (rows->text.length)
        json_add_raw(json, buf_bytes(&rows->text));
    json_end_array(json);
    if (buf_status(&rows->text) < 0)
        buf_fail(json->out);
    if (cursor.length) {
        json_key(json, "cursor");
        json_add_string(json, cursor);
    }
    if (admin_rows_are_sorted(rows)) {
        json_key(json, "matched");
        json_add_uint(json, rows->top.seen);
    }
}

void admin_rows_reply(struct admin_rows *rows, const struct admin_return *back, struct bytes cursor)
{
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    admin_rows_write(rows, &json, cursor);
    json_end_object(&json);
    admin_reply_made(back, &data);
    admin_rows_free(rows);
}
