#include "sim/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *run_name = "this run";
static bool is_tracing;

void sim_name_run(const char *name)
{
    run_name = name;
}

void sim_fail(const char *format, ...)
{
    va_list arguments;

    fflush(stdout);
    fprintf(stderr, "%s: ", run_name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    abort();
}

void sim_trace_on(void)
{
    is_tracing = true;
    setvbuf(stdout, NULL, _IOLBF, 0);
}

bool sim_is_tracing(void)
{
    return is_tracing;
}

void sim_print(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}
