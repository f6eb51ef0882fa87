#include "tests/unit/test.h"

#include "daemon/net/reclaim.h"

static void memory_is_looked_at_once_after_each_storm_and_then_the_worker_may_sleep(void **state)
{
    struct metrics metrics = {0};
    struct reclaim reclaim = {0};
    uint64_t now_ms = 1000000;
    assert_false(reclaim_is_due(&reclaim, &metrics));
    metrics_add(&metrics, METRIC_CONNECTIONS_CLOSED, 10000);
    assert_true(reclaim_is_due(&reclaim, &metrics));
    unsigned ticks = 0;
    for (; reclaim_is_due(&reclaim, &metrics) && ticks < 1000; ticks++)
        reclaim_tick(&reclaim, &metrics, now_ms += 50);
    assert_in_range(ticks, 2, 200);
    metrics_add(&metrics, METRIC_MESSAGES_DELIVERED, 1);
    assert_true(reclaim_is_due(&reclaim, &metrics));
}

static void a_storm_without_an_end_does_not_put_it_off_for_ever(void **state)
{
    struct metrics metrics = {0};
    struct reclaim reclaim = {0};
    uint64_t now_ms = 1000000, asked_ms = 0;
    unsigned times = 0;
    for (uint64_t end_ms = now_ms + 10 * 60 * 1000; now_ms < end_ms; now_ms += 50) {
        metrics_add(&metrics, METRIC_MESSAGES_DELIVERED, 1);
        reclaim_tick(&reclaim, &metrics, now_ms);
        times += reclaim.asked_ms != asked_ms;
        asked_ms = reclaim.asked_ms;
    }
    assert_in_range(times, 9, 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(memory_is_looked_at_once_after_each_storm_and_then_the_worker_may_sleep),
        TEST(a_storm_without_an_end_does_not_put_it_off_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
