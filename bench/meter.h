#pragma once

/*
 * Meter
 *
 * What a process has used: CPU time in nanoseconds (the scheduler's own sum, over all its threads),
 * the split into user and kernel time (the kernel's estimate, in steps of a tick), and memory.
 */

#include "base/base.h"

#include <sys/types.h>

struct meter {
    uint64_t at_ns;
    uint64_t cpu_ns; /* of the process that is measured; 0 without one */
    uint64_t user_ticks;
    uint64_t kernel_ticks;
    uint64_t own_ns; /* CPU time of the generator itself */
};

/* What lies between two readings. */
struct meter_span {
    double seconds;
    double cpu_us;
    double user_us;
    double kernel_us;
    double own_share; /* of one CPU */
};

/* `pid` 0: only the generator itself. */
void meter_read(pid_t pid, struct meter *meter_out);
struct meter_span meter_between(const struct meter *from, const struct meter *to);

uint64_t meter_resident_bytes(pid_t pid);
