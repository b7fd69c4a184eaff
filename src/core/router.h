#pragma once

/*
 * Router
 *
 * Who subscribes to what. A node of the filter tree tells with one word which workers have
 * subscribers there; each worker's own list is touched by that worker alone. Matching is lock-free
 * and cached per worker (core/match.h).
 */

#include "core/tree.h"
#include "core/worker_set.h"

struct core;
struct session;
struct shard;
struct share;
struct match_found;
struct share_set;

/* Options of a subscription, packed; the low two bits are the QoS. */
#define SUBSCRIBE_QOS          3u
#define SUBSCRIBE_NO_LOCAL     4u
#define SUBSCRIBE_AS_PUBLISHED 8u
#define SUBSCRIBE_NO_INTERNAL  16u /* none that begins with '$' behind the session's mount point */

/* One row of a list. */
struct subscriber {
    struct session *session;
    uint32_t identifier; /* subscription identifier, 0 = none */
    uint8_t options;
};

/* One worker's subscribers at one node. Owner: that worker. */
struct subscriber_list {
    struct subscriber *rows;
    uint32_t len;
    uint32_t cap;
    uint32_t pins;   /* fan-outs that will still come by; the list stays until they have */
    uint32_t target; /* its place among those of the active fan-out (core/fanout.c), if pinned */
};

#define ROUTER_VERSION_LEN 4096

/* Shared. Shape under the tree's lock. */
struct router {
    struct tree *tree;
    _Atomic size_t share_len; /* groups */
    _Atomic uint64_t founded; /* groups, ever: the number of the last one */
    _Atomic uint64_t wildcard_version;
    _Atomic uint64_t changes; /* of any of the versions, which are raised before it */
    _Atomic uint32_t versions[ROUTER_VERSION_LEN]; /* of exact filters, by hash of the topic */
};

int router_init(struct router *router, const struct hash_key *key) MUST_CHECK;
void router_deinit(struct router *router);

struct subscribed {
    uint32_t node;
    bool replaced; /* the session had this filter already */
};

/*
 * A valid filter. -ENOMEM: nothing was changed. `levels` is what router_look_ahead() has made of
 * it, or NULL.
 */
int router_subscribe(struct shard *shard, struct slice filter, const struct tree_levels *levels,
                     struct subscriber subscriber, struct subscribed *subscribed_out) MUST_CHECK;

/* Cuts a valid filter, and has fetched what subscribing to it will look at, without waiting. */
void router_look_ahead(const struct shard *shard, struct slice filter,
                       struct tree_levels *levels_out);

/* Whether the session had this filter; `node_out` is its node then. */
bool router_unsubscribe(struct shard *shard, struct session *session, struct slice filter,
                        uint32_t *node_out);

/* Removes one subscription of a session by its node, which may be a group's. */
void router_remove(struct shard *shard, struct session *session, uint32_t node);

/* The number of the group that was founded last. */
static inline uint64_t router_founded(const struct router *router)
{
    return atomic_load_explicit(&router->founded, memory_order_acquire);
}

/* As long as this is what it was before a topic was matched, what was found then is what would be
 * found now. The words of the nodes may be others. */
static inline uint64_t router_changes(const struct router *router)
{
    return atomic_load_explicit(&router->changes, memory_order_acquire);
}

/* Matching */

/*
 * The workers that have subscribers for a topic; members of groups are none. False: the search was
 * cut, and all workers are said to have some: each finds out for itself.
 */
bool router_workers(struct shard *shard, struct slice topic, uint64_t topic_hash,
                    struct worker_set *workers_out) MUST_CHECK;

/*
 * The same, and deals a turn of each group that the topic matches (core/share_post.h); what was
 * found need not be looked for again (NULL: nobody asks). False: the search was cut, and all of
 * that is left to the workers.
 */
bool router_deal(struct shard *shard, struct slice topic, uint64_t topic_hash,
                 struct worker_set *workers_out, struct match_found *found_out) MUST_CHECK;

/* The same for what was found before. */
bool router_deal_found(struct shard *shard, const struct match_found *found,
                       struct worker_set *workers_out) MUST_CHECK;

/* The groups at a node; NULL: none. */
const struct share_set *router_shares(const struct shard *shard, uint64_t word);

/* This worker's own part of a node's word: 0, one subscriber, or a list. */
struct own_subscribers {
    struct subscriber single; /* when list is NULL and len is 1 */
    struct subscriber_list *list;
    uint32_t len;
};

struct own_subscribers router_own(const struct shard *shard, uint64_t word);

/* Whether nobody stands at a node but one session of this worker. */
bool router_own_is_all(const struct shard *shard, uint64_t word,
                       struct subscriber *single_out) MUST_CHECK;

/* The worker of all who stand at a node; WORKER_CAP: there are several, groups, or nobody. */
unsigned router_only_worker(uint64_t word);

/* How a session of this worker subscribes at a node that stays. False: it does not. */
bool router_find_own(const struct shard *shard, struct session *session, uint32_t node,
                     struct subscriber *subscriber_out);

/* For fan-outs over several iterations. */
void subscriber_list_pin(struct subscriber_list *list);
void subscriber_list_unpin(struct subscriber_list *list);

/* For groups (core/share_join.c), under the tree's lock but for router_share(). */

/* The group whose own node this is; NULL when it is no group's. */
struct share *router_share(const struct shard *shard, uint32_t node);
void router_set_share(struct shard *shard, uint32_t node, struct share *share);

/* Where the set of the groups at a filter's node is kept. NULL without memory. */
_Atomic uint64_t *router_shares_slot(struct shard *shard, uint32_t node);

bool router_has_subscribers(const struct shard *shard, uint32_t node);

/* What was cached without this node is void. */
void router_raise_version(struct shard *shard, uint32_t node);

/* Something has left this node, and with it perhaps the last: the caller prunes it. */
void router_settle_node(struct shard *shard, uint32_t node);
