#include "base/memory.h"

#include "sim/memory_count.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* src/base/memory.h, counted; what is freed is overwritten, so that its next use shows. */

#define FREED 0xDB

static size_t live;
static unsigned long fail_countdown;

size_t memory_live(void)
{
    return live;
}

static bool is_failing(void)
{
    return fail_countdown != 0 && --fail_countdown == 0;
}

static void *count(void *memory)
{
    live += memory != NULL;
    return memory;
}

void *memory_alloc(size_t size)
{
    return is_failing() ? NULL : count(malloc(size));
}

void *memory_alloc_zero(size_t len, size_t size)
{
    return is_failing() ? NULL : count(calloc(len, size));
}

/* Always elsewhere: pointers into the old place go stale. */
void *memory_resize(void *memory, size_t size)
{
    void *resized;

    if (is_failing()) {
        return NULL;
    }
    resized = malloc(size);
    if (!resized) {
        return NULL;
    }
    if (memory) {
        memcpy(resized, memory, MIN(size, malloc_usable_size(memory)));
        memory_free(memory);
    }
    return count(resized);
}

char *memory_copy_text(const char *text)
{
    return is_failing() ? NULL : count(strdup(text));
}

char *memory_copy_slice(struct slice bytes)
{
    char *copy = memory_alloc(bytes.len + 1);

    if (copy && bytes.len > 0) {
        memcpy(copy, bytes.data, bytes.len);
    }
    if (copy) {
        copy[bytes.len] = '\0';
    }
    return copy;
}

void *memory_free(void *memory)
{
    if (memory) {
        assert(live > 0);
        live--;
        MEMORY_UNPOISON(memory, malloc_usable_size(memory));
        memset(memory, FREED, malloc_usable_size(memory));
        free(memory);
    }
    return NULL;
}

void *memory_alloc_aligned(size_t size)
{
    void *memory;

    if (is_failing() || posix_memalign(&memory, CACHE_LINE, size) != 0) {
        return NULL;
    }
    memset(memory, 0, size);
    return count(memory);
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
    return count(must_have(malloc(size)));
}

void *memory_must_alloc_zero(size_t len, size_t size)
{
    return count(must_have(calloc(len, size)));
}

void *memory_must_alloc_aligned(size_t size)
{
    return must_have(memory_alloc_aligned(size));
}

/* Here nothing is bounded: what is short of memory is made to fail. */
bool memory_is_short(void)
{
    return false;
}

bool memory_is_spent(void)
{
    return false;
}

bool memory_may_have(size_t size)
{
    (void)size;
    return !is_failing();
}

/* What somebody keeps is live here all the same. */
void memory_recount(int64_t bytes)
{
    (void)bytes;
}

void memory_grow_ahead(size_t size)
{
    (void)size;
}

bool memory_exempt(bool exempt)
{
    (void)exempt;
    return false;
}

/* What is used is counted in pieces, of whatever size. */
uint64_t memory_used(uint64_t *most_out)
{
    *most_out = live;
    return live;
}

void memory_fail_after(unsigned long n)
{
    fail_countdown = n;
}
