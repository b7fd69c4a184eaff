#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local unsigned long fail_countdown;

static bool is_failing(void)
{
    return unlikely(fail_countdown != 0) && --fail_countdown == 0;
}

void *memory_alloc(size_t size)
{
    return is_failing() ? NULL : malloc(size);
}

void *memory_alloc_zero(size_t count, size_t size)
{
    return is_failing() ? NULL : calloc(count, size);
}

void *memory_resize(void *memory, size_t size)
{
    return is_failing() ? NULL : realloc(memory, size);
}

char *memory_copy_text(const char *text)
{
    return is_failing() ? NULL : strdup(text);
}

void *memory_free(void *memory)
{
    free(memory);
    return NULL;
}

static void *aligned_zero(size_t size)
{
    size_t rounded = (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    void *memory = rounded >= size ? aligned_alloc(CACHE_LINE, rounded) : NULL;

    return memory ? memset(memory, 0, rounded) : NULL;
}

void *memory_alloc_aligned(size_t size)
{
    return is_failing() ? NULL : aligned_zero(size);
}

static void *must_have(void *memory)
{
    if (!memory) {
        fputs("Error: Out of memory.\n", stderr);
        exit(1);
    }
    return memory;
}

void *memory_must_alloc(size_t size)
{
    return must_have(malloc(size));
}

void *memory_must_alloc_zero(size_t count, size_t size)
{
    return must_have(calloc(count, size));
}

void *memory_must_alloc_aligned(size_t size)
{
    return must_have(aligned_zero(size));
}

void memory_fail_after(unsigned long n)
{
    fail_countdown = n;
}
