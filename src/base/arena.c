#include "base/arena.h"

#include "base/memory.h"

#define ALIGNMENT  _Alignof(max_align_t)
#define BLOCK_SIZE 4096u

struct arena_block {
    struct arena_block *next;
    size_t size; /* of data[] */
    _Alignas(max_align_t) uint8_t data[];
};

void arena_init(struct arena *arena)
{
    *arena = (struct arena){0};
}

void arena_deinit(struct arena *arena)
{
    while (arena->blocks) {
        struct arena_block *next = arena->blocks->next;

        MEMORY_UNPOISON(arena->blocks->data, arena->blocks->size);
        memory_free(arena->blocks);
        arena->blocks = next;
    }
    arena->free_size = 0;
}

static bool add_block(struct arena *arena, size_t size)
{
    struct arena_block *block;

    size = MAX(size, BLOCK_SIZE - sizeof(*block));
    block = memory_alloc_zero(1, sizeof(*block) + size);
    if (!block) {
        return false;
    }
    block->next = arena->blocks;
    block->size = size;
    MEMORY_POISON(block->data, size);
    arena->blocks = block;
    arena->free_size = size;
    return true;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    struct arena_block *block;
    uint8_t *memory;

    if (size > PTRDIFF_MAX / 2) { /* no object is so large, and nothing below overflows */
        return NULL;
    }
    size = MAX((size + ALIGNMENT - 1) & ~(ALIGNMENT - 1), ALIGNMENT);
    if (size > arena->free_size && !add_block(arena, size)) {
        return NULL;
    }
    block = arena->blocks;
    assert(arena->free_size <= block->size);
    memory = block->data + (block->size - arena->free_size);
    arena->free_size -= size;
    MEMORY_UNPOISON(memory, size);
    return memory;
}

void *arena_alloc_array(struct arena *arena, size_t count, size_t size)
{
    size_t total;

    return __builtin_mul_overflow(count, size, &total) ? NULL : arena_alloc(arena, total);
}

char *arena_copy(struct arena *arena, struct slice bytes)
{
    char *copy = bytes.len > PTRDIFF_MAX / 2 ? NULL : arena_alloc(arena, bytes.len + 1);

    if (copy && bytes.len > 0) {
        memcpy(copy, bytes.data, bytes.len);
    }
    return copy;
}

char *arena_copy_text(struct arena *arena, const char *text)
{
    return arena_copy(arena, slice_of_text(text));
}
