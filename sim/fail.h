#pragma once

/*
 * Fail
 *
 * The end of a run that found something: says what and ends the process. Also the trace of a run
 * that is watched.
 */

#include "base/base.h"

/* What a failure names itself by: "seed 17", "this input". Borrowed. */
void sim_name_run(const char *name);

/* Prints the name of the run and the text, and aborts. */
NO_RETURN void sim_fail(const char *format, ...) PRINTF_LIKE(1, 2);

void sim_trace_on(void);
bool sim_is_tracing(void);

/* One line of the trace, when somebody watches. */
#define sim_trace(...)              \
    do {                            \
        if (sim_is_tracing()) {     \
            sim_print(__VA_ARGS__); \
        }                           \
    } while (0)

void sim_print(const char *format, ...) PRINTF_LIKE(1, 2);
