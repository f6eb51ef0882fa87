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
    assert_int_equal(history_offset(history), last);
    assert_int_equal(history_count(history), last - first + 1);
    assert_true(history_covers(history, first - 1));
    if (first > 1)
        assert_false(history_covers(history, first - 2));
    for (uint64_t offset = first; offset <= last; offset++) {
        char data[24];
        snprintf(data, sizeof(data), "%llu", (unsigned long long)offset);
        assert_true(bytes_is(history_message(history, offset)->envelope.data, data));
    }
}

static void whoever_names_an_offset_that_is_held_gets_all_that_followed(void **state)
{
    struct history *history = history_new(1);
    assert_true(history_covers(history, 0));
    append(history, 100, &roomy, 0);
    for (uint64_t first = 1; first <= 100; first++)
        assert_true(history_covers(history, first));
    assert_false(history_covers(history, 101));
    assert_false(history_covers(history, UINT64_MAX));
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
    limits.age_ms = 1000;
    append(history, 3, &limits, 10000);
    append(history, 3, &limits, 10600);
    history_trim(history, &limits, 11000);
    assert_held(history, 1, 6);
    history_trim(history, &limits, 11001);
    assert_held(history, 4, 6);
    history_trim(history, &limits, 20000);
    assert_int_equal(history_count(history), 0);
    assert_true(history_covers(history, 6));
    assert_false(history_covers(history, 5));
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

enum { KEYS = 7, STEPS = 3000 };

/* What each key's value is, by the offset that set it; 0: it has none. */
struct values { uint64_t of[KEYS]; };

/* One of few keys, or none; sometimes without data. */
static void put(struct history *history, unsigned key, bool is_erasure, const struct history_limits *limits, uint64_t now_ms)
{
    char text[8];
    snprintf(text, sizeof(text), "%u", key);
    struct envelope envelope = {.event_name = BYTES("n"), .data = is_erasure ? (struct bytes){0} : BYTES("1"),
                                .key = key < KEYS ? bytes_text(text) : (struct bytes){0}};
    SCOPED(message) message = message_new(&envelope);
    assert_int_equal(history_append(history, message, limits, now_ms), 0);
}

static unsigned key_of(const struct message *message)
{
    return (unsigned)(message->envelope.key.data[0] - '0');
}

/* Goes on from there with all that came later. */
static void go_on(const struct history *history, uint64_t from, struct values *values)
{
    struct history_walk walk = {0};
    struct message *later[KEYS];
    uint64_t last = UINT64_MAX;
    unsigned count = 0;
    while ((later[count] = history_older(history, &walk)) && later[count]->envelope.offset > from) {
        assert_true(later[count]->envelope.offset < last);
        last = later[count]->envelope.offset;
        if (++count == KEYS)
            break;
    }
    /* From the oldest on they are the same ones. */
    uint64_t at = from;
    for (unsigned i = count; i > 0; at = later[--i]->envelope.offset)
        assert_ptr_equal(history_after(history, at), later[i - 1]);
    assert_null(history_after(history, at));
    while (count-- > 0)
        values->of[key_of(later[count])] = later[count]->envelope.data.length ? later[count]->envelope.offset : 0;
}

/* Random steps; after each, whoever was at an offset that is covered has all values when it has gone on from there. */
static void check_latest(unsigned seed, const struct history_limits *limits)
{
    struct history *history = history_new(seed);
    struct values *values = calloc(STEPS + 1, sizeof(*values)), seen;
    unsigned covered = 0;
    assert_int_equal(history_keep_latest(history, true), 0);
    for (uint64_t step = 1; step <= STEPS; step++) {
        unsigned key = (unsigned)rand_r(&seed) % (KEYS + 1);
        bool is_erasure = rand_r(&seed) % 4 == 0;
        values[step] = values[step - 1];
        if (key < KEYS)
            values[step].of[key] = is_erasure ? 0 : step;
        put(history, key, is_erasure, limits, step);
        for (uint64_t from = step > 40 ? step - 40 : 0; from <= step; from++) {
            if (!history_covers(history, from))
                continue;
            seen = values[from];
            go_on(history, from, &seen);
            assert_memory_equal(&seen, &values[step], sizeof(seen));
            covered++;
        }
        if (!history_has_lost_values(history) && limits->age_ms == UINT64_MAX) {
            seen = (struct values){0};
            go_on(history, 0, &seen);
            assert_memory_equal(&seen, &values[step], sizeof(seen));
        }
    }
    assert_true(covered > STEPS);
    free(values);
    history_free(history);
}

static void whoever_was_at_an_offset_that_is_covered_has_every_keys_value(void **state)
{
    struct history_limits few = roomy, small = roomy, young = roomy;
    few.count = KEYS - 2;
    small.bytes = 300;
    young.age_ms = 9;
    for (unsigned seed = 1; seed <= 5; seed++) {
        check_latest(seed, &roomy);
        check_latest(seed, &few);
        check_latest(seed, &small);
        check_latest(seed, &young);
    }
}

static void a_newer_value_of_a_key_takes_the_older_ones_place(void **state)
{
    struct history *history = history_new(1);
    assert_int_equal(history_keep_latest(history, true), 0);
    for (unsigned i = 0; i < 1000; i++)
        put(history, i % 3, false, &roomy, 0);
    assert_int_equal(history_count(history), 3);
    assert_int_equal(history_offset(history), 1000);
    assert_true(history_covers(history, 0));
    assert_null(history_message(history, 997));
    assert_non_null(history_message(history, 998));
    put(history, KEYS, false, &roomy, 0);
    assert_int_equal(history_count(history), 3);
    assert_int_equal(history_offset(history), 1001);
    history_free(history);
}

static void erasures_are_forgotten_before_values(void **state)
{
    struct history_limits limits = roomy;
    struct history *history = history_new(1);
    limits.count = 4;
    assert_int_equal(history_keep_latest(history, true), 0);
    put(history, 0, false, &limits, 0);
    put(history, 1, true, &limits, 0);
    put(history, 2, false, &limits, 0);
    put(history, 3, true, &limits, 0);
    put(history, 4, false, &limits, 0);
    assert_true(history_covers(history, 2) && !history_covers(history, 1));
    put(history, 5, false, &limits, 0);
    assert_true(history_covers(history, 4) && !history_covers(history, 3));
    assert_non_null(history_message(history, 1));
    assert_false(history_has_lost_values(history));
    put(history, 6, false, &limits, 0);
    assert_null(history_message(history, 1));
    assert_true(history_has_lost_values(history));
    history_clear(history);
    assert_false(history_has_lost_values(history));
    history_free(history);
}

static void a_change_of_what_is_kept_makes_it_forget(void **state)
{
    struct history *history = history_new(1);
    for (unsigned i = 0; i < 4; i++) {
        put(history, 1, false, &roomy, 0);
        assert_int_equal(history_keep_latest(history, i % 2 == 0), 0);
        assert_int_equal(history_count(history), 0);
        assert_true(history_covers(history, i + 1) && !history_covers(history, i));
    }
    history_free(history);
}

static void gaps_are_never_covered(void **state)
{
    struct history_state at = {.offset = 0};
    uint64_t ends[7];
    history_state_renew(&at, 5);
    struct history *history = history_restore(&at);
    for (unsigned crash = 0; crash < COUNT_OF(ends); crash++) {
        append(history, 3, &roomy, 0);
        history_state(history, &at);
        ends[crash] = at.offset;
        history_state_skip(&at, 100);
        struct history *next = history_restore(&at);
        struct history_walk walk = {0};
        struct message *held[32], *one;
        unsigned count = 0;
        while ((one = history_older(history, &walk)))
            held[count++] = one;
        while (count-- > 0)
            assert_int_equal(history_put_back(next, held[count], 0), 0);
        history_free(history);
        history = next;
        assert_int_equal(history_count(history), 3 * (crash + 1));
        for (unsigned older = 0; older <= crash; older++) {
            bool is_known = crash - older < HISTORY_GAPS_MAX;
            assert_int_equal(history_covers(history, ends[older]), is_known);
            assert_int_equal(history_covers(history, ends[older] - 1), is_known);
            assert_false(history_covers(history, ends[older] + 1));
            assert_false(history_covers(history, ends[older] + 99));
            assert_int_equal(history_covers(history, ends[older] + 100), crash - older <= HISTORY_GAPS_MAX);
        }
        assert_int_equal(history_offset(history), ends[crash] + 100);
    }
    assert_string_equal(history_epoch(history), at.epoch);
    history_clear(history);
    assert_true(history_covers(history, ends[6] + 100));
    assert_false(history_covers(history, ends[6] + 99));
    history_free(history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(whoever_names_an_offset_that_is_held_gets_all_that_followed), TEST(the_oldest_are_forgotten_by_count),
        TEST(the_oldest_are_forgotten_by_bytes), TEST(the_oldest_are_forgotten_by_age), TEST(offsets_go_on_after_a_group_is_cleared),
        TEST(epochs_differ), TEST(whoever_was_at_an_offset_that_is_covered_has_every_keys_value),
        TEST(a_newer_value_of_a_key_takes_the_older_ones_place), TEST(erasures_are_forgotten_before_values),
        TEST(a_change_of_what_is_kept_makes_it_forget), TEST(gaps_are_never_covered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
