#include "tests/unit/test.h"

#include "lib/text.h"

static void utf8_in_any_pieces(void **state)
{
    static const struct { const char *text; bool is_valid; } rows[] = {
        {"", true}, {"plain ascii that is longer than sixteen bytes", true}, {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", true}, {"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", true},
        {"\x80", false}, {"\xc0\x80", false}, {"\xc1\xbf", false}, {"\xe0\x9f\xbf", false}, {"\xed\xa0\x80", false}, {"\xf0\x8f\xbf\xbf", false},
        {"\xf4\x90\x80\x80", false}, {"\xf5\x80\x80\x80", false}, {"\xe2\x82", false}, {"\xc3", false}, {"aaaaaaaaaaaaaaaa\xc3(", false}, {"\xff", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (unsigned way = 0; way < TEST_WAYS; way++) {
            uint32_t utf8 = UTF8_ACCEPT, random = way;
            size_t length = strlen(rows[i].text);
            for (size_t at = 0; at < length;) {
                size_t piece = test_piece(way, length - at, &random);
                utf8 = utf8_feed(utf8, bytes_of(rows[i].text + at, piece));
                at += piece;
            }
            assert_int_equal(utf8 == UTF8_ACCEPT, rows[i].is_valid);
        }
    }
}

static void base64_of_rfc_4648(void **state)
{
    static const char *const rows[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"foobar", "Zm9vYmFy"}};
    struct buf out = {0};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        buf_clear(&out);
        text_add_base64(&out, bytes_text(rows[i][0]));
        assert_bytes(buf_bytes(&out), rows[i][1]);
        buf_clear(&out);
        assert_int_equal(text_base64_decode(&out, bytes_text(rows[i][1])), 0);
        assert_bytes(buf_bytes(&out), rows[i][0]);
    }
    static const char *const bad[] = {"Zg", "Zg=", "Zh==", "Zg==Zg==", "Z===", "Zm9v ", "Zm9_", "====", "Z"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        buf_clear(&out);
        assert_int_equal(text_base64_decode(&out, bytes_text(bad[i])), -EBADMSG);
        assert_int_equal(out.length, 0);
    }
    text_add_base64url(&out, bytes_of("\xfb\xff", 2));
    assert_bytes(buf_bytes(&out), "-_8");
    assert_int_equal(text_base64url_decode(&out, BYTES("-_8=")), -EBADMSG);
    assert_int_equal(text_base64url_decode(&out, BYTES("-_9")), -EBADMSG);
    buf_done(&out);
}

static void sizes_and_spans_read_back_as_they_are_printed(void **state)
{
    static const struct { const char *text; int r; uint64_t value; } sizes[] = {
        {"0", 0, 0}, {"512", 0, 512}, {"64KiB", 0, 65536}, {"3MiB", 0, 3 << 20}, {"2GiB", 0, 2147483648u}, {"", -EBADMSG, 0}, {"KiB", -EBADMSG, 0},
        {"1kb", -EBADMSG, 0}, {"-1", -EBADMSG, 0}, {"1.5MiB", -EBADMSG, 0}, {"99999999999GiB", -ERANGE, 0}, {"99999999999999999999", -ERANGE, 0},
    }, spans[] = {
        {"0", 0, 0}, {"250ms", 0, 250}, {"25s", 0, 25000}, {"10min", 0, 600000}, {"1h", 0, 3600000}, {"2d", 0, 172800000}, {"5", -EBADMSG, 0},
        {"5 s", -EBADMSG, 0}, {"s", -EBADMSG, 0}, {"1m", -EBADMSG, 0},
    };
    struct buf out = {0};
    uint64_t value;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        assert_int_equal(text_parse_size(bytes_text(sizes[i].text), &value), sizes[i].r);
        if (sizes[i].r == 0) {
            assert_true(value == sizes[i].value);
            buf_clear(&out);
            text_add_size(&out, value);
            assert_bytes(buf_bytes(&out), sizes[i].text);
        }
    }
    for (size_t i = 0; i < COUNT_OF(spans); i++) {
        assert_int_equal(text_parse_span(bytes_text(spans[i].text), &value), spans[i].r);
        if (spans[i].r == 0) {
            assert_true(value == spans[i].value);
            buf_clear(&out);
            text_add_span(&out, value);
            assert_bytes(buf_bytes(&out), spans[i].text);
        }
    }
    buf_done(&out);
}

static void escapes_leave_nothing_that_a_terminal_obeys(void **state)
{
    struct buf out = {0};
    text_add_escaped(&out, bytes_of("a\n\x1b[31m\"\\\0\xc2\x85\xff\xc3\xa9z", 16), 100);
    assert_bytes(buf_bytes(&out), "a\\n\\x1b[31m\\\"\\\\\\x00\\xc2\\x85\\xff" "\xc3\xa9z");
    buf_clear(&out);
    text_add_escaped(&out, BYTES("\xe2\x80\xa9\xe2\x80\xae" "b\xe2\x81\xa6\xe2\x81\xaa"), 100);
    assert_bytes(buf_bytes(&out), "\xe2\x80\xa9\\xe2\\x80\\xae" "b\\xe2\\x81\\xa6\xe2\x81\xaa");
    buf_clear(&out);
    text_add_escaped(&out, BYTES("abcdef"), 3);
    assert_bytes(buf_bytes(&out), "abc\xe2\x80\xa6");
    buf_done(&out);
}

static void uuids_urls_globs_and_distances(void **state)
{
    struct uuid uuid;
    char text[UUID_TEXT + 1];
    assert_int_equal(uuid_parse(BYTES("123e4567-e89b-42d3-a456-426614174000"), &uuid), 0);
    uuid_print(&uuid, text);
    assert_string_equal(text, "123e4567-e89b-42d3-a456-426614174000");
    assert_int_equal(uuid_parse(BYTES("123e4567ae89b-42d3-a456-426614174000"), &uuid), -EBADMSG);
    assert_int_equal(uuid_parse(BYTES("123e4567"), &uuid), -EBADMSG);
    struct buf out = {0};
    assert_int_equal(text_url_decode(&out, BYTES("a%20b+c%C3%a9"), true), 0);
    assert_bytes(buf_bytes(&out), "a b c\xc3\xa9");
    assert_int_equal(text_url_decode(&out, BYTES("%0"), true), -EBADMSG);
    assert_int_equal(text_url_decode(&out, BYTES("%00"), true), -EBADMSG);
    assert_int_equal(text_url_decode(&out, BYTES("%zz"), true), -EBADMSG);
    buf_done(&out);
    assert_true(text_matches(BYTES("order.*"), BYTES("order.placed")) && text_matches(BYTES("*"), BYTES("")) && text_matches(BYTES("a?c*e"), BYTES("abcde")));
    assert_false(text_matches(BYTES("a?"), BYTES("a")) || text_matches(BYTES("*x"), BYTES("y")));
    assert_int_equal(text_distance("resume.window", "resume.widnow", 5), 1);
    assert_int_equal(text_distance("abc", "xyz", 2), 3);
    assert_int_equal(text_distance("", "ab", 5), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(utf8_in_any_pieces), TEST(base64_of_rfc_4648), TEST(sizes_and_spans_read_back_as_they_are_printed),
        TEST(escapes_leave_nothing_that_a_terminal_obeys), TEST(uuids_urls_globs_and_distances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
