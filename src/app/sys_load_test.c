#include "app/sys_load.h"
#include "base/test.h"

#include <math.h>

static void expect(const struct sys_load *load, double one, double five, double fifteen)
{
    const double wanted[] = {one, five, fifteen};

    for (unsigned i = 0; i < SYS_LOAD_LEN; i++) {
        if (fabs(load->averages[i] - wanted[i]) > 0.005) {
            fail_msg("%s is %f, not %f", sys_load_names[i], load->averages[i], wanted[i]);
        }
    }
}

/* 100 a minute for a minute, in one step or in many: 100 * (1 - 1/e), and so on. */
static void test_a_known_rate(void **state)
{
    struct sys_load once = {.count = 40};
    struct sys_load often = {0};

    (void)state;
    sys_load_update(&once, 140, 60000);
    for (unsigned i = 1; i <= 20; i++) {
        sys_load_update(&often, i * 5, 3000);
    }
    expect(&once, 63.212, 18.127, 6.449);
    expect(&often, 63.212, 18.127, 6.449);
    assert_int_equal(once.count, 140);
}

/* An hour of 6 a minute is 6, and a minute of silence takes it away again. */
static void test_it_settles_and_fades(void **state)
{
    struct sys_load load = {0};

    (void)state;
    for (unsigned i = 1; i <= 360; i++) {
        sys_load_update(&load, i, 10000);
    }
    expect(&load, 6, 6, 5.89);
    sys_load_update(&load, 360, 60000);
    expect(&load, 2.207, 4.912, 5.51);
}

static void test_intervals_begin_at_multiples(void **state)
{
    (void)state;
    assert_int_equal(sys_wait_ms(0, 10), 10000);
    assert_int_equal(sys_wait_ms(1, 10), 9999);
    assert_int_equal(sys_wait_ms(1795884879022, 3), 2978);
    assert_int_equal(sys_wait_ms(1795884879999, 1), 1);
    assert_int_equal(sys_wait_ms(UINT64_C(65535) * 1000 * 7, 65535), UINT64_C(65535) * 1000);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_known_rate),
        cmocka_unit_test(test_it_settles_and_fades),
        cmocka_unit_test(test_intervals_begin_at_multiples),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
