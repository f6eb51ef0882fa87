#include "tests/unit/test.h"

#include "daemon/core/message.h"
#include "daemon/core/metrics.h"
#include "daemon/core/outbox.h"
#include "daemon/dialect/native.h"

static void push(struct outbox *outbox, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct envelope envelope = {.event_name = BYTES("n")};
        struct message *message = message_new(&envelope);
        assert_int_equal(outbox_push(outbox, message, message->size), 0);
    }
}

/* Clients' data is checked when it comes; this is of a file that somebody else wrote. */
static void data_without_a_form_in_a_codec_is_null_there_and_counted_once(void **state)
{
    struct metrics metrics = {0};
    struct envelope envelope = {.event_name = BYTES("n"), .data = BYTES("\x81\x90\x01"), .data_codec = CODEC_MSGPACK};
    SCOPED(message) message = message_new(&envelope);
    for (unsigned i = 0; i < 2; i++) {
        struct bytes payload = encoding_payload(message_encoding(message, &native, CODEC_JSON, &metrics));
        assert_bytes(payload, "{\"eventName\":\"n\",\"data\":null}");
        assert_non_null(message_encoding(message, &native, CODEC_MSGPACK, &metrics));
    }
    assert_int_equal(metrics_get(&metrics, METRIC_ENVELOPES_EMPTIED), 1);
}

static void numbers_run_from_one_through_sending_and_acknowledging(void **state)
{
    struct outbox outbox;
    outbox_init(&outbox);
    assert_int_equal(outbox_last(&outbox), 0);
    push(&outbox, 10);
    assert_int_equal(outbox_sent(&outbox), 0);
    outbox_mark_sent(&outbox, 6, 0);
    assert_int_equal(outbox_sent(&outbox), 6);
    assert_int_equal(outbox_acknowledge(&outbox, 7), -ERANGE);
    assert_int_equal(outbox_acknowledge(&outbox, 4), 0);
    assert_int_equal(outbox_acknowledge(&outbox, 2), 0);
    assert_int_equal(outbox.first, 5);
    assert_non_null(outbox_peek(&outbox, 3));
    assert_null(outbox_peek(&outbox, 4));
    outbox_mark_sent(&outbox, 4, 0);
    assert_int_equal(outbox_acknowledge(&outbox, 10), 0);
    assert_null(outbox.owed);
    push(&outbox, 1);
    assert_int_equal(outbox_last(&outbox), 11);
    outbox_done(&outbox);
}

static void coming_back_goes_on_behind_what_was_received(void **state)
{
    struct outbox outbox;
    outbox_init(&outbox);
    push(&outbox, 8);
    outbox_mark_sent(&outbox, 5, 0);
    assert_int_equal(outbox_rewind(&outbox, 6), -ERANGE);
    assert_int_equal(outbox_rewind(&outbox, 3), 0);
    assert_int_equal(outbox_unsent_count(&outbox), 5);
    assert_int_equal(outbox_sent(&outbox), 3);
    assert_int_equal(outbox_rewind(&outbox, 2), -ERANGE);
    outbox_done(&outbox);
}

/* The old link was still bringing some when the new one asked for them, and then the new one broke. */
static void what_an_overtaken_link_brought_may_be_acknowledged(void **state)
{
    struct outbox outbox;
    outbox_init(&outbox);
    push(&outbox, 8);
    outbox_mark_sent(&outbox, 5, 0);
    assert_int_equal(outbox_rewind(&outbox, 1), 0);
    outbox_mark_sent(&outbox, 1, 3);
    assert_int_equal(outbox_acknowledge(&outbox, 6), -ERANGE);
    assert_int_equal(outbox_acknowledge(&outbox, 4), 0);
    assert_int_equal(outbox.first, 3);
    assert_int_equal(outbox_partial(&outbox), 3);
    outbox_restart(&outbox);
    assert_int_equal(outbox_rewind(&outbox, 6), -ERANGE);
    assert_int_equal(outbox_rewind(&outbox, 5), 0);
    assert_int_equal(outbox.first, 6);
    assert_int_equal(outbox_unsent_count(&outbox), 3);
    assert_int_equal(outbox_kept_bytes(&outbox), 0);
    outbox_done(&outbox);
}

static void the_oldest_are_forgotten_within_bounds(void **state)
{
    struct outbox outbox;
    outbox_init(&outbox);
    push(&outbox, 100);
    outbox_mark_sent(&outbox, 90, 0);
    assert_int_equal(outbox_forget(&outbox, 50, UINT32_MAX, 0), 40);
    assert_int_equal(outbox.first, 41);
    uint32_t one = outbox_kept_bytes(&outbox) / 50;
    assert_int_equal(outbox_forget(&outbox, 50, one * 20, 0), 30);
    assert_int_equal(outbox_forget(&outbox, 50, UINT32_MAX, 80), 10);
    assert_int_equal(outbox_forget(&outbox, 0, 0, 0), 10);
    assert_int_equal(outbox_count(&outbox), 10);
    assert_int_equal(outbox_unsent_count(&outbox), 10);
    outbox_done(&outbox);
}

static void what_is_taken_out_lets_those_behind_it_move_up(void **state)
{
    struct outbox outbox;
    outbox_init(&outbox);
    push(&outbox, 10);
    outbox_mark_sent(&outbox, 2, 0);
    assert_int_equal(outbox_fixed_count(&outbox), 0);
    assert_true(outbox_watch(&outbox, 1000, 500));
    struct message *last = outbox_peek(&outbox, 7), *third = outbox_peek(&outbox, 3);
    message_unref(outbox_take(&outbox, 2));
    message_unref(outbox_take(&outbox, 0));
    assert_ptr_equal(outbox_peek(&outbox, 1), third);
    assert_ptr_equal(outbox_peek(&outbox, 5), last);
    assert_int_equal(outbox_last(&outbox), 8);
    assert_int_equal(outbox_sent(&outbox), 2);
    assert_int_equal(outbox_unsent_bytes(&outbox), 6 * last->size);
    /* All that was there when the clock began has gone then. */
    outbox_mark_sent(&outbox, 6, 0);
    assert_false(outbox_is_stalled(&outbox, 5000));
    assert_int_equal(outbox_acknowledge(&outbox, 8), 0);
    assert_null(outbox.owed);
    outbox_done(&outbox);
}

static void what_was_sent_before_or_in_part_keeps_its_number(void **state)
{
    struct outbox outbox;
    outbox_init(&outbox);
    push(&outbox, 8);
    outbox_mark_sent(&outbox, 5, 0);
    assert_int_equal(outbox_fixed_count(&outbox), 0);
    outbox_mark_sent(&outbox, 0, 7);
    assert_int_equal(outbox_fixed_count(&outbox), 1);
    outbox_mark_sent(&outbox, 1, 0);
    assert_int_equal(outbox_rewind(&outbox, 3), 0);
    assert_int_equal(outbox_fixed_count(&outbox), 3);
    outbox_mark_sent(&outbox, 1, 3);
    assert_int_equal(outbox_fixed_count(&outbox), 2);
    message_unref(outbox_take(&outbox, 3));
    assert_int_equal(outbox_rewind(&outbox, 3), 0);
    assert_int_equal(outbox_fixed_count(&outbox), 3);
    assert_int_equal(outbox_rewind(&outbox, 7), -ERANGE);
    outbox_done(&outbox);
}

static void the_end_of_what_was_half_sent_may_have_arrived(void **state)
{
    struct outbox outbox;
    outbox_init(&outbox);
    push(&outbox, 4);
    outbox_mark_sent(&outbox, 2, 9);
    outbox_restart(&outbox);
    assert_int_equal(outbox_fixed_count(&outbox), 1);
    assert_int_equal(outbox_rewind(&outbox, 4), -ERANGE);
    assert_int_equal(outbox_rewind(&outbox, 3), 0);
    assert_int_equal(outbox.first, 4);
    assert_int_equal(outbox_unsent_count(&outbox), 1);
    assert_int_equal(outbox_kept_bytes(&outbox), 0);
    outbox_done(&outbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(numbers_run_from_one_through_sending_and_acknowledging), TEST(coming_back_goes_on_behind_what_was_received),
        TEST(what_an_overtaken_link_brought_may_be_acknowledged),
        TEST(the_oldest_are_forgotten_within_bounds), TEST(what_is_taken_out_lets_those_behind_it_move_up),
        TEST(data_without_a_form_in_a_codec_is_null_there_and_counted_once),
        TEST(what_was_sent_before_or_in_part_keeps_its_number), TEST(the_end_of_what_was_half_sent_may_have_arrived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
