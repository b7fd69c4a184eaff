#include "core/publication.h"

void publication_of(struct publication *publication, struct message *message, uint64_t topic_hash)
{
    struct message_parts *parts = &publication->parts;
    struct slice topic = message_topic(message);
    struct slice properties = message_properties(message);
    struct slice payload = message_payload(message);

    /* One by one, as in there. */
    publication_init(publication, topic_hash);
    parts->topic = topic;
    parts->properties = properties;
    parts->payload = payload;
    parts->author = slice_of(NULL, 0);
    parts->origin = message->origin;
    parts->topic_hash = message->topic_hash;
    parts->expires_at = message->expires_at;
    parts->expiry_interval = message->expiry_interval;
    parts->qos = message->marks.qos;
    parts->retain = message->marks.retain;
    publication->retained_number = message_retained_number(message);
    publication->message = message;
}

/* The parts are the message's now: what they were made of goes when the packet is handled. */
static void own_message(struct publication *publication, struct message *message)
{
    message_set_stored(message);
    publication->message = message;
    publication->owns_message = true;
    publication->parts.topic = message_topic(message);
    publication->parts.properties = message_properties(message);
    publication->parts.payload = message_payload(message);
}

int publication_make_message(struct publication *publication)
{
    struct message *message;
    int r = 0;

    assert(!publication->message);
    if (publication->room) {
        message = message_adopt(TAKE(publication->room), &publication->parts,
                                publication->properties_cap);
    } else {
        r = message_new(&publication->parts, &message);
    }
    if (r == 0) {
        own_message(publication, message);
    }
    return r;
}

int publication_hand_over(struct publication *publication, struct message **message_out)
{
    int r;

    if (likely(!publication->message && !publication->room)) {
        r = message_new(&publication->parts, message_out);
        if (r == 0) {
            message_set_stored(*message_out);
        }
        return r;
    }
    r = publication_need_message(publication);
    if (r == 0) {
        *message_out =
            publication->owns_message ? publication->message : message_ref(publication->message);
        publication->owns_message = false;
    }
    return r;
}

void publication_refer(struct publication *publication, uint64_t receiver_len)
{
    if (likely(publication->parts.payload.len <= MESSAGE_COPY_MAX) ||
        (!publication->room && receiver_len == 1)) {
        return;
    }
    /* Without memory for one it is copied. */
    (void)!publication_need_message(publication);
}

void publication_deinit(struct publication *publication)
{
    if (publication->owns_message) {
        message_unref(publication->message);
    }
    publication->message = NULL;
    publication->owns_message = false;
}
