#pragma once

/*
 * Lines
 *
 * Counts how often cache lines go from one thread to another, as if every thread had a CPU of its
 * own with a cache that forgets nothing. A program is compiled with gcc's -fsanitize=thread and
 * linked with this in place of the sanitizer's library: the compiler announces every access to
 * memory, and here that plays the part of the caches.
 *
 * At its end the program writes a line for each place in the code that took part, if NIGHTJAR_LINES
 * names a file: the offset in the program behind the access (hexadecimal, for addr2line), shared
 * writes, shared reads, locked operations. A program that can't write it says so and ends with 1.
 */

#include <stdint.h>

struct lines_count {
    uint64_t writes; /* to a line that another thread held, and holds no longer */
    uint64_t reads;  /* of a line that another thread held, and this one did not */
    uint64_t locked; /* read-modify-writes, stores and fences that the CPU locks, shared or not */
};

/* All that threads have done that were joined, and what the calling one has done. */
struct lines_count lines_count(void);
