#pragma once

/*
 * Stress
 *
 * Threads that run against each other for a while. A watchdog makes a hang a failure; so does every
 * assertion, on whichever thread.
 */

#include "base/random_test.h"
#include "base/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define STRESS_MS       2000
#define STRESS_LIMIT_S  20
#define STRESS_TASK_CAP 8

static inline UNUSED uint64_t stress_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* One thread: `run` is called with its number, from 0. */
struct stress_task {
    void (*run)(unsigned number);
    unsigned number;
    pthread_t thread;
};

static inline UNUSED void *stress_begin(void *argument)
{
    struct stress_task *task = argument;

    task->run(task->number);
    return NULL;
}

/* Runs all at once until each has returned. The alarm's default action ends the process. */
static inline UNUSED void stress_run(struct stress_task *tasks, unsigned len)
{
    alarm(STRESS_LIMIT_S);
    for (unsigned i = 0; i < len; i++) {
        assert_int_equal(pthread_create(&tasks[i].thread, NULL, stress_begin, &tasks[i]), 0);
    }
    for (unsigned i = 0; i < len; i++) {
        assert_int_equal(pthread_join(tasks[i].thread, NULL), 0);
    }
    alarm(0);
}

/*
 * Stores to memory far away keep the next store waiting in the processor while loads behind it are
 * done already, unless a fence stands in between. No sanitizer sees a missing fence; this does.
 */
#define STRESS_FAR_LEN (4u << 20)

static inline UNUSED uint64_t *stress_far_new(void)
{
    return memory_must_alloc_zero(STRESS_FAR_LEN, sizeof(uint64_t));
}

static inline UNUSED void stress_far_store(uint64_t *far, struct dice *dice)
{
    for (unsigned i = 0; i < 30; i++) {
        far[dice_below(dice, STRESS_FAR_LEN)] = i;
    }
}

static inline UNUSED void stress_spin(unsigned turns)
{
    while (turns-- > 0) {
        __asm__ volatile("" ::: "memory");
    }
}
