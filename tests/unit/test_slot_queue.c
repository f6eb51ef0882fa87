#include "tests/unit/test.h"

#include "daemon/core/slot_queue.h"

static void slots_leave_in_the_order_they_came_however_many_are_taken(void **state)
{
    struct slot_queue queue = {0};
    uint32_t random = 11, next_in = 0, next_out = 0, taken[300];
    for (unsigned round = 0; round < 2000; round++) {
        for (uint32_t i = test_random(&random) % 200; i > 0; i--)
            assert_int_equal(slot_queue_push(&queue, next_in++), 0);
        uint32_t wanted = test_random(&random) % COUNT_OF(taken);
        uint32_t count = slot_queue_take(&queue, taken, wanted);
        assert_true(count == wanted || slot_queue_waiting(&queue) == 0);
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(taken[i], next_out++);
        assert_int_equal(slot_queue_waiting(&queue), next_in - next_out);
    }
    slot_queue_done(&queue);
}

static void a_queue_that_never_empties_does_not_grow_without_bound(void **state)
{
    struct slot_queue queue = {0};
    uint32_t taken[50];
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(slot_queue_push(&queue, i), 0);
    for (unsigned round = 0; round < 10000; round++) {
        for (uint32_t i = 0; i < 50; i++)
            assert_int_equal(slot_queue_push(&queue, i), 0);
        assert_int_equal(slot_queue_take(&queue, taken, 50), 50);
    }
    assert_int_equal(slot_queue_waiting(&queue), 100);
    assert_true(queue.capacity <= 512);
    slot_queue_done(&queue);
}

static void what_a_storm_needed_is_given_back(void **state)
{
    struct slot_queue queue = {0};
    uint32_t taken[1000];
    for (uint32_t i = 0; i < 100000; i++)
        assert_int_equal(slot_queue_push(&queue, i), 0);
    while (slot_queue_take(&queue, taken, COUNT_OF(taken)))
        ;
    assert_null(queue.slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(slots_leave_in_the_order_they_came_however_many_are_taken),
        TEST(a_queue_that_never_empties_does_not_grow_without_bound),
        TEST(what_a_storm_needed_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
