#include "core/message.h"

#include "base/memory.h"
#include "base/owner.h"
#include "base/spares.h"
#include "metrics/metrics.h"

static_assert(MESSAGE_HEAD <= 46, "a retained message is paid for a million times");

/* Fills in everything but the parts themselves, which begin at `topic_at`. */
static void message_begin(struct message *message, const struct message_parts *parts,
                          size_t topic_at, bool is_adopted)
{
    assert(parts->topic.len > 0 && parts->topic.len <= UINT16_MAX && topic_at <= UINT16_MAX);

    atomic_init(&message->refs, 1);
    atomic_init(&message->retained_number, 0);
    message->topic_hash = parts->topic_hash;
    message->origin = parts->origin;
    message->expires_at = parts->expires_at;
    message->expiry_interval = parts->expiry_interval;
    message->marks = (struct message_marks){.qos = parts->qos & 3u,
                                            .retain = parts->retain,
                                            .has_author = parts->author.len > 0,
                                            .is_adopted = is_adopted};
    message->is_stored = false;
    message->topic_at = (uint16_t)topic_at;
    message->topic_len = (uint16_t)parts->topic.len;
    message->properties_len = (uint32_t)parts->properties.len;
    message->payload_len = (uint32_t)parts->payload.len;
}

/* To where message_topic() and its like find it. */
static void put(struct slice place, struct slice part)
{
    if (part.len) {
        memmove((uint8_t *)(uintptr_t)place.data, part.data, part.len);
    }
}

/* Its length stands in front of it: few messages have one, and none shall pay for the others. */
static size_t author_size(const struct message_parts *parts)
{
    return parts->author.len > 0 ? sizeof(uint16_t) + parts->author.len : 0;
}

static size_t author_at(const struct message *message)
{
    return message_size(message) - MESSAGE_HEAD;
}

static void put_author(struct message *message, struct slice author)
{
    uint16_t len = (uint16_t)author.len;
    size_t at = author_at(message);

    memcpy(message->data + at, &len, sizeof(len));
    memcpy(message->data + at + sizeof(len), author.data, len);
}

struct slice message_author(const struct message *message)
{
    const uint8_t *at = message->data + author_at(message);
    uint16_t len = 0;

    if (message->marks.has_author) {
        memcpy(&len, at, sizeof(len));
        at += sizeof(len);
    }
    return slice_of(at, len);
}

int message_new(const struct message_parts *parts, struct message **message_out)
{
    size_t size =
        parts->topic.len + parts->properties.len + parts->payload.len + author_size(parts);
    struct message *message = spares_alloc(MESSAGE_HEAD + size);

    if (!message) {
        return -ENOMEM;
    }
    message_begin(message, parts, 0, false);
    put(message_topic(message), parts->topic);
    put(message_properties(message), parts->properties);
    put(message_payload(message), parts->payload);
    if (message->marks.has_author) {
        put_author(message, parts->author);
    }
    *message_out = message;
    return 0;
}

struct message *message_room_new(size_t cap)
{
    return memory_alloc(MESSAGE_HEAD + cap);
}

struct message *message_room_resize(struct message *room, size_t cap)
{
    return memory_resize(room, MESSAGE_HEAD + cap);
}

struct message *message_room_free(struct message *room)
{
    return memory_free(room);
}

struct message *message_adopt(struct message *room, const struct message_parts *parts,
                              size_t properties_cap)
{
    size_t payload_at = (size_t)(parts->payload.data - room->data);
    size_t topic_end = (size_t)(parts->topic.data - room->data) + parts->topic.len;

    assert(parts->author.len == 0);
    assert(parts->properties.len <= properties_cap && topic_end + properties_cap <= payload_at);

    message_begin(room, parts, payload_at - parts->properties.len - parts->topic.len, true);
    /* In this order: the topic moves to where the properties of the packet were. */
    put(message_properties(room), parts->properties);
    put(message_topic(room), parts->topic);
    return room;
}

void message_set_stored(struct message *message)
{
    struct metrics *metrics = owner_self ? owner_self->metrics : NULL;

    assert(!message->is_stored);
    if (metrics) {
        message->is_stored = true;
        metrics_count(metrics, METRIC_STORED_MESSAGES);
        metrics_add(metrics, METRIC_STORED_BYTES, message->payload_len);
    }
}

/* As message_new() asked for it. */
static size_t block_size(const struct message *message)
{
    return message_size(message) +
           (message->marks.has_author ? sizeof(uint16_t) + message_author(message).len : 0);
}

/* On whichever worker the last reference goes. */
static void message_free(struct message *message)
{
    if (message->is_stored) {
        metrics_sub(owner_self->metrics, METRIC_STORED_MESSAGES, 1);
        metrics_sub(owner_self->metrics, METRIC_STORED_BYTES, message->payload_len);
    }
    if (message->marks.is_adopted) {
        message_room_free(message);
    } else {
        spares_free(message, block_size(message));
    }
}

struct message *message_ref(struct message *message)
{
    message_ref_many(message, 1);
    return message;
}

void message_ref_many(struct message *message, uint32_t count)
{
    uint32_t before;

    if (message->marks.is_shared) {
        before = atomic_fetch_add_explicit(&message->refs, count, memory_order_relaxed);
    } else {
        before = atomic_load_explicit(&message->refs, memory_order_relaxed);
        atomic_store_explicit(&message->refs, before + count, memory_order_relaxed);
    }
    assert(before > 0 && before < UINT32_MAX - count);
}

/* True: it was the last one, which is released without an atomic write: nobody else can raise it
 * any more. */
static bool release(struct message *message)
{
    uint32_t len = atomic_load_explicit(&message->refs, memory_order_acquire);

    if (len == 1) {
        return true;
    }
    if (!message->marks.is_shared) {
        atomic_store_explicit(&message->refs, len - 1, memory_order_relaxed);
        return false;
    }
    return atomic_fetch_sub_explicit(&message->refs, 1, memory_order_acq_rel) == 1;
}

struct message *message_unref(struct message *message)
{
    if (message && release(message)) {
        message_free(message);
    }
    return NULL;
}
