#include "floor_topics.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

void *floor_must(void *memory)
{
    if (!memory) {
        fputs("bench-floor: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

static uint64_t hash_any(const uint8_t *name, size_t len)
{
    uint64_t hash = 0;

    if (len >= 8) {
        return topics_hash(name, len);
    }
    memcpy(&hash, name, len);
    return topics_chain(hash, len) | 1;
}

/* The slot with this hash and name, or the free one where they belong. */
static struct slot *find_slot(const struct topics *topics, const uint8_t *name, size_t len,
                              uint64_t hash)
{
    uint64_t at = hash >> 32 & topics->mask;

    while (topics->slots[at].hash) {
        struct slot *slot = &topics->slots[at];

        if (slot->hash == hash && slot->topic->name_len == len &&
            memcmp(slot->topic->name, name, len) == 0) {
            break;
        }
        at = (at + 1) & topics->mask;
    }
    return &topics->slots[at];
}

const struct topic *topics_find_elsewhere(const struct topics *topics, const uint8_t *name,
                                          size_t len)
{
    return find_slot(topics, name, len, hash_any(name, len))->topic;
}

void topics_init(struct topics *topics, uint64_t cap)
{
    assert(cap && (cap & (cap - 1)) == 0);
    topics->slots = floor_must(calloc(cap, sizeof(*topics->slots)));
    topics->mask = cap - 1;
    topics->len = 0;
}

static void grow(struct topics *topics)
{
    struct topics old = *topics;

    topics_init(topics, 2 * (old.mask + 1));
    topics->len = old.len;
    for (uint64_t i = 0; i <= old.mask; i++) {
        const struct slot *slot = &old.slots[i];

        if (slot->hash) {
            *find_slot(topics, slot->topic->name, slot->topic->name_len, slot->hash) = *slot;
        }
    }
    free(old.slots);
}

struct topic *topics_get(struct topics *topics, const uint8_t *name, size_t len)
{
    uint64_t hash = hash_any(name, len);
    struct slot *slot = find_slot(topics, name, len, hash);
    struct topic *topic;

    if (slot->hash) {
        return slot->topic;
    }
    if (2 * ++topics->len > topics->mask) {
        grow(topics);
        slot = find_slot(topics, name, len, hash);
    }
    topic = floor_must(calloc(1, sizeof(struct topic) + len));
    topic->name_len = (uint32_t)len;
    topic->cap = 1;
    topic->subscribers = &topic->single;
    memcpy(topic->name, name, len);
    *slot = (struct slot){.hash = hash, .topic = topic};
    return topic;
}

bool topic_add(struct topic *topic, struct client *client, uint8_t qos)
{
    struct subscriber *grown;

    for (uint32_t i = 0; i < topic->len; i++) {
        if (topic->subscribers[i].client == client) {
            topic->subscribers[i].qos = qos;
            return false;
        }
    }
    if (topic->len == topic->cap) {
        assert(topic->cap > 0);
        grown = floor_must(calloc(2 * (size_t)topic->cap, sizeof(*grown)));
        memcpy(grown, topic->subscribers, topic->len * sizeof(*grown));
        if (topic->subscribers != &topic->single) {
            free(topic->subscribers);
        }
        topic->subscribers = grown;
        topic->cap *= 2;
    }
    topic->subscribers[topic->len++] = (struct subscriber){.client = client, .qos = qos};
    return true;
}

void topic_remove(struct topic *topic, const struct client *client)
{
    for (uint32_t i = 0; i < topic->len; i++) {
        if (topic->subscribers[i].client == client) {
            topic->subscribers[i] = topic->subscribers[--topic->len];
            return;
        }
    }
}
