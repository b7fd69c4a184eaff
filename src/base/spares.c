#include "base/spares.h"

#include "base/memory.h"

#include <stdatomic.h>
#include <string.h>

/*
 * The allocator's own lists hold seven blocks of a size for a thread; beyond that it works hard,
 * and takes the block that has been free for the longest time. Messages of QoS 1 in bursts cost an
 * eighth of their instructions there, connections that come and go a fifth.
 *
 * Sizes are rounded to what glibc rounds them to, which costs nothing; what lies behind the size
 * that was asked for stays poisoned.
 *
 * Where one thread asks for what another frees, the one would have to ask the allocator each time,
 * and the other would keep what it never needs: a tenth of the messages that crossed between two
 * workers were new blocks. So whoever keeps more than half of what it may leaves a chain of each
 * size that it has CHAIN_SIZE of where others find it, and does so again with every CHAIN_SIZE
 * more. There are a few places for each size, and one that is not NULL has a whole chain: leaving
 * it and taking it is one atomic step each.
 */

#define STEP        16u
#define OVERHEAD    8u /* of a block, in the allocator */
#define CLASS_OF(s) (((s) + OVERHEAD + STEP - 1) / STEP)
#define SIZE_OF(c)  ((c) * (size_t)STEP - OVERHEAD)
#define CLASS_LEN   (CLASS_OF(SPARES_SIZE_MAX) + 1)

#define CHAIN_SIZE   ((size_t)64 * 1024)
#define CHAIN_LEN(c) (CHAIN_SIZE / SIZE_OF(c))
#define CHAINS_MAX   4u /* of a size */

struct spare {
    struct spare *next;
};

static_assert(SIZE_OF(CLASS_OF(1)) >= sizeof(struct spare),
              "a free block holds the way to the next");

/* Owner: its thread. */
struct shelf {
    struct spare *first; /* the latest */
    size_t len;
};

static _Thread_local struct {
    size_t max;
    size_t kept;
    size_t enough; /* above this it is time to leave some to others */
    struct shelf shelves[CLASS_LEN];
} spares;

/* For any thread: each the first of CHAIN_LEN, or NULL. */
static _Atomic(struct spare *) chains[CLASS_LEN][CHAINS_MAX];

/* The latest of them, which is in use from now on. */
static void *take(size_t class)
{
    struct shelf *shelf = &spares.shelves[class];
    struct spare *spare = shelf->first;

    MEMORY_UNPOISON(spare, SIZE_OF(class));
    shelf->first = spare->next;
    shelf->len--;
    spares.kept -= SIZE_OF(class);
    memory_recount((int64_t)SIZE_OF(class));
    return spare;
}

/* Half of what may be kept: what comes and goes with each burst stays with who used it last. */
static void set_enough(void)
{
    spares.enough = MIN(MAX(spares.kept + CHAIN_SIZE, spares.max / 2), spares.max);
}

/* To look first costs others nothing: as a rule there is none. */
static struct spare *take_chain(size_t class)
{
    struct spare *first = NULL;

    for (unsigned i = 0; !first && i < CHAINS_MAX; i++) {
        if (atomic_load_explicit(&chains[class][i], memory_order_relaxed)) {
            first = atomic_exchange_explicit(&chains[class][i], NULL, memory_order_acquire);
        }
    }
    return first;
}

static bool fetch_chain(size_t class)
{
    struct shelf *shelf = &spares.shelves[class];

    assert(!shelf->first);
    shelf->first = take_chain(class);
    if (!shelf->first) {
        return false;
    }
    shelf->len = CHAIN_LEN(class);
    spares.kept += CHAIN_LEN(class) * SIZE_OF(class);
    set_enough();
    return true;
}

static struct spare *next_of(struct spare *spare)
{
    struct spare *next;

    MEMORY_UNPOISON(spare, sizeof(*spare));
    next = spare->next;
    MEMORY_POISON(spare, sizeof(*spare));
    return next;
}

static void set_next(struct spare *spare, struct spare *next)
{
    MEMORY_UNPOISON(spare, sizeof(*spare));
    spare->next = next;
    MEMORY_POISON(spare, sizeof(*spare));
}

/* NULL: there is no room for one more. */
static _Atomic(struct spare *) *place_for_chain(size_t class)
{
    for (unsigned i = 0; i < CHAINS_MAX; i++) {
        if (!atomic_load_explicit(&chains[class][i], memory_order_relaxed)) {
            return &chains[class][i];
        }
    }
    return NULL;
}

static void leave_chain(size_t class)
{
    struct shelf *shelf = &spares.shelves[class];
    struct spare *first = shelf->first;
    struct spare *last = first;
    struct spare *none = NULL;
    struct spare *rest;
    _Atomic(struct spare *) *place;

    place = shelf->len >= CHAIN_LEN(class) ? place_for_chain(class) : NULL;
    if (!place) {
        return;
    }
    for (size_t i = 1; i < CHAIN_LEN(class); i++) {
        last = next_of(last);
    }
    rest = next_of(last);
    set_next(last, NULL);
    if (!atomic_compare_exchange_strong_explicit(place, &none, first, memory_order_release,
                                                 memory_order_relaxed)) {
        set_next(last, rest);
        return;
    }
    shelf->first = rest;
    shelf->len -= CHAIN_LEN(class);
    spares.kept -= CHAIN_LEN(class) * SIZE_OF(class);
}

/* Whether one more may be kept, where there were enough. All sizes have their turn, but not with
 * every block where nobody takes any. */
static NO_INLINE bool can_keep_more(size_t class)
{
    if (spares.enough == spares.max) {
        leave_chain(class);
    } else {
        for (size_t i = 1; i < CLASS_LEN; i++) {
            leave_chain(i);
        }
    }
    set_enough();
    return spares.kept + SIZE_OF(class) <= spares.enough;
}

static NO_INLINE bool fetch_if_may_keep(size_t class)
{
    return spares.kept + CHAIN_SIZE <= spares.max && fetch_chain(class);
}

static void *take_or_alloc(size_t class)
{
    if (unlikely(!spares.shelves[class].first) && !fetch_if_may_keep(class)) {
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
    struct shelf *shelf;

    if (unlikely(!memory || size > SPARES_SIZE_MAX) ||
        (unlikely(spares.kept + SIZE_OF(class) > spares.enough) && !can_keep_more(class))) {
        return memory_free(memory);
    }
    shelf = &spares.shelves[class];
    set_next(spare, shelf->first);
    shelf->first = spare;
    shelf->len++;
    spares.kept += SIZE_OF(class);
    memory_recount(-(int64_t)SIZE_OF(class));
    MEMORY_POISON(spare, SIZE_OF(class));
    return NULL;
}

void spares_keep(size_t max)
{
    spares.max = max;
    set_enough();
    for (size_t class = 1; max == 0 && class < CLASS_LEN; class ++) {
        do {
            while (spares.shelves[class].first) {
                memory_free(take(class));
            }
        } while (fetch_chain(class));
    }
}

size_t spares_kept(void)
{
    return spares.kept;
}
