#pragma once

/*
 * Compiler
 *
 * The one place that knows which compiler and which sanitizer this is. Everything else uses the
 * words defined here and has no conditional compilation of its own.
 */

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_index, first_index) \
    __attribute__((format(printf, format_index, first_index)))
#define NO_RETURN     __attribute__((noreturn))
#define UNUSED        __attribute__((unused))
#define COLD          __attribute__((cold))
#define NO_INLINE     __attribute__((noinline))
#define ALWAYS_INLINE inline __attribute__((always_inline))

/* A large buffer that is written before it is read: release builds need not clear it. */
#define UNINITIALIZED __attribute__((uninitialized))

/* The line of this address will be needed, and is not waited for. Any address will do. */
#define PREFETCH(address) __builtin_prefetch(address)

#define likely(condition)   __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

/* The size of a cache line on the machines that we build for. */
#define CACHE_LINE    64
#define CACHE_ALIGNED __attribute__((aligned(CACHE_LINE)))

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ADDRESS_SANITIZER 1
#endif
#endif

/*
 * Memory that an allocator of ours holds back is poisoned, so that the address sanitizer sees a
 * use after free inside a chunk as well as one on the heap.
 */
#ifdef HAVE_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#define MEMORY_POISON(address, size)   __asan_poison_memory_region((address), (size))
#define MEMORY_UNPOISON(address, size) __asan_unpoison_memory_region((address), (size))
#else
#define MEMORY_POISON(address, size)   ((void)(address), (void)(size))
#define MEMORY_UNPOISON(address, size) ((void)(address), (void)(size))
#endif
