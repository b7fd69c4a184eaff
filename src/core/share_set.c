#include "core/share_set.h"

#include "base/memory.h"
#include "base/rcu.h"
#include "core/share.h"

/*
 * An array in which nobody moves: a walk under way would miss a group that moved, or meet it twice,
 * and that group would get the message never, or twice. So a group that leaves is a hole, and holes
 * go when the array is copied to make room. Groups stand in the order of their numbers, which grow
 * with each that is founded: a walk finds its place again in whatever set stands there later.
 */

#define FIRST_CAP 2u

static void set_free_late(void *context, void *set)
{
    (void)context;
    memory_free(set);
}

static void append(struct share_set *set, struct share *share, uint64_t number)
{
    uint32_t len = share_set_len(set);

    share->place = len;
    set->entries[len].number = number;
    atomic_store_explicit(&set->entries[len].share, share, memory_order_release);
    atomic_store_explicit(&set->len, len + 1, memory_order_release);
    set->live++;
}

/* A copy without holes, in place of the old set. */
static int set_rebuild(_Atomic uint64_t *word, struct rcu_reader *reader)
{
    struct share_set *old = share_set_of(atomic_load_explicit(word, memory_order_relaxed));
    uint32_t cap = old ? MAX(old->live * 2, FIRST_CAP) : FIRST_CAP;
    struct share_set *set =
        memory_alloc_zero(1, sizeof(*set) + (size_t)cap * sizeof(set->entries[0]));

    if (!set) {
        return -ENOMEM;
    }
    set->cap = cap;
    for (uint32_t i = 0; old && i < share_set_len(old); i++) {
        struct share *share = share_set_at(old, i);

        if (share) {
            append(set, share, old->entries[i].number);
        }
    }
    atomic_store_explicit(word, (uintptr_t)set, memory_order_release);
    if (old) {
        rcu_retire(reader, set_free_late, NULL, old);
    }
    return 0;
}

int share_set_add(_Atomic uint64_t *word, struct share *share, uint64_t number,
                  struct rcu_reader *reader)
{
    struct share_set *set = share_set_of(atomic_load_explicit(word, memory_order_relaxed));

    if (!set || share_set_len(set) == set->cap) {
        int r = set_rebuild(word, reader);

        if (r < 0) {
            return r;
        }
        set = share_set_of(atomic_load_explicit(word, memory_order_relaxed));
    }
    append(set, share, number);
    return 0;
}

void share_set_remove(_Atomic uint64_t *word, struct share *share, struct rcu_reader *reader)
{
    struct share_set *set = share_set_of(atomic_load_explicit(word, memory_order_relaxed));

    assert(set && share_set_at(set, share->place) == share);
    atomic_store_explicit(&set->entries[share->place].share, NULL, memory_order_release);
    set->live--;
    if (set->live == 0) {
        atomic_store_explicit(word, 0, memory_order_release);
        rcu_retire(reader, set_free_late, NULL, set);
    }
}

uint32_t share_set_behind(const struct share_set *set, uint64_t number)
{
    uint32_t begin = 0;
    uint32_t end = share_set_len(set);

    while (begin < end) {
        uint32_t middle = begin + (end - begin) / 2;

        if (set->entries[middle].number > number) {
            end = middle;
        } else {
            begin = middle + 1;
        }
    }
    return begin;
}
