#include "base/test.h"
#include "loop/busy.h"

/* So many seconds of ten iterations each, of which the worker sleeps a part. */
static uint64_t live(struct busy *busy, uint64_t now_ms, unsigned seconds, unsigned slept_of_100)
{
    for (unsigned i = 0; i < seconds * 10; i++) {
        now_ms += 100;
        busy_begin(busy, now_ms, slept_of_100);
    }
    return now_ms;
}

static void test_the_average_follows(void **state)
{
    struct busy busy = {0};
    uint64_t now_ms = 1;

    (void)state;
    now_ms = live(&busy, now_ms, 20, 100);
    assert_int_equal(busy_permille(&busy), 0);
    now_ms = live(&busy, now_ms, 2, 0);
    assert_in_range(busy_permille(&busy), 200, 500);
    now_ms = live(&busy, now_ms, 30, 0);
    assert_in_range(busy_permille(&busy), 990, 1000);
    now_ms = live(&busy, now_ms, 30, 60);
    assert_in_range(busy_permille(&busy), 390, 410);
    live(&busy, now_ms, 30, 100);
    assert_in_range(busy_permille(&busy), 0, 3);
}

/* Woken late, a worker may have slept longer than it thinks that time has passed. */
static void test_sleep_is_no_more_than_time(void **state)
{
    struct busy busy = {0};

    (void)state;
    busy_begin(&busy, 5000, 4000);
    assert_int_equal(busy_permille(&busy), 0);
    busy_begin(&busy, 6000, 1001);
    assert_int_equal(busy_permille(&busy), 0);
    busy_begin(&busy, 8000, 0);
    assert_int_equal(busy_permille(&busy), 250);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_average_follows),
        cmocka_unit_test(test_sleep_is_no_more_than_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
