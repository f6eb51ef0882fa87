/* The client's codecs: what it writes is what the daemon reads, and what the daemon writes is what it reads. */
#include "tests/unit/test.h"

#include "lib/client/codec_set.h"
#include "lib/client/poll_body.h"
#include "lib/envelope.h"

static struct codec_set set;
static struct options options;

static void start(void)
{
    assert_int_equal(codec_set_init(&set, &options, NULL), RTC_OK);
}

static void expect_slice(struct rtc_bytes got, const char *expected)
{
    assert_bytes(bytes_from(got), expected);
}

static void test_the_daemon_reads_what_the_client_writes(void **state)
{
    static const char data[] = " {\"a\": [1,\n\"x\"]} ";
    const struct rtc_envelope sent = {.event_name = {"chat\"\u00fc", 7}, .json = {data, sizeof(data) - 1}, .id = 9,
                                      .to = {RTC_TO_GROUP, "room \u00e9", true}};
    start();
    for (enum codec_id id = 0; id < CODEC_COUNT; id++) {
        const struct rtc_codec *codec = codec_set_find(&set, bytes_text(codecs[id]->name));
        struct buf text = {0}, scratch = {0}, json = {0};
        struct envelope read;
        struct fault fault;
        assert_int_equal(codec_encode(codec, &sent, &text), RTC_OK);
        assert_int_equal(codecs[id]->decode(buf_bytes(&text), &scratch, &read, &fault), DECODE_DONE);
        assert_bytes(read.event_name, "chat\"\u00fc");
        assert_int_equal(read.id, 9);
        assert_int_equal(read.to.kind, TARGET_GROUP);
        assert_bytes(read.to.name, "room \u00e9");
        assert_true(read.to.except_self);
        struct envelope again = {.event_name = BYTES("e"), .data = read.data, .data_codec = id};
        assert_int_equal(codecs[CODEC_JSON]->encode(&json, &again), 0);
        assert_bytes(buf_bytes(&json), "{\"eventName\":\"e\",\"data\":{\"a\":[1,\"x\"]}}");
        buf_done(&text);
        buf_done(&scratch);
        buf_done(&json);
    }
    codec_set_done(&set);
}

static void test_every_target_is_written(void **state)
{
    static const struct { struct rtc_target to; const char *text; } rows[] = {
        {{RTC_TO_SERVER, NULL, false}, "{\"eventName\":\"e\",\"data\":null}"},
        {{RTC_TO_USER, "u", false}, "{\"eventName\":\"e\",\"data\":null,\"to\":{\"user\":\"u\"}}"},
        {{RTC_TO_CONNECTION, "c", false}, "{\"eventName\":\"e\",\"data\":null,\"to\":{\"connection\":\"c\"}}"},
        {{RTC_TO_ALL, NULL, true}, "{\"eventName\":\"e\",\"data\":null,\"to\":{\"all\":true,\"exceptSelf\":true}}"},
    };
    start();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf text = {0};
        struct rtc_envelope envelope = {.event_name = {"e", 1}, .to = rows[i].to};
        assert_int_equal(codec_encode(set.list[0], &envelope, &text), RTC_OK);
        assert_bytes(buf_bytes(&text), rows[i].text);
        buf_done(&text);
    }
    codec_set_done(&set);
}

static void test_the_client_reads_what_the_daemon_writes(void **state)
{
    const struct envelope sent = {.event_name = BYTES("chat"), .data = BYTES("[1,\"\xc3\xbc\"]"), .data_codec = CODEC_JSON, .group = BYTES("room\"1"),
                                  .offset = 42, .key = BYTES("k"), .from_connection = BYTES("c1"), .from_user = BYTES("ann")};
    start();
    for (enum codec_id id = 0; id < CODEC_COUNT; id++) {
        const struct rtc_codec *codec = codec_set_find(&set, bytes_text(codecs[id]->name));
        struct buf text = {0};
        struct rtc_envelope read;
        assert_int_equal(codecs[id]->encode(&text, &sent), 0);
        assert_int_equal(codec->decode(bytes_to(buf_bytes(&text)), &read, codec->argument), RTC_OK);
        expect_slice(read.event_name, "chat");
        expect_slice(read.json, "[1,\"\xc3\xbc\"]");
        expect_slice(read.group, "room\"1");
        assert_int_equal(read.offset, 42);
        expect_slice(read.key, "k");
        expect_slice(read.from_connection_id, "c1");
        expect_slice(read.from_user_id, "ann");
        assert_false(read.is_error);
        for (size_t length = 0; length < text.length; length++)
            assert_int_equal(codec->decode((struct rtc_bytes){text.data, length}, &read, codec->argument), RTC_BAD_ANSWER);
        buf_done(&text);
    }
    codec_set_done(&set);
}

static void test_what_a_newer_server_adds_is_passed_over(void **state)
{
    static const char text[] = "{\"new\":{\"deep\":[1]},\"eventName\":\"rtc.reply\",\"from\":{\"connectionId\":\"c\",\"userId\":null,\"more\":1},"
                               "\"id\":7,\"error\":{\"code\":\"x\"}}";
    struct rtc_envelope read;
    start();
    assert_int_equal(set.list[0]->decode((struct rtc_bytes){text, strlen(text)}, &read, set.list[0]->argument), RTC_OK);
    assert_int_equal(read.id, 7);
    assert_true(read.is_error);
    assert_null(read.from_user_id.data);
    expect_slice(read.json, "{\"code\":\"x\"}");
    codec_set_done(&set);
}

static void test_nonsense_is_no_envelope(void **state)
{
    static const char *const texts[] = {"", "[]", "7", "{}", "{\"eventName\":7}", "{\"eventName\":\"a\",\"id\":-1}", "{\"eventName\":\"a\"}x",
                                        "{\"eventName\":\"a\",\"data\":}", "{\"eventName\":\"a\",\"group\":[]}", "{\"eventName\":\"a\",\"from\":1}"};
    struct rtc_envelope read;
    start();
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_int_equal(set.list[0]->decode((struct rtc_bytes){texts[i], strlen(texts[i])}, &read, set.list[0]->argument), RTC_BAD_ANSWER);
    codec_set_done(&set);
}

struct bodies {
    uint64_t first;
    struct buf texts;
};

static void on_first(void *argument, uint64_t first)
{
    ((struct bodies *)argument)->first = first;
}

static void on_one(void *argument, struct bytes text)
{
    struct bodies *bodies = argument;
    buf_add_bytes(&bodies->texts, text);
    buf_add_byte(&bodies->texts, ';');
}

static void test_a_polls_body_is_taken_apart(void **state)
{
    struct bodies bodies = {0};
    assert_int_equal(poll_body_read(BYTES("{\"messages\":[{\"a\":1}, {}],\"first\":7}"), false, on_first, on_one, &bodies), 0);
    assert_int_equal(bodies.first, 7);
    assert_bytes(buf_bytes(&bodies.texts), "{\"a\":1};{};");
    buf_clear(&bodies.texts);
    assert_int_equal(poll_body_read(BYTES("\x82\xa5" "first\x02\xa8" "messages\x92\x80\x81\xa1" "a\x01"), true, on_first, on_one, &bodies), 0);
    assert_int_equal(bodies.first, 2);
    assert_bytes(buf_bytes(&bodies.texts), "\x80;\x81\xa1" "a\x01;");
    buf_done(&bodies.texts);
}

static void test_a_polls_body_that_makes_no_sense_hands_out_nothing(void **state)
{
    static const struct { bool is_msgpack; struct bytes body; } rows[] = {
        {false, BYTES("")}, {false, BYTES("[]")}, {false, BYTES("{\"first\":1}")}, {false, BYTES("{\"first\":0,\"messages\":[]}")},
        {false, BYTES("{\"first\":1,\"messages\":{}}")}, {false, BYTES("{\"first\":1,\"messages\":[{}]")},
        {true, BYTES("")}, {true, BYTES("\x81\xa5" "first\x01")}, {true, BYTES("\x82\xa5" "first\x01\xa8" "messages\x01")},
        {true, BYTES("\x82\xa5" "first\x01\xa8" "messages\x90\x00")}, {true, BYTES("\x82\xa5" "first\x01\xa8" "messages\x91")},
    };
    struct bodies bodies = {0};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(poll_body_read(rows[i].body, rows[i].is_msgpack, on_first, on_one, &bodies), -EBADMSG);
    assert_int_equal(bodies.first, 0);
    assert_int_equal(bodies.texts.length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_daemon_reads_what_the_client_writes),
        TEST(test_every_target_is_written),
        TEST(test_the_client_reads_what_the_daemon_writes),
        TEST(test_what_a_newer_server_adds_is_passed_over),
        TEST(test_nonsense_is_no_envelope),
        TEST(test_a_polls_body_is_taken_apart),
        TEST(test_a_polls_body_that_makes_no_sense_hands_out_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
