#include "sim/coroutine.h"

#include "sim/fail.h"
#include "sim/sanitizer.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

/*
 * Stacks are kept for the next run: making one costs more than many switches. `uc_stack` is emptied
 * behind makecontext(), or the address sanitizer would clear the shadow of the whole stack at every
 * switch.
 */

#define STACK_SIZE ((size_t)256 * 1024)
#define GUARD_SIZE ((size_t)4096)
#define SPARE_CAP  16

struct coroutine {
    ucontext_t context;
    void *stack; /* begins with the guard page */
    coroutine_fn function;
    void *argument;
    void *fake_stack; /* address sanitizer */
    void *fiber;      /* thread sanitizer */
    bool is_done;
};

/* The simulator has one thread. */
static struct coroutine *current;
static ucontext_t outside;
static void *outside_fake_stack;
static void *outside_fiber;
static const void *outside_bottom;
static size_t outside_size;
static void *spare_stacks[SPARE_CAP];
static unsigned spare_len;

static void *stack_new(void)
{
    void *stack;

    if (spare_len > 0) {
        return spare_stacks[--spare_len];
    }
    stack = mmap(NULL, STACK_SIZE + GUARD_SIZE, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED || mprotect(stack, GUARD_SIZE, PROT_NONE) < 0) {
        sim_fail("no memory for a stack");
    }
    return stack;
}

static uint8_t *stack_bottom(const struct coroutine *coroutine)
{
    return (uint8_t *)coroutine->stack + GUARD_SIZE;
}

static void stack_free(struct coroutine *coroutine)
{
    if (__asan_unpoison_memory_region) {
        __asan_unpoison_memory_region(stack_bottom(coroutine), STACK_SIZE);
    }
    if (spare_len < SPARE_CAP) {
        spare_stacks[spare_len++] = coroutine->stack;
    } else {
        munmap(coroutine->stack, STACK_SIZE + GUARD_SIZE);
    }
}

static void leave_current(bool for_ever)
{
    struct coroutine *coroutine = current;

    if (__sanitizer_start_switch_fiber) {
        __sanitizer_start_switch_fiber(for_ever ? NULL : &coroutine->fake_stack, outside_bottom,
                                       outside_size);
    }
    if (__tsan_switch_to_fiber) {
        __tsan_switch_to_fiber(outside_fiber, 0);
    }
    swapcontext(&coroutine->context, &outside);
}

static void enter_current(void *fake_stack)
{
    if (__sanitizer_finish_switch_fiber) {
        __sanitizer_finish_switch_fiber(fake_stack, &outside_bottom, &outside_size);
    }
}

static void run(void)
{
    enter_current(NULL);
    current->function(current->argument);
    current->is_done = true;
    leave_current(true);
}

struct coroutine *coroutine_new(coroutine_fn function, void *context)
{
    struct coroutine *coroutine = calloc(1, sizeof(*coroutine));

    if (!coroutine) {
        sim_fail("no memory for a coroutine");
    }
    coroutine->stack = stack_new();
    coroutine->function = function;
    coroutine->argument = context;
    coroutine->fiber = __tsan_create_fiber ? __tsan_create_fiber(0) : NULL;
    getcontext(&coroutine->context);
    coroutine->context.uc_stack.ss_sp = stack_bottom(coroutine);
    coroutine->context.uc_stack.ss_size = STACK_SIZE;
    coroutine->context.uc_link = NULL;
    makecontext(&coroutine->context, run, 0);
    coroutine->context.uc_stack.ss_size = 0;
    return coroutine;
}

struct coroutine *coroutine_free(struct coroutine *coroutine)
{
    if (coroutine) {
        assert(coroutine != current);
        if (__tsan_destroy_fiber) {
            __tsan_destroy_fiber(coroutine->fiber);
        }
        stack_free(coroutine);
        free(coroutine);
    }
    return NULL;
}

void coroutine_resume(struct coroutine *coroutine)
{
    assert(!current && !coroutine->is_done);

    current = coroutine;
    if (__sanitizer_start_switch_fiber) {
        __sanitizer_start_switch_fiber(&outside_fake_stack, stack_bottom(coroutine), STACK_SIZE);
    }
    if (__tsan_switch_to_fiber) {
        outside_fiber = __tsan_get_current_fiber();
        __tsan_switch_to_fiber(coroutine->fiber, 0);
    }
    swapcontext(&outside, &coroutine->context);
    if (__sanitizer_finish_switch_fiber) {
        __sanitizer_finish_switch_fiber(outside_fake_stack, NULL, NULL);
    }
    current = NULL;
}

void coroutine_yield(void)
{
    struct coroutine *coroutine = current;

    assert(coroutine);
    leave_current(false);
    enter_current(coroutine->fake_stack);
}

bool coroutine_is_done(const struct coroutine *coroutine)
{
    return coroutine->is_done;
}

struct coroutine *coroutine_current(void)
{
    return current;
}
