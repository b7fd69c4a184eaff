#pragma once

/*
 * Owner
 *
 * Who the current thread is: the worker whose objects it may touch, and the ranks of the locks that
 * it holds. Every thread that calls into `core`, `loop` or `client` sets owner_self once, at its
 * start. The simulator sets it at every switch.
 */

#include "base/base.h"

struct metrics;
struct rcu_reader;

/* Not a worker: main, and threads that serve no connections. */
#define OWNER_NOBODY (-1)

/* Owner: its thread. */
struct owner {
    int worker;                /* number of the worker, or OWNER_NOBODY */
    unsigned held_ranks;       /* bit 1 << enum lock_rank */
    struct rcu_reader *reader; /* its read side; NULL when it never reads shared trees */
    struct metrics *metrics;   /* its numbers; NULL when it counts nothing */
};

extern _Thread_local struct owner *owner_self;

/* Entry points of worker-owned objects begin with this. */
#define assert_owner(worker_number) assert(owner_self && owner_self->worker == (int)(worker_number))
