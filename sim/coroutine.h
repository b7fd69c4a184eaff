#pragma once

/*
 * Coroutine
 *
 * A function with a stack of its own that can stop in its middle and go on later, on the one thread
 * of the simulator. Stacks end in a guard page, and switches are announced to the sanitizers.
 */

#include "base/base.h"

struct coroutine;

typedef void (*coroutine_fn)(void *context);

/* Ends the process without memory. Nothing runs yet. */
struct coroutine *coroutine_new(coroutine_fn function, void *context);

/* Its function must have returned, or must never be gone on with. */
struct coroutine *coroutine_free(struct coroutine *coroutine);

/* From outside of any coroutine: runs it up to its next coroutine_yield() or its end. */
void coroutine_resume(struct coroutine *coroutine);

/* From inside: back to whoever called coroutine_resume(). */
void coroutine_yield(void);

bool coroutine_is_done(const struct coroutine *coroutine);

/* The one that runs; NULL outside of all. */
struct coroutine *coroutine_current(void);
