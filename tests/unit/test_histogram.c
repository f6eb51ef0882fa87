#include "tests/unit/test.h"

#include "cli/histogram.h"

static struct histogram *histogram_of(const uint64_t *values, size_t count)
{
    struct histogram *histogram = calloc(1, sizeof(*histogram));
    assert_non_null(histogram);
    for (size_t i = 0; i < count; i++)
        histogram_add(histogram, values[i]);
    return histogram;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void no_sample_gives_zeros(void **state)
{
    struct histogram *histogram = histogram_of(NULL, 0);
    assert_true(histogram_percentile(histogram, 500) == 0 && histogram_percentile(histogram, 0) == 0);
    assert_true(histogram->min == 0 && histogram->max == 0 && histogram_up_to(histogram, UINT64_MAX) == 0);
    free(histogram);
}

static void small_values_are_exact(void **state)
{
    uint64_t values[200];
    for (unsigned i = 0; i < COUNT_OF(values); i++)
        values[i] = i + 1;
    struct histogram *histogram = histogram_of(values, 127);
    assert_true(histogram_percentile(histogram, 1000) == 127);
    assert_true(histogram_percentile(histogram, 500) == 64);
    assert_true(histogram_percentile(histogram, 0) == 1);
    assert_true(histogram_up_to(histogram, 100) == 100 && histogram_up_to(histogram, 0) == 0);
    free(histogram);
}

static void the_ends_of_the_range_have_a_bucket(void **state)
{
    static const uint64_t values[] = {0, UINT64_MAX, UINT64_MAX, UINT64_C(1) << 63};
    struct histogram *histogram = histogram_of(values, COUNT_OF(values));
    assert_true(histogram->min == 0 && histogram->max == UINT64_MAX);
    assert_true(histogram_percentile(histogram, 1000) == UINT64_MAX);
    assert_true(histogram_percentile(histogram, 250) == 0);
    assert_true(histogram_up_to(histogram, UINT64_MAX) == 4 && histogram_up_to(histogram, UINT64_MAX >> 1) == 1);
    free(histogram);
}

/* Against the sorted samples, over all magnitudes. */
static void percentiles_are_within_the_width_of_a_bucket(void **state)
{
    enum { COUNT = 20000 };
    static const unsigned asked[] = {0, 1, 100, 500, 900, 990, 999, 1000};
    uint64_t *values = calloc(COUNT, sizeof(*values));
    uint32_t random = 7;
    assert_non_null(values);
    for (unsigned spread = 8; spread < 64; spread += 5) {
        for (unsigned i = 0; i < COUNT; i++) {
            uint64_t value = (uint64_t)test_random(&random) << 40 | (uint64_t)test_random(&random) << 20 | test_random(&random);
            values[i] = value >> test_random(&random) % spread;
        }
        struct histogram *histogram = histogram_of(values, COUNT);
        qsort(values, COUNT, sizeof(*values), by_size);
        for (size_t i = 0; i < COUNT_OF(asked); i++) {
            size_t rank = ((size_t)COUNT * asked[i] + 999) / 1000;
            uint64_t exact = values[rank ? rank - 1 : 0], got = histogram_percentile(histogram, asked[i]);
            assert_true(got >= exact && got - exact <= exact / HISTOGRAM_FINE);
        }
        assert_true(histogram->min == values[0] && histogram->max == values[COUNT - 1]);
        free(histogram);
    }
    free(values);
}

static void the_largest_sample_counts_wherever_its_bucket_ends(void **state)
{
    static const uint64_t values[] = {5, 1000001};
    struct histogram *histogram = histogram_of(values, COUNT_OF(values));
    assert_true(histogram_up_to(histogram, 1000001) == 2 && histogram_up_to(histogram, 1000002) == 2);
    assert_true(histogram_up_to(histogram, 999999) == 1);
    free(histogram);
}

static void counts_up_to_a_power_of_two_are_exact(void **state)
{
    uint64_t values[4096];
    for (unsigned i = 0; i < COUNT_OF(values); i++)
        values[i] = (uint64_t)i * 3;
    struct histogram *histogram = histogram_of(values, COUNT_OF(values));
    for (uint64_t edge = 1; edge < COUNT_OF(values) * 3; edge *= 2)
        assert_true(histogram_up_to(histogram, edge - 1) == (edge + 2) / 3);
    free(histogram);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_sample_gives_zeros), TEST(small_values_are_exact), TEST(the_ends_of_the_range_have_a_bucket),
        TEST(percentiles_are_within_the_width_of_a_bucket), TEST(counts_up_to_a_power_of_two_are_exact), TEST(the_largest_sample_counts_wherever_its_bucket_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
