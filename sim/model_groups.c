#include "sim/model_state.h"

/*
 * Groups: the sessions that share a filter. What a group gives is told from what ordinary
 * subscriptions give by its identifier, or because its session has no others (sim/actor*.c see to
 * that).
 *
 * A group may give a message again when the member that had it went away with it unacknowledged.
 * Whether a session is gone is not always known: who may be gone counts.
 */

static bool is_member(const struct model *model, const struct episode *episode, uint32_t message,
                      unsigned group)
{
    return episode->filter == group && world_matches(group, model->wire[message].topic);
}

bool model_is_of_group(const struct model *model, const struct model_session *session,
                       struct instance *instance)
{
    for (unsigned i = 0; i < session->episode_len; i++) {
        const struct episode *episode = &session->episodes[i];

        if (world_is_shared(episode->filter) &&
            world_matches(episode->filter, model->wire[instance->message].topic) &&
            episode->identifier == instance->identifier &&
            options_qos(model, episode->options, model->wire[instance->message].qos) ==
                (int)instance->qos &&
            (!episode->unsub_acked ||
             episode->unsub_acked > model->messages[instance->message].first_sent)) {
            instance->group = (uint8_t)episode->filter;
            return true;
        }
    }
    return false;
}

/* A connection that was not answered yet may have begun a new session in its place. */
static bool may_be_replaced(const struct model *model, const struct model_session *session)
{
    return model_is_in_doubt(model, session->actor);
}

static bool may_be_over(const struct model *model, const struct model_session *session)
{
    const struct model_connection *it = &model->connections[session->connection];
    bool is_leaving = it->closed || it->ended || it->disconnect_read || it->sent_garbage ||
                      it->keep_alive || model->params.may_overflow || model->params.drains ||
                      model->is_stopping;

    return session->is_over || model_is_expired(model, session) != 0 ||
           (session->expiry == 0 && is_leaving) || may_be_replaced(model, session);
}

/* Who is told to go may acknowledge what was handed on before: that is read, and dropped. */
static bool may_be_unheard(const struct model *model, const struct flight *flight)
{
    return model->params.drains && flight->qos == 1 &&
           model->connections[flight->connection].closed;
}

/* Deliveries of a group's message that nobody has acknowledged, in sessions that may be over. */
static unsigned returned(const struct model *model, uint32_t message, unsigned group)
{
    unsigned len = 0;

    for (unsigned i = 0; i < model->session_len; i++) {
        const struct model_session *session = model->sessions[i];

        for (unsigned j = 0; j < session->flight_len; j++) {
            const struct flight *flight = &session->flights[j];

            len += flight->message == message && flight->group == group &&
                   (flight->state == FLIGHT_SENT || may_be_unheard(model, flight)) &&
                   may_be_over(model, session);
        }
    }
    return len;
}

static unsigned given_to(const struct model_session *session, uint32_t message, unsigned group)
{
    unsigned len = 0;

    for (unsigned i = 0; i < session->log_len; i++) {
        len += session->log[i].message == message && session->log[i].group == group;
    }
    return len;
}

static unsigned given(const struct model *model, uint32_t message, unsigned group)
{
    unsigned len = 0;

    for (unsigned i = 0; i < model->session_len; i++) {
        len += given_to(model->sessions[i], message, group);
    }
    return len;
}

void model_on_shared(struct model *model, struct model_session *session, struct instance *instance,
                     uint16_t packet_id)
{
    uint32_t message = instance->message;
    unsigned allowed = publications_of(model, message) + returned(model, message, instance->group);
    unsigned copies = given(model, message, instance->group) + 1;
    struct flight *flight;

    /* What stands in an output when its client is told to go is read long after it was handed on.
     */
    allowed += instance->qos == 1 && may_be_over(model, session);
    if (model->messages[message].read_len == 0) {
        model_complain(model, "message %u is delivered before it was published", message);
    } else if (copies > allowed) {
        model_complain(model, "%s gives message %u %u times in place of %u, now to client %u",
                       world_filter(instance->group), message, copies, allowed, session->actor);
    }
    if (model->messages[message].is_will) {
        model_check_will(model, message);
    }
    if (model->messages[message].is_will || copies > 1) {
        model_disturb(model, NULL);
    }
    flight = instance->qos > 0 ? model_find_flight(session, packet_id) : NULL;
    if (flight) {
        flight->group = instance->group;
    }
    log_instance(session, instance);
}

/* Turns */

void model_disturb(struct model *model, const struct model_session *session)
{
    for (unsigned i = 0; i < WORLD_GROUP_LEN; i++) {
        model->groups[i].calm_since = session ? model->groups[i].calm_since : 0;
    }
    for (unsigned i = 0; session && i < session->episode_len; i++) {
        if (world_is_shared(session->episodes[i].filter)) {
            model->groups[session->episodes[i].filter - WORLD_FILTER_LEN].calm_since = 0;
        }
    }
}

static bool stands(const struct episode *episode, unsigned group)
{
    return episode->filter == group && !episode->unsub_acked;
}

/* The membership that stands, or NULL. */
static const struct episode *membership(const struct model_session *session, unsigned group)
{
    for (unsigned i = 0; i < session->episode_len; i++) {
        if (stands(&session->episodes[i], group)) {
            return &session->episodes[i];
        }
    }
    return NULL;
}

/* All members are there for certain, and nobody else may be one. */
static bool is_all_able(const struct model *model, unsigned group)
{
    for (unsigned i = 0; i < model->session_len; i++) {
        const struct model_session *session = model->sessions[i];
        const struct episode *episode = membership(session, group);

        if (episode && !session->is_over &&
            (!episode->sub_acked || episode->unsub_sent ||
             !model_is_holder(model, session->connection) ||
             model->connections[session->connection].ended ||
             model->connections[session->connection].was_full ||
             model->connections[session->connection].packet_maximum ||
             may_be_replaced(model, session))) {
            return false;
        }
    }
    return true;
}

/* How many of the messages sent since then a member got. */
static unsigned count_turns(const struct model *model, const struct model_session *session,
                            unsigned group)
{
    uint64_t since = model->groups[group - WORLD_FILTER_LEN].calm_since;
    unsigned len = 0;

    for (unsigned i = 0; i < session->log_len; i++) {
        len += session->log[i].group == group &&
               model->messages[session->log[i].message].first_sent > since;
    }
    return len;
}

static void check_turns(struct model *model, unsigned group)
{
    struct model_group *it = &model->groups[group - WORLD_FILTER_LEN];
    unsigned most = 0;
    unsigned least = UINT32_MAX;

    if (!is_all_able(model, group)) {
        it->calm_since = 0;
        return;
    }
    for (unsigned i = 0; it->calm_since && i < model->session_len; i++) {
        const struct model_session *session = model->sessions[i];

        if (!session->is_over && membership(session, group)) {
            unsigned len = count_turns(model, session, group);

            most = MAX(most, len);
            least = MIN(least, len);
        }
    }
    if (least != UINT32_MAX && most > least + 1) {
        model_complain(model, "%s gave one member %u messages, and another %u", world_filter(group),
                       most, least);
    }
    if (!it->calm_since) {
        it->calm_since = ++model->stamp;
    }
}

/* Losses */

/* A member that must keep what it gets: it stood before the message, and stands. */
static bool is_certain_keeper(const struct model *model, const struct model_session *session,
                              uint32_t message, unsigned group)
{
    const struct episode *episode = membership(session, group);

    return episode && is_member(model, episode, message, group) &&
           options_qos(model, episode->options, model->wire[message].qos) > 0 &&
           episode_is_certain(episode, model->messages[message].first_sent) &&
           !may_be_over(model, session);
}

/* The message is with this session, or was acknowledged by it, or given to it with QoS 0 or 2: one
 * of QoS 2 that was sent is its receiver's, and goes to nobody else [MQTT-4.8.2-5]. */
static bool has_message(const struct model_session *session, uint32_t message, unsigned group)
{
    unsigned unacked = 0;

    for (unsigned i = 0; i < session->flight_len; i++) {
        unacked += session->flights[i].message == message && session->flights[i].group == group &&
                   session->flights[i].state == FLIGHT_SENT && session->flights[i].qos == 1;
    }
    return given_to(session, message, group) > (session->is_over ? unacked : 0);
}

static bool was_closed_since(const struct model *model, unsigned actor, uint64_t stamp)
{
    for (unsigned i = 0; i < model->connection_len; i++) {
        const struct model_connection *it = &model->connections[i];

        if (it->actor == actor && it->connect_read && it->closed > stamp) {
            return true;
        }
    }
    return false;
}

/*
 * It may have been this one's turn, and gone with an output that was never written: with QoS 0, or
 * with QoS 2 where the session has ended, too, since the server must take it for sent. Or it was
 * too large for this one (5.0, section 3.1.2.11.4).
 */
static bool may_have_lost(const struct model *model, const struct model_session *session,
                          uint32_t message, unsigned group)
{
    uint64_t first_sent = model->messages[message].first_sent;

    for (unsigned i = 0; i < session->episode_len; i++) {
        const struct episode *episode = &session->episodes[i];
        int qos = options_qos(model, episode->options, model->wire[message].qos);

        if (!is_member(model, episode, message, group) ||
            (episode->unsub_acked && episode->unsub_acked <= first_sent)) {
            continue;
        }
        if (!model_fits(model, session, message) ||
            ((qos == 0 || (qos == 2 && session->is_over)) &&
             was_closed_since(model, session->actor, first_sent))) {
            return true;
        }
    }
    return false;
}

struct group_check {
    struct model *model;
    bool (*is_settled)(void *context, const struct model_session *session);
    void *context;
    unsigned group;
};

/* Whether all who may hold something of the group have told everything. */
static bool is_known(const struct group_check *check)
{
    const struct model *model = check->model;

    for (unsigned i = 0; i < model->session_len; i++) {
        const struct model_session *session = model->sessions[i];

        if (!session->is_over && membership(session, check->group) &&
            !check->is_settled(check->context, session)) {
            return false;
        }
    }
    return true;
}

static void check_loss(const struct group_check *check, uint32_t message)
{
    struct model *model = check->model;
    bool is_kept = false;
    bool has_keeper = false;

    for (unsigned i = 0; i < model->session_len; i++) {
        const struct model_session *session = model->sessions[i];

        has_keeper |= is_certain_keeper(model, session, message, check->group);
        is_kept |= has_message(session, message, check->group) ||
                   may_have_lost(model, session, message, check->group);
    }
    if (has_keeper && !is_kept) {
        model_complain(model, "%s lost message %u (topic %s)", world_filter(check->group), message,
                       world_topic(model->wire[message].topic));
    }
}

void model_check_groups(struct model *model,
                        bool (*is_settled)(void *context, const struct model_session *session),
                        void *context, bool is_end)
{
    struct group_check check = {.model = model, .is_settled = is_settled, .context = context};

    for (unsigned i = 0; i < WORLD_GROUP_LEN; i++) {
        check.group = WORLD_FILTER_LEN + i;
        if (model->params.may_drop || !is_known(&check)) {
            model->groups[i].calm_since = 0;
            continue;
        }
        for (uint32_t message = 0; message < model->message_len; message++) {
            if (model_is_due(model, message, is_end)) {
                check_loss(&check, message);
            }
        }
        check_turns(model, check.group);
    }
}
