#include "app/signals.h"

#include "loop/clock.h"

#include <limits.h>
#include <time.h>
#include <unistd.h>

#define REST_MS 100

/* The kernel queues each real-time signal; more than this are left for the next time. */
#define DRAIN_MAX 4096

void signals_block(void)
{
    static const int open[] = {SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGABRT, SIGTRAP,
                               SIGSYS,  SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU};
    sigset_t set;

    sigfillset(&set);
    for (size_t i = 0; i < ARRAY_LEN(open); i++) {
        sigdelset(&set, open[i]);
    }
    pthread_sigmask(SIG_SETMASK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

void signals_answer(void)
{
    kill(getpid(), SIGNALS_ANSWER);
}

static sigset_t make_set(bool is_resting)
{
    const int further[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGRTMIN, SIGNALS_DRAIN};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGNALS_ANSWER);
    for (size_t i = 0; !is_resting && i < ARRAY_LEN(further); i++) {
        sigaddset(&set, further[i]);
    }
    return set;
}

/* One of the set, or 0 when the time is over. */
static int wait_for(const sigset_t *set, uint64_t deadline_ms)
{
    for (;;) {
        uint64_t now_ms = clock_now_ms();
        uint64_t wait_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
        struct timespec wait = {.tv_sec = (time_t)MIN(wait_ms / 1000, (uint64_t)INT_MAX),
                                .tv_nsec = (long)(wait_ms % 1000) * 1000000};
        int number = sigtimedwait(set, NULL, &wait);

        if (number > 0 || (errno == EAGAIN && wait_ms == 0)) {
            return MAX(number, 0);
        }
    }
}

static void drain(int number)
{
    static const struct timespec now = {0};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, number);
    for (unsigned i = 0; i < DRAIN_MAX && sigtimedwait(&set, NULL, &now) > 0; i++) {
    }
}

int signals_wait(struct signals *signals, uint64_t deadline_ms)
{
    sigset_t urgent = make_set(true);
    sigset_t all = make_set(false);
    int number = 0;

    if (clock_now_ms() < signals->rest_until_ms) {
        number = wait_for(&urgent, MIN(signals->rest_until_ms, deadline_ms));
        if (number > 0 || clock_now_ms() >= deadline_ms) {
            return number;
        }
    }
    number = wait_for(&all, deadline_ms);
    if (number > 0 && sigismember(&urgent, number) == 0) {
        signals->rest_until_ms = clock_now_ms() + REST_MS;
        drain(number);
    }
    return number;
}
