#include "base/test.h"
#include "bench/histogram.h"

struct quantile_case {
    double share;
    uint64_t exact;
};

static void finds_quantiles(void **state)
{
    static const struct quantile_case cases[] = {
        {0.5,   500000 },
        {0.9,   900000 },
        {0.99,  990000 },
        {0.999, 999000 },
        {1.0,   1000000},
    };
    struct histogram *histogram = memory_must_alloc_zero(1, sizeof(*histogram));

    (void)state;
    for (uint64_t value = 1; value <= 1000000; value++) {
        histogram_add(histogram, value);
    }
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t found = histogram_find(histogram, cases[i].share);

        assert_true(found >= cases[i].exact);
        assert_true(found <= cases[i].exact + cases[i].exact / 60);
    }
    memory_free(histogram);
}

static void keeps_small_values_apart(void **state)
{
    struct histogram *histogram = memory_must_alloc_zero(1, sizeof(*histogram));

    (void)state;
    histogram_add(histogram, 3);
    histogram_add(histogram, 100);
    histogram_add(histogram, 101);
    assert_int_equal(histogram_find(histogram, 0.3), 4);
    assert_int_equal(histogram_find(histogram, 0.6), 101);
    assert_int_equal(histogram_find(histogram, 1.0), 101);
    memory_free(histogram);
}

static void holds_anything(void **state)
{
    struct histogram *histogram = memory_must_alloc_zero(1, sizeof(*histogram));

    (void)state;
    assert_int_equal(histogram_find(histogram, 0.5), 0);
    histogram_add(histogram, 0);
    histogram_add(histogram, UINT64_MAX);
    assert_int_equal(histogram->total, 2);
    assert_int_equal(histogram->max, UINT64_MAX);
    assert_int_equal(histogram_find(histogram, 0.1), 1);
    memory_free(histogram);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_quantiles),
        cmocka_unit_test(keeps_small_values_apart),
        cmocka_unit_test(holds_anything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
