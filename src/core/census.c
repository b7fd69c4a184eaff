#include "core/census.h"

#include "base/point.h"
#include "core/shard.h"
#include "core/share.h"

/* Nodes that one piece looks at. */
#define VISIT_MAX 2000

static void move_cursor(struct shard *shard, struct census_cursor cursor)
{
    struct census_cursor before = shard->census;

    shard->census = cursor;
    if (before.tree) {
        tree_unpin(before.tree, before.node);
    }
}

void census_stop(struct shard *shard)
{
    move_cursor(shard, (struct census_cursor){0});
}

/* Pinned, so that it is there when the piece comes back. */
static void take(struct tree *tree, uint32_t number, struct census *census)
{
    if (census->len < CENSUS_NODE_CAP &&
        atomic_load_explicit(&tree_node(tree, number)->word, memory_order_acquire) != 0 &&
        tree_pin(tree, number)) {
        census->subscriber_lens[census->len] = 0;
        census->nodes[census->len++] = number;
    }
}

void census_walk(struct shard *shard, struct tree *tree, struct census *census_out)
{
    uint32_t at = shard->census.tree == tree ? shard->census.node : TREE_ROOT;
    unsigned visits = 0;

    assert_owner(shard->worker);
    census_out->len = 0;
    census_out->is_over = false;
    /* On a node that was removed under the walk nothing can be pinned: on to one that stays. */
    while ((visits < VISIT_MAX && census_out->len < CENSUS_NODE_CAP) || !tree_pin(tree, at)) {
        at = tree_next(tree, at);
        if (at == TREE_NO_NODE) {
            census_out->is_over = true;
            census_stop(shard);
            return;
        }
        take(tree, at, census_out);
        point("census step");
        visits++;
    }
    move_cursor(shard, (struct census_cursor){tree, at});
}

/* The members of a group are known to all; they are counted once. */
static uint32_t count_members(const struct shard *shard, struct share *share)
{
    uint32_t len = 0;

    for (unsigned i = 0; i < shard->core->worker_len; i++) {
        len += share_len(share, i, SHARE_AWAY);
    }
    return len;
}

void census_count(struct shard *shard, struct census *census)
{
    struct tree *tree = shard->core->router.tree;

    assert_owner(shard->worker);
    for (unsigned i = 0; i < census->len; i++) {
        uint64_t word =
            atomic_load_explicit(&tree_node(tree, census->nodes[i])->word, memory_order_acquire);
        struct share *share = word != 0 ? router_share(shard, census->nodes[i]) : NULL;

        if (share) {
            census->subscriber_lens[i] = count_members(shard, share);
        } else if (word != 0) {
            census->subscriber_lens[i] += router_own(shard, word).len;
        }
    }
}

void census_release(struct tree *tree, struct census *census)
{
    while (census->len > 0) {
        tree_unpin(tree, census->nodes[--census->len]);
    }
}
