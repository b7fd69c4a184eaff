#pragma once

/*
 * Share set
 *
 * The groups that stand at one node of the filter tree. Walked without locks, inside a read
 * section; changed under the tree's lock. A walk meets each group that stays exactly once, also
 * when it goes on in a later read section, behind the number that it has come to.
 */

#include "base/base.h"

#include <stdatomic.h>

struct rcu_reader;
struct share;

struct share_entry {
    _Atomic(struct share *) share; /* NULL: it has left */
    uint64_t number;               /* its own, also when it has left; they ascend */
};

/* Private to core/share_set.c, but for walks. */
struct share_set {
    _Atomic uint32_t len;
    uint32_t cap;
    uint32_t live;
    struct share_entry entries[];
};

/*
 * `word` holds the set, or 0 while there is none. `number` is above all that are in it. -ENOMEM:
 * nothing was changed.
 */
int share_set_add(_Atomic uint64_t *word, struct share *share, uint64_t number,
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
    return atomic_load_explicit(&set->entries[i].share, memory_order_acquire);
}

/* Where those begin whose number is above this one. */
uint32_t share_set_behind(const struct share_set *set, uint64_t number);
