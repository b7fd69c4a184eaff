#pragma once

/*
 * Busy
 *
 * How much of its time a worker is awake, as an average over the last seconds: what a load balancer
 * may want to know. Costs a worker nothing but a few additions in each iteration.
 */

#include "base/base.h"

#include <stdatomic.h>

/* Owner: its worker; any thread may read `permille`. */
struct busy {
    uint64_t since_ms; /* what follows is of the time from here on; 0: never asked */
    uint64_t slept_ms;
    _Atomic uint32_t permille;
};

/* An iteration begins, after a sleep of so long. */
void busy_begin(struct busy *busy, uint64_t now_ms, uint64_t slept_ms);

/* Any thread. */
static inline uint32_t busy_permille(const struct busy *busy)
{
    return atomic_load_explicit(&busy->permille, memory_order_relaxed);
}
