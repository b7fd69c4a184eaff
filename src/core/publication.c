#include "core/publication.h"

void publication_of(struct publication *publication, struct message *message, uint64_t topic_hash)
{
    publication_init(publication, topic_hash);
    publication->parts = (struct message_parts){
        .topic = message_topic(message),
        .properties = message_properties(message),
        .payload = message_payload(message),
        .origin = message->origin,
        .topic_hash = message->topic_hash,
        .expires_at = message->expires_at,
        .expiry_interval = message->expiry_interval,
        .qos = message->qos,
        .retain = message->retain,
    };
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
