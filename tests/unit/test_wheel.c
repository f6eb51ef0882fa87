#include "tests/unit/test.h"

#include "daemon/core/wheel.h"

struct alarm {
    struct timer timer;
    struct wheel *wheel;
    uint64_t fired_ms, *now_ms, again_ms;
    unsigned count;
};

static void on_fire(struct timer *timer)
{
    struct alarm *alarm = CONTAINER_OF(timer, struct alarm, timer);
    alarm->fired_ms = *alarm->now_ms;
    alarm->count++;
    if (alarm->again_ms)
        timer_set(alarm->wheel, timer, *alarm->now_ms + alarm->again_ms);
}

static void timers_fire_once_never_early_and_at_most_a_tick_late(void **state)
{
    uint64_t now_ms = 1000003, start_ms = now_ms;
    struct wheel wheel;
    struct alarm alarms[200];
    wheel_init(&wheel, now_ms);
    for (unsigned i = 0; i < COUNT_OF(alarms); i++) {
        alarms[i] = (struct alarm){.now_ms = &now_ms};
        timer_init(&alarms[i].timer, on_fire);
        timer_set(&wheel, &alarms[i].timer, start_ms + i * 997);
    }
    for (unsigned i = 0; i < COUNT_OF(alarms); i += 10)
        timer_stop(&wheel, &alarms[i].timer);
    for (; now_ms < start_ms + 210000; now_ms += 10)
        wheel_run(&wheel, now_ms);
    for (unsigned i = 0; i < COUNT_OF(alarms); i++) {
        assert_int_equal(alarms[i].count, i % 10 ? 1 : 0);
        if (i % 10) {
            assert_true(alarms[i].fired_ms >= start_ms + i * 997);
            assert_true(alarms[i].fired_ms <= start_ms + i * 997 + 2 * WHEEL_TICK_MS);
        }
    }
    assert_int_equal(wheel.count, 0);
}

static void a_timer_may_be_set_again_when_it_fires_and_a_long_stall_does_not_hurt(void **state)
{
    uint64_t now_ms = 0;
    struct wheel wheel;
    wheel_init(&wheel, now_ms);
    struct alarm alarm = {.wheel = &wheel, .now_ms = &now_ms, .again_ms = 100};
    timer_init(&alarm.timer, on_fire);
    timer_set(&wheel, &alarm.timer, 100);
    for (; now_ms <= 1000; now_ms += 50)
        wheel_run(&wheel, now_ms);
    assert_in_range(alarm.count, 6, 10);
    now_ms = 100000000;
    wheel_run(&wheel, now_ms);
    assert_int_equal(alarm.fired_ms, now_ms);
    timer_stop(&wheel, &alarm.timer);
    timer_stop(&wheel, &alarm.timer);
    assert_int_equal(wheel.count, 0);
}

static void a_timer_that_is_put_off_again_and_again_fires_once_at_the_last_time(void **state)
{
    uint64_t now_ms = 500000;
    struct wheel wheel;
    struct alarm alarm = {.now_ms = &now_ms};
    wheel_init(&wheel, now_ms);
    timer_init(&alarm.timer, on_fire);
    uint64_t due_ms = 0;
    for (unsigned i = 0; i < 3000; i++, now_ms += 17) {
        due_ms = now_ms + 1000 + i % 7 * 300;
        timer_set(&wheel, &alarm.timer, due_ms);
        wheel_run(&wheel, now_ms);
        assert_int_equal(wheel.count, 1);
    }
    assert_int_equal(alarm.count, 0);
    for (; alarm.count == 0; now_ms += 10)
        wheel_run(&wheel, now_ms);
    assert_in_range(alarm.fired_ms, due_ms, due_ms + 2 * WHEEL_TICK_MS);
    /* Brought forward it does not wait for its slot. */
    timer_set(&wheel, &alarm.timer, now_ms + 60000);
    timer_set(&wheel, &alarm.timer, now_ms + 200);
    uint64_t start_ms = now_ms;
    for (; now_ms < start_ms + 400; now_ms += 10)
        wheel_run(&wheel, now_ms);
    assert_int_equal(alarm.count, 2);
    assert_int_equal(wheel.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(timers_fire_once_never_early_and_at_most_a_tick_late),
        TEST(a_timer_that_is_put_off_again_and_again_fires_once_at_the_last_time),
        TEST(a_timer_may_be_set_again_when_it_fires_and_a_long_stall_does_not_hurt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
