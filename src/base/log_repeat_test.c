#include "base/log_repeat.h"
#include "base/test.h"

static struct log_repeat repeat;

static int setup(void **state)
{
    (void)state;
    repeat = (struct log_repeat){0};
    return 0;
}

/* The n-th line of a second passes up to the limit. */
static void so_many_pass_in_a_second(void **state)
{
    (void)state;
    for (uint32_t second = 100; second < 103; second++) {
        for (unsigned n = 1; n <= 10; n++) {
            struct log_repeat_answer answer = log_repeat_take(&repeat, second, 4);

            assert_int_equal(answer.is_let_through, n <= 4);
            assert_int_equal(answer.is_first_left_out, n == 5);
            assert_int_equal(answer.left_out, n == 1 && second > 100 ? 6 : 0);
            assert_int_equal(log_repeat_is_pending(&repeat, 4), n > 4);
        }
    }
}

static void what_was_left_out_is_told_of_once(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 10; n++) {
        assert_int_equal(log_repeat_take(&repeat, 100, 4).left_out, 0);
    }
    assert_int_equal(log_repeat_flush(&repeat, 100, 4), 0);
    assert_int_equal(log_repeat_flush(&repeat, 101, 4), 6);
    assert_int_equal(log_repeat_flush(&repeat, 102, 4), 0);
    assert_false(log_repeat_is_pending(&repeat, 4));
    assert_int_equal(log_repeat_take(&repeat, 103, 4).left_out, 0);
}

static void below_the_limit_nothing_is_told(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 4; n++) {
        assert_true(log_repeat_take(&repeat, 100, 4).is_let_through);
    }
    assert_int_equal(log_repeat_flush(&repeat, 101, 4), 0);
    assert_int_equal(log_repeat_take(&repeat, 101, 4).left_out, 0);
}

static void the_count_stops_before_it_is_full(void **state)
{
    (void)state;
    atomic_store(&repeat.state, UINT64_C(100) << 32 | UINT32_MAX);
    assert_false(log_repeat_take(&repeat, 100, 4).is_let_through);
    assert_int_equal(log_repeat_take(&repeat, 101, 4).left_out, UINT32_MAX - 4);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(so_many_pass_in_a_second, setup),
        cmocka_unit_test_setup(what_was_left_out_is_told_of_once, setup),
        cmocka_unit_test_setup(below_the_limit_nothing_is_told, setup),
        cmocka_unit_test_setup(the_count_stops_before_it_is_full, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
