#include "tests/unit/test.h"

#include "cli/sequence.h"

static void numbers_in_order_are_new(void **state)
{
    struct sequence sequence = {0};
    for (uint64_t i = 0; i < 1000; i++)
        assert_int_equal(sequence_take(&sequence, i), SEQUENCE_NEXT);
}

static void a_gap_is_no_verdict_until_it_is_filled(void **state)
{
    struct sequence sequence = {0};
    assert_int_equal(sequence_take(&sequence, 0), SEQUENCE_NEXT);
    assert_int_equal(sequence_take(&sequence, 3), SEQUENCE_NEXT);
    assert_int_equal(sequence_take(&sequence, 1), SEQUENCE_LATE);
    assert_int_equal(sequence_take(&sequence, 1), SEQUENCE_DOUBLE);
    assert_int_equal(sequence_take(&sequence, 0), SEQUENCE_DOUBLE);
    assert_int_equal(sequence_take(&sequence, 4), SEQUENCE_NEXT);
    assert_int_equal(sequence_take(&sequence, 2), SEQUENCE_LATE);
    assert_int_equal(sequence_take(&sequence, 3), SEQUENCE_DOUBLE);
}

static void what_is_remembered_ends_at_64(void **state)
{
    struct sequence sequence = {0};
    for (unsigned step = 62; step < 67; step++) {
        sequence = (struct sequence){0};
        assert_int_equal(sequence_take(&sequence, 0), SEQUENCE_NEXT);
        assert_int_equal(sequence_take(&sequence, step), SEQUENCE_NEXT);
        assert_int_equal(sequence_take(&sequence, 0), step < 64 ? SEQUENCE_DOUBLE : SEQUENCE_LATE);
        assert_int_equal(sequence_take(&sequence, step), SEQUENCE_DOUBLE);
    }
    assert_int_equal(sequence_take(&sequence, UINT64_MAX - 1), SEQUENCE_NEXT);
    assert_int_equal(sequence_take(&sequence, UINT64_MAX - 2), SEQUENCE_LATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(numbers_in_order_are_new), TEST(a_gap_is_no_verdict_until_it_is_filled), TEST(what_is_remembered_ends_at_64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
