/* The client's sent queue: numbers, acknowledgements, new links and new connections. */
#include "tests/unit/test.h"

#include "lib/client/options.h"
#include "lib/client/sent_queue.h"

struct fixture {
    struct codec_set codecs;
    struct sent_queue queue;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    static struct options options;
    assert_int_equal(codec_set_init(&fixture.codecs, &options, NULL), RTC_OK);
    sent_queue_init(&fixture.queue, 5, 100);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    sent_queue_done(&fixture->queue);
    codec_set_done(&fixture->codecs);
    return 0;
}

static struct sent *make(struct fixture *fixture, const char *json, uint64_t id)
{
    struct sent *sent;
    struct rtc_envelope envelope = {.event_name = {"a", 1}, .json = {json, strlen(json)}, .id = id};
    assert_int_equal(sent_new(&envelope, fixture->codecs.list[0], &sent), RTC_OK);
    return sent;
}

static void push(struct fixture *fixture, unsigned count)
{
    for (unsigned i = 1; i <= count; i++) {
        char json[12];
        snprintf(json, sizeof(json), "%u", i);
        sent_queue_push(&fixture->queue, make(fixture, json, i));
    }
}

/* The next one's number and id; 0: there is none. */
static uint64_t next(struct fixture *fixture, uint64_t *ret_id)
{
    uint64_t number = 0;
    struct sent *peeked = sent_queue_peek(&fixture->queue);
    struct sent *sent = sent_queue_next(&fixture->queue, &number);
    assert_ptr_equal(sent, peeked);
    *ret_id = sent ? sent->envelope.id : 0;
    return sent ? number : 0;
}

static void expect_next(struct fixture *fixture, uint64_t number, uint64_t id)
{
    uint64_t got_id;
    assert_int_equal(next(fixture, &got_id), number);
    assert_int_equal(got_id, id);
}

static void test_numbers_follow_one_another_and_an_acknowledgement_frees(void **state)
{
    struct fixture *fixture = *state;
    push(fixture, 4);
    expect_next(fixture, 1, 1);
    expect_next(fixture, 2, 2);
    assert_int_equal(sent_queue_acknowledge(&fixture->queue, 1), 0);
    assert_int_equal(sent_queue_acknowledge(&fixture->queue, 1), 0);
    expect_next(fixture, 3, 3);
    assert_int_equal(fixture->queue.count, 3);
    assert_int_equal(sent_queue_acknowledge(&fixture->queue, 4), -ERANGE);
    assert_int_equal(sent_queue_acknowledge(&fixture->queue, 3), 0);
    expect_next(fixture, 4, 4);
    expect_next(fixture, 0, 0);
    assert_int_equal(sent_queue_acknowledge(&fixture->queue, 4), 0);
    assert_int_equal(fixture->queue.weight, 0);
}

static void test_a_new_link_is_given_what_is_not_acknowledged(void **state)
{
    struct fixture *fixture = *state;
    push(fixture, 4);
    expect_next(fixture, 1, 1);
    expect_next(fixture, 2, 2);
    expect_next(fixture, 3, 3);
    sent_queue_rewind(&fixture->queue);
    assert_int_equal(sent_queue_acknowledge(&fixture->queue, 3), 0);    /* the server had more than this link was given */
    expect_next(fixture, 4, 4);
    sent_queue_rewind(&fixture->queue);
    expect_next(fixture, 4, 4);
    expect_next(fixture, 0, 0);
}

static void test_a_new_connection_counts_anew_and_repeats_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct list lost;
    size_t at = 0;
    push(fixture, 4);
    expect_next(fixture, 1, 1);
    expect_next(fixture, 2, 2);
    assert_int_equal(sent_queue_acknowledge(&fixture->queue, 1), 0);
    sent_queue_rewind(&fixture->queue);
    assert_int_equal(sent_queue_restart(&fixture->queue, &lost), 1);
    struct sent *only = CONTAINER_OF(lost.next, struct sent, node);
    assert_int_equal(only->envelope.id, 2);
    list_remove(&only->node);
    sent_free(only);
    assert_true(list_is_empty(&lost));
    sent_queue_push_early(&fixture->queue, make(fixture, "0", 10), &at);
    sent_queue_push_early(&fixture->queue, make(fixture, "0", 11), &at);
    expect_next(fixture, 1, 10);
    expect_next(fixture, 2, 11);
    expect_next(fixture, 3, 3);
    expect_next(fixture, 4, 4);
}

static void test_only_what_was_never_sent_can_be_withdrawn(void **state)
{
    struct fixture *fixture = *state;
    push(fixture, 3);
    expect_next(fixture, 1, 1);
    sent_queue_rewind(&fixture->queue);
    assert_false(sent_queue_withdraw(&fixture->queue, 1));
    assert_true(sent_queue_has_unsent(&fixture->queue, 2));
    assert_true(sent_queue_withdraw(&fixture->queue, 2));
    assert_false(sent_queue_has_unsent(&fixture->queue, 2));
    expect_next(fixture, 1, 1);
    expect_next(fixture, 2, 3);
}

static void test_the_bound_counts_envelopes_and_bytes(void **state)
{
    struct fixture *fixture = *state;
    struct sent *one = make(fixture, "1", 0), *large = make(fixture, "\"0123456789012345678901234567890123456789012345678901234567890123456789"
                                                            "01234567890123456789012345\"", 0);
    assert_true(sent_queue_has_room(&fixture->queue, large));
    push(fixture, 1);
    assert_false(sent_queue_has_room(&fixture->queue, large));
    assert_true(sent_queue_has_room(&fixture->queue, one));
    push(fixture, 4);
    assert_false(sent_queue_has_room(&fixture->queue, one));
    sent_free(one);
    sent_free(large);
}

static void test_an_envelope_is_written_again_for_another_protocol(void **state)
{
    struct fixture *fixture = *state;
    struct sent *sent = make(fixture, "[1]", 7);
    assert_bytes(buf_bytes(&sent->text), "{\"eventName\":\"a\",\"data\":[1],\"id\":7}");
    assert_int_equal(sent_write(sent, fixture->codecs.list[1]), RTC_OK);
    assert_bytes(buf_bytes(&sent->text), "\x83\xa9" "eventName\xa1" "a\xa4" "data\x91\x01\xa2" "id\x07");
    sent_free(sent);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_numbers_follow_one_another_and_an_acknowledgement_frees),
        CASE(test_a_new_link_is_given_what_is_not_acknowledged),
        CASE(test_a_new_connection_counts_anew_and_repeats_nothing),
        CASE(test_only_what_was_never_sent_can_be_withdrawn),
        CASE(test_the_bound_counts_envelopes_and_bytes),
        CASE(test_an_envelope_is_written_again_for_another_protocol),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
