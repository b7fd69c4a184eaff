#pragma once

/*
 * Spares
 *
 * For blocks that come and go by the thousand, as messages and connections do. A thread that was
 * told how much it may keep gives out again what was freed there last: it is in the CPU's cache
 * still, and the allocator has neither to find it nor to merge it. What is kept counts as free, as
 * what the allocator keeps does; to everybody else this is memory_alloc() and memory_free(). Any
 * thread; a block may be freed by another one than has asked for it. What one such thread has too
 * many of, others are given before the allocator is asked.
 */

#include "base/base.h"

/* Larger blocks are never kept. */
#define SPARES_SIZE_MAX 1024u

/* NULL without memory. */
void *spares_alloc(size_t size) MUST_CHECK;
void *spares_alloc_zero(size_t size) MUST_CHECK;

/* With the size that was asked for. Accepts NULL; answers NULL. */
void *spares_free(void *memory, size_t size);

/* What this thread keeps from now on, in bytes. 0, as it begins: nothing, and what it kept is
 * freed, with what it has left for others, which the thread owes before it ends. */
void spares_keep(size_t max);

/* What it keeps now, in bytes. */
size_t spares_kept(void);
