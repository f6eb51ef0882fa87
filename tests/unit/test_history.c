#include "tests/unit/test.h"

#include "daemon/core/history.h"
#include "daemon/core/message.h"

#include <stdio.h>

static const struct history_limits roomy = {.count = 1000, .bytes = UINT64_MAX, .age_ms = UINT64_MAX};

static void append(struct history *history, unsigned count, const struct history_limits *limits, uint64_t now_ms)
{
    for (unsigned i = 0; i < count; i++) {
        char data[24];
        snprintf(data, sizeof(data), "%llu", (unsigned long long)history_offset(history) + 1);
        struct envelope envelope = {.event_name = BYTES("n"), .data = bytes_text(data)};
        SCOPED(message) message = message_new(&envelope);
        assert_int_equal(history_append(history, message, limits, now_ms), 0);
        assert_int_equal(message->envelope.offset, history_offset(history));
    }
}

static void assert_held(const struct history *history, uint64_t first, uint64_t last)
{
    uint32_t count;
    assert_int_equal(history_offset(history), last);
    assert_int_equal(history_count(history), last - first + 1);
    assert_int_equal(history_since(history, first - 1, &count), 0);
    assert_int_equal(count, last - first + 1);
    if (first > 1)
        assert_int_equal(history_since(history, first - 2, &count), -ERANGE);
    for (uint64_t offset = first; offset <= last; offset++) {
        char data[24];
        snprintf(data, sizeof(data), "%llu", (unsigned long long)offset);
        assert_true(bytes_is(history_message(history, offset)->envelope.data, data));
    }
}

static void whoever_names_an_offset_that_is_held_gets_all_that_followed(void **state)
{
    struct history *history = history_new(1);
    uint32_t count;
    assert_int_equal(history_since(history, 0, &count), 0);
    assert_int_equal(count, 0);
    append(history, 100, &roomy, 0);
    for (uint64_t first = 1; first <= 100; first++) {
        assert_int_equal(history_since(history, first, &count), 0);
        assert_int_equal(count, 100 - first);
    }
    assert_int_equal(history_since(history, 101, &count), -ERANGE);
    assert_int_equal(history_since(history, UINT64_MAX, &count), -ERANGE);
    assert_held(history, 1, 100);
    history_free(history);
}

static void the_oldest_are_forgotten_by_count(void **state)
{
    struct history_limits limits = roomy;
    struct history *history = history_new(1);
    limits.count = 7;
    append(history, 50, &limits, 0);
    assert_held(history, 44, 50);
    limits.count = 2;
    history_trim(history, &limits, 0);
    assert_held(history, 49, 50);
    history_free(history);
}

static void the_oldest_are_forgotten_by_bytes(void **state)
{
    struct history_limits limits = roomy;
    struct history *history = history_new(1);
    append(history, 10, &roomy, 0);
    limits.bytes = 3ull * history_message(history, 10)->size;
    append(history, 10, &limits, 0);
    assert_held(history, 18, 20);
    history_free(history);
}

static void the_oldest_are_forgotten_by_age(void **state)
{
    struct history_limits limits = roomy;
    struct history *history = history_new(1);
    uint32_t count;
    limits.age_ms = 1000;
    append(history, 3, &limits, 10000);
    append(history, 3, &limits, 10600);
    history_trim(history, &limits, 11000);
    assert_held(history, 1, 6);
    history_trim(history, &limits, 11001);
    assert_held(history, 4, 6);
    history_trim(history, &limits, 20000);
    assert_int_equal(history_count(history), 0);
    assert_int_equal(history_since(history, 6, &count), 0);
    assert_int_equal(history_since(history, 5, &count), -ERANGE);
    append(history, 1, &limits, 20000);
    assert_held(history, 7, 7);
    history_free(history);
}

static void offsets_go_on_after_a_group_is_cleared(void **state)
{
    struct history *history = history_new(1);
    append(history, 5, &roomy, 0);
    history_clear(history);
    assert_int_equal(history_count(history), 0);
    append(history, 5, &roomy, 0);
    assert_held(history, 6, 10);
    history_free(history);
}

static void epochs_differ(void **state)
{
    struct history *one = history_new(1), *other = history_new(2);
    assert_int_equal(strlen(history_epoch(one)), HISTORY_EPOCH_TEXT);
    assert_string_not_equal(history_epoch(one), history_epoch(other));
    history_free(one);
    history_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(whoever_names_an_offset_that_is_held_gets_all_that_followed), TEST(the_oldest_are_forgotten_by_count),
        TEST(the_oldest_are_forgotten_by_bytes), TEST(the_oldest_are_forgotten_by_age), TEST(offsets_go_on_after_a_group_is_cleared),
        TEST(epochs_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
