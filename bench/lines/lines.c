#include "lines.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Each line of memory has a word: who holds it, a bit for each thread. A write leaves the writer as
 * the only holder, a read adds the reader. A line that somebody else held and the caller did not is
 * shared when it is read; one that somebody else held at all is when it is written. What nobody
 * holds comes from memory and is not counted, and a cache that forgets nothing has no misses of its
 * own: so what is counted is what threads do to each other, and nothing else.
 *
 * The word's other half says which of the lines that share the word it is about: those 4 GiB
 * apart. The last one has it, and the other is forgotten. A program that is small and lies in few
 * pieces has hardly any of these.
 *
 * Word and access are not one step: of two threads that meet at a line within nanoseconds the order
 * may be counted the other way round. All that is called from a hook must be free of hooks itself,
 * which holds as this file is compiled without them.
 */

#define LINE_SIZE  ((uintptr_t)64)
#define WORD_LEN   ((uintptr_t)1 << 26)
#define THREAD_LEN 32
#define SITE_LEN   4096 /* of one thread; a power of two */

struct site {
    uintptr_t caller; /* 0: free */
    struct lines_count count;
};

/* Owner: its thread. Others look when it has ended. */
struct thread {
    struct site sites[SITE_LEN];
};

static _Atomic uint64_t words[WORD_LEN]; /* takes memory only where it is used */
static struct thread threads[THREAD_LEN];
static _Atomic uint32_t thread_len;
static __thread uint32_t self; /* 0: not seen before; else its index, + 1 */

/* Where the linker puts the first byte of the program. */
extern const char __executable_start[];

static void give_up(const char *why)
{
    fprintf(stderr, "lines: %s\n", why);
    abort();
}

static uint32_t self_index(void)
{
    if (!self) {
        self = atomic_fetch_add(&thread_len, 1) + 1;
        if (self > THREAD_LEN) {
            give_up("too many threads");
        }
    }
    return self - 1;
}

static struct lines_count *count_at(const void *caller)
{
    struct site *sites = threads[self_index()].sites;
    uintptr_t key = (uintptr_t)caller;
    size_t place = (key * 0x9e3779b97f4a7c15u) >> 52;

    for (size_t i = 0; i < SITE_LEN; i++) {
        struct site *site = &sites[(place + i) % SITE_LEN];

        if (!site->caller) {
            site->caller = key;
        }
        if (site->caller == key) {
            return &site->count;
        }
    }
    give_up("too many places in the code");
    return NULL;
}

static void touch_line(uintptr_t line, bool is_write, const void *caller)
{
    _Atomic uint64_t *word = &words[line % WORD_LEN];
    uint64_t tag = line / WORD_LEN << THREAD_LEN;
    uint32_t own = 1u << self_index();
    uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);
    uint32_t holders;
    uint64_t next;

    do {
        holders = (seen ^ tag) >> THREAD_LEN ? 0 : (uint32_t)seen;
        next = tag | (is_write ? own : holders | own);
        if (next == seen) {
            return;
        }
    } while (!atomic_compare_exchange_weak_explicit(word, &seen, next, memory_order_relaxed,
                                                    memory_order_relaxed));
    /* Somebody else is among the holders, or the word would not have changed. */
    if (holders && is_write) {
        count_at(caller)->writes++;
    } else if (holders) {
        count_at(caller)->reads++;
    }
}

static void touch(const volatile void *address, size_t size, bool is_write, const void *caller)
{
    uintptr_t end = ((uintptr_t)address + size + LINE_SIZE - 1) / LINE_SIZE;

    for (uintptr_t line = (uintptr_t)address / LINE_SIZE; size && line < end; line++) {
        touch_line(line, is_write, caller);
    }
}

static void lock(const void *caller)
{
    count_at(caller)->locked++;
}

struct lines_count lines_count(void)
{
    struct lines_count sum = {0};

    for (size_t i = 0; i < THREAD_LEN; i++) {
        for (size_t j = 0; j < SITE_LEN; j++) {
            const struct lines_count *count = &threads[i].sites[j].count;

            sum.writes += count->writes;
            sum.reads += count->reads;
            sum.locked += count->locked;
        }
    }
    return sum;
}

static void write_sites(FILE *file)
{
    for (size_t i = 0; i < THREAD_LEN; i++) {
        for (size_t j = 0; j < SITE_LEN; j++) {
            const struct site *site = &threads[i].sites[j];

            if (site->caller) {
                fprintf(file, "%#jx %ju %ju %ju\n",
                        (uintmax_t)(site->caller - (uintptr_t)__executable_start),
                        (uintmax_t)site->count.writes, (uintmax_t)site->count.reads,
                        (uintmax_t)site->count.locked);
            }
        }
    }
}

__attribute__((destructor)) static void report(void)
{
    const char *path = getenv("NIGHTJAR_LINES");
    FILE *file;

    if (!path) {
        return;
    }
    file = fopen(path, "w");
    if (file) {
        write_sites(file);
    }
    if (!file || fclose(file)) {
        perror(path);
        _Exit(1);
    }
}

/* The hooks, with the names and types that gcc gives them. */

#define CALLER __builtin_return_address(0)

/* A hook is called by what the compiler makes: no header has its prototype. */
#define HOOK(type, name, ...) \
    type name(__VA_ARGS__);   \
    type name(__VA_ARGS__)

/* What marks functions keeps an access from being the last thing that a function does: then the
 * hook's caller is always the function itself. */
HOOK(void, __tsan_init, void)
{
}

HOOK(void, __tsan_func_entry, const void *caller)
{
    (void)caller;
}

HOOK(void, __tsan_func_exit, void)
{
}

#define ACCESS_HOOKS(name, size)                        \
    HOOK(void, __tsan_read##name, const void *address)  \
    {                                                   \
        touch(address, size, false, CALLER);            \
    }                                                   \
    HOOK(void, __tsan_write##name, const void *address) \
    {                                                   \
        touch(address, size, true, CALLER);             \
    }

ACCESS_HOOKS(1, 1)
ACCESS_HOOKS(2, 2)
ACCESS_HOOKS(4, 4)
ACCESS_HOOKS(8, 8)
ACCESS_HOOKS(16, 16)

HOOK(void, __tsan_read_range, const void *address, size_t size)
{
    touch(address, size, false, CALLER);
}

HOOK(void, __tsan_write_range, const void *address, size_t size)
{
    touch(address, size, true, CALLER);
}

/* All with the strictest order: more than was asked for is right, too. */
#define ATOMIC_FETCH_HOOK(bits, type, name)                                                \
    HOOK(type, __tsan_atomic##bits##_##name, volatile type *object, type value, int order) \
    {                                                                                      \
        (void)order;                                                                       \
        lock(CALLER);                                                                      \
        touch(object, sizeof(type), true, CALLER);                                         \
        return __atomic_##name(object, value, __ATOMIC_SEQ_CST);                           \
    }

#define ATOMIC_COMPARE_HOOK(bits, type, strength)                                            \
    HOOK(bool, __tsan_atomic##bits##_compare_exchange_##strength, volatile type *object,     \
         type *expected, type value, int order, int order_failed)                            \
    {                                                                                        \
        (void)order;                                                                         \
        (void)order_failed;                                                                  \
        lock(CALLER);                                                                        \
        touch(object, sizeof(type), true, CALLER);                                           \
        return __atomic_compare_exchange_n(object, expected, value, false, __ATOMIC_SEQ_CST, \
                                           __ATOMIC_SEQ_CST);                                \
    }

#define ATOMIC_HOOKS(bits, type)                                                             \
    HOOK(type, __tsan_atomic##bits##_load, const volatile type *object, int order)           \
    {                                                                                        \
        (void)order;                                                                         \
        touch(object, sizeof(type), false, CALLER);                                          \
        return __atomic_load_n(object, __ATOMIC_SEQ_CST);                                    \
    }                                                                                        \
    HOOK(void, __tsan_atomic##bits##_store, volatile type *object, type value, int order)    \
    {                                                                                        \
        if (order == __ATOMIC_SEQ_CST) {                                                     \
            lock(CALLER);                                                                    \
        }                                                                                    \
        touch(object, sizeof(type), true, CALLER);                                           \
        __atomic_store_n(object, value, __ATOMIC_SEQ_CST);                                   \
    }                                                                                        \
    HOOK(type, __tsan_atomic##bits##_exchange, volatile type *object, type value, int order) \
    {                                                                                        \
        (void)order;                                                                         \
        lock(CALLER);                                                                        \
        touch(object, sizeof(type), true, CALLER);                                           \
        return __atomic_exchange_n(object, value, __ATOMIC_SEQ_CST);                         \
    }                                                                                        \
    ATOMIC_FETCH_HOOK(bits, type, fetch_add)                                                 \
    ATOMIC_FETCH_HOOK(bits, type, fetch_sub)                                                 \
    ATOMIC_FETCH_HOOK(bits, type, fetch_and)                                                 \
    ATOMIC_FETCH_HOOK(bits, type, fetch_or)                                                  \
    ATOMIC_FETCH_HOOK(bits, type, fetch_xor)                                                 \
    ATOMIC_COMPARE_HOOK(bits, type, strong)                                                  \
    ATOMIC_COMPARE_HOOK(bits, type, weak)

ATOMIC_HOOKS(8, uint8_t)
ATOMIC_HOOKS(16, uint16_t)
ATOMIC_HOOKS(32, uint32_t)
ATOMIC_HOOKS(64, uint64_t)

HOOK(void, __tsan_atomic_thread_fence, int order)
{
    if (order == __ATOMIC_SEQ_CST) {
        lock(CALLER);
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

HOOK(void, __tsan_atomic_signal_fence, int order)
{
    (void)order;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/*
 * The C library is compiled without hooks, so what it copies is announced here: the linker puts
 * these in the place of its calls (ld's --wrap).
 */

void *__real_memcpy(void *to, const void *from, size_t size);
void *__real_memmove(void *to, const void *from, size_t size);
void *__real_memset(void *to, int byte, size_t size);
int __real_memcmp(const void *a, const void *b, size_t size);

HOOK(void *, __wrap_memcpy, void *to, const void *from, size_t size)
{
    touch(from, size, false, CALLER);
    touch(to, size, true, CALLER);
    return __real_memcpy(to, from, size);
}

HOOK(void *, __wrap_memmove, void *to, const void *from, size_t size)
{
    touch(from, size, false, CALLER);
    touch(to, size, true, CALLER);
    return __real_memmove(to, from, size);
}

HOOK(void *, __wrap_memset, void *to, int byte, size_t size)
{
    touch(to, size, true, CALLER);
    return __real_memset(to, byte, size);
}

HOOK(int, __wrap_memcmp, const void *a, const void *b, size_t size)
{
    touch(a, size, false, CALLER);
    touch(b, size, false, CALLER);
    return __real_memcmp(a, b, size);
}
