#pragma once

/*
 * Scheduler
 *
 * Runs the workers of one server as coroutines of one thread. At each marked point (base/point.h)
 * it decides by chance whether the worker goes on or another one does; some workers are held up for
 * long, some points are favourites of a run. It also keeps the virtual time, which moves only when
 * it is told to, and counts what happens.
 */

#include "sim/choice.h"

#define SCHEDULER_CAP 16

struct scheduler_params {
    struct choice *choice;
    unsigned switch_permille; /* of the points, where somebody else may run next */
    unsigned stall_permille;  /* of these, where the worker is held up for long */
    unsigned hold_permille;   /* the same at favourite points; more than a few make no progress */
    uint64_t step_max;        /* a run that takes more switches is stuck */
};

typedef void (*scheduler_fn)(void *context, unsigned number);
typedef bool (*scheduler_ready_fn)(void *context);

/* No deadline. */
#define SCHEDULER_NEVER UINT64_MAX

void scheduler_start(const struct scheduler_params *params);

/* All functions must have returned. */
void scheduler_end(void);

void scheduler_spawn(scheduler_fn function, void *context);

/* Runs one worker up to its next stop. False: all are parked, and nothing that they wait for is. */
bool scheduler_step(void);

/* The same, but also false when all that could run are held up. */
bool scheduler_try(void);

/* Whether scheduler_step() would run somebody. */
bool scheduler_can_step(void);

/* Whether every function has returned. */
bool scheduler_is_over(void);

/* From inside a worker: somebody else may run here. */
void scheduler_point(const char *name);

/* The same, and for certain: a worker that turns round and round must let others go on. */
void scheduler_yield(const char *name);

/* Parks the worker until `is_ready` holds or the time is `deadline_ms`. From outside of any worker
 * it runs others until then. */
void scheduler_wait(const char *name, scheduler_ready_fn is_ready, void *context,
                    uint64_t deadline_ms);

/* The number of the worker that runs; -1 outside of all. */
int scheduler_current(void);

uint64_t scheduler_now_ms(void);
void scheduler_advance(uint64_t ms);

/* The earliest deadline of those who wait; SCHEDULER_NEVER. */
uint64_t scheduler_deadline(void);

uint64_t scheduler_steps(void);

struct choice *scheduler_choice(void);
