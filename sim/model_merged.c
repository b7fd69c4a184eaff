#include "sim/model_state.h"

/* One copy of a message for all subscriptions of a session that match (MQTT 5.0 section 3.3.4). */

static bool may_stand(const struct model *model, const struct model_session *session,
                      const struct episode *episode, uint32_t message)
{
    return episode_qos(model, session, episode, message) >= 0 &&
           (!episode->unsub_acked || episode->unsub_acked > model->messages[message].first_sent);
}

static bool gives_retain(const struct model *model, const struct episode *episode, uint32_t message)
{
    return model->wire[message].retain && (episode->options & EPISODE_AS_PUBLISHED);
}

unsigned model_merged_copies(const struct model *model, const struct model_session *session,
                             const struct instance *like)
{
    for (unsigned i = 0; i < session->episode_len; i++) {
        const struct episode *episode = &session->episodes[i];

        if (may_stand(model, session, episode, like->message) &&
            (!like->retain || gives_retain(model, episode, like->message))) {
            return publications_of(model, like->message);
        }
    }
    return 0;
}

static bool has_identifier(const struct wire_packet *packet, uint32_t identifier)
{
    for (unsigned i = 0; i < packet->identifier_len; i++) {
        if (packet->identifiers[i] == identifier) {
            return true;
        }
    }
    return identifier == 0;
}

/* What a subscription that stands for certain asks for is in the copy. */
static bool has_certain(const struct model *model, const struct model_session *session,
                        const struct episode *episode, const struct wire_packet *packet)
{
    int qos = episode_qos(model, session, episode, packet->message);

    if (qos < 0 || !episode_is_certain(episode, model->messages[packet->message].first_sent)) {
        return true;
    }
    return qos <= (int)packet->qos && has_identifier(packet, episode->identifier) &&
           (packet->retain || !gives_retain(model, episode, packet->message));
}

/* How many of the copy's identifiers, and whether its QoS, are those of subscriptions. */
static bool is_explained(const struct model *model, const struct model_session *session,
                         const struct wire_packet *packet)
{
    bool has_qos = false;
    unsigned len = 0;

    for (unsigned i = 0; i < session->episode_len; i++) {
        const struct episode *episode = &session->episodes[i];

        if (may_stand(model, session, episode, packet->message)) {
            has_qos |= episode_qos(model, session, episode, packet->message) == (int)packet->qos;
            len += episode->identifier > 0 && has_identifier(packet, episode->identifier);
        }
    }
    return has_qos && len >= packet->identifier_len;
}

void model_check_merged(struct model *model, const struct model_session *session,
                        const struct wire_packet *packet)
{
    bool is_right = is_explained(model, session, packet);

    for (unsigned i = 0; i < session->episode_len; i++) {
        is_right &= has_certain(model, session, &session->episodes[i], packet);
    }
    if (!is_right) {
        model_complain(model,
                       "client %u gets message %u with QoS %u and %u identifiers, which is not "
                       "what its subscriptions say together",
                       session->actor, packet->message, packet->qos, packet->identifier_len);
    }
}
