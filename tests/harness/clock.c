/*
 * Clocks that a scenario moves: loaded into the broker with LD_PRELOAD. The file that
 * NIGHTJAR_TESTS_CLOCK names holds two numbers of 64 bits, the seconds by which the wall clock and
 * the steady clock are ahead of the kernel's.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *ahead;

__attribute__((constructor)) static void map(void)
{
    const char *path = getenv("NIGHTJAR_TESTS_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *memory = fd >= 0 ? mmap(NULL, 16, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

    if (memory == MAP_FAILED) {
        abort();
    }
    ahead = memory;
    close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int r = (int)syscall(SYS_clock_gettime, clock, now);

    if (r == 0 && ahead && (clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC)) {
        now->tv_sec += ahead[clock == CLOCK_MONOTONIC];
    }
    return r;
}

time_t time(time_t *now_out)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (now_out) {
        *now_out = now.tv_sec;
    }
    return now.tv_sec;
}
