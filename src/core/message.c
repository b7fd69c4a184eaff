#include "core/message.h"

#include "base/memory.h"
#include "base/owner.h"
#include "metrics/metrics.h"

static_assert(offsetof(struct message, data) <= 50,
              "a retained message is paid for a million times");

/* Fills in everything but the places of the parts. */
static void message_begin(struct message *message, const struct message_parts *parts)
{
    atomic_init(&message->refs, 1);
    atomic_init(&message->retained_number, 0);
    message->topic_hash = parts->topic_hash;
    message->origin = parts->origin;
    message->expires_at = parts->expires_at;
    message->qos = parts->qos;
    message->retain = parts->retain;
    message->is_stored = false;
    message->topic_len = (uint16_t)parts->topic.len;
    message->payload_len = (uint32_t)parts->payload.len;
}

static void copy_to(struct message *message, size_t at, struct slice part)
{
    if (part.len) {
        memmove(message->data + at, part.data, part.len);
    }
}

int message_new(const struct message_parts *parts, struct message **message_out)
{
    size_t size = parts->topic.len + parts->properties.len + parts->payload.len;
    struct message *message = memory_alloc(sizeof(*message) + size);

    assert(parts->topic.len > 0 && parts->topic.len <= UINT16_MAX);
    if (!message) {
        return -ENOMEM;
    }
    message_begin(message, parts);
    message->topic_at = 0;
    message->properties_at = (uint32_t)parts->topic.len;
    message->payload_at = (uint32_t)(parts->topic.len + parts->properties.len);
    copy_to(message, message->topic_at, parts->topic);
    copy_to(message, message->properties_at, parts->properties);
    copy_to(message, message->payload_at, parts->payload);
    *message_out = message;
    return 0;
}

struct message *message_room_new(size_t cap)
{
    return memory_alloc(sizeof(struct message) + cap);
}

struct message *message_room_resize(struct message *room, size_t cap)
{
    return memory_resize(room, sizeof(*room) + cap);
}

struct message *message_room_free(struct message *room)
{
    return memory_free(room);
}

struct message *message_adopt(struct message *room, const struct message_parts *parts,
                              size_t properties_cap)
{
    size_t topic_at = (size_t)(parts->topic.data - room->data);
    size_t payload_at = (size_t)(parts->payload.data - room->data);

    assert(topic_at <= UINT16_MAX && payload_at <= UINT32_MAX);
    assert(parts->properties.len <= properties_cap && properties_cap <= payload_at);

    message_begin(room, parts);
    room->topic_at = (uint16_t)topic_at;
    room->payload_at = (uint32_t)payload_at;
    room->properties_at = (uint32_t)(payload_at - parts->properties.len);
    copy_to(room, room->properties_at, parts->properties);
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

/* On whichever worker the last reference goes. */
static void message_free(struct message *message)
{
    if (message->is_stored) {
        metrics_sub(owner_self->metrics, METRIC_STORED_MESSAGES, 1);
        metrics_sub(owner_self->metrics, METRIC_STORED_BYTES, message->payload_len);
    }
    memory_free(message);
}

struct message *message_ref(struct message *message)
{
    message_ref_many(message, 1);
    return message;
}

void message_ref_many(struct message *message, uint32_t count)
{
    uint32_t before = atomic_fetch_add_explicit(&message->refs, count, memory_order_relaxed);

    assert(before > 0 && before < UINT32_MAX - count);
}

/* A last reference is released without an atomic write: nobody else can raise it any more. */
struct message *message_unref(struct message *message)
{
    if (message && (atomic_load_explicit(&message->refs, memory_order_acquire) == 1 ||
                    atomic_fetch_sub_explicit(&message->refs, 1, memory_order_acq_rel) == 1)) {
        message_free(message);
    }
    return NULL;
}
