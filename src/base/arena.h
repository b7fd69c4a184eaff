#pragma once

/*
 * Arena
 *
 * Memory that is taken piece by piece and given back all at once. What an arena hands out is
 * zeroed and lives until arena_deinit(). One owner at a time: no locks.
 */

#include "base/slice.h"

struct arena_block;

/* All members are private. A zeroed arena is an empty one. */
struct arena {
    struct arena_block *blocks; /* the one being filled comes first */
    size_t free_size;           /* bytes left in it */
};

void arena_init(struct arena *arena);
void arena_deinit(struct arena *arena);

/* NULL when memory is exhausted. Aligned for every type; a size of 0 has an address, too. */
void *arena_alloc(struct arena *arena, size_t size) MUST_CHECK;
void *arena_alloc_array(struct arena *arena, size_t count, size_t size) MUST_CHECK;

/* A copy with a terminator behind it. */
char *arena_copy(struct arena *arena, struct slice bytes) MUST_CHECK;
char *arena_copy_text(struct arena *arena, const char *text) MUST_CHECK;
