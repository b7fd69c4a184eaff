#include "core/publication.h"

void publication_of(struct publication *publication, struct message *message, uint64_t topic_hash)
{
    *publication = (struct publication){
        .parts =
            {
                    .topic = message_topic(message),
                    .properties = message_properties(message),
                    .payload = message_payload(message),
                    .origin = message->origin,
                    .topic_hash = message->topic_hash,
                    .expires_at = message->expires_at,
                    .qos = message->qos,
                    .retain = message->retain,
                    },
        .topic_hash = topic_hash,
        .retained_number = atomic_load_explicit(&message->retained_number, memory_order_acquire),
        .message = message,
    };
}

/* The parts of an adopted message move: properties may have been put elsewhere. */
static void take_room(struct publication *publication)
{
    struct message *message =
        message_adopt(TAKE(publication->room), &publication->parts, publication->properties_cap);

    publication->message = message;
    publication->owns_message = true;
    publication->parts.properties = message_properties(message);
}

int publication_need_message(struct publication *publication)
{
    int r;

    if (publication->message) {
        return 0;
    }
    if (publication->room) {
        take_room(publication);
        return 0;
    }
    r = message_new(&publication->parts, &publication->message);
    publication->owns_message = r == 0;
    return r;
}

void publication_deinit(struct publication *publication)
{
    if (publication->owns_message) {
        message_unref(publication->message);
    }
    publication->message = NULL;
    publication->owns_message = false;
}
