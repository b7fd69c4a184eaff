#include "base/spares.h"

#include "base/memory.h"

#include <string.h>

/*
 * The allocator's own lists hold seven blocks of a size for a thread; beyond that it works hard,
 * and takes the block that has been free for the longest time. Messages of QoS 1 in bursts cost an
 * eighth of their instructions there, connections that come and go a fifth.
 *
 * Sizes are rounded to what glibc rounds them to, which costs nothing; what lies behind the size
 * that was asked for stays poisoned.
 */

#define STEP        16u
#define OVERHEAD    8u /* of a block, in the allocator */
#define CLASS_OF(s) (((s) + OVERHEAD + STEP - 1) / STEP)
#define SIZE_OF(c)  ((c) * (size_t)STEP - OVERHEAD)
#define CLASS_LEN   (CLASS_OF(SPARES_SIZE_MAX) + 1)

struct spare {
    struct spare *next;
};

static_assert(SIZE_OF(CLASS_OF(1)) >= sizeof(struct spare),
              "a free block holds the way to the next");

static _Thread_local struct {
    size_t max;
    size_t kept;
    struct spare *classes[CLASS_LEN];
} spares;

/* The latest of them, which is in use from now on. */
static void *take(size_t class)
{
    struct spare *spare = spares.classes[class];

    MEMORY_UNPOISON(spare, SIZE_OF(class));
    spares.classes[class] = spare->next;
    spares.kept -= SIZE_OF(class);
    memory_recount((int64_t)SIZE_OF(class));
    return spare;
}

static void *take_or_alloc(size_t class)
{
    if (unlikely(!spares.classes[class])) {
        return memory_alloc(SIZE_OF(class));
    }
    return memory_may_have(SIZE_OF(class)) ? take(class) : NULL;
}

void *(spares_alloc)(size_t size)
{
    size_t class = CLASS_OF(size);
    uint8_t *memory;

    if (unlikely(size > SPARES_SIZE_MAX)) {
        return memory_alloc(size);
    }
    memory = take_or_alloc(class);
    if (likely(memory)) {
        MEMORY_POISON(memory + size, SIZE_OF(class) - size);
    }
    return memory;
}

void *(spares_alloc_zero)(size_t size)
{
    void *memory = (spares_alloc)(size);

    return likely(memory) ? memset(memory, 0, size) : NULL;
}

void *spares_free(void *memory, size_t size)
{
    size_t class = CLASS_OF(size);
    struct spare *spare = memory;

    if (unlikely(!memory || size > SPARES_SIZE_MAX || spares.kept + SIZE_OF(class) > spares.max)) {
        return memory_free(memory);
    }
    MEMORY_UNPOISON(spare, sizeof(*spare));
    spare->next = spares.classes[class];
    spares.classes[class] = spare;
    spares.kept += SIZE_OF(class);
    memory_recount(-(int64_t)SIZE_OF(class));
    MEMORY_POISON(spare, SIZE_OF(class));
    return NULL;
}

void spares_keep(size_t max)
{
    spares.max = max;
    for (size_t class = 0; max == 0 && class < CLASS_LEN; class ++) {
        while (spares.classes[class]) {
            memory_free(take(class));
        }
    }
}

size_t spares_kept(void)
{
    return spares.kept;
}
