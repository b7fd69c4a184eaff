#pragma once

/*
 * Point, as the simulator has it
 *
 * Found before src/base/point.h on the include path: at each marked place the scheduler decides
 * whether this worker goes on or another one.
 */

void sim_point(const char *name);

static inline void point(const char *name)
{
    sim_point(name);
}
