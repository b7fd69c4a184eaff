#include "loop/clock.h"

#include <time.h>

uint64_t clock_now_ms(void)
{
    struct timespec now;
    int r = clock_gettime(CLOCK_MONOTONIC, &now);

    assert(r == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 + 1;
}
