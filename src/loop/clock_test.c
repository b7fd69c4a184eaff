#include "base/test.h"
#include "loop/clock.h"

#include <time.h>
#include <unistd.h>

static uint64_t kernel_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Never 0, not even in the first millisecond: one more than the kernel says. */
static void follows_the_kernel(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t before = kernel_ms();
        uint64_t now = clock_now_ms();

        assert_in_range(now, before + 1, kernel_ms() + 1);
    }
}

static void goes_on(void **state)
{
    uint64_t before = clock_now_ms();

    (void)state;
    usleep(5000);
    assert_true(clock_now_ms() >= before + 5);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_kernel),
        cmocka_unit_test(goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
