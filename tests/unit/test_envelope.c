#include "tests/unit/test.h"

#include "lib/envelope.h"
#include "lib/transcode.h"

/* Decodes JSON text, or the same value as MessagePack. */
static enum decode decode(enum codec_id codec, const char *json, struct buf *bytes, struct buf *scratch, struct envelope *ret,
                          struct fault *fault)
{
    buf_clear(bytes);
    if (codec == CODEC_JSON)
        buf_add_text(bytes, json);
    else
        assert_int_equal(transcode_to_msgpack(bytes, bytes_text(json), NULL), 0);
    *fault = (struct fault){0};
    return codecs[codec]->decode(buf_bytes(bytes), scratch, ret, fault);
}

static void both_codecs_read_the_same_envelope(void **state)
{
    for (enum codec_id codec = 0; codec < CODEC_COUNT; codec++) {
        struct buf bytes = {0}, scratch = {0};
        struct envelope e;
        struct fault fault;
        assert_int_equal(decode(codec, "{\"eventName\":\"ch\\u00e9t\",\"data\":[1,2],\"to\":{\"group\":\"r\\u00f6om\",\"exceptSelf\":true},"
                                       "\"id\":9007199254740991,\"more\":{\"to\":1}}", &bytes, &scratch, &e, &fault), DECODE_DONE);
        assert_bytes(e.event_name, "ch\xc3\xa9t");
        assert_int_equal(e.to.kind, TARGET_GROUP);
        assert_bytes(e.to.name, "r\xc3\xb6om");
        assert_true(e.to.except_self);
        assert_true(e.id == 9007199254740991u);
        assert_int_equal(e.data_codec, codec);
        assert_int_equal(decode(codec, "{\"eventName\":\"x\",\"data\":null,\"to\":{\"all\":true}}", &bytes, &scratch, &e, &fault), DECODE_DONE);
        assert_int_equal(e.data.length, 0);
        assert_int_equal(e.to.kind, TARGET_ALL);
        buf_done(&bytes);
        buf_done(&scratch);
    }
}

static void every_member_of_every_wrong_type_is_a_clear_error(void **state)
{
    static const char *const values[] = {"null", "true", "0", "-1", "1.5", "\"\"", "\"s\"", "[]", "{}"};
    static const struct { const char *format; const char *fine; } members[] = {
        {"{\"eventName\":%s}", "\"s\""}, {"{\"eventName\":\"x\",\"id\":%s}", ""}, {"{\"eventName\":\"x\",\"to\":%s}", "null"},
        {"{\"eventName\":\"x\",\"to\":{\"group\":%s}}", "\"s\""}, {"{\"eventName\":\"x\",\"to\":{\"user\":%s}}", "\"s\""},
        {"{\"eventName\":\"x\",\"to\":{\"connection\":%s}}", "\"s\""}, {"{\"eventName\":\"x\",\"to\":{\"all\":%s}}", "true"},
        {"{\"eventName\":\"x\",\"to\":{\"all\":true,\"exceptSelf\":%s}}", "true"},
    };
    for (enum codec_id codec = 0; codec < CODEC_COUNT; codec++) {
        for (size_t m = 0; m < COUNT_OF(members); m++) {
            for (size_t v = 0; v < COUNT_OF(values); v++) {
                char text[200];
                struct buf bytes = {0}, scratch = {0};
                struct envelope e;
                struct fault fault;
                snprintf(text, sizeof(text), members[m].format, values[v]);
                enum decode result = decode(codec, text, &bytes, &scratch, &e, &fault);
                bool is_fine = strcmp(values[v], members[m].fine) == 0;
                if ((result == DECODE_DONE) != is_fine)
                    fail_msg("%s as %s: %d", text, codecs[codec]->name, result);
                if (!is_fine) {
                    assert_int_equal(fault.id, FAULT_BAD_ENVELOPE);
                    assert_true(fault.detail[0]);
                }
                buf_done(&bytes);
                buf_done(&scratch);
            }
        }
    }
}

static void members_given_twice_are_refused_and_the_id_is_still_read(void **state)
{
    struct buf bytes = {0}, scratch = {0};
    struct envelope e;
    struct fault fault;
    assert_int_equal(decode(CODEC_JSON, "{\"eventName\":\"a\",\"eventName\":\"b\",\"id\":5}", &bytes, &scratch, &e, &fault), DECODE_BAD);
    assert_non_null(strstr(fault.detail, "eventName is given twice"));
    assert_true(e.id == 5);
    buf_done(&bytes);
    buf_done(&scratch);
}

static void data_on_several_lines_comes_out_on_one(void **state)
{
    struct buf bytes = {0}, scratch = {0}, out = {0};
    struct envelope e;
    struct fault fault;
    assert_int_equal(decode(CODEC_JSON, "{\"eventName\":\"\\u0061\",\n\"data\":{\r\n\"a\" : \"b\\n\"}}", &bytes, &scratch, &e, &fault), DECODE_DONE);
    assert_int_equal(codecs[CODEC_JSON]->encode(&out, &e), 0);
    assert_bytes(buf_bytes(&out), "{\"eventName\":\"a\",\"data\":{\"a\":\"b\\n\"}}");
    buf_done(&bytes);
    buf_done(&scratch);
    buf_done(&out);
}

static void keys_that_json_has_no_form_for_are_refused(void **state)
{
    struct buf scratch = {0};
    struct envelope e;
    struct fault fault = {0};
    struct bytes bytes = BYTES("\x82\xa9" "eventName\xa1x\xa4" "data\x81\x90\x01");
    assert_int_equal(codecs[CODEC_MSGPACK]->decode(bytes, &scratch, &e, &fault), DECODE_BAD);
    assert_non_null(strstr(fault.detail, "key"));
    buf_done(&scratch);
}

static void a_key_is_a_short_text(void **state)
{
    static const struct { const char *text; enum decode result; } rows[] = {
        {"{\"eventName\":\"x\",\"key\":\"k 1\"}", DECODE_DONE}, {"{\"eventName\":\"x\",\"key\":\"\"}", DECODE_BAD},
        {"{\"eventName\":\"x\",\"key\":1}", DECODE_BAD}, {"{\"eventName\":\"x\",\"key\":null}", DECODE_BAD},
        {"{\"eventName\":\"x\",\"key\":\"a\\nb\"}", DECODE_BAD}, {"{\"key\":\"a\",\"eventName\":\"x\",\"key\":\"a\"}", DECODE_BAD},
    };
    struct buf scratch = {0};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct envelope e;
        struct fault fault = {0};
        assert_int_equal(codecs[CODEC_JSON]->decode(bytes_text(rows[i].text), &scratch, &e, &fault), rows[i].result);
        if (rows[i].result == DECODE_DONE)
            assert_bytes(e.key, "k 1");
        else
            assert_non_null(strstr(fault.detail, "key"));
    }
    buf_done(&scratch);
}

static void all_headers_are_written(void **state)
{
    struct buf json = {0}, packed = {0}, back = {0};
    struct envelope e = {.event_name = BYTES("n"), .data = BYTES("[1]"), .id = 3, .group = BYTES("g"), .offset = 4, .key = BYTES("k"),
                         .from_connection = BYTES("c"), .from_user = BYTES("u")};
    const char *expected = "{\"eventName\":\"n\",\"data\":[1],\"id\":3,\"group\":\"g\",\"offset\":4,"
                           "\"key\":\"k\",\"from\":{\"connectionId\":\"c\",\"userId\":\"u\"}}";
    assert_int_equal(codecs[CODEC_JSON]->encode(&json, &e), 0);
    assert_bytes(buf_bytes(&json), expected);
    assert_int_equal(codecs[CODEC_MSGPACK]->encode(&packed, &e), 0);
    assert_int_equal(transcode_to_json(&back, buf_bytes(&packed), NULL), 0);
    assert_bytes(buf_bytes(&back), expected);
    buf_done(&json);
    buf_done(&packed);
    buf_done(&back);
}

static int count_one(struct bytes text, void *argument)
{
    return ++*(int *)argument == 3 ? -EAGAIN : 0;
}

static void bodies_hold_one_or_many(void **state)
{
    struct fault fault = {0};
    int count = 0;
    assert_int_equal(codecs[CODEC_JSON]->each(BYTES("{}"), NULL, count_one, &count, &fault), 0);
    assert_int_equal(count, 1);
    count = 0;
    assert_int_equal(codecs[CODEC_MSGPACK]->each(BYTES("\x92\x80\x80"), NULL, count_one, &count, &fault), 0);
    assert_int_equal(count, 2);
    count = 0;
    assert_int_equal(codecs[CODEC_JSON]->each(BYTES("[{},{},{},{}]"), NULL, count_one, &count, &fault), -EAGAIN);
    count = 0;
    assert_int_equal(codecs[CODEC_JSON]->each(BYTES("[{},{}"), NULL, count_one, &count, &fault), -EBADMSG);
    assert_int_equal(count, 0);
}

static void names_are_checked(void **state)
{
    assert_true(name_is_valid(BYTES("caf\xc3\xa9 room.1"), 20));
    assert_false(name_is_valid(BYTES(""), 20));
    assert_false(name_is_valid(BYTES("12345"), 4));
    static const char *const bad[] = {"a\nb", "\x7f", "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xff", "\x1b[0m"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(name_is_valid(bytes_text(bad[i]), 20));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_codecs_read_the_same_envelope), TEST(every_member_of_every_wrong_type_is_a_clear_error),
        TEST(members_given_twice_are_refused_and_the_id_is_still_read), TEST(data_on_several_lines_comes_out_on_one),
        TEST(keys_that_json_has_no_form_for_are_refused), TEST(a_key_is_a_short_text), TEST(all_headers_are_written), TEST(bodies_hold_one_or_many),
        TEST(names_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
