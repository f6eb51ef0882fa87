#include "tests/unit/test.h"

#include "cli/bench_message.h"
#include "lib/envelope.h"

static const unsigned char random_bytes[BENCH_MARK / 2] = {0x00, 0x9f, 0xa0, 0xff, 1, 2, 3, 4};

static void check_stamp(struct bench_message *message, struct bytes delivered, const struct bench_stamp *expected)
{
    struct bench_stamp got;
    assert_true(bench_message_find(message, delivered, &got));
    assert_true(got.publisher == expected->publisher && got.number == expected->number && got.due_ns == expected->due_ns);
}

static void a_stamp_is_found_in_whatever_surrounds_it(void **state)
{
    static const struct bench_stamp stamps[] = {
        {0, 0, 0}, {63, 1, 2}, {0xabcd, 0x123456789abc, UINT64_C(0xfedcba9876543210)}, {0xffff, 0xffffffffffff, UINT64_MAX},
    };
    for (unsigned is_msgpack = 0; is_msgpack < 2; is_msgpack++) {
        struct bench_message message;
        assert_int_equal(bench_message_init(&message, random_bytes, "a \"group\"", 200, is_msgpack), 0);
        for (size_t i = 0; i < COUNT_OF(stamps); i++) {
            struct buf moved = {0};
            struct bytes envelope = bench_message_stamp(&message, &stamps[i]);
            check_stamp(&message, envelope, &stamps[i]);
            buf_add_text(&moved, "in front");
            buf_add_bytes(&moved, envelope);
            check_stamp(&message, buf_bytes(&moved), &stamps[i]);
            check_stamp(&message, envelope, &stamps[i]);
            buf_done(&moved);
        }
        bench_message_done(&message);
    }
}

static void the_envelope_is_one_and_has_as_much_data_as_was_asked_for(void **state)
{
    static const enum codec_id ids[] = {CODEC_JSON, CODEC_MSGPACK};
    for (unsigned is_msgpack = 0; is_msgpack < 2; is_msgpack++) {
        struct bench_message message;
        struct envelope envelope;
        struct buf scratch = {0};
        struct fault fault = {0};
        assert_int_equal(bench_message_init(&message, random_bytes, "g", 5000, is_msgpack), 0);
        struct bytes text = bench_message_stamp(&message, &(struct bench_stamp){1, 2, 3});
        assert_int_equal(codecs[ids[is_msgpack]]->decode(text, &scratch, &envelope, &fault), DECODE_DONE);
        assert_int_equal(envelope.data.length, is_msgpack ? 5003 : 5002);
        buf_done(&scratch);
        bench_message_done(&message);
    }
}

static void what_is_not_ours_is_not_found(void **state)
{
    struct bench_message message;
    struct bench_stamp stamp;
    assert_int_equal(bench_message_init(&message, random_bytes, "g", BENCH_MESSAGE_BYTES, false), 0);
    struct bytes whole = bench_message_stamp(&message, &(struct bench_stamp){1, 2, 3});
    assert_true(bench_message_find(&message, whole, &stamp));
    /* Cut anywhere before the stamp's last digit ("} is behind it), at the place that is remembered. */
    for (size_t length = 0; length < whole.length - 2; length++) {
        unsigned char *piece = malloc(length + 1);
        memcpy(piece, whole.data, length);
        assert_false(bench_message_find(&message, bytes_of(piece, length), &stamp));
        free(piece);
    }
    assert_false(bench_message_find(&message, BYTES("{\"eventName\":\"x\",\"data\":\"0\"}"), &stamp));
    bench_message_done(&message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_stamp_is_found_in_whatever_surrounds_it), TEST(the_envelope_is_one_and_has_as_much_data_as_was_asked_for),
        TEST(what_is_not_ours_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
