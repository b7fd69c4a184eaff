#include "loop/clock.h"

#include "sim/scheduler.h"

/* Virtual: stands still until the run moves it. */
uint64_t clock_now_ms(void)
{
    return scheduler_now_ms();
}

/* As many as have passed, from a moment in 2026 on. */
uint64_t clock_wall_ms(void)
{
    return UINT64_C(1767225600000) + scheduler_now_ms();
}
