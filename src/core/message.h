#pragma once

/*
 * Message
 *
 * What was published: immutable and counted, shared by all workers. Topic, properties and payload
 * lie behind the header in one block of memory. A message is either copied together from slices, or
 * adopted from the buffer that its packet was received into, without copying the payload.
 *
 * Counted: one reference per worker, queue entry and tree node. Any thread may hold one, after
 * message_share().
 */

#include "base/slice.h"

#include <stdatomic.h>

/* A message without Message Expiry Interval. */
#define MESSAGE_NEVER UINT32_MAX

/* Also what expires later than can be told: in more than a century. */
#define MESSAGE_LATEST (MESSAGE_NEVER - 1)

/* Payloads up to this are copied for each receiver, larger ones referenced: a copy is cheaper than
 * one more piece to send. */
#define MESSAGE_COPY_MAX 1024

/* Numbered, but not in every mailbox yet: a replay must not send it before it is. */
#define MESSAGE_UNPOSTED (UINT64_C(1) << 63)

/* One byte, and written at once: bit by bit it is read back each time. */
struct message_marks {
    uint8_t qos : 2;
    bool retain : 1;     /* as it was published */
    bool has_author : 1; /* who published it stands behind the payload: message_author() */
    bool is_adopted : 1; /* the block is a room's */
    bool is_shared : 1;  /* other threads may have references, too: message_share() */
    uint8_t rest : 2;    /* 0 */
};

/* Immutable and counted; `retained_number` is written under the stripe's lock of its topic. */
struct message {
    _Atomic uint32_t refs;
    uint32_t topic_hash;              /* low half of the topic's keyed hash */
    _Atomic uint64_t retained_number; /* see message_retained_number() */
    uint64_t origin;                  /* hash of the publishing client's id, for No Local */
    uint32_t expires_at;              /* second of the workers' clock, or MESSAGE_NEVER */
    uint32_t expiry_interval;         /* as it came, if it expires: no more is ever told */
    uint32_t properties_len;          /* encoded, ready to be forwarded */
    uint32_t payload_len;
    uint16_t topic_at; /* in data[]; the properties lie behind the topic, then the payload */
    uint16_t topic_len;
    struct message_marks marks;
    bool is_stored; /* counted among the stored ones; a byte of its own, for it changes */
    uint8_t data[];
};

/* Of a message without data. Not its sizeof, which rounds up: the two bytes would move a message of
 * 64 bytes with a topic of 25 into malloc's next size. */
#define MESSAGE_HEAD offsetof(struct message, data)

/* The parts of a message that is to be made, or that needs no message yet. All borrowed. */
struct message_parts {
    struct slice topic;
    struct slice properties; /* MQTT 5.0, encoded, only those that are forwarded; or empty */
    struct slice payload;
    struct slice author; /* as `client` writes it, at most 65,535 bytes; empty: unknown */
    uint64_t origin;
    uint32_t topic_hash;
    uint32_t expires_at;
    uint32_t expiry_interval;
    uint8_t qos;
    bool retain;
};

/* -ENOMEM. The new message has one reference. */
int message_new(const struct message_parts *parts, struct message **message_out) MUST_CHECK;

/*
 * Room for a packet of unknown length to be received into, which may become a message: answers a
 * block whose `data` has `cap` bytes. Grown with message_room_resize(), freed with
 * message_room_free(). One owner, no references yet.
 */
struct message *message_room_new(size_t cap) MUST_CHECK;
struct message *message_room_resize(struct message *room, size_t cap) MUST_CHECK;
struct message *message_room_free(struct message *room);

/*
 * Makes a message, without an author, of the room whose data holds all of `parts` (slices into
 * room->data: topic first, payload last). The payload stays; properties and topic move to just
 * before it: `properties_cap` bytes are in between, and the properties, which may lie elsewhere,
 * must not be longer. The room's owner owns the message.
 */
struct message *message_adopt(struct message *room, const struct message_parts *parts,
                              size_t properties_cap);

/* It is kept for somebody: counts among the stored messages from now on until it is freed. Before
 * anybody else sees it. */
void message_set_stored(struct message *message);

/*
 * Before another thread gets a reference or can find one: until then all are one thread's, and
 * counted without atomic writes. Each of those would wait for all that was written before, the
 * outputs of other clients: a tenth of the user time of a message to a group. Once it is shared
 * nothing is written any more: others read that byte.
 */
static inline void message_share(struct message *message)
{
    if (!message->marks.is_shared) {
        message->marks.is_shared = true;
    }
}

struct message *message_ref(struct message *message);

/* The same for several holders at once. */
void message_ref_many(struct message *message, uint32_t count);

/* Answers NULL; frees with the last reference. */
struct message *message_unref(struct message *message);

static inline struct slice message_topic(const struct message *message)
{
    return slice_of(message->data + message->topic_at, message->topic_len);
}

static inline struct slice message_properties(const struct message *message)
{
    const uint8_t *topic = message->data + message->topic_at;

    return slice_of(topic + message->topic_len, message->properties_len);
}

static inline struct slice message_payload(const struct message *message)
{
    struct slice properties = message_properties(message);

    return slice_of(properties.data + properties.len, message->payload_len);
}

/* Who published it, as `client` wrote it; empty: unknown. */
struct slice message_author(const struct message *message);

/* Its place in the retained sequence; 0 = not retained, or not numbered yet. */
static inline uint64_t message_retained_number(const struct message *message)
{
    return atomic_load_explicit(&message->retained_number, memory_order_acquire) &
           ~MESSAGE_UNPOSTED;
}

/* Whether it is numbered and stands in every mailbox concerned. */
static inline bool message_is_posted(const struct message *message)
{
    uint64_t number = atomic_load_explicit(&message->retained_number, memory_order_acquire);

    return number != 0 && (number & MESSAGE_UNPOSTED) == 0;
}

/* Whether its Message Expiry Interval is over in this second. */
static inline bool message_is_expired(const struct message *message, uint32_t now)
{
    return message->expires_at != MESSAGE_NEVER && message->expires_at <= now;
}

/* Bytes that a mailbox or a queue accounts for it. */
static inline size_t message_size(const struct message *message)
{
    return MESSAGE_HEAD + message->topic_at + message->topic_len + message->properties_len +
           message->payload_len;
}

DEFINE_CLEANUP(struct message *, message_unref)
