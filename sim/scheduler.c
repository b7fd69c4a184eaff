#include "sim/scheduler.h"

#include "base/owner.h"
#include "sim/coroutine.h"
#include "sim/fail.h"

#include <stdlib.h>
#include <string.h>

/*
 * Each worker has a weight with which it is drawn, and the weights are drawn anew from time to
 * time: so one worker may be slow while the others do a lot. At some points a worker is held up: it
 * stands still for some or many steps, which finds the races that need one worker to wait at one
 * place for long. Every run has favourite points, a part of all names, where that happens often.
 */

#define START_MS     UINT64_C(1000000)
#define FAVOURITE_OF 8

struct task {
    struct coroutine *coroutine;
    scheduler_fn function;
    void *context;
    unsigned number;
    unsigned weight;
    uint64_t held_until; /* step */
    struct owner *owner; /* owner_self while it does not run */
    const char *where;
    scheduler_ready_fn is_ready; /* NULL: it can run */
    void *ready_context;
    uint64_t deadline_ms;
};

struct scheduler {
    struct scheduler_params params;
    struct task tasks[SCHEDULER_CAP];
    unsigned len;
    struct task *current;
    uint64_t now_ms;
    uint64_t steps;
    uint32_t salt;
};

static struct scheduler self;

void scheduler_start(const struct scheduler_params *params)
{
    memset(&self, 0, sizeof(self));
    self.params = *params;
    self.now_ms = START_MS;
    self.salt = (uint32_t)choice_next(params->choice);
}

void scheduler_end(void)
{
    for (unsigned i = 0; i < self.len; i++) {
        assert(coroutine_is_done(self.tasks[i].coroutine));
        self.tasks[i].coroutine = coroutine_free(self.tasks[i].coroutine);
    }
    self.len = 0;
}

static void run_task(void *context)
{
    struct task *task = context;

    task->function(task->context, task->number);
}

void scheduler_spawn(scheduler_fn function, void *context)
{
    struct task *task = &self.tasks[self.len];

    assert(self.len < SCHEDULER_CAP);
    *task = (struct task){
        .function = function,
        .context = context,
        .number = self.len++,
        .weight = 4,
        .where = "start",
    };
    task->coroutine = coroutine_new(run_task, task);
}

static bool can_run(struct task *task)
{
    return !coroutine_is_done(task->coroutine) &&
           (!task->is_ready || self.now_ms >= task->deadline_ms ||
            task->is_ready(task->ready_context));
}

bool scheduler_can_step(void)
{
    for (unsigned i = 0; i < self.len; i++) {
        if (can_run(&self.tasks[i])) {
            return true;
        }
    }
    return false;
}

static unsigned draw_weight(void)
{
    static const unsigned weights[] = {1, 2, 4, 16};

    return weights[choice_below(self.params.choice, ARRAY_LEN(weights))];
}

static unsigned draw_hold(void)
{
    static const unsigned steps[] = {20, 100, 500, 2000};

    return choice_below(self.params.choice, steps[choice_below(self.params.choice, 4)]);
}

/* One of those that can run and are not held up, or one of all that can run; NULL. */
static struct task *draw_task(bool with_held)
{
    unsigned weights[SCHEDULER_CAP] = {0};
    unsigned sum = 0;

    for (unsigned i = 0; i < self.len; i++) {
        struct task *task = &self.tasks[i];

        if (can_run(task) && (with_held || self.steps >= task->held_until)) {
            weights[i] = task->weight;
            sum += task->weight;
        }
    }
    return sum == 0 ? NULL : &self.tasks[choice_weighted(self.params.choice, weights, self.len)];
}

static void run_until_stop(struct task *task)
{
    struct owner *outside = owner_self;

    task->is_ready = NULL;
    self.current = task;
    owner_self = task->owner;
    coroutine_resume(task->coroutine);
    task->owner = owner_self;
    owner_self = outside;
    self.current = NULL;
}

static bool step(bool with_held)
{
    struct task *task;

    assert(!self.current);
    if (choice_chance(self.params.choice, 20)) {
        self.tasks[choice_below(self.params.choice, self.len)].weight = draw_weight();
    }
    task = draw_task(false);
    if (!task && with_held) {
        task = draw_task(true);
    }
    if (!task) {
        self.steps++;
        return false;
    }
    if (++self.steps > self.params.step_max) {
        sim_fail("still busy after %llu switches: livelock? (worker %u at \"%s\")",
                 (unsigned long long)self.params.step_max, task->number, task->where);
    }
    run_until_stop(task);
    return true;
}

bool scheduler_step(void)
{
    return step(true);
}

bool scheduler_try(void)
{
    return step(false);
}

bool scheduler_is_over(void)
{
    for (unsigned i = 0; i < self.len; i++) {
        if (!coroutine_is_done(self.tasks[i].coroutine)) {
            return false;
        }
    }
    return true;
}

/* By its text, not its address, which is another one in the next process. */
static bool is_favourite(const char *name)
{
    uint32_t hash = self.salt;

    for (; *name; name++) {
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    }
    return (hash >> 16) % FAVOURITE_OF == 0;
}

static void stop_at(struct task *task, const char *name, unsigned stall_permille)
{
    task->where = name;
    if (choice_chance(self.params.choice, stall_permille)) {
        task->held_until = self.steps + draw_hold();
    }
    sim_trace("  worker %u stops at \"%s\"%s", task->number, name,
              task->held_until > self.steps ? " for long" : "");
    coroutine_yield();
    sim_trace("  worker %u goes on from \"%s\"", task->number, name);
}

void scheduler_point(const char *name)
{
    struct task *task = self.current;

    if (!task) {
        return;
    }
    if (is_favourite(name)) {
        stop_at(task, name, self.params.hold_permille);
    } else if (choice_chance(self.params.choice, self.params.switch_permille)) {
        stop_at(task, name, self.params.stall_permille);
    }
}

void scheduler_yield(const char *name)
{
    if (self.current) {
        stop_at(self.current, name, 0);
    }
}

void sim_point(const char *name);

void sim_point(const char *name)
{
    scheduler_point(name);
}

void scheduler_wait(const char *name, scheduler_ready_fn is_ready, void *context,
                    uint64_t deadline_ms)
{
    struct task *task = self.current;

    if (!task) {
        while (!is_ready(context) && self.now_ms < deadline_ms) {
            if (!scheduler_step()) {
                sim_fail("deadlock: main waits at \"%s\" and nobody can run", name);
            }
        }
        return;
    }
    task->where = name;
    task->ready_context = context;
    task->deadline_ms = deadline_ms;
    task->is_ready = is_ready;
    sim_trace("  worker %u waits at \"%s\"", task->number, name);
    coroutine_yield();
    sim_trace("  worker %u goes on from \"%s\"", task->number, name);
}

int scheduler_current(void)
{
    return self.current ? (int)self.current->number : -1;
}

uint64_t scheduler_now_ms(void)
{
    return self.now_ms;
}

void scheduler_advance(uint64_t ms)
{
    self.now_ms += ms;
    sim_trace("time is %llu ms", (unsigned long long)(self.now_ms - START_MS));
}

uint64_t scheduler_deadline(void)
{
    uint64_t deadline = SCHEDULER_NEVER;

    for (unsigned i = 0; i < self.len; i++) {
        if (!coroutine_is_done(self.tasks[i].coroutine) && self.tasks[i].is_ready) {
            deadline = MIN(deadline, self.tasks[i].deadline_ms);
        }
    }
    return deadline;
}

uint64_t scheduler_steps(void)
{
    return self.steps;
}

struct choice *scheduler_choice(void)
{
    return self.params.choice;
}
