#include "base/memory.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A thread counts for itself what it took and gave back, and tells the others only when that has
 * come to a step: no allocation writes to memory that other threads read. What a thread that ends
 * has not told is lost.
 *
 * What base/failpoint.h gives another meaning is in parentheses here, which keeps it what it is.
 */

#define TOLD_STEP (64 * 1024)

static _Atomic int64_t limit; /* 0: none */
static _Thread_local bool is_exempt;
static _Atomic int64_t told;
static _Atomic int64_t most_told;
static _Thread_local int64_t untold;

static _Thread_local size_t ahead; /* 0: the heap grows by what is asked for */

static _Thread_local unsigned long fail_countdown;

static int64_t used_now(void)
{
    return atomic_load_explicit(&told, memory_order_relaxed) + untold;
}

void memory_grow_ahead(size_t size)
{
    ahead = size;
}

/*
 * A block of that size is given back at once: the heap has room for it then. Whoever leaves the
 * last page of the heap otherwise pays a system call for the next one, which took 4 % of a load of
 * a million retained messages; and what the allocator knows to be zero is not written by it but
 * read first, as zeroed tables are, and each page of it costs two faults for one: 5 % more.
 */
static void grow_heap(void)
{
    void *volatile room = malloc(ahead); /* volatile: else the compiler leaves both calls out */

    free(room);
}

static COLD void tell(void)
{
    int64_t now = atomic_fetch_add_explicit(&told, untold, memory_order_relaxed) + untold;
    int64_t most = atomic_load_explicit(&most_told, memory_order_relaxed);

    untold = 0;
    if (ahead > 0 && now > most && now > (int64_t)ahead * MEMORY_AHEAD_SHARE) {
        grow_heap();
    }
    while (now > most && !atomic_compare_exchange_weak_explicit(
                             &most_told, &most, now, memory_order_relaxed, memory_order_relaxed)) {
    }
}

static ALWAYS_INLINE void count(int64_t size)
{
    untold += size;
    if (unlikely(untold > TOLD_STEP || untold < -TOLD_STEP)) {
        tell();
    }
}

static void *counted(void *memory)
{
    count((int64_t)malloc_usable_size(memory));
    return memory;
}

static void uncount(void *memory)
{
    count(-(int64_t)malloc_usable_size(memory));
}

void memory_set_limit(uint64_t bytes)
{
    limit = (int64_t)MIN(bytes, (uint64_t)INT64_MAX);
}

uint64_t memory_used(uint64_t *most_out)
{
    int64_t most = atomic_load_explicit(&most_told, memory_order_relaxed);
    int64_t used = MAX(used_now(), (int64_t)0);

    *most_out = (uint64_t)MAX(most, used);
    return (uint64_t)used;
}

bool memory_exempt(bool exempt)
{
    bool before = is_exempt;

    is_exempt = exempt;
    return before;
}

bool memory_is_short(void)
{
    return unlikely(limit > 0) && used_now() > limit - limit / 16;
}

bool memory_is_spent(void)
{
    return unlikely(limit > 0) && used_now() > limit - limit / 32;
}

static bool is_over(size_t size)
{
    return limit > 0 && !is_exempt &&
           (size > (uint64_t)limit || used_now() > limit - (int64_t)size);
}

static NO_INLINE bool is_failing_or_over(size_t size)
{
    return (fail_countdown != 0 && --fail_countdown == 0) || is_over(size);
}

static ALWAYS_INLINE bool is_failing(size_t size)
{
    return unlikely(fail_countdown != 0 || limit > 0) && is_failing_or_over(size);
}

bool memory_may_have(size_t size)
{
    return !is_failing(size);
}

void memory_recount(int64_t bytes)
{
    count(bytes);
}

void *(memory_alloc)(size_t size)
{
    return is_failing(size) ? NULL : counted(malloc(size));
}

/*
 * calloc() of glibc passes by what the thread has at hand (its cache of freed blocks of up to about
 * 1 KiB): a tenth of all instructions of a connection that comes and goes.
 */
#define AT_HAND_MAX 1024

static void *alloc_zeroed(size_t size)
{
    void *volatile memory = malloc(size); /* volatile: else the compiler makes both calloc() */

    return memory ? memset(memory, 0, size) : NULL;
}

void *(memory_alloc_zero)(size_t len, size_t size)
{
    size_t whole;

    if (__builtin_mul_overflow(len, size, &whole)) {
        return NULL;
    }
    if (is_failing(whole)) {
        return NULL;
    }
    return counted(whole <= AT_HAND_MAX ? alloc_zeroed(whole) : calloc(len, size));
}

void *(memory_resize)(void *memory, size_t size)
{
    int64_t before = (int64_t)malloc_usable_size(memory);
    void *resized = is_failing(size) ? NULL : realloc(memory, size);

    if (resized) {
        count((int64_t)malloc_usable_size(resized) - before);
    }
    return resized;
}

char *(memory_copy_text)(const char *text)
{
    return is_failing(strlen(text)) ? NULL : counted((strdup)(text));
}

char *(memory_copy_slice)(struct slice bytes)
{
    char *copy = (memory_alloc)(bytes.len + 1);

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
    uncount(memory);
    free(memory);
    return NULL;
}

static void *aligned_zero(size_t size)
{
    size_t rounded = (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    void *memory = rounded >= size ? aligned_alloc(CACHE_LINE, rounded) : NULL;

    return memory ? memset(memory, 0, rounded) : NULL;
}

void *(memory_alloc_aligned)(size_t size)
{
    return is_failing(size) ? NULL : counted(aligned_zero(size));
}

void memory_end(void)
{
    fputs("Error: Out of memory.\n", stderr);
    exit(1);
}

static void *must_have(void *memory)
{
    if (!memory) {
        memory_end();
    }
    return memory;
}

void *(memory_must_alloc)(size_t size)
{
    return counted(must_have(malloc(size)));
}

void *(memory_must_alloc_zero)(size_t len, size_t size)
{
    return counted(must_have(calloc(len, size)));
}

void *(memory_must_alloc_aligned)(size_t size)
{
    return counted(must_have(aligned_zero(size)));
}

void memory_fail_after(unsigned long n)
{
    fail_countdown = n;
}
