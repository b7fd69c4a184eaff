#pragma once

/*
 * Sweep
 *
 * Takes expired values out of the retained tree at intervals. The walk is one worker's: a cursor in
 * the tree of topics survives from one iteration to the next, and every change of the tree.
 */

#include "base/base.h"

struct shard;

/* Private to core/sweep.c. Owner: its worker. */
struct sweep {
    uint32_t due;    /* second at which the next one begins; UINT32_MAX: not on this worker */
    uint32_t cursor; /* of the topic tree, pinned; 0: none is under way */
};

void sweep_init(struct shard *shard);

/* The shard's interval between sweeps has changed, perhaps. The next one is due no later than one
 * interval from now. */
void sweep_change(struct shard *shard);

/* Before the retained values are cleared: lets go of the cursor. */
void sweep_stop(struct shard *shard);

static inline bool sweep_is_under_way(const struct sweep *sweep)
{
    return sweep->cursor != 0;
}

/* Looks at up to `budget` nodes when a sweep is due or under way. */
void sweep_go_on(struct shard *shard, unsigned budget);
