#pragma once

/*
 * Node
 *
 * The nodes of a tree (core/tree.h) as they lie in memory: in chunks that never move, known by
 * number. Taken and given back under the tree's lock; readers come by number, without it.
 */

#include "base/slice.h"

#include <stdatomic.h>

#define TREE_NO_NODE 0u

/* Texts longer than this lie on the heap. */
#define NODE_INLINE_TEXT 15

#define NODE_TEXT_ON_HEAP 0xFF
#define NODE_HEAP_TEXT_AT 8

/* Private to core/tree.c, but for `word`. */
struct tree_node {
    _Atomic uint64_t word;
    _Atomic uint64_t edge;  /* parent << 32 | begin of the label in the text << 16 | its levels */
    _Atomic uint32_t child; /* first of the children */
    _Atomic uint32_t next;  /* sibling */
    uint32_t previous;      /* sibling; under the lock */
    _Atomic uint32_t bits;  /* has '+', has '#', removed, count of pins */
    uint8_t text[NODE_INLINE_TEXT + 1]; /* never changes while the node can be found */
};

static_assert(sizeof(struct tree_node) == 48, "a subscription is paid for a million times");

#define NODE_CHUNK_BITS 10
#define NODE_CHUNK_LEN  (1u << NODE_CHUNK_BITS)
#define NODE_CHUNK_CAP  65536u

/* Private to this module. A zeroed one is empty; number 0 is never handed out. */
struct node_pool {
    uint32_t len; /* numbers handed out so far, and 0 */
    uint32_t free;
    _Atomic(struct tree_node *) chunks[NODE_CHUNK_CAP];
};

/* When no reader is left. */
void node_pool_deinit(struct node_pool *pool);

static inline struct tree_node *node_get(const struct node_pool *pool, uint32_t number)
{
    struct tree_node *chunk =
        atomic_load_explicit(&pool->chunks[number >> NODE_CHUNK_BITS], memory_order_acquire);

    assert(number != TREE_NO_NODE && chunk);
    return &chunk[number & (NODE_CHUNK_LEN - 1)];
}

/* A node with this text that nobody finds yet; TREE_NO_NODE without memory. */
uint32_t node_make(struct node_pool *pool, struct slice text) MUST_CHECK;

/* The number that the next node will have: what is kept under it may be looked for already. */
static inline uint32_t node_next_number(const struct node_pool *pool)
{
    return pool->free != TREE_NO_NODE ? pool->free : pool->len;
}

/* Its number may come again: nobody can find it any more. Accepts TREE_NO_NODE. */
void node_discard(struct node_pool *pool, uint32_t number);

static inline struct slice node_text(const struct tree_node *node)
{
    const uint8_t *text;
    uint16_t len;

    if (node->text[0] != NODE_TEXT_ON_HEAP) {
        return slice_of(node->text + 1, node->text[0]);
    }
    memcpy(&text, node->text + NODE_HEAP_TEXT_AT, sizeof(text));
    memcpy(&len, text, sizeof(len));
    return slice_of(text + sizeof(len), len);
}

/* The edge that leads to a node, in one word. */
static inline uint64_t node_edge(const struct tree_node *node)
{
    return atomic_load_explicit(&node->edge, memory_order_acquire);
}

static inline uint32_t node_edge_parent(uint64_t edge)
{
    return (uint32_t)(edge >> 32);
}

static inline uint32_t node_edge_begin(uint64_t edge)
{
    return (uint16_t)(edge >> 16);
}

static inline unsigned node_edge_len(uint64_t edge)
{
    return (uint16_t)edge;
}

static inline void node_set_edge(struct tree_node *node, uint32_t parent, uint32_t begin,
                                 unsigned len)
{
    assert(begin <= UINT16_MAX && len <= UINT16_MAX);
    atomic_store_explicit(&node->edge, (uint64_t)parent << 32 | (uint64_t)begin << 16 | len,
                          memory_order_release);
}
