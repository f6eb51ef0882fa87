#include "tests/unit/loopback.h"

#include <sys/eventfd.h>

struct alarm {
    struct io_timer timer;
    struct io *io;
    struct buf *seen;
    char name;
    struct alarm *other;                /* stopped when this one rings */
    unsigned again;                     /* sets itself so many times, for at once */
};

static void on_due(struct io_timer *timer)
{
    struct alarm *alarm = CONTAINER_OF(timer, struct alarm, timer);
    assert_false(io_timer_is_set(timer));
    buf_add_byte(alarm->seen, (unsigned char)alarm->name);
    if (alarm->other)
        io_timer_stop(alarm->io, &alarm->other->timer);
    if (alarm->again && alarm->again--)
        io_later(alarm->io, timer);
}

static void timers_are_due_in_their_order(void **state)
{
    struct io io;
    struct buf seen = {0};
    struct alarm alarms[4];
    static const unsigned after_ms[] = {30, 0, 10, 0};
    assert_int_equal(io_init(&io), 0);
    assert_int_equal(io_timeout_ms(&io), -1);
    for (size_t i = 0; i < COUNT_OF(alarms); i++) {
        alarms[i] = (struct alarm){.timer.on_due = on_due, .io = &io, .seen = &seen, .name = (char)('a' + i)};
        io_timer_set(&io, &alarms[i].timer, after_ms[i]);
    }
    assert_int_equal(io_timeout_ms(&io), 0);
    io_timer_set(&io, &alarms[3].timer, 20);        /* again: moves it */
    while (seen.length < 4) {
        poll(&(struct pollfd){.fd = io.epoll, .events = POLLIN}, 1, io_timeout_ms(&io));
        io_process(&io);
    }
    assert_bytes(buf_bytes(&seen), "bcda");
    assert_int_equal(io_timeout_ms(&io), -1);
    buf_done(&seen);
    io_done(&io);
}

static void a_timer_is_never_early(void **state)
{
    struct io io;
    struct buf seen = {0};
    struct alarm alarm = {.timer.on_due = on_due, .io = &io, .seen = &seen, .name = 'a'};
    assert_int_equal(io_init(&io), 0);
    uint64_t start_ms = io.now_ms;
    io_timer_set(&io, &alarm.timer, 25);
    assert_in_range(io_timeout_ms(&io), 0, 25);
    while (!seen.length) {
        io_process(&io);
        assert_true(!seen.length || io.now_ms - start_ms >= 25);
    }
    io_timer_set(&io, &alarm.timer, UINT64_MAX);
    assert_int_equal(io_timeout_ms(&io), INT32_MAX);
    io_timer_stop(&io, &alarm.timer);
    buf_done(&seen);
    io_done(&io);
}

static void a_timer_that_is_due_can_be_stopped_by_the_one_before(void **state)
{
    struct io io;
    struct buf seen = {0};
    assert_int_equal(io_init(&io), 0);
    struct alarm second = {.timer.on_due = on_due, .io = &io, .seen = &seen, .name = 'b'};
    struct alarm first = {.timer.on_due = on_due, .io = &io, .seen = &seen, .name = 'a', .other = &second};
    io_later(&io, &first.timer);
    io_later(&io, &second.timer);
    io_process(&io);
    assert_bytes(buf_bytes(&seen), "a");
    assert_false(io_timer_is_set(&second.timer));
    io_timer_stop(&io, &second.timer);              /* again: harmless */
    buf_done(&seen);
    io_done(&io);
}

static void timers_that_set_themselves_for_at_once_do_not_hold_the_loop(void **state)
{
    struct io io;
    struct buf seen = {0};
    assert_int_equal(io_init(&io), 0);
    struct alarm alarm = {.timer.on_due = on_due, .io = &io, .seen = &seen, .name = 'a', .again = 1000};
    io_later(&io, &alarm.timer);
    io_process(&io);
    assert_in_range(seen.length, 2, 100);           /* in the same round, but not for ever */
    assert_int_equal(io_timeout_ms(&io), 0);
    io_timer_stop(&io, &alarm.timer);
    buf_done(&seen);
    io_done(&io);
}

struct bell {
    struct io_watch watch;
    struct io *io;
    struct bell **other;                /* stopped and freed when this one rings */
    struct alarm *alarm;
    unsigned count;
};

static void bell_free(struct bell *bell)
{
    io_watch_stop(bell->io, &bell->watch);
    close(bell->watch.descriptor);
    free(bell);
}

static void on_ring(struct io_watch *watch, uint32_t events)
{
    struct bell *bell = CONTAINER_OF(watch, struct bell, watch);
    assert_true(events & EPOLLIN);
    bell->count++;
    if (bell->alarm)
        io_later(bell->io, &bell->alarm->timer);
    if (bell->other && *bell->other) {
        bell_free(*bell->other);
        *bell->other = NULL;
    }
}

static struct bell *bell_new(struct io *io)
{
    struct bell *bell = calloc(1, sizeof(*bell));
    *bell = (struct bell){.io = io, .watch = {.descriptor = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC), .on_ready = on_ring}};
    assert_int_equal(io_watch_set(io, &bell->watch, EPOLLIN), 0);
    return bell;
}

static void a_watch_that_is_freed_in_a_round_is_not_told_in_it(void **state)
{
    struct io io;
    assert_int_equal(io_init(&io), 0);
    struct bell *a = bell_new(&io), *b = bell_new(&io);
    a->other = &b;
    b->other = &a;
    io_process(&io);
    assert_true(!a != !b);
    assert_int_equal((a ? a : b)->count, 1);
    bell_free(a ? a : b);
    io_done(&io);
}

static void what_a_watch_leaves_for_later_is_done_in_the_same_round(void **state)
{
    struct io io;
    struct buf seen = {0};
    assert_int_equal(io_init(&io), 0);
    struct alarm alarm = {.timer.on_due = on_due, .io = &io, .seen = &seen, .name = 'a'};
    struct bell *bell = bell_new(&io);
    bell->alarm = &alarm;
    io_process(&io);
    assert_bytes(buf_bytes(&seen), "a");
    bell_free(bell);
    buf_done(&seen);
    io_done(&io);
}

static void one_descriptor_shows_an_outer_loop_that_something_is_ready(void **state)
{
    struct io io;
    assert_int_equal(io_init(&io), 0);
    struct pollfd wait = {.fd = io.epoll, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 0), 0);
    struct bell *bell = bell_new(&io);
    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
    io_watch_change(&io, &bell->watch, 0);
    assert_int_equal(poll(&wait, 1, 0), 0);
    io_process(&io);
    assert_int_equal(bell->count, 0);
    io_watch_change(&io, &bell->watch, EPOLLIN);
    io_process(&io);
    assert_int_equal(bell->count, 1);
    bell_free(bell);
    assert_int_equal(poll(&wait, 1, 0), 0);
    io_done(&io);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(timers_are_due_in_their_order), TEST(a_timer_is_never_early), TEST(a_timer_that_is_due_can_be_stopped_by_the_one_before),
        TEST(timers_that_set_themselves_for_at_once_do_not_hold_the_loop), TEST(a_watch_that_is_freed_in_a_round_is_not_told_in_it),
        TEST(what_a_watch_leaves_for_later_is_done_in_the_same_round), TEST(one_descriptor_shows_an_outer_loop_that_something_is_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
