#include "core/node.h"

#include "base/memory.h"

/* A free node is poisoned; its edge has the next free number for a parent. */

static void free_text(struct tree_node *node)
{
    uint8_t *text;

    if (node->text[0] == NODE_TEXT_ON_HEAP) {
        memcpy(&text, node->text + NODE_HEAP_TEXT_AT, sizeof(text));
        memory_free(text);
        node->text[0] = 0;
    }
}

/* All of them are looked at: one that nobody finds any more may still wait to be discarded, for
 * ever if there was no memory to remember it (rcu_retire()). */
void node_pool_deinit(struct node_pool *pool)
{
    for (uint32_t number = TREE_NO_NODE + 1; number < pool->len; number++) {
        struct tree_node *node = node_get(pool, number);

        MEMORY_UNPOISON(node, sizeof(*node));
        free_text(node);
    }
    for (unsigned i = 0; i < NODE_CHUNK_CAP; i++) {
        memory_free(atomic_load_explicit(&pool->chunks[i], memory_order_relaxed));
    }
}

static int chunk_add(struct node_pool *pool)
{
    uint32_t index = pool->len >> NODE_CHUNK_BITS;
    struct tree_node *chunk;

    if (index == NODE_CHUNK_CAP) {
        return -ENOMEM;
    }
    chunk = memory_alloc(NODE_CHUNK_LEN * sizeof(*chunk));
    if (!chunk) {
        return -ENOMEM;
    }
    MEMORY_POISON(chunk, NODE_CHUNK_LEN * sizeof(*chunk));
    atomic_store_explicit(&pool->chunks[index], chunk, memory_order_release);
    return 0;
}

/* A number for a new node; TREE_NO_NODE without memory. */
static uint32_t number_take(struct node_pool *pool)
{
    uint32_t number = pool->free;

    if (number != TREE_NO_NODE) {
        struct tree_node *node = node_get(pool, number);

        MEMORY_UNPOISON(node, sizeof(*node));
        pool->free = node_edge_parent(node_edge(node));
        return number;
    }
    if ((pool->len & (NODE_CHUNK_LEN - 1)) == 0 && chunk_add(pool) < 0) {
        return TREE_NO_NODE;
    }
    pool->len += pool->len == TREE_NO_NODE;
    number = pool->len++;
    MEMORY_UNPOISON(node_get(pool, number), sizeof(struct tree_node));
    return number;
}

static void node_init(struct tree_node *node)
{
    atomic_init(&node->word, 0);
    atomic_init(&node->edge, 0);
    atomic_init(&node->child, TREE_NO_NODE);
    atomic_init(&node->next, TREE_NO_NODE);
    node->previous = TREE_NO_NODE;
    atomic_init(&node->bits, 0);
    node->text[0] = 0;
}

static int set_text(struct tree_node *node, struct slice text)
{
    uint16_t len = (uint16_t)text.len;
    uint8_t *copy;

    assert(text.len <= UINT16_MAX);
    if (text.len <= NODE_INLINE_TEXT) {
        node->text[0] = (uint8_t)text.len;
        if (text.len) {
            memcpy(node->text + 1, text.data, text.len);
        }
        return 0;
    }
    copy = memory_alloc(sizeof(len) + text.len);
    if (!copy) {
        return -ENOMEM;
    }
    memcpy(copy, &len, sizeof(len));
    memcpy(copy + sizeof(len), text.data, text.len);
    node->text[0] = NODE_TEXT_ON_HEAP;
    memcpy(node->text + NODE_HEAP_TEXT_AT, &copy, sizeof(copy));
    return 0;
}

uint32_t node_make(struct node_pool *pool, struct slice text)
{
    uint32_t number = number_take(pool);

    if (number == TREE_NO_NODE) {
        return TREE_NO_NODE;
    }
    node_init(node_get(pool, number));
    if (set_text(node_get(pool, number), text) < 0) {
        node_discard(pool, number);
        return TREE_NO_NODE;
    }
    return number;
}

void node_discard(struct node_pool *pool, uint32_t number)
{
    struct tree_node *node;

    if (number == TREE_NO_NODE) {
        return;
    }
    node = node_get(pool, number);
    free_text(node);
    node_set_edge(node, pool->free, 0, 0);
    pool->free = number;
    MEMORY_POISON(node, sizeof(*node));
}
