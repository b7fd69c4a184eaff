#include "app/signals.h"
#include "base/test.h"
#include "loop/clock.h"

#include <unistd.h>

static void send(int number)
{
    assert_int_equal(kill(getpid(), number), 0);
}

static void test_each_signal_comes(void **state)
{
    const int numbers[] = {SIGHUP,        SIGUSR1,        SIGUSR2, SIGRTMIN,
                           SIGNALS_DRAIN, SIGNALS_ANSWER, SIGTERM, SIGINT};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        struct signals signals = {0};

        send(numbers[i]);
        assert_int_equal(signals_wait(&signals, UINT64_MAX), numbers[i]);
    }
}

static void test_the_time_runs_out(void **state)
{
    struct signals signals = {0};
    uint64_t begun = clock_now_ms();

    (void)state;
    assert_int_equal(signals_wait(&signals, begun + 20), 0);
    assert_true(clock_now_ms() >= begun + 20);
    assert_int_equal(signals_wait(&signals, 0), 0);
}

/* However often it was sent meanwhile: once, and again only after a rest. */
static void test_a_storm_is_one_signal_at_a_time(void **state)
{
    const int numbers[] = {SIGUSR1, SIGRTMIN, SIGNALS_DRAIN};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        struct signals signals = {0};
        uint64_t begun = clock_now_ms();

        for (unsigned sent = 0; sent < 100; sent++) {
            send(numbers[i]);
        }
        assert_int_equal(signals_wait(&signals, UINT64_MAX), numbers[i]);
        assert_int_equal(signals_wait(&signals, 0), 0);
        send(numbers[i]);
        assert_int_equal(signals_wait(&signals, UINT64_MAX), numbers[i]);
        assert_true(clock_now_ms() >= begun + 100);
    }
}

static void test_the_end_is_never_delayed(void **state)
{
    struct signals signals = {0};

    (void)state;
    send(SIGHUP);
    assert_int_equal(signals_wait(&signals, UINT64_MAX), SIGHUP);
    signals.rest_until_ms = UINT64_MAX;
    send(SIGUSR1);
    send(SIGNALS_ANSWER);
    assert_int_equal(signals_wait(&signals, UINT64_MAX), SIGNALS_ANSWER);
    send(SIGTERM);
    assert_int_equal(signals_wait(&signals, UINT64_MAX), SIGTERM);
    signals.rest_until_ms = 0;
    assert_int_equal(signals_wait(&signals, UINT64_MAX), SIGUSR1);
}

/* What means nothing wakes nobody; what tells of a fault or a terminal is not kept back. */
static void test_which_are_blocked(void **state)
{
    struct signals signals = {0};
    sigset_t blocked;

    (void)state;
    send(SIGWINCH);
    send(SIGALRM);
    send(SIGPIPE);
    assert_int_equal(signals_wait(&signals, clock_now_ms() + 5), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    assert_int_equal(sigismember(&blocked, SIGUSR1), 1);
    assert_int_equal(sigismember(&blocked, SIGSEGV), 0);
    assert_int_equal(sigismember(&blocked, SIGQUIT), 0);
    assert_int_equal(sigismember(&blocked, SIGTSTP), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_signal_comes),
        cmocka_unit_test(test_the_time_runs_out),
        cmocka_unit_test(test_a_storm_is_one_signal_at_a_time),
        cmocka_unit_test(test_the_end_is_never_delayed),
        cmocka_unit_test(test_which_are_blocked),
    };

    signals_block();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
