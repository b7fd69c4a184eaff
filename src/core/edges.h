#pragma once

/*
 * Edges
 *
 * Under which hash a tree knows which of its nodes (core/tree.h). Readers look up without locks,
 * inside a read section; additions and removals happen under the tree's lock. A number may be found
 * under a hash that is not its own: who looks up compares.
 *
 * A reader that holds an old copy of a shard misses what was added since. That is as if it had
 * looked earlier; who must see an addition has synchronised with the one who made it.
 */

#include "base/base.h"

#include <stdatomic.h>

#define EDGES_SHARD_LEN 256

/* A slot is tag << 32 | number. Number 0 is free; this one was removed. */
#define EDGES_REMOVED 0xFFFFFFFFu

/*
 * Changed under the tree's lock. The word has where the slots lie and how many they are, so that a
 * reader has both from one moment; and not behind them: among a million nodes whoever looks for the
 * first slot would wait for their number before.
 */
struct edge_shard {
    _Atomic uint64_t word; /* number / EDGES_STEP << EDGES_POINTER_BITS | pointer; 0: none */
    uint32_t used;         /* slots that are not free: nodes and removed ones */
    uint32_t len;
};

#define EDGES_POINTER_BITS 48
#define EDGES_STEP         16u

/* The slots of a shard at one moment. Private to this module. */
struct edge_slots {
    _Atomic uint64_t *slot; /* NULL: there are none */
    uint32_t cap;
};

static inline struct edge_slots edge_slots_of(uint64_t word)
{
    return (struct edge_slots){
        .slot = (_Atomic uint64_t *)(uintptr_t)(word & ((UINT64_C(1) << EDGES_POINTER_BITS) - 1)),
        .cap = (uint32_t)(word >> EDGES_POINTER_BITS) * EDGES_STEP,
    };
}

/* A zeroed one is empty. */
struct edges {
    struct edge_shard shards[EDGES_SHARD_LEN];
};

/* When no reader is left. */
void edges_deinit(struct edges *edges);

/* Makes room for two more under this hash, so that adding them can't fail. -ENOMEM. */
int edges_reserve(struct edges *edges, uint64_t hash) MUST_CHECK;
void edges_add(struct edges *edges, uint64_t hash, uint32_t number);
void edges_remove(struct edges *edges, uint64_t hash, uint32_t number);

/* The other number takes its place at once: there is no moment at which neither is found. */
void edges_replace(struct edges *edges, uint64_t hash, uint32_t number, uint32_t other);

/* A look-up under way. */
struct edge_search {
    struct edge_slots slots;
    uint32_t tag;
    uint32_t at;
};

/* Where the search for a tag begins: tags are spread evenly over any number of slots. */
static inline uint32_t edge_slots_first(struct edge_slots slots, uint32_t tag)
{
    return (uint32_t)((uint64_t)tag * slots.cap >> 32);
}

static inline uint32_t edge_slots_next(struct edge_slots slots, uint32_t at)
{
    return at + 1 == slots.cap ? 0 : at + 1;
}

static inline struct edge_search edges_search(const struct edges *edges, uint64_t hash)
{
    const struct edge_shard *shard = &edges->shards[hash >> 56];
    struct edge_slots slots =
        edge_slots_of(atomic_load_explicit(&shard->word, memory_order_acquire));

    return (struct edge_search){
        .slots = slots,
        .tag = (uint32_t)hash,
        .at = edge_slots_first(slots, (uint32_t)hash),
    };
}

/* Where a search for the hash will look first. */
static inline void edges_prefetch(const struct edges *edges, uint64_t hash)
{
    struct edge_search search = edges_search(edges, hash);

    if (search.slots.slot) {
        PREFETCH(&search.slots.slot[search.at]);
    }
}

/* The next number with the hash; 0 when there is none. */
static inline uint32_t edges_next(struct edge_search *search)
{
    while (search->slots.slot) {
        uint64_t slot = atomic_load_explicit(&search->slots.slot[search->at], memory_order_acquire);
        uint32_t number = (uint32_t)slot;

        search->at = edge_slots_next(search->slots, search->at);
        if ((uint32_t)(slot >> 32) == search->tag && number != 0 && number != EDGES_REMOVED) {
            return number;
        }
        if (number == 0) {
            break;
        }
    }
    return 0;
}
