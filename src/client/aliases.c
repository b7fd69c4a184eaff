#include "client/aliases.h"

#include "base/memory.h"

/* Open addressing, at most half full: most clients hear of few topics, and again and again. */

#define FIRST_CAP 8u

struct alias {
    uint32_t hash;
    uint16_t number;
    uint16_t topic_len;
    uint8_t topic[];
};

/* Owner: its client. */
struct aliases {
    uint32_t len;
    uint32_t cap; /* a power of two */
    struct alias *slots[];
};

/* Where the topic is, or is to be put. */
static uint32_t place_of(const struct aliases *aliases, struct slice topic, uint32_t hash)
{
    uint32_t mask = aliases->cap - 1;
    uint32_t at = hash & mask;

    for (; aliases->slots[at]; at = (at + 1) & mask) {
        const struct alias *alias = aliases->slots[at];

        if (alias->hash == hash &&
            slice_is_equal(slice_of(alias->topic, alias->topic_len), topic)) {
            break;
        }
    }
    return at;
}

uint16_t aliases_find(const struct aliases *aliases, struct slice topic, uint32_t hash)
{
    const struct alias *alias = aliases ? aliases->slots[place_of(aliases, topic, hash)] : NULL;

    return alias ? alias->number : 0;
}

static struct aliases *make(uint32_t cap)
{
    struct aliases *aliases = memory_alloc_zero(1, sizeof(*aliases) + cap * sizeof(struct alias *));

    if (aliases) {
        aliases->cap = cap;
    }
    return aliases;
}

/* False: no memory; what there was is as it was. */
static bool make_room(struct aliases **aliases)
{
    struct aliases *old = *aliases;
    struct aliases *new;

    if (old && old->len < old->cap / 2) {
        return true;
    }
    new = make(old ? old->cap * 2 : FIRST_CAP);
    if (!new) {
        return false;
    }
    for (uint32_t i = 0; old && i < old->cap; i++) {
        struct alias *alias = old->slots[i];

        if (alias) {
            new->slots[place_of(new, slice_of(alias->topic, alias->topic_len), alias->hash)] =
                alias;
            new->len++;
        }
    }
    memory_free(old);
    *aliases = new;
    return true;
}

uint16_t aliases_add(struct aliases **aliases, uint16_t max, struct slice topic, uint32_t hash)
{
    struct alias *alias;

    assert(topic.len <= UINT16_MAX);
    if ((*aliases ? (*aliases)->len : 0) >= max || !make_room(aliases)) {
        return 0;
    }
    alias = memory_alloc(sizeof(*alias) + topic.len);
    if (!alias) {
        return 0;
    }
    alias->hash = hash;
    alias->number = (uint16_t)++(*aliases)->len;
    alias->topic_len = (uint16_t)topic.len;
    memcpy(alias->topic, topic.data, topic.len);
    (*aliases)->slots[place_of(*aliases, topic, hash)] = alias;
    return alias->number;
}

struct aliases *aliases_free(struct aliases *aliases)
{
    for (uint32_t i = 0; aliases && i < aliases->cap; i++) {
        memory_free(aliases->slots[i]);
    }
    return memory_free(aliases);
}
