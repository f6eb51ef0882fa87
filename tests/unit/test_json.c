#include "tests/unit/test.h"

#include "lib/json.h"

static int take(const char *text, size_t length)
{
    struct json_scan scan;
    struct bytes value;
    json_scan_init(&scan, bytes_of(text, length));
    return json_take_all(&scan, JSON_DEPTH_MAX, &value);
}

static void takes_what_rfc_8259_allows(void **state)
{
    static const char *const texts[] = {
        "null", " true ", "false", "0", "-0", "12", "-1.5", "1e5", "1E+05", "0.1e-7", "123456789012345678901234567890", "\"\"",
        "\"a\\u0000b\"", "\"\\ud83d\\ude00\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "[]", "[ ]", "[1,[2,[3]]]", "{}", "{\"a\":{\"b\":[]}}",
        "{\"a\":1,\"a\":2}", "\t\r\n [ \n1 ,\r2\t]\n", "\"\303\251\360\237\230\200\177\"", "\"12345678\303\251 12345678\"",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (take(texts[i], strlen(texts[i])) != 0)
            fail_msg("refused: %s", texts[i]);
}

static void refuses_what_it_does_not(void **state)
{
    static const char *const texts[] = {
        "", " ", "nul", "True", "NaN", "Infinity", "-", "01", "1.", ".5", "1e", "+1", "0x1", "1_0", "\"", "\"a", "'a'", "\"\n\"",
        "\"\t\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\ud800x\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\xff\"", "\"\xc0\xaf\"",
        "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xe2\x82\"", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{", "{\"a\"", "{\"a\":",
        "{\"a\":1,}", "{a:1}", "{1:2}", "{\"a\" 1}", "]", "}", "1 2", "[]]", "\357\273\2771", "/**/1", "\"1234567\n\"", "\"123456789\x01\"",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (take(texts[i], strlen(texts[i])) == 0)
            fail_msg("taken: %s", texts[i]);
    assert_int_equal(take("1\0", 2), -EBADMSG);
    assert_int_equal(take("\"a\0b\"", 5), -EBADMSG);
}

static void every_beginning_is_refused_inside_its_bytes(void **state)
{
    const char *text = "{\"a\":[1,-2.5e3,\"\\u00e9\\ud83d\\ude00 long enough for words\"],\"b\":{\"c\":null}}";
    for (size_t length = 0; length < strlen(text); length++) {
        char *copy = malloc(length ? length : 1);
        memcpy(copy, text, length);
        assert_int_equal(take(copy, length), -EBADMSG);
        free(copy);
    }
}

static void nesting_is_limited(void **state)
{
    char text[400];
    for (size_t depth = 63; depth <= 66; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(take(text, depth * 2), depth <= 64 ? 0 : -EBADMSG);
    }
    char *bomb = malloc(1000000);
    memset(bomb, '[', 1000000);
    assert_int_equal(take(bomb, 1000000), -EBADMSG);
    free(bomb);
}

static void members_and_elements_are_walked_with_their_slices(void **state)
{
    struct json_scan scan;
    struct bytes key, value;
    json_scan_init(&scan, BYTES(" { \"a\" : [1, [2]] , \"b\\u0063\":{\"x\":\"}\"} } "));
    assert_int_equal(json_enter(&scan, '{'), 0);
    assert_int_equal(json_next_member(&scan, 8, &key, &value), 1);
    assert_bytes(value, "[1, [2]]");
    assert_int_equal(json_next_member(&scan, 8, &key, &value), 1);
    assert_true(json_string_is(key, "bc"));
    assert_bytes(json_member(value, "x"), "\"}\"");
    assert_int_equal(json_next_member(&scan, 8, &key, &value), 0);
    assert_int_equal(json_finish(&scan), 0);

    unsigned count = 0;
    json_scan_init(&scan, BYTES("[[1],[],[[2]],\"]\"]"));
    assert_int_equal(json_enter(&scan, '['), 0);
    while (json_next_element(&scan, 8, &value) == 1)
        count++;
    assert_int_equal(count, 4);
    assert_int_equal(json_finish(&scan), 0);
}

static void values_are_read(void **state)
{
    struct buf scratch = {0};
    struct bytes text;
    uint64_t number;
    bool flag;
    assert_int_equal(json_string(BYTES("\"a\\u00e9\\ud83d\\ude00\\n\""), &scratch, &text), 0);
    assert_bytes(text, "a\xc3\xa9\xf0\x9f\x98\x80\n");
    assert_int_equal(json_string(BYTES("5"), &scratch, &text), -EBADMSG);
    assert_int_equal(json_uint(BYTES("18446744073709551615"), &number), 0);
    assert_true(number == UINT64_MAX);
    assert_int_equal(json_uint(BYTES("18446744073709551616"), &number), -ERANGE);
    assert_int_equal(json_uint(BYTES("1.0"), &number), -EBADMSG);
    assert_int_equal(json_uint(BYTES("-1"), &number), -EBADMSG);
    assert_int_equal(json_bool(BYTES("true"), &flag), 0);
    assert_true(flag);
    assert_int_equal(json_bool((struct bytes){0}, &flag), -EBADMSG);
    assert_int_equal(json_member(BYTES("[1]"), "a").length, 0);
    buf_done(&scratch);
}

static void compact_drops_blanks_and_nothing_else(void **state)
{
    struct buf out = {0};
    json_add_compact(&out, BYTES("{ \"a b\" : [ 1 ,\n 2.50 , \"x\\ty \" ] ,\r\n\"c\":{ } , \"d\":[ ] }"));
    assert_bytes(buf_bytes(&out), "{\"a b\":[1,2.50,\"x\\ty \"],\"c\":{},\"d\":[]}");
    buf_done(&out);
}

static void the_writer_escapes_and_repairs(void **state)
{
    struct buf out = {0};
    struct json_writer json = json_writer(&out);
    json_begin_object(&json);
    json_key(&json, "a");
    json_add_string(&json, BYTES("q\"\\\n\x01\xc3\xa9"));
    json_key(&json, "b");
    json_begin_array(&json);
    json_add_int(&json, -5);
    json_add_uint(&json, 7);
    json_add_bool(&json, true);
    json_add_null(&json);
    json_add_raw(&json, (struct bytes){0});
    json_end_array(&json);
    json_key(&json, "c");
    json_add_string(&json, bytes_of("x\xffy\xe2\x82", 5));
    json_end_object(&json);
    assert_bytes(buf_bytes(&out), "{\"a\":\"q\\\"\\\\\\n\\u0001\xc3\xa9\",\"b\":[-5,7,true,null,null],"
                                  "\"c\":\"x\xef\xbf\xbdy\xef\xbf\xbd\xef\xbf\xbd\"}");
    assert_int_equal(take((const char *)out.data, out.length), 0);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(takes_what_rfc_8259_allows), TEST(refuses_what_it_does_not), TEST(every_beginning_is_refused_inside_its_bytes),
        TEST(nesting_is_limited), TEST(members_and_elements_are_walked_with_their_slices), TEST(values_are_read),
        TEST(compact_drops_blanks_and_nothing_else), TEST(the_writer_escapes_and_repairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
