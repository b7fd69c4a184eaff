#pragma once

/*
 * Retained messages
 *
 * The tree of topics with a retained message, and the replay of its values to new subscriptions.
 *
 * Each topic belongs to a stripe, and each stripe has a lock. Under it a retained PUBLISH stores
 * its value, then takes the next number of the retained sequence, then is posted to every worker
 * concerned, its own included: the order in the store is the order in every mailbox. A subscription
 * enters the filter tree, then notes the number S that the sequence has reached. Its replay sends
 * values numbered up to S; live it takes a retained PUBLISH only if numbered above S.
 */

#include "base/list.h"
#include "core/publication.h"
#include "core/tree.h"

struct metrics;
struct session;
struct shard;

#define RETAINED_STRIPE_LEN 256

/* Shared. Values are set under their stripe's lock and the tree's; expired ones go, and the shape
 * changes, under the tree's alone. */
struct retained {
    struct tree *tree;
    _Atomic uint64_t number; /* of the newest; 0 = there was never any */
    struct lock stripes[RETAINED_STRIPE_LEN];
};

int retained_init(struct retained *retained, const struct hash_key *key) MUST_CHECK;

/* Drops all values. No reader is left but the caller's, which retires them. */
void retained_clear(struct retained *retained, struct metrics *metrics);
void retained_deinit(struct retained *retained);

/*
 * Stores a retained publication (an empty payload clears its topic) and posts it to all who
 * subscribe. Answers an enum publish_verdict. -ENOMEM: nothing was changed. The message exists.
 */
int retained_publish(struct shard *shard, struct publication *publication) MUST_CHECK;

/* Whether the value of a node has expired; false without one. Any thread that is online. */
bool retained_is_expired(const struct retained *retained, uint32_t node, uint32_t now);

/*
 * Takes the value of a pinned node out, unless a fresh one has come. Waits for the tree's lock:
 * nothing else that was read may be used afterwards.
 */
void retained_remove_expired(struct shard *shard, uint32_t node);

/* Whether the topic has a value. Any thread that is online. */
bool retained_has(const struct retained *retained, struct slice topic);
