#include "tests/unit/test.h"

#include "lib/msgpack.h"
#include "lib/transcode.h"

static int take(const void *data, size_t length)
{
    struct msgpack_scan scan;
    struct bytes value;
    msgpack_scan_init(&scan, bytes_of(data, length));
    return msgpack_take_all(&scan, MSGPACK_DEPTH_MAX, &value);
}

#define TAKE(literal) take(literal, sizeof(literal) - 1)

static void counts_that_promise_too_much_are_refused_at_once(void **state)
{
    assert_int_equal(TAKE("\xdd\xff\xff\xff\xff"), -EBADMSG);
    assert_int_equal(TAKE("\xdf\xff\xff\xff\xff"), -EBADMSG);
    assert_int_equal(TAKE("\xdb\xff\xff\xff\xff"), -EBADMSG);
    assert_int_equal(TAKE("\xc6\xff\xff\xff\xff"), -EBADMSG);
    assert_int_equal(TAKE("\xc9\xff\xff\xff\xff\x01"), -EBADMSG);
    assert_int_equal(TAKE("\x92\x92\x01\x02"), -EBADMSG);
    assert_int_equal(TAKE("\x82\x01\x02\x03"), -EBADMSG);
}

static void malformed_values_are_refused(void **state)
{
    assert_int_equal(TAKE(""), -EBADMSG);
    assert_int_equal(TAKE("\xc1"), -EBADMSG);
    assert_int_equal(TAKE("\xa1\xff"), -EBADMSG);
    assert_int_equal(TAKE("\xa3\xed\xa0\x80"), -EBADMSG);
    assert_int_equal(TAKE("\xcf\x01"), -EBADMSG);
    assert_int_equal(TAKE("\x01\x02"), -EBADMSG);
    assert_int_equal(TAKE("\xca\0\0\0"), -EBADMSG);
    char deep[66];
    memset(deep, '\x91', 65);
    deep[65] = '\xc0';
    assert_int_equal(take(deep, 66), -EBADMSG);
    assert_int_equal(take(deep + 1, 65), 0);
}

static void what_is_written_is_read(void **state)
{
    struct buf out = {0};
    uint64_t number;
    struct bytes text;
    bool flag;
    const uint64_t numbers[] = {0, 127, 128, 255, 256, 65535, 65536, UINT32_MAX, (uint64_t)UINT32_MAX + 1, UINT64_MAX};
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        buf_clear(&out);
        msgpack_add_uint(&out, numbers[i]);
        assert_int_equal(msgpack_uint(buf_bytes(&out), &number), 0);
        assert_true(number == numbers[i]);
    }
    buf_clear(&out);
    msgpack_add_text(&out, "h\xc3\xa9");
    assert_int_equal(msgpack_string(buf_bytes(&out), &text), 0);
    assert_bytes(text, "h\xc3\xa9");
    buf_clear(&out);
    msgpack_add_bool(&out, true);
    assert_int_equal(msgpack_bool(buf_bytes(&out), &flag), 0);
    assert_int_equal(msgpack_string(buf_bytes(&out), &text), -EBADMSG);
    buf_clear(&out);
    msgpack_add_nil(&out);
    assert_true(msgpack_is_nil(buf_bytes(&out)));
    buf_clear(&out);
    msgpack_add_double(&out, 9007199254740991.0);
    assert_int_equal(msgpack_uint(buf_bytes(&out), &number), 0);
    assert_true(number == 9007199254740991u);
    buf_done(&out);
}

static void every_beginning_is_refused_inside_its_bytes(void **state)
{
    struct buf out = {0};
    assert_int_equal(transcode_to_msgpack(&out, BYTES("{\"a\":[1,-300,70000,2.5,\"text\",null,true],\"b\":{\"$binary\":\"AAEC\"}}"), NULL), 0);
    for (size_t length = 0; length < out.length; length++) {
        unsigned char *copy = malloc(length ? length : 1);
        memcpy(copy, out.data, length);
        assert_int_equal(take(copy, length), -EBADMSG);
        struct buf json = {0};
        assert_int_equal(transcode_to_json(&json, bytes_of(copy, length), NULL), -EBADMSG);
        assert_int_equal(json.length, 0);
        buf_done(&json);
        free(copy);
    }
    buf_done(&out);
}

static void there_and_back_keeps_values(void **state)
{
    static const struct { const char *json, *back; } rows[] = {
        {"null", NULL}, {"true", NULL}, {"[]", NULL}, {"{}", NULL}, {"[1,[2,{\"a\":[]}]]", NULL}, {"0", NULL}, {"-1", NULL},
        {"-0", "-0.0"}, {"18446744073709551615", NULL}, {"-9223372036854775808", NULL}, {"9007199254740993", NULL},
        {"18446744073709551616", "1.8446744073709552e+19"}, {"-9223372036854775809", "-9.223372036854776e+18"}, {"0.1", NULL},
        {"1.5", NULL}, {"1.0", NULL}, {"1e2", "100.0"}, {"1e400", "null"}, {"\"\\u00e9\\n\"", "\"\xc3\xa9\\n\""},
        {"{\"$binary\":\"AP8=\"}", NULL}, {"{\"$binary\":\"A\"}", NULL}, {"{\"$binary\":\"AA==\",\"x\":1}", NULL},
        {"{\"$ext\":[5,\"AA==\"]}", NULL}, {"{\"$ext\":[-128,\"\"]}", NULL}, {"{\"$ext\":[300,\"\"]}", NULL}, {" [ 1 , 2 ] ", "[1,2]"},
        {"{\"a\":1,\"a\":2}", NULL}, {"\"a\\u0000b\"", NULL}, {"-1e400", "null"}, {"1e-400", "0.0"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf packed = {0}, back = {0};
        if (transcode_to_msgpack(&packed, bytes_text(rows[i].json), NULL) < 0 || transcode_to_json(&back, buf_bytes(&packed), NULL) < 0)
            fail_msg("refused: %s", rows[i].json);
        assert_bytes(buf_bytes(&back), rows[i].back ? rows[i].back : rows[i].json);
        buf_done(&packed);
        buf_done(&back);
    }
}

static void messagepack_that_json_has_no_word_for(void **state)
{
    static const struct { const char *bytes; size_t length; const char *json; } rows[] = {
        {"\xd6\xff\0\0\0\1", 6, "\"1970-01-01T00:00:01Z\""},
        {"\xc7\x0c\xff\0\0\0\5\xff\xff\xff\xff\xff\xff\xff\xff", 15, "\"1969-12-31T23:59:59.000000005Z\""},
        {"\xd7\xff\xff\xff\xff\xff\0\0\0\0", 10, "{\"$ext\":[-1,\"/////wAAAAA=\"]}"},
        {"\xcb\x7f\xf0\0\0\0\0\0\0", 9, "null"}, {"\xca\x7f\xc0\0\0", 5, "null"}, {"\xca\x3f\xc0\0\0", 5, "1.5"},
        {"\x82\x01\x02\xc3\x03", 5, "{\"1\":2,\"true\":3}"}, {"\x81\x90\x01", 3, NULL}, {"\x81\xc4\x01\x61\x01", 5, NULL},
        {"\x01\x01", 2, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf json = {0};
        const char *problem = NULL;
        int r = transcode_to_json(&json, bytes_of(rows[i].bytes, rows[i].length), &problem);
        assert_int_equal(r, rows[i].json ? 0 : -EBADMSG);
        if (rows[i].json)
            assert_bytes(buf_bytes(&json), rows[i].json);
        else
            assert_non_null(problem);
        buf_done(&json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(counts_that_promise_too_much_are_refused_at_once), TEST(malformed_values_are_refused), TEST(what_is_written_is_read),
        TEST(every_beginning_is_refused_inside_its_bytes), TEST(there_and_back_keeps_values), TEST(messagepack_that_json_has_no_word_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
