#pragma once

/*
 * Share set
 *
 * The groups that stand at one node of the filter tree. Walked without locks, inside a read
 * section; changed under the tree's lock. A walk meets each group that stays exactly once.
 */

#include "base/base.h"

#include <stdatomic.h>

struct rcu_reader;
struct share;

/* Private to core/share_set.c, but for walks. A group that left is NULL. */
struct share_set {
    _Atomic uint32_t len;
    uint32_t cap;
    uint32_t live;
    _Atomic(struct share *) shares[];
};

/* `word` holds the set, or 0 while there is none. -ENOMEM: nothing was changed. */
int share_set_add(_Atomic uint64_t *word, struct share *share,
                  struct rcu_reader *reader) MUST_CHECK;
void share_set_remove(_Atomic uint64_t *word, struct share *share, struct rcu_reader *reader);

static inline struct share_set *share_set_of(uint64_t word)
{
    return (struct share_set *)(uintptr_t)word;
}

static inline uint32_t share_set_len(const struct share_set *set)
{
    return atomic_load_explicit(&set->len, memory_order_acquire);
}

/* NULL: it has left. */
static inline struct share *share_set_at(const struct share_set *set, uint32_t i)
{
    return atomic_load_explicit(&set->shares[i], memory_order_acquire);
}
