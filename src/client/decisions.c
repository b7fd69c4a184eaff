#include "client/decisions.h"

#include "base/memory.h"

#define LEN_FIRST 64u /* places */

/* So few are taken that nineteen of twenty decisions are where their search begins. */
#define PLACES_EACH 8u

void decisions_forget(struct decisions *decisions)
{
    memory_free(decisions->places);
    *decisions = (struct decisions){0};
}

static bool is_of(const struct decision *decision, uint64_t group, struct slice topic,
                  uint32_t hash)
{
    return decision->hash == hash && decision->group == group &&
           slice_is_equal(slice_of(decision->topic, decision->topic_len), topic);
}

const struct decision *decisions_find(const struct decisions *decisions, uint64_t group,
                                      struct slice topic, uint32_t hash)
{
    const struct decision *decision = NULL;
    uint32_t at = decision_place(group, hash);

    if (!decisions->places) {
        return NULL;
    }
    do {
        decision = &decisions->places[at++ & decisions->mask];
    } while (decision->topic_len != 0 && !is_of(decision, group, topic, hash));
    return decision->topic_len != 0 ? decision : NULL;
}

static struct decision *find_free(const struct decisions *decisions, uint64_t group, uint32_t hash)
{
    uint32_t at = decision_place(group, hash);

    while (decisions->places[at & decisions->mask].topic_len != 0) {
        at++;
    }
    return &decisions->places[at & decisions->mask];
}

/* Twice as many places, for what there is. False: no memory, and all is as before. */
static bool grow(struct decisions *decisions)
{
    uint32_t before = decisions->places ? decisions->mask + 1 : 0;
    uint32_t cap = before ? 2 * before : LEN_FIRST;
    struct decisions grown = {
        .places = memory_alloc_zero(cap, sizeof(*grown.places)),
        .mask = cap - 1,
        .len = decisions->len,
    };

    if (!grown.places) {
        return false;
    }
    for (uint32_t i = 0; i < before; i++) {
        const struct decision *decision = &decisions->places[i];

        if (decision->topic_len != 0) {
            *find_free(&grown, decision->group, decision->hash) = *decision;
        }
    }
    memory_free(decisions->places);
    *decisions = grown;
    return true;
}

/* For one more. The free places end every search. */
static bool make_room(struct decisions *decisions)
{
    if (decisions->len == DECISIONS_MAX) {
        decisions_forget(decisions);
    }
    return (decisions->places && decisions->len < (decisions->mask + 1) / PLACES_EACH) ||
           grow(decisions);
}

void decisions_keep(struct decisions *decisions, uint64_t group, struct slice topic, uint32_t hash,
                    unsigned rights)
{
    struct decision *decision;

    if (topic.len == 0 || topic.len > DECISION_TOPIC_MAX || !make_room(decisions)) {
        return;
    }
    decision = find_free(decisions, group, hash);
    *decision = (struct decision){
        .group = group, .hash = hash, .rights = (uint8_t)rights, .topic_len = (uint8_t)topic.len};
    memcpy(decision->topic, topic.data, topic.len);
    decisions->len++;
}
