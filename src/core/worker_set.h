#pragma once

/*
 * Worker set
 *
 * A set of worker numbers: who has subscribers for a message.
 */

#include "base/base.h"

#define WORKER_CAP 256

struct worker_set {
    uint64_t words[WORKER_CAP / 64];
};

static inline void worker_set_add(struct worker_set *set, unsigned worker)
{
    set->words[worker / 64] |= UINT64_C(1) << worker % 64;
}

static inline bool worker_set_has(const struct worker_set *set, unsigned worker)
{
    return (set->words[worker / 64] >> worker % 64 & 1) != 0;
}

static inline void worker_set_remove(struct worker_set *set, unsigned worker)
{
    set->words[worker / 64] &= ~(UINT64_C(1) << worker % 64);
}

/* Takes one worker out of the set; WORKER_CAP when it is empty. */
static inline unsigned worker_set_pop(struct worker_set *set)
{
    for (unsigned i = 0; i < ARRAY_LEN(set->words); i++) {
        if (set->words[i]) {
            unsigned bit = (unsigned)__builtin_ctzll(set->words[i]);

            set->words[i] &= set->words[i] - 1;
            return i * 64 + bit;
        }
    }
    return WORKER_CAP;
}

static inline void worker_set_join(struct worker_set *set, const struct worker_set *other)
{
    for (unsigned i = 0; i < ARRAY_LEN(set->words); i++) {
        set->words[i] |= other->words[i];
    }
}

static inline bool worker_set_is_empty(const struct worker_set *set)
{
    uint64_t any = 0;

    for (unsigned i = 0; i < ARRAY_LEN(set->words); i++) {
        any |= set->words[i];
    }
    return any == 0;
}

/* A step for each of them, who are few for most messages: where nothing is known of the machine the
 * compiler's own way is a call for each word. */
static inline unsigned worker_set_len(const struct worker_set *set)
{
    unsigned len = 0;

    for (unsigned i = 0; i < ARRAY_LEN(set->words); i++) {
        for (uint64_t word = set->words[i]; word; word &= word - 1) {
            len++;
        }
    }
    return len;
}
