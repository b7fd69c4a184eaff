#include "app/sys_load.h"

#include <math.h>

#define MINUTE_MS 60000.0

static const double periods_ms[SYS_LOAD_LEN] = {MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS};

const char *const sys_load_names[SYS_LOAD_LEN] = {"1min", "5min", "15min"};

/* However long the time was: a rate that stays the same for it draws the average by the same part.
 */
void sys_load_update(struct sys_load *load, uint64_t count, uint64_t passed_ms)
{
    double passed = (double)passed_ms;
    double per_minute = (double)(count - load->count) * MINUTE_MS / passed;

    assert(passed_ms > 0 && count >= load->count);
    for (unsigned i = 0; i < SYS_LOAD_LEN; i++) {
        double left = exp(-passed / periods_ms[i]);

        load->averages[i] = per_minute + left * (load->averages[i] - per_minute);
    }
    load->count = count;
}

uint64_t sys_wait_ms(uint64_t wall_ms, unsigned interval_s)
{
    uint64_t interval_ms = (uint64_t)interval_s * 1000;

    assert(interval_s > 0);
    return interval_ms - wall_ms % interval_ms;
}
