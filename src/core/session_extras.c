#include "core/session_extras.h"

#include "base/memory.h"
#include "core/shard.h"

struct session_extras *session_need_extras(struct session *session)
{
    if (!session->extras) {
        session->extras = memory_alloc_zero(1, sizeof(*session->extras));
    }
    return session->extras;
}

void session_drop_extras(struct session *session)
{
    const struct session_extras *extras = session->extras;

    if (extras && !extras->membership && !extras->replays && !extras->will) {
        session->extras = memory_free(session->extras);
    }
}

void session_forget_will(struct session *session)
{
    if (session->extras) {
        session->extras->will = message_unref(session->extras->will);
    }
}

/* When a will that is sent now expires. */
static uint32_t end_of(const struct shard *shard, uint32_t expiry)
{
    return expiry == SESSION_NEVER
               ? MESSAGE_NEVER
               : MIN(wheel_deadline(shard->now_ms, (uint64_t)expiry * 1000), MESSAGE_LATEST);
}

int session_send_will(struct shard *shard, struct session *session)
{
    UNINITIALIZED struct publication publication;
    struct message *will = session->extras->will;
    int r = 0;

    /* Nobody else has seen the message yet. */
    will->expires_at = end_of(shard, session->extras->will_expiry);
    will->expiry_interval = session->extras->will_expiry;
    if (!will->is_stored) {
        message_set_stored(will);
    }
    publication_of(&publication, will, shard_topic_hash(shard, message_topic(will)));
    if (session_may(shard, session, &publication.parts, PEER_WRITE, &publication.groups)) {
        r = shard_publish(shard, &publication);
    } else {
        /* Who may not publish it any more has lost it. */
        metrics_count(shard->metrics, METRIC_PUBLISH_REFUSED + MQTT_NOT_AUTHORIZED);
    }
    if (r < 0) {
        return r;
    }
    session_forget_will(session);
    return 0;
}
