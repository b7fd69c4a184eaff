#pragma once

/*
 * Meter
 *
 * What a process has used: CPU time in nanoseconds (the scheduler's own sum, over all its threads),
 * the split into user and kernel time (the kernel's estimate, in steps of a tick), and memory.
 */

#include "base/base.h"

#include <sys/types.h>

#define METER_THREADS 64 /* more are not told apart */

struct meter_thread {
    int id;
    uint64_t cpu_ns;
};

struct meter {
    uint64_t at_ns;
    uint64_t cpu_ns; /* of the process that is measured; 0 without one */
    struct meter_thread threads[METER_THREADS];
    unsigned thread_len;
    uint64_t sleeps; /* times that a thread of it waited, and so was woken */
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
    double sleeps;
    double own_share;     /* of one CPU */
    double busiest_share; /* what the thread that used most had of `cpu_us` */
};

/* `pid` 0: only the generator itself. */
void meter_read(pid_t pid, struct meter *meter_out);
struct meter_span meter_between(const struct meter *from, const struct meter *to);

uint64_t meter_resident_bytes(pid_t pid);
