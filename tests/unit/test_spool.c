#include "tests/unit/test.h"

#include "daemon/hook/spool_record.h"
#include "lib/packer.h"

static void add_two(struct buf *out)
{
    struct spool_record event = {.kind = SPOOL_EVENT, .number = 0x0102030405060708, .time_ms = 1700000000000, .name = BYTES("accounts"),
                                 .json = BYTES("{\"id\":\"a\"}")};
    struct spool_record end = {.kind = SPOOL_END, .number = 7};
    spool_record_add(out, &event);
    spool_record_add(out, &end);
}

static void records_read_back(void **state)
{
    struct buf text = {0};
    struct spool_record record;
    add_two(&text);
    struct bytes rest = buf_bytes(&text);
    assert_int_equal(spool_record_take(&rest, &record), DECODE_DONE);
    assert_int_equal(record.kind, SPOOL_EVENT);
    assert_true(record.number == 0x0102030405060708 && record.time_ms == 1700000000000);
    assert_bytes(record.name, "accounts");
    assert_bytes(record.json, "{\"id\":\"a\"}");
    assert_int_equal(spool_record_take(&rest, &record), DECODE_DONE);
    assert_true(record.kind == SPOOL_END && record.number == 7 && rest.length == 0);
    assert_int_equal(spool_record_take(&rest, &record), DECODE_MORE);
    buf_done(&text);
}

/* Cut off anywhere it gives the whole records before the cut, and no other. */
static void what_is_cut_off_is_no_record(void **state)
{
    struct buf text = {0};
    struct spool_record record;
    add_two(&text);
    size_t second = text.length - (SPOOL_HEAD_BYTES + 9);
    for (size_t length = 0; length < text.length; length++) {
        /* Just as long, so that a sanitizer sees one byte too many. */
        unsigned char *copy = malloc(length + !length);
        memcpy(copy, text.data, length);
        struct bytes rest = bytes_of(copy, length);
        unsigned count = 0;
        enum decode result;
        while ((result = spool_record_take(&rest, &record)) == DECODE_DONE)
            count++;
        assert_int_equal(count, length >= second);
        assert_int_equal(result, DECODE_MORE);
        assert_int_equal(rest.length, length - (count ? second : 0));
        free(copy);
    }
    buf_done(&text);
}

static void a_changed_bit_is_noticed(void **state)
{
    struct buf text = {0};
    struct spool_record record;
    add_two(&text);
    for (size_t bit = 0; bit < (text.length - (SPOOL_HEAD_BYTES + 9)) * 8; bit++) {
        text.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
        struct bytes rest = buf_bytes(&text);
        assert_int_not_equal(spool_record_take(&rest, &record), DECODE_DONE);
        text.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    buf_done(&text);
}

static void records_that_are_whole_and_wrong_are_refused(void **state)
{
    static const struct { unsigned char byte; size_t at; } rows[] = {{3, 0}, {0, 0}, {2, 0}, {255, 17}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf text = {0};
        struct spool_record record, event = {.kind = SPOOL_EVENT, .number = 1, .name = BYTES("a"), .json = BYTES("{}")};
        spool_record_add(&text, &event);
        text.data[SPOOL_HEAD_BYTES + rows[i].at] = rows[i].byte;
        uint32_t sum = packer_crc32(bytes_of(text.data + SPOOL_HEAD_BYTES, text.length - SPOOL_HEAD_BYTES));
        for (unsigned k = 0; k < 4; k++)
            text.data[4 + k] = (unsigned char)(sum >> 8 * k);
        struct bytes rest = buf_bytes(&text);
        assert_int_equal(spool_record_take(&rest, &record), DECODE_BAD);
        buf_done(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_read_back), TEST(what_is_cut_off_is_no_record), TEST(a_changed_bit_is_noticed), TEST(records_that_are_whole_and_wrong_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
