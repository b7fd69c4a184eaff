#include "core/tree.h"

#include "base/memory.h"
#include "base/owner.h"
#include "base/point.h"

/*
 * Nodes are 48 bytes in chunks that never move. A node is found by the hash of its whole path: the
 * hash of the parent's path is chained with that of the level, so that every step of a match is one
 * look-up in one table of edges, whatever the number of siblings. The table is cut into shards that
 * grow alone: with a million filters no single SUBSCRIBE moves them all. A slot holds half of the
 * hash and the number of the node; the rest of the comparison is the parent and the level.
 *
 * A reader that holds an old copy of a shard misses what was added since. That is as if it had
 * looked earlier; who must see an addition has synchronised with the one who made it.
 *
 * Children are linked, too, for the walks of retained replays. Removed nodes keep their `next`
 * until their grace period is over, so a walker that stands on one still gets on.
 */

#define CHUNK_BITS  10
#define CHUNK_LEN   (1u << CHUNK_BITS)
#define CHUNK_CAP   65536u
#define SHARD_LEN   256
#define FIRST_SLOTS 16u

/*
 * A shard is rebuilt when three quarters of its slots are used, and then has a third more. Doubling
 * would leave every table half empty, all of them at the same time, since the hash fills them
 * alike; and what a million nodes leave behind in the heap is of the size of the old tables.
 */
#define MAY_USE(cap) ((cap) - (cap) / 4)
#define CAP_FOR(len) ((len) + (len)*3 / 4)

#define HAS_PLUS   1u
#define HAS_HASH   2u
#define IS_REMOVED 4u
#define ONE_PIN    8u

#define LEVEL_ON_HEAP 0xFF
#define HEAP_LEVEL_AT 8

/* A slot is tag << 32 | number. Number 0 is free; this one was removed. */
#define SLOT_REMOVED 0xFFFFFFFFu

struct slots {
    uint32_t cap;
    _Atomic uint64_t slot[];
};

/* Changed under the tree's lock. */
struct shard_of_edges {
    _Atomic(struct slots *) slots;
    uint32_t used; /* slots that are not free: nodes and removed ones */
    uint32_t len;
};

struct tree {
    struct lock lock;
    struct hash_key key;
    uint64_t plus_hash;
    uint64_t hash_hash;
    uint32_t node_len; /* numbers handed out so far */
    uint32_t free_node;
    _Atomic size_t len;
    struct shard_of_edges shards[SHARD_LEN];
    _Atomic(struct tree_node *) chunks[CHUNK_CAP];
};

static_assert(sizeof(struct tree_node) == 48, "a subscription is paid for a million times");

struct lock *tree_lock(struct tree *tree)
{
    return &tree->lock;
}

struct tree_node *tree_node(const struct tree *tree, uint32_t number)
{
    struct tree_node *chunk =
        atomic_load_explicit(&tree->chunks[number >> CHUNK_BITS], memory_order_acquire);

    assert(number != TREE_NO_NODE && chunk);
    return &chunk[number & (CHUNK_LEN - 1)];
}

/* Levels */

static struct slice node_level(const struct tree_node *node)
{
    const uint8_t *text;
    uint16_t len;

    if (node->level[0] != LEVEL_ON_HEAP) {
        return slice_of(node->level + 1, node->level[0]);
    }
    memcpy(&text, node->level + HEAP_LEVEL_AT, sizeof(text));
    memcpy(&len, text, sizeof(len));
    return slice_of(text + sizeof(len), len);
}

static int node_set_level(struct tree_node *node, struct slice level)
{
    uint16_t len = (uint16_t)level.len;
    uint8_t *text;

    if (level.len <= TREE_INLINE_LEVEL) {
        node->level[0] = (uint8_t)level.len;
        if (level.len) {
            memcpy(node->level + 1, level.data, level.len);
        }
        return 0;
    }
    text = memory_alloc(sizeof(len) + level.len);
    if (!text) {
        return -ENOMEM;
    }
    memcpy(text, &len, sizeof(len));
    memcpy(text + sizeof(len), level.data, level.len);
    node->level[0] = LEVEL_ON_HEAP;
    memcpy(node->level + HEAP_LEVEL_AT, &text, sizeof(text));
    return 0;
}

static void node_free_level(struct tree_node *node)
{
    uint8_t *text;

    if (node->level[0] == LEVEL_ON_HEAP) {
        memcpy(&text, node->level + HEAP_LEVEL_AT, sizeof(text));
        memory_free(text);
        node->level[0] = 0;
    }
}

/* Nodes */

static int chunk_add(struct tree *tree)
{
    uint32_t index = tree->node_len >> CHUNK_BITS;
    struct tree_node *chunk;

    if (index == CHUNK_CAP) {
        return -ENOMEM;
    }
    chunk = memory_alloc(CHUNK_LEN * sizeof(*chunk));
    if (!chunk) {
        return -ENOMEM;
    }
    MEMORY_POISON(chunk, CHUNK_LEN * sizeof(*chunk));
    atomic_store_explicit(&tree->chunks[index], chunk, memory_order_release);
    return 0;
}

/* A number for a new node; TREE_NO_NODE without memory. */
static uint32_t number_take(struct tree *tree)
{
    uint32_t number = tree->free_node;

    if (number != TREE_NO_NODE) {
        struct tree_node *node = tree_node(tree, number);

        MEMORY_UNPOISON(node, sizeof(*node));
        tree->free_node = node->parent;
        return number;
    }
    if ((tree->node_len & (CHUNK_LEN - 1)) == 0 && chunk_add(tree) < 0) {
        return TREE_NO_NODE;
    }
    number = tree->node_len++;
    MEMORY_UNPOISON(tree_node(tree, number), sizeof(struct tree_node));
    return number;
}

static void number_give(struct tree *tree, uint32_t number)
{
    struct tree_node *node = tree_node(tree, number);

    node->parent = tree->free_node;
    tree->free_node = number;
    MEMORY_POISON(node, sizeof(*node));
}

static void node_init(struct tree_node *node, uint32_t parent, uint64_t hash)
{
    atomic_init(&node->word, 0);
    node->parent = parent;
    node->tag = (uint32_t)hash;
    atomic_init(&node->child, TREE_NO_NODE);
    atomic_init(&node->next, TREE_NO_NODE);
    node->previous = TREE_NO_NODE;
    atomic_init(&node->bits, 0);
    node->level[0] = 0;
}

/* Edges */

static struct shard_of_edges *shard_of(const struct tree *tree, uint64_t hash)
{
    return (struct shard_of_edges *)(uintptr_t)&tree->shards[hash >> 56];
}

static bool node_is(const struct tree *tree, uint32_t number, uint32_t parent, struct slice level)
{
    const struct tree_node *node = tree_node(tree, number);

    return node->parent == parent && slice_is_equal(node_level(node), level);
}

/* Where the search for a tag begins: tags are spread evenly over any number of slots. */
static uint32_t first_at(const struct slots *slots, uint32_t tag)
{
    return (uint32_t)((uint64_t)tag * slots->cap >> 32);
}

static uint32_t next_at(const struct slots *slots, uint32_t at)
{
    return at + 1 == slots->cap ? 0 : at + 1;
}

static uint32_t edge_find(const struct tree *tree, uint64_t hash, uint32_t parent,
                          struct slice level)
{
    const struct slots *slots =
        atomic_load_explicit(&shard_of(tree, hash)->slots, memory_order_acquire);
    uint32_t tag = (uint32_t)hash;

    if (!slots) {
        return TREE_NO_NODE;
    }
    for (uint32_t at = first_at(slots, tag);; at = next_at(slots, at)) {
        uint64_t slot = atomic_load_explicit(&slots->slot[at], memory_order_acquire);
        uint32_t number = (uint32_t)slot;

        if (number == TREE_NO_NODE) {
            return TREE_NO_NODE;
        }
        if ((uint32_t)(slot >> 32) == tag && number != SLOT_REMOVED &&
            node_is(tree, number, parent, level)) {
            return number;
        }
    }
}

static void slots_put(struct slots *slots, uint64_t slot)
{
    uint32_t at = first_at(slots, (uint32_t)(slot >> 32));

    while ((uint32_t)atomic_load_explicit(&slots->slot[at], memory_order_relaxed) != TREE_NO_NODE) {
        at = next_at(slots, at);
    }
    atomic_store_explicit(&slots->slot[at], slot, memory_order_release);
}

static void slots_free_late(void *context, void *slots)
{
    (void)context;
    memory_free(slots);
}

/* A copy without the removed slots, and with room. */
static int shard_rebuild(struct shard_of_edges *shard)
{
    struct slots *old = atomic_load_explicit(&shard->slots, memory_order_relaxed);
    uint32_t cap = MAX(CAP_FOR(shard->len), FIRST_SLOTS);
    struct slots *slots;

    slots = memory_alloc_zero(1, sizeof(*slots) + cap * sizeof(slots->slot[0]));
    if (!slots) {
        return -ENOMEM;
    }
    slots->cap = cap;
    for (uint32_t i = 0; old && i < old->cap; i++) {
        uint64_t slot = atomic_load_explicit(&old->slot[i], memory_order_relaxed);

        if ((uint32_t)slot != TREE_NO_NODE && (uint32_t)slot != SLOT_REMOVED) {
            slots_put(slots, slot);
        }
    }
    shard->used = shard->len;
    atomic_store_explicit(&shard->slots, slots, memory_order_release);
    if (old) {
        rcu_retire(owner_self->reader, slots_free_late, NULL, old);
    }
    return 0;
}

static int edge_add(struct tree *tree, uint64_t hash, uint32_t number)
{
    struct shard_of_edges *shard = shard_of(tree, hash);
    struct slots *slots = atomic_load_explicit(&shard->slots, memory_order_relaxed);

    if (!slots || shard->used >= MAY_USE(slots->cap)) {
        int r = shard_rebuild(shard);

        if (r < 0) {
            return r;
        }
        slots = atomic_load_explicit(&shard->slots, memory_order_relaxed);
    }
    slots_put(slots, (uint64_t)(uint32_t)hash << 32 | number);
    shard->used++;
    shard->len++;
    return 0;
}

static void edge_remove(struct tree *tree, uint64_t hash, uint32_t number)
{
    struct shard_of_edges *shard = shard_of(tree, hash);
    struct slots *slots = atomic_load_explicit(&shard->slots, memory_order_relaxed);
    uint64_t wanted = (uint64_t)(uint32_t)hash << 32 | number;
    uint32_t at = first_at(slots, (uint32_t)hash);

    while (atomic_load_explicit(&slots->slot[at], memory_order_relaxed) != wanted) {
        assert((uint32_t)slots->slot[at] != TREE_NO_NODE);
        at = next_at(slots, at);
    }
    atomic_store_explicit(&slots->slot[at], (uint64_t)(uint32_t)hash << 32 | SLOT_REMOVED,
                          memory_order_release);
    shard->len--;
}

/* Looking up */

struct tree_place tree_root(const struct tree *tree)
{
    return (struct tree_place){.number = TREE_ROOT, .hash = tree->key.words[0]};
}

struct tree_place tree_child(const struct tree *tree, struct tree_place parent, struct slice level,
                             uint64_t level_hash)
{
    uint64_t hash = hash_chain(parent.hash, level_hash);

    return (struct tree_place){
        .number = edge_find(tree, hash, parent.number, level),
        .hash = hash,
    };
}

static uint32_t bits_of(const struct tree *tree, uint32_t number)
{
    return atomic_load_explicit(&tree_node(tree, number)->bits, memory_order_acquire);
}

struct tree_place tree_plus(const struct tree *tree, struct tree_place parent)
{
    if ((bits_of(tree, parent.number) & HAS_PLUS) == 0) {
        return (struct tree_place){.number = TREE_NO_NODE};
    }
    return tree_child(tree, parent, slice_of("+", 1), tree->plus_hash);
}

struct tree_place tree_hash(const struct tree *tree, struct tree_place parent)
{
    if ((bits_of(tree, parent.number) & HAS_HASH) == 0) {
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

uint32_t tree_find(const struct tree *tree, struct slice path)
{
    struct tree_place place = tree_root(tree);
    struct tree_levels levels;

    tree_cut(tree, path, &levels);
    for (unsigned i = 0; i < levels.len && place.number != TREE_NO_NODE; i++) {
        place = tree_child(tree, place, levels.level[i], levels.hash[i]);
    }
    return place.number;
}

uint32_t tree_first_child(const struct tree *tree, uint32_t number)
{
    return atomic_load_explicit(&tree_node(tree, number)->child, memory_order_acquire);
}

uint32_t tree_next_sibling(const struct tree *tree, uint32_t number)
{
    return atomic_load_explicit(&tree_node(tree, number)->next, memory_order_acquire);
}

/* A child, else the next sibling, else an ancestor's. */
uint32_t tree_next(const struct tree *tree, uint32_t number)
{
    uint32_t next = tree_first_child(tree, number);

    while (next == TREE_NO_NODE && number != TREE_ROOT) {
        next = tree_next_sibling(tree, number);
        number = tree_parent(tree, number);
    }
    return next;
}

struct slice tree_level(const struct tree *tree, uint32_t number)
{
    return node_level(tree_node(tree, number));
}

uint32_t tree_parent(const struct tree *tree, uint32_t number)
{
    return tree_node(tree, number)->parent;
}

uint64_t tree_level_hash(const struct tree *tree, struct slice level)
{
    return hash_bytes(&tree->key, level);
}

size_t tree_path(const struct tree *tree, uint32_t number, uint8_t *path, size_t cap)
{
    size_t size = 0;
    size_t end;

    for (uint32_t n = number; n != TREE_ROOT; n = tree_node(tree, n)->parent) {
        size += tree_level(tree, n).len + (tree_node(tree, n)->parent == TREE_ROOT ? 0 : 1);
    }
    if (size > cap) {
        return size;
    }
    end = size;
    for (uint32_t n = number; n != TREE_ROOT; n = tree_node(tree, n)->parent) {
        struct slice level = tree_level(tree, n);

        end -= level.len;
        if (level.len) {
            memcpy(path + end, level.data, level.len);
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

/* Makes a child findable: first its siblings' list and its slot, then the parent's bits. */
static void child_link(struct tree *tree, uint32_t parent_number, uint32_t number,
                       struct slice level)
{
    struct tree_node *parent = tree_node(tree, parent_number);
    struct tree_node *node = tree_node(tree, number);
    uint32_t first = atomic_load_explicit(&parent->child, memory_order_relaxed);

    atomic_store_explicit(&node->next, first, memory_order_relaxed);
    if (first != TREE_NO_NODE) {
        tree_node(tree, first)->previous = number;
    }
    atomic_store_explicit(&parent->child, number, memory_order_release);
    atomic_fetch_or_explicit(&parent->bits, wildcard_bit(level), memory_order_release);
}

static int child_add(struct tree *tree, struct tree_place parent, struct slice level, uint64_t hash,
                     uint32_t *number_out)
{
    uint32_t number = number_take(tree);
    int r;

    if (number == TREE_NO_NODE) {
        return -ENOMEM;
    }
    node_init(tree_node(tree, number), parent.number, hash);
    r = node_set_level(tree_node(tree, number), level);
    if (r == 0) {
        r = edge_add(tree, hash, number);
    }
    if (r < 0) {
        node_free_level(tree_node(tree, number));
        number_give(tree, number);
        return r;
    }
    child_link(tree, parent.number, number, level);
    atomic_fetch_add_explicit(&tree->len, 1, memory_order_relaxed);
    *number_out = number;
    return 0;
}

int tree_add(struct tree *tree, struct slice path, uint32_t *number_out)
{
    struct tree_place place = tree_root(tree);
    struct tree_levels levels;

    assert(lock_is_mine(&tree->lock));
    tree_cut(tree, path, &levels);
    for (unsigned i = 0; i < levels.len; i++) {
        struct tree_place child = tree_child(tree, place, levels.level[i], levels.hash[i]);

        if (child.number == TREE_NO_NODE) {
            int r = child_add(tree, place, levels.level[i], child.hash, &child.number);

            if (r < 0) {
                tree_prune(tree, place.number);
                return r;
            }
        }
        place = child;
    }
    *number_out = place.number;
    return 0;
}

/* Shrinking */

static void node_free_late(void *context, void *object)
{
    struct tree *tree = context;
    uint32_t number = (uint32_t)(uintptr_t)object;

    lock_take(&tree->lock);
    node_free_level(tree_node(tree, number));
    number_give(tree, number);
    lock_release(&tree->lock);
}

static void child_unlink(struct tree *tree, uint32_t number)
{
    struct tree_node *node = tree_node(tree, number);
    struct tree_node *parent = tree_node(tree, node->parent);
    uint32_t next = atomic_load_explicit(&node->next, memory_order_relaxed);

    if (node->previous != TREE_NO_NODE) {
        atomic_store_explicit(&tree_node(tree, node->previous)->next, next, memory_order_release);
    } else {
        atomic_store_explicit(&parent->child, next, memory_order_release);
    }
    if (next != TREE_NO_NODE) {
        tree_node(tree, next)->previous = node->previous;
    }
    atomic_fetch_and_explicit(&parent->bits, ~wildcard_bit(node_level(node)), memory_order_release);
}

/* The hash of a node's path, from its levels: only removing needs it. */
static uint64_t path_hash(const struct tree *tree, uint32_t number)
{
    uint32_t chain[TREE_LEVEL_CAP];
    unsigned len = 0;
    uint64_t hash = tree_root(tree).hash;

    for (uint32_t n = number; n != TREE_ROOT; n = tree_node(tree, n)->parent) {
        assert(len < TREE_LEVEL_CAP);
        chain[len++] = n;
    }
    while (len > 0) {
        hash = hash_chain(hash, hash_bytes(&tree->key, tree_level(tree, chain[--len])));
    }
    return hash;
}

static bool looks_useless(const struct tree_node *node)
{
    return atomic_load_explicit(&node->word, memory_order_relaxed) == 0 &&
           atomic_load_explicit(&node->child, memory_order_relaxed) == TREE_NO_NODE;
}

/* Under the lock. From here on nobody can pin the node. */
static bool claim_useless(const struct tree *tree, uint32_t number)
{
    struct tree_node *node = tree_node(tree, number);
    uint32_t none = 0;

    return number != TREE_ROOT && looks_useless(node) &&
           atomic_compare_exchange_strong_explicit(&node->bits, &none, IS_REMOVED,
                                                   memory_order_acq_rel, memory_order_relaxed);
}

void tree_prune(struct tree *tree, uint32_t number)
{
    assert(lock_is_mine(&tree->lock));
    while (claim_useless(tree, number)) {
        uint32_t parent = tree_node(tree, number)->parent;

        edge_remove(tree, path_hash(tree, number), number);
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
    struct tree_node *node = tree_node(tree, number);
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
    struct tree_node *node = tree_node(tree, number);

    lock_take(&tree->lock);
    atomic_fetch_sub_explicit(&node->bits, ONE_PIN, memory_order_acq_rel);
    tree_prune(tree, number);
    lock_release(&tree->lock);
}

/* Life */

int tree_new(const struct hash_key *key, struct tree **tree_out)
{
    struct tree *tree = memory_alloc_zero(1, sizeof(*tree));

    if (!tree) {
        return -ENOMEM;
    }
    lock_init(&tree->lock, LOCK_TREE);
    tree->key = *key;
    tree->plus_hash = hash_bytes(key, slice_of("+", 1));
    tree->hash_hash = hash_bytes(key, slice_of("#", 1));
    tree->node_len = 0;
    if (chunk_add(tree) < 0) {
        tree_free(tree);
        return -ENOMEM;
    }
    tree->node_len = TREE_ROOT + 1;
    MEMORY_UNPOISON(tree_node(tree, TREE_ROOT), sizeof(struct tree_node));
    node_init(tree_node(tree, TREE_ROOT), TREE_NO_NODE, 0);
    *tree_out = tree;
    return 0;
}

/* Levels on the heap: only nodes that are linked still have one. */
static void free_levels(struct tree *tree, uint32_t number)
{
    while (number != TREE_NO_NODE) {
        struct tree_node *node = tree_node(tree, number);
        uint32_t child = atomic_load_explicit(&node->child, memory_order_relaxed);
        uint32_t parent = node->parent;

        if (child != TREE_NO_NODE) {
            number = child;
            continue;
        }
        node_free_level(node);
        if (parent == TREE_NO_NODE) {
            return;
        }
        atomic_store_explicit(&tree_node(tree, parent)->child,
                              atomic_load_explicit(&node->next, memory_order_relaxed),
                              memory_order_relaxed);
        number = parent;
    }
}

struct tree *tree_free(struct tree *tree)
{
    if (!tree) {
        return NULL;
    }
    if (tree->node_len > TREE_ROOT) {
        free_levels(tree, TREE_ROOT);
    }
    for (unsigned i = 0; i < SHARD_LEN; i++) {
        memory_free(atomic_load_explicit(&tree->shards[i].slots, memory_order_relaxed));
    }
    for (unsigned i = 0; i < CHUNK_CAP; i++) {
        memory_free(atomic_load_explicit(&tree->chunks[i], memory_order_relaxed));
    }
    lock_deinit(&tree->lock);
    memory_free(tree);
    return NULL;
}

size_t tree_len(const struct tree *tree)
{
    return atomic_load_explicit(&tree->len, memory_order_relaxed);
}
