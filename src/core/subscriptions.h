#pragma once

/*
 * Subscriptions of one session
 *
 * Which nodes of the filter tree a session subscribes to, and at which place of its worker's list
 * there: 10 bytes each. Belongs to its session.
 */

#include "base/base.h"

/* The subscription stands in the node's word itself, not in a list. */
#define SUBSCRIPTION_ALONE UINT32_MAX

struct subscription {
    uint32_t node; /* 0: a free slot */
    uint32_t place;
};

/* Private to this module, but for `len`. */
struct subscriptions {
    union {
        struct subscription *slots;
        struct subscriptions *parts;
    };
    uint32_t cap; /* of slots; or how many parts, with a bit that says so */
    uint32_t len;
};

void subscriptions_deinit(struct subscriptions *subscriptions);

/* NULL when there is none. Good until the next addition or removal. */
struct subscription *subscriptions_find(const struct subscriptions *subscriptions, uint32_t node);

/* The node may be about to be added. */
void subscriptions_prefetch(const struct subscriptions *subscriptions, uint32_t node);

/* Makes room for this node, so that adding it can't fail. -ENOMEM. */
int subscriptions_reserve(struct subscriptions *subscriptions, uint32_t node) MUST_CHECK;
void subscriptions_add(struct subscriptions *subscriptions, uint32_t node, uint32_t place);
void subscriptions_remove(struct subscriptions *subscriptions, uint32_t node);

/* How far a walk has come that empties the set; zeroed at the start. */
struct subscriptions_cursor {
    uint32_t part;
    uint32_t slot;
};

/* Any node; 0 when empty. */
uint32_t subscriptions_any(const struct subscriptions *subscriptions,
                           struct subscriptions_cursor *cursor);
