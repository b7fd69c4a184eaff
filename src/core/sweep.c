#include "core/sweep.h"

#include "base/point.h"
#include "core/shard.h"

/*
 * Depth first along the tree's own links, all topics alike. Between two slices the node where the
 * walk stands is pinned, which keeps its ancestors, too. Values that come in behind the cursor are
 * seen next time.
 */

#define SWEEP_WORKER 0
#define SWEEP_NEVER  UINT32_MAX

/* One interval from now, on the worker that sweeps. */
static uint32_t next_due(const struct shard *shard)
{
    bool is_ours = shard->worker == SWEEP_WORKER && shard->limits.sweep_interval_s > 0;

    return is_ours ? shard_now(shard) + shard->limits.sweep_interval_s : SWEEP_NEVER;
}

void sweep_init(struct shard *shard)
{
    shard->sweep.due = next_due(shard) == SWEEP_NEVER ? SWEEP_NEVER : 0;
    shard->sweep.cursor = TREE_NO_NODE;
}

/* One that is under way is due, and stays so. */
void sweep_change(struct shard *shard)
{
    uint32_t due = next_due(shard);

    if (shard->sweep.cursor == TREE_NO_NODE) {
        shard->sweep.due = due == SWEEP_NEVER ? SWEEP_NEVER : MIN(shard->sweep.due, due);
    }
}

/* The walk stands on a pinned node from here on; the one that was pinned before is let go. */
static void move_pin(struct shard *shard, uint32_t number)
{
    uint32_t before = shard->sweep.cursor;

    shard->sweep.cursor = number;
    if (before != TREE_NO_NODE) {
        tree_unpin(shard->core->retained.tree, before);
    }
}

void sweep_stop(struct shard *shard)
{
    move_pin(shard, TREE_NO_NODE);
}

/* Removing waits for a lock, which ends the read section: the node is pinned first. */
static void look_at(struct shard *shard, uint32_t number)
{
    struct retained *retained = &shard->core->retained;

    if (retained_is_expired(retained, number, shard_now(shard)) &&
        tree_pin(retained->tree, number)) {
        point("sweep found");
        retained_remove_expired(shard, number);
        move_pin(shard, number);
    }
}

static void finish(struct shard *shard)
{
    move_pin(shard, TREE_NO_NODE);
    shard->sweep.due = next_due(shard);
}

void sweep_go_on(struct shard *shard, unsigned budget)
{
    struct tree *tree = shard->core->retained.tree;
    uint32_t at = shard->sweep.cursor;

    if (shard_now(shard) < shard->sweep.due) {
        return;
    }
    at = at == TREE_NO_NODE ? TREE_ROOT : at;
    /* On a node that was removed under the walk nothing can be pinned: on to one that stays. */
    for (; budget > 0 || !tree_pin(tree, at); budget -= budget > 0) {
        at = tree_next(tree, at);
        if (at == TREE_NO_NODE) {
            finish(shard);
            return;
        }
        look_at(shard, at);
    }
    move_pin(shard, at);
}
