#pragma once

/*
 * Match
 *
 * The nodes of the filter tree that a topic matches, as one worker finds them: from its cache, by a
 * search, or by one that goes on over several iterations. Belongs to its worker.
 */

#include "core/search.h"

struct shard;

struct match_cache;
struct match_cache *match_cache_new(void);
struct match_cache *match_cache_free(struct match_cache *cache);

/* Has fetched what the next match of a topic with this hash looks at first, without waiting for it.
 */
void match_prefetch(const struct shard *shard, uint64_t topic_hash);

/*
 * The youngest groups (core/peer.h) that are known to be allowed to read a topic, and to write it;
 * 0: none is. One of each is enough for whoever sends to a device, or for a crowd with equal
 * rights.
 */
struct match_groups {
    uint64_t reader;
    uint64_t writer;
    bool is_new; /* not known to the match cache yet */
};

#define MATCH_CACHE_NODES 4

/*
 * What a match has found: good for the same read section, as long as this worker changes none of
 * its subscriptions. Whoever keeps it for a few steps takes no lock in them: one that has to be
 * waited for ends the section (base/lock.h).
 */
struct match_found {
    struct match_groups groups; /* only where `asks_rights` */
    unsigned len; /* above MATCH_CACHE_NODES: there were more than are written down here */
    struct {
        uint32_t number;
        uint64_t word;
    } nodes[MATCH_CACHE_NODES];
};

static inline void match_found_add(struct match_found *found, uint32_t node, uint64_t word)
{
    if (likely(found->len < MATCH_CACHE_NODES)) {
        found->nodes[found->len].number = node;
        found->nodes[found->len].word = word;
    }
    found->len++;
}

static inline bool match_found_is_all(const struct match_found *found)
{
    return found->len <= MATCH_CACHE_NODES;
}

/* The answer of the cache, when there is one. Only a topic that may be published to has one. */
bool match_cached(struct shard *shard, struct slice topic, uint64_t topic_hash,
                  struct match_found *found_out) MUST_CHECK;

/* Remembers them with the topic, where the cache has an answer for it. */
void match_keep_groups(struct shard *shard, struct slice topic, uint64_t topic_hash,
                       const struct match_groups *groups);

/*
 * Visits every node that matches and has subscribers: the answer of the cache, when there is one,
 * else of a search. Inside one read section; `visit` must not change the tree. False: the search
 * was cut after `limits.search_steps`, and has not visited all.
 */
bool match_nodes(struct shard *shard, struct slice topic, uint64_t topic_hash,
                 search_visit_fn visit, void *context) MUST_CHECK;

/* The same, and never cut: where it was not a moment ago, or where there is no other way. */
void match_all_nodes(struct shard *shard, struct slice topic, uint64_t topic_hash,
                     search_visit_fn visit, void *context);

/* A search over several iterations. Private to core/match.c. Owner: its worker. */
struct match_search {
    struct search search;
    uint64_t wildcard_version; /* as it began */
    uint32_t version;
    uint32_t node_len; /* visited so far */
    uint32_t nodes[MATCH_CACHE_NODES];
};

void match_search_init(struct shard *shard, struct match_search *search, uint64_t topic_hash);

/* Goes on as far as the budget reaches. False: not through yet. */
bool match_search_go_on(struct shard *shard, struct match_search *search, struct slice topic,
                        uint64_t topic_hash, struct search_visitor visitor) MUST_CHECK;
