#include "core/tree.h"

#include "base/memory.h"
#include "base/owner.h"
#include "base/point.h"
#include "core/edges.h"

/*
 * Nodes are 48 bytes in chunks that never move. A node is found by the hash of its path up to the
 * first level of its label: the hash of the parent's path is chained with that of the level, so
 * that every step of a match is one look-up in one table of edges (core/edges.h), whatever the
 * number of siblings. The levels that follow in the label are compared, without any look-up: of the
 * million filters "site/SITE/device/DEVICE/value" each has one node, labelled "DEVICE/value".
 *
 * When a path branches off inside a label, the node is split: a new one with the front part of the
 * label comes between it and its parent. It keeps its number, word and text; only its edge changes,
 * which is one word: the parent, where in the text the label begins, and how many levels it has.
 * Readers don't wait for that. Whoever is led to the split node where the new one is meant (by a
 * slot, a sibling, or the parent, read a moment before) sees by the edge that this node's parent is
 * another one, and goes up from it until the parent is right: that is the new one. So what was in
 * the tree before is found all the time. Nodes are not joined again; one that has lost all branches
 * but one costs 48 bytes until that goes, too.
 *
 * Among a million nodes a slot is not in the cache, and neither is the node it leads to. As the
 * hashes of a path depend on the path alone, the slots of all its levels are fetched ahead: that
 * takes a third off a search, and with the slot in the session's table a sixth off a SUBSCRIBE.
 *
 * Children are linked, too, for the walks of retained replays. Removed nodes keep their `next` and
 * their edge until their grace period is over, so a walker that stands on one still gets on.
 */

#define HAS_PLUS   1u
#define HAS_HASH   2u
#define IS_REMOVED 4u
#define ONE_PIN    8u

struct tree {
    struct lock lock;
    struct hash_key key;
    uint64_t plus_hash;
    uint64_t hash_hash;
    _Atomic size_t len;
    struct edges edges;
    struct node_pool nodes;
};

struct lock *tree_lock(struct tree *tree)
{
    return &tree->lock;
}

struct tree_node *tree_node(const struct tree *tree, uint32_t number)
{
    return node_get(&tree->nodes, number);
}

/* Edges */

static struct tree_edge edge_of(const struct tree_node *node, uint64_t edge)
{
    return (struct tree_edge){
        .parent = node_edge_parent(edge),
        .len = node_edge_len(edge),
        .label = slice_skip(node_text(node), node_edge_begin(edge)),
    };
}

struct tree_edge tree_edge(const struct tree *tree, uint32_t number)
{
    const struct tree_node *node = node_get(&tree->nodes, number);

    return edge_of(node, node_edge(node));
}

uint32_t tree_parent(const struct tree *tree, uint32_t number)
{
    return node_edge_parent(node_edge(node_get(&tree->nodes, number)));
}

static unsigned count_levels(struct slice label)
{
    struct slice level;
    unsigned len = 1;

    while (tree_take_level(&label, &level)) {
        len++;
    }
    return len;
}

static struct slice first_level(struct slice label)
{
    struct slice level;

    (void)tree_take_level(&label, &level);
    return level;
}

/* Looking up */

static bool has_wildcards(const struct tree_node *node, uint32_t which)
{
    return (atomic_load_explicit(&node->bits, memory_order_acquire) & which) != 0;
}

struct tree_place tree_root(const struct tree *tree)
{
    return (struct tree_place){
        .number = TREE_ROOT,
        .has_wildcards = has_wildcards(node_get(&tree->nodes, TREE_ROOT), HAS_PLUS | HAS_HASH),
        .hash = tree->key.words[0],
    };
}

static uint32_t child_towards(const struct tree *tree, uint32_t number, uint32_t parent,
                              uint64_t *edge_out)
{
    while (number != TREE_NO_NODE) {
        *edge_out = node_edge(node_get(&tree->nodes, number));
        if (node_edge_parent(*edge_out) == parent) {
            break;
        }
        number = node_edge_parent(*edge_out);
    }
    return number;
}

uint32_t tree_child_towards(const struct tree *tree, uint32_t number, uint32_t parent,
                            struct tree_edge *edge_out)
{
    uint64_t edge;
    uint32_t child = child_towards(tree, number, parent, &edge);

    if (child != TREE_NO_NODE) {
        *edge_out = edge_of(node_get(&tree->nodes, child), edge);
    }
    return child;
}

/* In the node's text, behind the level which what begins there must begin with. */
static struct tree_place place_behind(const struct tree_node *node, uint32_t begin,
                                      struct slice level, struct tree_place place)
{
    struct slice label = slice_skip(node_text(node), begin);

    if (unlikely(!tree_begins_with(label, level))) {
        place.number = TREE_NO_NODE;
        return place;
    }
    if (label.len > level.len) {
        place.rest = (uint16_t)(begin + level.len + 1);
    }
    place.has_wildcards = has_wildcards(node, HAS_PLUS | HAS_HASH);
    return place;
}

struct tree_place tree_child(const struct tree *tree, struct tree_place parent, struct slice level,
                             uint64_t level_hash)
{
    struct tree_place place = {.hash = hash_chain(parent.hash, level_hash)};
    struct edge_search search;
    uint32_t number;

    if (parent.rest != 0) {
        place.number = parent.number;
        return place_behind(node_get(&tree->nodes, parent.number), parent.rest, level, place);
    }
    search = edges_search(&tree->edges, place.hash);
    while ((number = edges_next(&search)) != TREE_NO_NODE) {
        const struct tree_node *node = node_get(&tree->nodes, number);
        uint64_t edge = node_edge(node);

        place.number = number;
        if (unlikely(node_edge_parent(edge) != parent.number)) {
            place.number = child_towards(tree, number, parent.number, &edge);
            if (place.number == TREE_NO_NODE) {
                continue;
            }
            node = node_get(&tree->nodes, place.number);
        }
        place = place_behind(node, node_edge_begin(edge), level, place);
        if (place.number != TREE_NO_NODE) {
            return place;
        }
    }
    place.number = TREE_NO_NODE;
    return place;
}

struct slice tree_rest(const struct tree *tree, struct tree_place place)
{
    return slice_skip(node_text(node_get(&tree->nodes, place.number)), place.rest);
}

uint64_t tree_plus_hash(const struct tree *tree)
{
    return tree->plus_hash;
}

struct tree_place tree_plus(const struct tree *tree, struct tree_place parent)
{
    if (parent.rest == 0 && !has_wildcards(node_get(&tree->nodes, parent.number), HAS_PLUS)) {
        return (struct tree_place){.number = TREE_NO_NODE};
    }
    return tree_child(tree, parent, slice_of("+", 1), tree->plus_hash);
}

struct tree_place tree_hash(const struct tree *tree, struct tree_place parent)
{
    if (parent.rest == 0 && !has_wildcards(node_get(&tree->nodes, parent.number), HAS_HASH)) {
        return (struct tree_place){.number = TREE_NO_NODE};
    }
    return tree_child(tree, parent, slice_of("#", 1), tree->hash_hash);
}

void tree_cut(const struct tree *tree, struct slice path, struct tree_levels *levels_out)
{
    const uint8_t *at = path.data;
    const uint8_t *end = path.data + path.len;

    levels_out->len = 0;
    for (;;) {
        const uint8_t *slash = memchr(at, '/', (size_t)(end - at));
        struct slice level = slice_of(at, (size_t)((slash ? slash : end) - at));

        assert(levels_out->len < TREE_LEVEL_CAP);
        levels_out->level[levels_out->len] = level;
        levels_out->hash[levels_out->len++] = hash_bytes(&tree->key, level);
        if (!slash) {
            return;
        }
        at = slash + 1;
    }
}

void tree_prefetch(const struct tree *tree, const struct tree_levels *levels)
{
    uint64_t hash = tree_root(tree).hash;

    for (unsigned i = 0; i < levels->len; i++) {
        hash = hash_chain(hash, levels->hash[i]);
        edges_prefetch(&tree->edges, hash);
    }
}

void tree_prefetch_child(const struct tree *tree, struct tree_place parent, uint64_t level_hash)
{
    edges_prefetch(&tree->edges, hash_chain(parent.hash, level_hash));
}

uint32_t tree_find(const struct tree *tree, struct slice path)
{
    struct tree_place place = tree_root(tree);
    UNINITIALIZED struct tree_levels levels;

    tree_cut(tree, path, &levels);
    for (unsigned i = 0; i < levels.len && place.number != TREE_NO_NODE; i++) {
        place = tree_child(tree, place, levels.level[i], levels.hash[i]);
    }
    return tree_at(place);
}

uint32_t tree_first_child(const struct tree *tree, uint32_t number, struct tree_edge *edge_out)
{
    uint32_t child =
        atomic_load_explicit(&node_get(&tree->nodes, number)->child, memory_order_acquire);

    return tree_child_towards(tree, child, number, edge_out);
}

/*
 * A split gives the node its new edge first and takes it out of its siblings' list then. So whoever
 * finds no sibling because of that sees the new edge; and whoever still finds one sees, should the
 * edge be new, that it is not a sibling any more.
 */
uint32_t tree_next_sibling(const struct tree *tree, uint32_t number, struct tree_edge *own_out,
                           struct tree_edge *edge_out)
{
    const struct tree_node *node = node_get(&tree->nodes, number);
    uint32_t next = atomic_load_explicit(&node->next, memory_order_acquire);

    *own_out = edge_of(node, node_edge(node));
    return tree_child_towards(tree, next, own_out->parent, edge_out);
}

static uint32_t next_of(const struct tree *tree, uint32_t number)
{
    return atomic_load_explicit(&node_get(&tree->nodes, number)->next, memory_order_acquire);
}

uint64_t tree_look_ahead(const struct tree *tree, uint32_t number, unsigned distance)
{
    uint32_t behind;

    for (unsigned i = 0; i < distance && number != TREE_NO_NODE; i++) {
        number = next_of(tree, number);
    }
    if (number == TREE_NO_NODE) {
        return 0;
    }
    behind = next_of(tree, number);
    if (behind != TREE_NO_NODE) {
        PREFETCH(node_get(&tree->nodes, behind));
    }
    return tree_word(tree, number);
}

/* A child, else the next sibling, else an ancestor's. */
uint32_t tree_next(const struct tree *tree, uint32_t number)
{
    struct tree_edge edge;
    uint32_t next = tree_first_child(tree, number, &edge);

    while (next == TREE_NO_NODE && number != TREE_ROOT) {
        struct tree_edge own;

        next = tree_next_sibling(tree, number, &own, &edge);
        number = own.parent;
    }
    return next;
}

uint64_t tree_level_hash(const struct tree *tree, struct slice level)
{
    return hash_bytes(&tree->key, level);
}

size_t tree_path(const struct tree *tree, uint32_t number, uint8_t *path, size_t cap)
{
    size_t size = 0;
    struct tree_edge edge;
    size_t end;

    for (uint32_t n = number; n != TREE_ROOT; n = edge.parent) {
        edge = tree_edge(tree, n);
        size += edge.label.len + (edge.parent == TREE_ROOT ? 0 : 1);
    }
    if (size > cap) {
        return size;
    }
    end = size;
    for (uint32_t n = number; n != TREE_ROOT; n = edge.parent) {
        edge = tree_edge(tree, n);
        end -= edge.label.len;
        if (edge.label.len) {
            memcpy(path + end, edge.label.data, edge.label.len);
        }
        if (end > 0) {
            path[--end] = '/';
        }
    }
    return size;
}

/* Growing */

static uint32_t wildcard_bit(struct slice level)
{
    if (level.len != 1) {
        return 0;
    }
    return level.data[0] == '+' ? HAS_PLUS : level.data[0] == '#' ? HAS_HASH : 0;
}

/*
 * How a path is to come into the tree: what is missing is made before anything is changed.
 */
struct growth {
    struct tree_place place; /* as far as it is there */
    uint64_t slot_hash;      /* which the place's node is found under */
    struct slice rest;       /* of the path; `adds` */
    uint64_t rest_hash;      /* which that is to be found under */
    bool splits;             /* the place is on the way to its node */
    bool adds;
    uint32_t middle;
    uint32_t leaf;
};

/* All that was cut, from one level on. */
static struct slice path_from(const struct tree_levels *levels, unsigned first)
{
    const uint8_t *begin = levels->level[first].data;
    struct slice last = levels->level[levels->len - 1];

    return slice_of(begin, (size_t)(last.data - begin) + last.len);
}

static struct growth growth_towards(const struct tree *tree, const struct tree_levels *levels)
{
    struct growth growth = {.place = tree_root(tree)};

    for (unsigned i = 0; i < levels->len; i++) {
        struct tree_place child = tree_child(tree, growth.place, levels->level[i], levels->hash[i]);

        if (child.number == TREE_NO_NODE) {
            growth.adds = true;
            growth.rest = path_from(levels, i);
            growth.rest_hash = child.hash;
            break;
        }
        if (growth.place.rest == 0) {
            growth.slot_hash = child.hash;
        }
        growth.place = child;
    }
    growth.splits = growth.place.rest != 0;
    return growth;
}

/* The part of the label that comes before the place. */
static struct slice front_label(const struct tree *tree, struct tree_place place)
{
    const struct tree_node *node = node_get(&tree->nodes, place.number);
    uint32_t begin = node_edge_begin(node_edge(node));

    return slice_of(node_text(node).data + begin, place.rest - 1 - begin);
}

/* Where the node at the end of the label will be found when it is split at the place. */
static uint64_t back_hash(const struct tree *tree, struct tree_place place)
{
    struct slice text = node_text(node_get(&tree->nodes, place.number));
    struct slice level = first_level(slice_skip(text, place.rest));

    return hash_chain(place.hash, hash_bytes(&tree->key, level));
}

static int growth_prepare(struct tree *tree, struct growth *growth)
{
    int r = 0;

    if (growth->splits) {
        growth->middle = node_make(&tree->nodes, front_label(tree, growth->place));
        r = growth->middle == TREE_NO_NODE
                ? -ENOMEM
                : edges_reserve(&tree->edges, back_hash(tree, growth->place));
    }
    if (r == 0 && growth->adds) {
        growth->leaf = node_make(&tree->nodes, growth->rest);
        r = growth->leaf == TREE_NO_NODE ? -ENOMEM : edges_reserve(&tree->edges, growth->rest_hash);
    }
    if (r < 0) {
        node_discard(&tree->nodes, growth->middle);
        node_discard(&tree->nodes, growth->leaf);
    }
    return r;
}

/* Takes the place of `number` in its siblings' list. */
static void replace_in_list(struct tree *tree, uint32_t number, uint32_t other)
{
    struct tree_node *node = node_get(&tree->nodes, number);
    uint32_t next = atomic_load_explicit(&node->next, memory_order_relaxed);
    uint32_t previous = node->previous;

    if (next != TREE_NO_NODE) {
        node_get(&tree->nodes, next)->previous = other;
    }
    if (previous != TREE_NO_NODE) {
        atomic_store_explicit(&node_get(&tree->nodes, previous)->next, other, memory_order_release);
    } else {
        uint32_t parent = tree_parent(tree, other);

        atomic_store_explicit(&node_get(&tree->nodes, parent)->child, other, memory_order_release);
    }
    node->previous = TREE_NO_NODE;
    atomic_store_explicit(&node->next, TREE_NO_NODE, memory_order_release);
}

/* In this order: see tree_next_sibling() and the head of this file. */
static void split(struct tree *tree, struct tree_place place, uint32_t middle, uint64_t slot_hash)
{
    struct tree_node *lower = node_get(&tree->nodes, place.number);
    struct tree_node *upper = node_get(&tree->nodes, middle);
    struct slice back = slice_skip(node_text(lower), place.rest);
    unsigned front_len = count_levels(node_text(upper));
    struct tree_edge edge = edge_of(lower, node_edge(lower));

    node_set_edge(upper, edge.parent, 0, front_len);
    atomic_store_explicit(&upper->child, place.number, memory_order_relaxed);
    atomic_store_explicit(&upper->next, atomic_load_explicit(&lower->next, memory_order_relaxed),
                          memory_order_relaxed);
    upper->previous = lower->previous;
    atomic_store_explicit(&upper->bits, wildcard_bit(first_level(back)), memory_order_relaxed);
    edges_add(&tree->edges, back_hash(tree, place), place.number);
    node_set_edge(lower, middle, place.rest, edge.len - front_len);
    point("tree node split");
    edges_replace(&tree->edges, slot_hash, place.number, middle);
    point("tree node split");
    replace_in_list(tree, place.number, middle);
    atomic_fetch_add_explicit(&tree->len, 1, memory_order_relaxed);
}

/* Makes a child findable: first its slot and its siblings' list, then the parent's bits. */
static void link_child(struct tree *tree, uint32_t parent_number, uint32_t number, uint64_t hash)
{
    struct tree_node *parent = node_get(&tree->nodes, parent_number);
    struct tree_node *node = node_get(&tree->nodes, number);
    uint32_t first = atomic_load_explicit(&parent->child, memory_order_relaxed);

    node_set_edge(node, parent_number, 0, count_levels(node_text(node)));
    edges_add(&tree->edges, hash, number);
    atomic_store_explicit(&node->next, first, memory_order_relaxed);
    if (first != TREE_NO_NODE) {
        node_get(&tree->nodes, first)->previous = number;
    }
    atomic_store_explicit(&parent->child, number, memory_order_release);
    atomic_fetch_or_explicit(&parent->bits, wildcard_bit(first_level(node_text(node))),
                             memory_order_release);
    atomic_fetch_add_explicit(&tree->len, 1, memory_order_relaxed);
}

uint32_t tree_next_number(const struct tree *tree)
{
    return node_next_number(&tree->nodes);
}

int tree_add_cut(struct tree *tree, const struct tree_levels *levels, uint32_t *number_out)
{
    struct growth growth;
    uint32_t number;
    int r;

    assert(lock_is_mine(&tree->lock));
    growth = growth_towards(tree, levels);
    r = growth_prepare(tree, &growth);
    if (r < 0) {
        return r;
    }
    number = growth.place.number;
    if (growth.splits) {
        split(tree, growth.place, growth.middle, growth.slot_hash);
        number = growth.middle;
    }
    if (growth.adds) {
        link_child(tree, number, growth.leaf, growth.rest_hash);
        number = growth.leaf;
    }
    *number_out = number;
    return 0;
}

int tree_add(struct tree *tree, struct slice path, uint32_t *number_out)
{
    UNINITIALIZED struct tree_levels levels;

    tree_cut(tree, path, &levels);
    tree_prefetch(tree, &levels);
    return tree_add_cut(tree, &levels, number_out);
}

/* Shrinking */

static void node_free_late(void *context, void *object)
{
    struct tree *tree = context;
    uint32_t number = (uint32_t)(uintptr_t)object;

    lock_take(&tree->lock);
    node_discard(&tree->nodes, number);
    lock_release(&tree->lock);
}

static void child_unlink(struct tree *tree, uint32_t number)
{
    struct tree_node *node = node_get(&tree->nodes, number);
    struct tree_edge edge = edge_of(node, node_edge(node));
    struct tree_node *parent = node_get(&tree->nodes, edge.parent);
    uint32_t next = atomic_load_explicit(&node->next, memory_order_relaxed);

    if (node->previous != TREE_NO_NODE) {
        atomic_store_explicit(&node_get(&tree->nodes, node->previous)->next, next,
                              memory_order_release);
    } else {
        atomic_store_explicit(&parent->child, next, memory_order_release);
    }
    if (next != TREE_NO_NODE) {
        node_get(&tree->nodes, next)->previous = node->previous;
    }
    atomic_fetch_and_explicit(&parent->bits, ~wildcard_bit(first_level(edge.label)),
                              memory_order_release);
}

/* What a node is found under, from its labels: only removing needs it. */
static uint64_t slot_hash_of(const struct tree *tree, uint32_t number)
{
    UNINITIALIZED uint32_t chain[TREE_LEVEL_CAP];
    unsigned len = 0;
    uint64_t hash = tree_root(tree).hash;

    for (uint32_t n = tree_parent(tree, number); n != TREE_ROOT; n = tree_parent(tree, n)) {
        assert(len < TREE_LEVEL_CAP);
        chain[len++] = n;
    }
    while (len > 0) {
        struct slice label = tree_edge(tree, chain[--len]).label;
        struct slice level;
        bool goes_on;

        do {
            goes_on = tree_take_level(&label, &level);
            hash = hash_chain(hash, hash_bytes(&tree->key, level));
        } while (goes_on);
    }
    return hash_chain(hash, hash_bytes(&tree->key, first_level(tree_edge(tree, number).label)));
}

static bool looks_useless(const struct tree_node *node)
{
    return atomic_load_explicit(&node->word, memory_order_relaxed) == 0 &&
           atomic_load_explicit(&node->child, memory_order_relaxed) == TREE_NO_NODE;
}

/* Under the lock. From here on nobody can pin the node. */
static bool claim_useless(const struct tree *tree, uint32_t number)
{
    struct tree_node *node = node_get(&tree->nodes, number);
    uint32_t none = 0;

    return number != TREE_ROOT && looks_useless(node) &&
           atomic_compare_exchange_strong_explicit(&node->bits, &none, IS_REMOVED,
                                                   memory_order_acq_rel, memory_order_relaxed);
}

void tree_prune(struct tree *tree, uint32_t number)
{
    assert(lock_is_mine(&tree->lock));
    while (claim_useless(tree, number)) {
        uint32_t parent = tree_parent(tree, number);

        edges_remove(&tree->edges, slot_hash_of(tree, number), number);
        child_unlink(tree, number);
        atomic_fetch_sub_explicit(&tree->len, 1, memory_order_relaxed);
        point("tree node unlinked");
        rcu_retire(owner_self->reader, node_free_late, tree, (void *)(uintptr_t)number);
        number = parent;
    }
}

/* Pins */

bool tree_pin(struct tree *tree, uint32_t number)
{
    struct tree_node *node = node_get(&tree->nodes, number);
    uint32_t bits = atomic_load_explicit(&node->bits, memory_order_relaxed);

    do {
        if (bits & IS_REMOVED) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&node->bits, &bits, bits + ONE_PIN,
                                                    memory_order_acq_rel, memory_order_relaxed));
    return true;
}

/* The pin goes under the lock when it may have been all that held the node. */
void tree_unpin(struct tree *tree, uint32_t number)
{
    struct tree_node *node = node_get(&tree->nodes, number);

    lock_take(&tree->lock);
    atomic_fetch_sub_explicit(&node->bits, ONE_PIN, memory_order_acq_rel);
    tree_prune(tree, number);
    lock_release(&tree->lock);
}

/* Life */

int tree_new(const struct hash_key *key, struct tree **tree_out)
{
    struct tree *tree = memory_alloc_zero(1, sizeof(*tree));
    uint32_t root;

    if (!tree) {
        return -ENOMEM;
    }
    lock_init(&tree->lock, LOCK_TREE);
    tree->key = *key;
    tree->plus_hash = hash_bytes(key, slice_of("+", 1));
    tree->hash_hash = hash_bytes(key, slice_of("#", 1));
    root = node_make(&tree->nodes, slice_of("", 0));
    if (root == TREE_NO_NODE) {
        tree_free(tree);
        return -ENOMEM;
    }
    assert(root == TREE_ROOT);
    *tree_out = tree;
    return 0;
}

struct tree *tree_free(struct tree *tree)
{
    if (!tree) {
        return NULL;
    }
    edges_deinit(&tree->edges);
    node_pool_deinit(&tree->nodes);
    lock_deinit(&tree->lock);
    memory_free(tree);
    return NULL;
}

size_t tree_len(const struct tree *tree)
{
    return atomic_load_explicit(&tree->len, memory_order_relaxed);
}
