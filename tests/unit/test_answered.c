#include "tests/unit/test.h"

#include "daemon/core/answered.h"

enum { WINDOW_MS = 1000, MANY = 1000 };

static struct answered_entry *last;
static struct bytes answer;

static enum answered_state ask(struct answered *answered, const char *group, const char *key, const char *data, uint64_t now_ms)
{
    struct answered_call call = {.caller = BYTES("ann"), .key = bytes_text(key), .group = bytes_text(group), .data = bytes_text(data), .command = 1};
    return answered_begin(answered, &call, WINDOW_MS, now_ms, &last, &answer);
}

/* Asks, and is answered with what it asked. */
static size_t take(struct answered *answered, const char *group, const char *key, uint64_t weight_max, uint64_t now_ms)
{
    assert_int_equal(ask(answered, group, key, "", now_ms), ANSWERED_NEW);
    return answered_end(answered, last, bytes_text(key), weight_max, now_ms);
}

static void what_comes_again_is_answered_alike(void **state)
{
    struct answered *answered = answered_new();
    assert_int_equal(ask(answered, "g", "k", "1", 0), ANSWERED_NEW);
    struct answered_entry *first = last;
    assert_int_equal(ask(answered, "g", "k", "1", 0), ANSWERED_UNDER_WAY);
    assert_int_equal(answered_end(answered, first, BYTES("done"), MANY, 0), 0);
    assert_int_equal(ask(answered, "g", "k", "1", 1), ANSWERED_BEFORE);
    assert_bytes(answer, "done");
    assert_int_equal(ask(answered, "g", "k", "2", 1), ANSWERED_OTHERWISE);
    assert_int_equal(ask(answered, "h", "k", "2", 1), ANSWERED_OTHERWISE);
    struct answered_call other = {.caller = BYTES("bob"), .key = BYTES("k"), .group = BYTES("g"), .data = BYTES("1"), .command = 1};
    assert_int_equal(answered_begin(answered, &other, WINDOW_MS, 1, &last, &answer), ANSWERED_NEW);
    answered_drop(answered, last);
    assert_int_equal(answered_begin(answered, &other, WINDOW_MS, 1, &last, &answer), ANSWERED_NEW);
    answered_free(answered);
}

static void the_window_begins_with_the_answer(void **state)
{
    struct answered *answered = answered_new();
    assert_int_equal(ask(answered, "g", "k", "1", 0), ANSWERED_NEW);
    struct answered_entry *first = last;
    assert_int_equal(ask(answered, "g", "k", "1", 5000), ANSWERED_UNDER_WAY);
    answered_end(answered, first, BYTES("done"), MANY, 5000);
    assert_int_equal(ask(answered, "g", "k", "1", 5000 + WINDOW_MS - 1), ANSWERED_BEFORE);
    assert_int_equal(ask(answered, "g", "k", "1", 5000 + WINDOW_MS), ANSWERED_NEW);
    answered_drop(answered, last);
    answered_free(answered);
}

static void a_busy_group_pushes_out_only_its_own_keys(void **state)
{
    struct answered *answered = answered_new();
    char key[32];
    size_t forgotten = 0;
    for (int i = 0; i < 3; i++) {
        snprintf(key, sizeof(key), "quiet-%d", i);
        take(answered, "quiet", key, 16, (uint64_t)i);
    }
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "busy-%d", i);
        forgotten += take(answered, "busy", key, 16, 10);
    }
    assert_int_equal(forgotten, 100 + 3 - 16);
    assert_int_equal(ask(answered, "quiet", "quiet-0", "", 10), ANSWERED_BEFORE);
    assert_int_equal(ask(answered, "busy", "busy-87", "", 10), ANSWERED_BEFORE);
    assert_int_equal(ask(answered, "busy", "busy-86", "", 10), ANSWERED_NEW);
    answered_drop(answered, last);
    /* The window is over for all. */
    assert_int_equal(take(answered, "busy", "late", 1, 10 + WINDOW_MS), 0);
    assert_int_equal(ask(answered, "quiet", "quiet-0", "", 10 + WINDOW_MS), ANSWERED_NEW);
    answered_free(answered);
}

static void many_groups_with_a_key_each_share_what_there_is(void **state)
{
    struct answered *answered = answered_new();
    char name[32];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "g%d", i);
        take(answered, name, name, 10, 0);
    }
    int left = 0;
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "g%d", i);
        left += ask(answered, name, name, "", 0) == ANSWERED_BEFORE;
        if (last)
            answered_drop(answered, last);
    }
    assert_int_equal(left, 10);
    answered_free(answered);
}

static void long_answers_weigh_more_and_one_too_long_is_not_kept(void **state)
{
    struct answered *answered = answered_new();
    static char text[5 * ANSWERED_WEIGHT_BYTES];
    memset(text, 'x', sizeof(text));
    take(answered, "a", "small", 6, 0);
    assert_int_equal(ask(answered, "a", "long", "", 0), ANSWERED_NEW);
    assert_int_equal(answered_end(answered, last, bytes_of(text, sizeof(text)), 6, 0), 1);
    assert_int_equal(ask(answered, "a", "long", "", 0), ANSWERED_BEFORE);
    assert_int_equal(ask(answered, "a", "longer", "", 0), ANSWERED_NEW);
    assert_int_equal(answered_end(answered, last, bytes_of(text, sizeof(text)), 5, 0), 2);
    assert_int_equal(ask(answered, "a", "longer", "", 0), ANSWERED_NEW);
    answered_free(answered);
}

static void keys_are_visible_ascii_in_quotes_or_not(void **state)
{
    static const struct { const char *value, *key; } cases[] = {
        {"a", "a"}, {"\"a\"", "a"}, {"\"a\\\"b\\\\\"", "a\"b\\"}, {"8e03978e-40d5", "8e03978e-40d5"}, {"a\"b", "a\"b"}, {"a\\b", "a\\b"},
        {"", NULL}, {"\"", NULL}, {"\"\"", NULL}, {"a b", NULL}, {"\"a b\"", NULL}, {"\"a", NULL}, {"\"a\"b\"", NULL}, {"\"a\\", NULL},
        {"\"a\\\"", NULL}, {"\"a\\c\"", NULL}, {"\"a\";p", NULL}, {"\xc3\xa4", NULL}, {"a\x7f", NULL},
    };
    struct buf key = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        buf_clear(&key);
        assert_int_equal(idempotency_key_read(bytes_text(cases[i].value), &key), cases[i].key ? 0 : -EINVAL);
        if (cases[i].key)
            assert_bytes(buf_bytes(&key), cases[i].key);
    }
    char text[IDEMPOTENCY_KEY_MAX + 2];
    memset(text, 'k', sizeof(text));
    buf_clear(&key);
    assert_int_equal(idempotency_key_read(bytes_of(text, IDEMPOTENCY_KEY_MAX), &key), 0);
    buf_clear(&key);
    assert_int_equal(idempotency_key_read(bytes_of(text, IDEMPOTENCY_KEY_MAX + 1), &key), -EINVAL);
    buf_done(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_comes_again_is_answered_alike),
        TEST(the_window_begins_with_the_answer),
        TEST(a_busy_group_pushes_out_only_its_own_keys),
        TEST(many_groups_with_a_key_each_share_what_there_is),
        TEST(long_answers_weigh_more_and_one_too_long_is_not_kept),
        TEST(keys_are_visible_ascii_in_quotes_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
