/*
 * Buckets: a burst, then the rate; those who rest cost nothing.
 */
#include "daemon/core/buckets.h"
#include "tests/unit/test.h"

#include <stdio.h>

static unsigned take_many(struct buckets *buckets, const char *key, const struct bucket_rate *rate, uint64_t now_ms, unsigned tries)
{
    unsigned taken = 0;
    for (unsigned i = 0; i < tries; i++)
        taken += buckets_take(buckets, 1, bytes_text(key), rate, now_ms);
    return taken;
}

static void a_burst_and_then_the_rate(void **state)
{
    struct buckets *buckets = buckets_new();
    struct bucket_rate rate = {.count = 10, .period_ms = 1000, .burst_ms = 2000};
    assert_int_equal(take_many(buckets, "a", &rate, 5000, 100), 20);
    assert_int_equal(take_many(buckets, "a", &rate, 5099, 100), 0);
    assert_int_equal(take_many(buckets, "a", &rate, 5100, 100), 1);
    assert_int_equal(take_many(buckets, "a", &rate, 6100, 100), 10);
    assert_int_equal(take_many(buckets, "a", &rate, 100000, 100), 20);
    assert_int_equal(take_many(buckets, "b", &rate, 100000, 100), 20);
    assert_false(buckets_have(buckets, 1, BYTES("a"), &rate, 100000));
    assert_true(buckets_have(buckets, 2, BYTES("a"), &rate, 100000));
    buckets_put_back(buckets, 1, BYTES("a"), &rate);
    assert_int_equal(take_many(buckets, "a", &rate, 100000, 100), 1);
    buckets_free(buckets);
}

static void slow_rates_let_one_through(void **state)
{
    struct buckets *buckets = buckets_new();
    struct bucket_rate rate = {.count = 1, .period_ms = 60000, .burst_ms = 10}, none = {0};
    assert_int_equal(take_many(buckets, "a", &rate, 1, 100), 1);
    assert_int_equal(take_many(buckets, "a", &rate, 60000, 100), 0);
    assert_int_equal(take_many(buckets, "a", &rate, 60001, 100), 1);
    assert_int_equal(take_many(buckets, "a", &none, 60001, 100), 100);
    buckets_free(buckets);
}

static void full_buckets_are_not_kept(void **state)
{
    struct buckets *buckets = buckets_new();
    struct bucket_rate rate = {.count = 10, .period_ms = 1000, .burst_ms = 1000};
    char key[16];
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "%u", i);
        take_many(buckets, key, &rate, 1000, i % 10 + 1);
    }
    assert_int_equal(buckets_count(buckets), 1000);
    for (unsigned i = 0; i < 500; i++)
        buckets_sweep(buckets, 1050);
    assert_int_equal(buckets_count(buckets), 1000);
    for (unsigned i = 0; i < 500; i++)
        buckets_sweep(buckets, 1500);
    assert_int_equal(buckets_count(buckets), 500);
    for (unsigned i = 0; i < 500; i++)
        buckets_sweep(buckets, 2000);
    assert_int_equal(buckets_count(buckets), 0);
    buckets_free(buckets);
}

/* As many keys as somebody likes: memory stays bounded, and nobody is refused for others. */
static void many_keys_cost_no_more_than_the_bound(void **state)
{
    struct buckets *buckets = buckets_new();
    struct bucket_rate rate = {.count = 1, .period_ms = 60000, .burst_ms = 60000};
    char key[16];
    for (unsigned i = 0; i < 200000; i++) {
        snprintf(key, sizeof(key), "%u", i);
        assert_int_equal(take_many(buckets, key, &rate, 1000, 1), 1);
    }
    assert_true(buckets_count(buckets) <= 65536);
    buckets_free(buckets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_and_then_the_rate),
        cmocka_unit_test(slow_rates_let_one_through),
        cmocka_unit_test(full_buckets_are_not_kept),
        cmocka_unit_test(many_keys_cost_no_more_than_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
