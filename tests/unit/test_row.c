#include "tests/unit/test.h"

#include "lib/row_top.h"

static struct row_columns columns;
enum { NAME, SIZE, COLUMN_COUNT };

static int read_columns(void **state)
{
    row_columns_read("name:text size:bytes", &columns);
    return columns.count == COLUMN_COUNT ? 0 : -1;
}

static void columns_to_sort_by_are_read(void **state)
{
    struct row_order order;
    struct fault fault = {0};
    assert_int_equal(row_order_read(BYTES("-size,name"), &columns, &order, &fault), DECODE_DONE);
    assert_int_equal(order.count, 2);
    assert_true(order.keys[0].column == SIZE && order.keys[0].is_descending && order.keys[1].column == NAME && !order.keys[1].is_descending);
    assert_int_equal(row_order_read(BYTES("name,name,name,name"), &columns, &order, &fault), DECODE_DONE);
    static const char *const wrong[] = {"", "frogs", "name,,size", "--name", "name,name,name,name,name", "name size", "-"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        if (row_order_read(bytes_text(wrong[i]), &columns, &order, &fault) != DECODE_BAD)
            fail_msg("\"%s\" is taken", wrong[i]);
    row_order_read(BYTES("frogs"), &columns, &order, &fault);
    assert_string_equal(fault_message(&fault), "there is no column \"frogs\"; there are: name size");
}

static void columns_to_show_are_read(void **state)
{
    struct row_choice choice;
    struct fault fault = {0};
    assert_int_equal(row_choice_read(BYTES("size,name,size"), &columns, &choice, &fault), DECODE_DONE);
    assert_true(choice.count == 3 && choice.columns[0] == SIZE && choice.columns[1] == NAME && choice.columns[2] == SIZE);
    row_choice_all(&columns, &choice);
    assert_true(choice.count == 2 && choice.columns[0] == NAME && choice.columns[1] == SIZE);
    assert_int_equal(row_choice_read(BYTES("-size"), &columns, &choice, &fault), DECODE_BAD);
    struct buf many = {0};
    buf_add_text(&many, "size");
    for (unsigned i = 1; i < ROW_COLUMNS_MAX; i++)
        buf_add_text(&many, ",size");
    assert_int_equal(row_choice_read(buf_bytes(&many), &columns, &choice, &fault), DECODE_DONE);
    buf_add_text(&many, ",size");
    assert_int_equal(row_choice_read(buf_bytes(&many), &columns, &choice, &fault), DECODE_BAD);
    buf_done(&many);
}

enum { ROWS = 300 };
struct sample { char name[8]; uint64_t size; bool is_empty; unsigned number; };

static void cells_of(const struct sample *sample, struct cell cells[static COLUMN_COUNT])
{
    cells[NAME] = sample->is_empty ? cell_empty() : cell_text(bytes_text(sample->name));
    cells[SIZE] = cell_number(sample->size);
}

static const struct row_order *sample_order;

static int sample_compare(const void *left, const void *right)
{
    const struct sample *a = left, *b = right;
    for (unsigned i = 0; i < sample_order->count; i++) {
        int order;
        if (sample_order->keys[i].column == SIZE)
            order = a->size < b->size ? -1 : a->size > b->size;
        else if (a->is_empty || b->is_empty)
            order = b->is_empty - a->is_empty;
        else
            order = strcmp(a->name, b->name);
        if (order)
            return sample_order->keys[i].is_descending ? -order : order;
    }
    return a->number < b->number ? -1 : 1;
}

static void check_top(const struct row_order *order, struct sample *samples, size_t max)
{
    struct row_top top = row_top(&columns, order, max);
    for (unsigned i = 0; i < ROWS; i++) {
        struct cell cells[COLUMN_COUNT];
        cells_of(&samples[i], cells);
        if (row_top_offer(&top, cells))
            row_top_add(&top, cells, bytes_of(&samples[i].number, sizeof(samples[i].number)));
    }
    row_top_finish(&top);
    sample_order = order;
    struct sample sorted[ROWS];
    memcpy(sorted, samples, sizeof(sorted));
    qsort(sorted, ROWS, sizeof(sorted[0]), sample_compare);
    assert_false(top.has_failed);
    assert_int_equal(top.seen, ROWS);
    assert_int_equal(top.count, MIN(max, (size_t)ROWS));
    for (size_t i = 0; i < top.count; i++) {
        unsigned number;
        assert_int_equal(top.rows[i]->length, sizeof(number));
        memcpy(&number, top.rows[i]->bytes, sizeof(number));
        assert_int_equal(number, sorted[i].number);
    }
    row_top_done(&top);
}

/* Compared with sorting them all. */
static void the_first_rows_by_any_order_are_kept(void **state)
{
    static const char *const orders[] = {"name", "-name", "size", "-size", "name,-size", "-size,name", "size,-name,size"};
    static const size_t counts[] = {0, 1, 2, 3, 16, 17, 100, ROWS - 1, ROWS, ROWS + 1, 10000};
    uint32_t seed = 3;
    struct sample samples[ROWS] = {0};
    for (unsigned i = 0; i < ROWS; i++) {
        samples[i].number = i;
        samples[i].size = test_random(&seed) % 40;
        samples[i].is_empty = test_random(&seed) % 10 == 0;
        for (unsigned k = 0; k < test_random(&seed) % 4; k++)
            samples[i].name[k] = (char)('a' + test_random(&seed) % 3);
    }
    for (size_t i = 0; i < COUNT_OF(orders); i++) {
        struct row_order order;
        assert_int_equal(row_order_read(bytes_text(orders[i]), &columns, &order, NULL), DECODE_DONE);
        for (size_t k = 0; k < COUNT_OF(counts); k++)
            check_top(&order, samples, counts[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(columns_to_sort_by_are_read), TEST(columns_to_show_are_read), TEST(the_first_rows_by_any_order_are_kept),
    };
    return cmocka_run_group_tests(tests, read_columns, NULL);
}
