#pragma once

/*
 * Tree
 *
 * A tree of topic levels, shared by all workers: one of topic filters with their subscribers, one
 * of topic names with their retained messages. Readers walk it without locks, inside a read section
 * (base/rcu.h); the shape changes under `lock`. Every node carries one atomic word for its user.
 *
 * A path has a node where it ends or where another one branches off, so what lies between a node
 * and its parent is one level or several: its label.
 *
 * Nodes are known by number. A number is good within the read section in which it was found, or
 * while it is pinned, or while its word is not 0 and the caller is the one who may clear that word.
 * All that time its path is the same, but a node may come between it and its parent at any moment.
 */

#include "base/hash.h"
#include "base/lock.h"
#include "base/rcu.h"
#include "core/node.h"

#define TREE_ROOT 1u

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

/* The node of a path, or TREE_NO_NODE when it has none of its own. */
uint32_t tree_find(const struct tree *tree, struct slice path);

/* Finds or makes the node of a path. Under the lock. -ENOMEM: nothing was changed. */
int tree_add(struct tree *tree, struct slice path, uint32_t *number_out) MUST_CHECK;

/* The number that the next new node will have, if it is not one that was split. Under the lock. */
uint32_t tree_next_number(const struct tree *tree);

struct tree_levels;

/* The same for a path that was cut before: nothing is hashed under the lock. */
int tree_add_cut(struct tree *tree, const struct tree_levels *levels,
                 uint32_t *number_out) MUST_CHECK;

/* Takes out a node whose word is 0, with every ancestor that is then of no use. Under the lock. A
 * node that had to be where paths branched stays until the last of them is gone. */
void tree_prune(struct tree *tree, uint32_t number);

/*
 * A pinned node stays, and with it all its ancestors, over the end of the read section. False: the
 * node was removed while the caller stood on it; its next sibling is still good to go on with.
 * Unpinning may take the lock: nothing else that was read may be used afterwards.
 */
bool tree_pin(struct tree *tree, uint32_t number) MUST_CHECK;
void tree_unpin(struct tree *tree, uint32_t number);

/* What leads from a node's parent to it, at one moment. Borrowed for the read section. */
struct tree_edge {
    uint32_t parent;
    unsigned len; /* levels of the label: "" is one, "a/b" two; the root has none */
    struct slice label;
};

struct tree_edge tree_edge(const struct tree *tree, uint32_t number);
uint32_t tree_parent(const struct tree *tree, uint32_t number);

/* Takes the first level off a label. False: it was the last one. */
static inline bool tree_take_level(struct slice *label, struct slice *level_out)
{
    const uint8_t *slash = label->len ? memchr(label->data, '/', label->len) : NULL;

    *level_out = slash ? slice_of(label->data, (size_t)(slash - label->data)) : *label;
    *label = slice_skip(*label, level_out->len + (slash ? 1 : 0));
    return slash != NULL;
}

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

/* Among a million nodes a place is not in the cache: where the path's places are found is fetched
 * ahead, all of it at once, and where a place has its child. */
void tree_prefetch(const struct tree *tree, const struct tree_levels *levels);

uint64_t tree_level_hash(const struct tree *tree, struct slice level);

/* A place in a walk: a path that is at a node, or on the way to one, and the hash of that path. */
struct tree_place {
    uint32_t number;
    uint16_t rest; /* on the way: where in the node's text the rest of its label begins; else 0 */
    bool has_wildcards; /* the node had a child by '+' or '#' when this was found */
    uint64_t hash;
};

/* The node at a place; TREE_NO_NODE when there is none, or none yet. */
static inline uint32_t tree_at(struct tree_place place)
{
    return place.rest == 0 ? place.number : TREE_NO_NODE;
}

struct tree_place tree_root(const struct tree *tree);

/* The place one level below; its number is TREE_NO_NODE when there is none. */
struct tree_place tree_child(const struct tree *tree, struct tree_place parent, struct slice level,
                             uint64_t level_hash);

void tree_prefetch_child(const struct tree *tree, struct tree_place parent, uint64_t level_hash);

/*
 * The child of `parent` on the way to `number`, with its edge: that node itself, or since it was
 * split the one that has come between. TREE_NO_NODE: it is not below `parent`.
 */
uint32_t tree_child_towards(const struct tree *tree, uint32_t number, uint32_t parent,
                            struct tree_edge *edge_out);

struct tree_place tree_plus(const struct tree *tree, struct tree_place parent);
struct tree_place tree_hash(const struct tree *tree, struct tree_place parent);

/* What is left of the label that a place is in. */
struct slice tree_rest(const struct tree *tree, struct tree_place place);

/* Whether that is the first level of a label. */
static inline bool tree_begins_with(struct slice label, struct slice level)
{
    return label.len >= level.len && (label.len == level.len || label.data[level.len] == '/') &&
           (level.len == 0 || memcmp(label.data, level.data, level.len) == 0);
}

/* The hash of the level "+". */
uint64_t tree_plus_hash(const struct tree *tree);

/*
 * Walking all children: the first of a node, and the next behind one, with the edge that leads
 * there. New ones may or may not be met, the others once. With a sibling comes the edge of the node
 * itself: what is found stands below the same parent, and when there is nothing that is where the
 * walk goes up.
 */
uint32_t tree_first_child(const struct tree *tree, uint32_t number, struct tree_edge *edge_out);
uint32_t tree_next_sibling(const struct tree *tree, uint32_t number, struct tree_edge *own_out,
                           struct tree_edge *edge_out);

/*
 * For such a walk that reads the words: answers that of the sibling so many further on, 0 without
 * one, and has the one behind that fetched. For few steps: it follows them anew each time.
 */
uint64_t tree_look_ahead(const struct tree *tree, uint32_t number, unsigned distance);

/* A walk over all nodes, depth first: the next one; behind the last one TREE_NO_NODE. */
uint32_t tree_next(const struct tree *tree, uint32_t number);

/* Nodes in use, without the root. Any thread. */
size_t tree_len(const struct tree *tree);
