#pragma once

/*
 * Tree
 *
 * A tree of topic levels, shared by all workers: one of topic filters with their subscribers, one
 * of topic names with their retained messages. Readers walk it without locks, inside a read section
 * (base/rcu.h); the shape changes under `lock`. Every node carries one atomic word for its user.
 *
 * Nodes are known by number. A number is good within the read section in which it was found, or
 * while it is pinned, or while its word is not 0 and the caller is the one who may clear that word.
 */

#include "base/hash.h"
#include "base/lock.h"
#include "base/rcu.h"

#define TREE_NO_NODE 0u
#define TREE_ROOT    1u

/* Levels longer than this lie on the heap. */
#define TREE_INLINE_LEVEL 15

/* Private to core/tree.c, but for `word`. */
struct tree_node {
    _Atomic uint64_t word;
    uint32_t parent;
    uint32_t tag;           /* the half of the path's hash that finds its slot */
    _Atomic uint32_t child; /* first of the children */
    _Atomic uint32_t next;  /* sibling */
    uint32_t previous;      /* sibling; under the lock */
    _Atomic uint32_t bits;  /* has '+', has '#', removed, count of pins */
    uint8_t level[TREE_INLINE_LEVEL + 1];
};

struct tree;

int tree_new(const struct hash_key *key, struct tree **tree_out) MUST_CHECK;

/* When no reader is left. The words are the caller's to clear before. */
struct tree *tree_free(struct tree *tree);

struct lock *tree_lock(struct tree *tree);

struct tree_node *tree_node(const struct tree *tree, uint32_t number);

static inline uint64_t tree_word(const struct tree *tree, uint32_t number)
{
    return atomic_load_explicit(&tree_node(tree, number)->word, memory_order_acquire);
}

/* The node of a path ("a/+/b" finds the level "+"), or TREE_NO_NODE. */
uint32_t tree_find(const struct tree *tree, struct slice path);

/* Finds or makes the node of a path. Under the lock. -ENOMEM: nothing was changed. */
int tree_add(struct tree *tree, struct slice path, uint32_t *number_out) MUST_CHECK;

/* Takes out a node whose word is 0, with every ancestor that is then of no use. Under the lock. */
void tree_prune(struct tree *tree, uint32_t number);

/*
 * A pinned node stays, and with it all its ancestors, over the end of the read section. False: the
 * node was removed while the caller stood on it; its next sibling is still good to go on with.
 * Unpinning may take the lock: nothing else that was read may be used afterwards.
 */
bool tree_pin(struct tree *tree, uint32_t number) MUST_CHECK;
void tree_unpin(struct tree *tree, uint32_t number);

/* The level of a node. Borrowed for the read section. */
struct slice tree_level(const struct tree *tree, uint32_t number);

uint32_t tree_parent(const struct tree *tree, uint32_t number);

/* The whole path of a node: its length; writes nothing when that is more than `cap`. */
size_t tree_path(const struct tree *tree, uint32_t number, uint8_t *path, size_t cap);

/* One path cut into levels, each with its hash: cut once, looked up often. */
#define TREE_LEVEL_CAP 202

struct tree_levels {
    unsigned len;
    struct slice level[TREE_LEVEL_CAP];
    uint64_t hash[TREE_LEVEL_CAP];
};

/* The path has at most TREE_LEVEL_CAP levels: mqtt/topics.h has refused others, and a group adds
 * one. */
void tree_cut(const struct tree *tree, struct slice path, struct tree_levels *levels_out);

uint64_t tree_level_hash(const struct tree *tree, struct slice level);

/* A place in a walk: a node and the hash of its path. */
struct tree_place {
    uint32_t number;
    uint64_t hash;
};

struct tree_place tree_root(const struct tree *tree);

/* The child of a place with this level; its number is TREE_NO_NODE when there is none. */
struct tree_place tree_child(const struct tree *tree, struct tree_place parent, struct slice level,
                             uint64_t level_hash);
struct tree_place tree_plus(const struct tree *tree, struct tree_place parent);
struct tree_place tree_hash(const struct tree *tree, struct tree_place parent);

/* Walking all children: the first, and the next behind one. New ones may or may not be met. */
uint32_t tree_first_child(const struct tree *tree, uint32_t number);
uint32_t tree_next_sibling(const struct tree *tree, uint32_t number);

/* A walk over all nodes, depth first: the next one; behind the last one TREE_NO_NODE. */
uint32_t tree_next(const struct tree *tree, uint32_t number);

/* Nodes in use, without the root. Any thread. */
size_t tree_len(const struct tree *tree);
