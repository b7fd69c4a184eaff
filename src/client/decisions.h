#pragma once

/*
 * Decisions
 *
 * What one set of access rules said of topics, remembered on one worker: so most messages cost a
 * comparison instead of a walk through the rules. Shared by all who have the same rights there, so
 * that the subscribers of a message find one decision, in one line of the cache, and who is idle
 * has none of its own.
 *
 * The topic is compared byte by byte: its hash is keyed, but no proof against whoever looks for two
 * topics with the same (base/hash.h). See docs/decisions/0031-who-has-the-same-rights.md.
 */

#include "base/slice.h"

/* Longer topics are not remembered. */
#define DECISION_TOPIC_MAX 114

struct decision {
    uint64_t group;    /* whose; numbers that its keeper gives out */
    uint32_t hash;     /* of the topic, the low half */
    uint8_t rights;    /* bits of enum acl_right */
    uint8_t topic_len; /* 0: there is none here */
    uint8_t topic[DECISION_TOPIC_MAX];
};

static_assert(sizeof(struct decision) == 2 * (size_t)CACHE_LINE, "short topics touch one line");

/* Owner: a worker. Members are private. All zero: nothing is remembered. */
struct decisions {
    struct decision *places; /* a power of two of them, at most an eighth taken; or NULL */
    uint32_t mask;
    uint32_t len;
};

/* At most as many; then all are forgotten. 16 MB of places. */
#define DECISIONS_MAX 16384u

void decisions_forget(struct decisions *decisions);

/* That is not remembered yet. Without memory for it nothing happens. */
void decisions_keep(struct decisions *decisions, uint64_t group, struct slice topic, uint32_t hash,
                    unsigned rights);

/* NULL: it is not remembered. */
const struct decision *decisions_find(const struct decisions *decisions, uint64_t group,
                                      struct slice topic, uint32_t hash);

/* Where a search for it begins: one topic's decisions of many groups are spread, too. */
static ALWAYS_INLINE uint32_t decision_place(uint64_t group, uint32_t hash)
{
    return hash ^ (uint32_t)group * 0x9E3779B1u;
}

static ALWAYS_INLINE bool decision_is_same_word(const uint8_t *a, const uint8_t *b)
{
    uint64_t x;
    uint64_t y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return x == y;
}

/*
 * As decisions_find(), but only for a topic of a word or more and where a search begins: that is
 * where most are. A loop, or a call of memcmp(), would have registers saved for it, which is a
 * quarter of what all this takes.
 */
static ALWAYS_INLINE const struct decision *decisions_find_first(const struct decisions *decisions,
                                                                 uint64_t group, struct slice topic,
                                                                 uint32_t hash)
{
    const struct decision *decision =
        &decisions->places[decision_place(group, hash) & decisions->mask];
    size_t last = topic.len - sizeof(uint64_t);

    if (decision->hash != hash || decision->group != group || decision->topic_len != topic.len ||
        topic.len < sizeof(uint64_t)) {
        return NULL;
    }
    /* In words, the last of which may overlap the one before. */
    for (size_t at = 0; at < last; at += sizeof(uint64_t)) {
        if (!decision_is_same_word(decision->topic + at, topic.data + at)) {
            return NULL;
        }
    }
    return decision_is_same_word(decision->topic + last, topic.data + last) ? decision : NULL;
}
