#include "loop/clock.h"

#include "sim/scheduler.h"

/* Virtual: stands still until the run moves it. */
uint64_t clock_now_ms(void)
{
    return scheduler_now_ms();
}
