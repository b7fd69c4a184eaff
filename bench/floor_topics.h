#pragma once

/*
 * The floor's topics
 *
 * An open table from the names of topics to their subscribers. What a message needs of it is
 * inline, for this is all that the floor does for one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define likely(condition)   __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

struct client;

struct subscriber {
    struct client *client;
    uint8_t qos;
};

/* Never removed: a topic without subscribers waits for the next one. */
struct topic {
    struct subscriber *subscribers; /* `single` while there is only one */
    struct subscriber single;
    uint32_t len;
    uint32_t cap;
    uint32_t name_len;
    uint8_t name[];
};

struct slot {
    uint64_t hash;
    struct topic *topic;
};

struct topics {
    struct slot *slots;
    uint64_t mask;
    uint64_t len;
};

/* Ends the program when there is no memory. */
void *floor_must(void *memory);

void topics_init(struct topics *topics, uint64_t cap);

/* The topic of this name; made when it is not there. */
struct topic *topics_get(struct topics *topics, const uint8_t *name, size_t len);

/* False: the client was there already, and has the new QoS now. */
bool topic_add(struct topic *topic, struct client *client, uint8_t qos);
void topic_remove(struct topic *topic, const struct client *client);

#define TOPICS_HASH_FACTOR 0x9E3779B97F4A7C15u

static inline uint64_t topics_word(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

static inline uint64_t topics_chain(uint64_t hash, uint64_t value)
{
    return ((hash << 5 | hash >> 59) ^ value) * TOPICS_HASH_FACTOR;
}

/* Of a name of 8 bytes or more. The high bits are the good ones. Never 0: that is a free slot's. */
static inline uint64_t topics_hash(const uint8_t *name, size_t len)
{
    const uint8_t *last = name + len - 8;
    uint64_t hash = len;

    for (; name < last; name += 8) {
        hash = topics_chain(hash, topics_word(name));
    }
    return topics_chain(hash, topics_word(last)) | 1;
}

static inline bool topic_is_named(const struct topic *topic, const uint8_t *name, size_t len)
{
    const uint8_t *own = topic->name;
    const uint8_t *last = name + len - 8;

    if (unlikely(topic->name_len != len)) {
        return false;
    }
    for (; name < last; name += 8, own += 8) {
        if (unlikely(topics_word(own) != topics_word(name))) {
            return false;
        }
    }
    return topics_word(topic->name + len - 8) == topics_word(last);
}

/* Past collisions, and for names of less than 8 bytes. */
const struct topic *topics_find_elsewhere(const struct topics *topics, const uint8_t *name,
                                          size_t len);

/* NULL: nobody ever subscribed to it. */
static inline const struct topic *topics_find(const struct topics *topics, const uint8_t *name,
                                              size_t len)
{
    if (likely(len >= 8)) {
        uint64_t hash = topics_hash(name, len);
        const struct slot *slot = &topics->slots[hash >> 32 & topics->mask];

        if (likely(slot->hash == hash && topic_is_named(slot->topic, name, len))) {
            return slot->topic;
        }
    }
    return topics_find_elsewhere(topics, name, len);
}
