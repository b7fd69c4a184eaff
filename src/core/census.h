#pragma once

/*
 * Census
 *
 * A walk over one of the trees, in pieces, for whoever wants to be shown all of it. One worker
 * walks; a piece is handed from worker to worker, each of which counts its own subscribers. What is
 * in a piece stays in the tree until it is released; what changes behind the walk is not seen.
 */

#include "base/base.h"

struct shard;
struct tree;

#define CENSUS_NODE_CAP 64

/* Where a walk goes on: a pinned node. Owner: the shard's worker. */
struct census_cursor {
    struct tree *tree; /* NULL: no walk is under way */
    uint32_t node;
};

/* Owner: the worker that it is with. */
struct census {
    unsigned len;
    bool is_over; /* the tree has no more */
    uint32_t nodes[CENSUS_NODE_CAP];
    uint32_t subscriber_lens[CENSUS_NODE_CAP]; /* so far; all of a group's at once */
};

/* The next piece of the tree, which begins anew after the last one: nodes that are in use. */
void census_walk(struct shard *shard, struct tree *tree, struct census *census_out);

/* Adds this worker's subscribers. Of the tree of filters. */
void census_count(struct shard *shard, struct census *census);

/* Lets the nodes go: nothing else that was read may be used afterwards. */
void census_release(struct tree *tree, struct census *census);

/* A walk that nobody will go on with. */
void census_stop(struct shard *shard);
