#pragma once

/*
 * Memory
 *
 * Every allocation of the product goes through these. memory_alloc() and its kin may fail and
 * answer NULL: the caller turns that into a verdict, the end of one client, or -ENOMEM. The
 * `must_` forms are for start-up only and end the process. Any thread may call.
 */

#include "base/slice.h"

void *memory_alloc(size_t size) MUST_CHECK;
void *memory_alloc_zero(size_t len, size_t size) MUST_CHECK;
void *memory_resize(void *memory, size_t size) MUST_CHECK;
char *memory_copy_text(const char *text) MUST_CHECK;
char *memory_copy_slice(struct slice bytes) MUST_CHECK; /* with a terminator behind */

/* Accepts NULL; always answers NULL, so that `x->y = memory_free(x->y)` leaves nothing behind. */
void *memory_free(void *memory);

/* Zeroed, at the start of a cache line: for what several threads write to. */
void *memory_alloc_aligned(size_t size) MUST_CHECK;

void *memory_must_alloc(size_t size);
void *memory_must_alloc_zero(size_t len, size_t size);
void *memory_must_alloc_aligned(size_t size);

/* What those do when there is no memory. */
NO_RETURN void memory_end(void);

/*
 * The bound on what is allocated through these in all threads together, in bytes as the allocator
 * rounds them; 0: none. At any time, by one thread. Above it memory_alloc() and its kin
 * answer NULL. Threads tell each other of what they took in steps of 64 KiB, so by so much each may
 * be wrong.
 */
void memory_set_limit(uint64_t limit);

/* What this thread asks for is not held to the bound, for as long as it takes: who is about to
 * raise the bound needs memory for that. Answers whether it was so before. */
bool memory_exempt(bool exempt);

/* What is allocated through these now, and the most that ever was, in the bytes and with the error
 * of memory_set_limit(). Any thread. */
uint64_t memory_used(uint64_t *most_out);

/*
 * Whether the bound is near: what asks for more memory to be kept should be refused now, while
 * there is still room to answer it. Never without a bound.
 */
bool memory_is_short(void);

/*
 * Whether half of that room is gone, too: what is left is for those who are connected, and nobody
 * else should be let in. Never without a bound.
 */
bool memory_is_spent(void);

/*
 * For who keeps free blocks to give them out again (base/spares.h): they do not count meanwhile.
 * Whether one may be given out, where memory_alloc() would be asked else; and that so many bytes
 * more, or fewer, are in use.
 */
bool memory_may_have(size_t size) MUST_CHECK;
void memory_recount(int64_t bytes);

/*
 * From now on, for every 64 KiB that all threads together use more than ever before, the one that
 * took them makes room for `size` bytes more in its heap: fewer system calls for who takes a lot.
 * Not before so many times `size` are in use: small brokers stay as small as they are. The room is
 * only reserved, no page of it takes memory before it is used, but for the one where it ends. 0, as
 * at the start: none. Several times 64 KiB, or the next step comes too late, and below
 * M_MMAP_THRESHOLD, from where on a block is not taken from the heap. For the calling thread.
 */
#define MEMORY_AHEAD_SHARE 64
void memory_grow_ahead(size_t size);

/*
 * For tests: the n-th allocation from now on fails (1 = the next one), once; 0 switches it off.
 * Per thread.
 */
void memory_fail_after(unsigned long n);
