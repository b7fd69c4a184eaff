#include "sim/model_state.h"

#include <stdlib.h>
#include <string.h>

/*
 * What the server sends to a session. Each PUBLISH is either a repetition of a delivery that is in
 * flight, on a new connection, or an instance: a copy of the message that the session has not seen.
 * Instances are logged in their order, and what is checked about order is checked against that log.
 *
 * A new connection may also be the first to carry a delivery that the server had sent into an
 * output that never left: such an instance has DUP set.
 */

int options_qos(const struct model *model, unsigned options, unsigned published)
{
    return (int)(model->params.upgrades_qos ? options & 3 : MIN(options & 3, published));
}

int episode_qos(const struct model *model, const struct model_session *session,
                const struct episode *episode, uint32_t message)
{
    const struct wire_message *wire = &model->wire[message];

    if (!episode_covers(episode, wire->topic)) {
        return -1;
    }
    if ((episode->options & EPISODE_NO_LOCAL) &&
        model->messages[message].publisher == session->actor) {
        return -1; /* No Local */
    }
    return options_qos(model, episode->options, wire->qos);
}

/* A QoS 2 message that is sent again in one session is not published again. */
unsigned publications_of(const struct model *model, uint32_t message)
{
    const struct model_message *it = &model->messages[message];

    return model->wire[message].qos == 2 && !it->is_will ? it->session_len : it->read_len;
}

/* What is written of RETAIN live. */
static bool live_retain(const struct model *model, const struct episode *episode, uint32_t message)
{
    return model->wire[message].retain && (episode->options & EPISODE_AS_PUBLISHED);
}

/*
 * Copies like this one that the session may get: one per subscription that may have stood, and per
 * publication.
 */
static unsigned allowed_copies(const struct model *model, const struct model_session *session,
                               const struct instance *like)
{
    const struct model_message *it = &model->messages[like->message];
    unsigned copies = 0;

    if (model->params.merges) {
        return model_merged_copies(model, session, like);
    }
    for (unsigned i = 0; i < session->episode_len; i++) {
        const struct episode *episode = &session->episodes[i];

        if (episode_qos(model, session, episode, like->message) == (int)like->qos &&
            episode->identifier == like->identifier &&
            live_retain(model, episode, like->message) == like->retain &&
            (!episode->unsub_acked || episode->unsub_acked > it->first_sent)) {
            copies += publications_of(model, like->message);
        }
    }
    return copies;
}

/* What was sent behind the last SUBACK is in no replay. */
static bool may_replay(const struct model *model, const struct episode *episode, uint32_t message)
{
    return episode->options >> 4 != 2 && episode_covers(episode, model->wire[message].topic) &&
           (episode->suback_len < episode->subscribe_len ||
            episode->last_acked > model->messages[message].first_sent);
}

/* Values of a replay: one per SUBSCRIBE. Subscriptions that ended since count: it may be queued. */
static unsigned allowed_replays(const struct model *model, const struct model_session *session,
                                const struct instance *like)
{
    const struct wire_message *wire = &model->wire[like->message];
    unsigned copies = 0;

    if (!wire->retain || wire->size == 0 || !like->retain) {
        return 0;
    }
    for (unsigned i = 0; i < session->episode_len; i++) {
        const struct episode *episode = &session->episodes[i];

        if (may_replay(model, episode, like->message) && episode->identifier == like->identifier &&
            options_qos(model, episode->options, wire->qos) == (int)like->qos) {
            copies += episode->options >> 4 == 1 ? 1 : episode->subscribe_len;
        }
    }
    return copies;
}

static bool is_like(const struct model *model, const struct instance *it,
                    const struct instance *like)
{
    return model->params.merges && !it->is_replay
               ? true
               : it->qos == like->qos && it->identifier == like->identifier &&
                     it->retain == like->retain;
}

/* Replays like this one that could not have come live when they came. */
static unsigned count_certain_replays(const struct model *model,
                                      const struct model_session *session,
                                      const struct instance *like)
{
    unsigned len = 0;

    for (unsigned i = 0; i < session->log_len; i++) {
        const struct instance *it = &session->log[i];

        len += it->message == like->message && it->is_replay && !it->may_be_live &&
               is_like(model, it, like);
    }
    return len;
}

/* How many like this one the session has got. */
static unsigned count_like(const struct model *model, const struct model_session *session,
                           const struct instance *like, bool is_replay)
{
    unsigned len = 0;

    for (unsigned i = 0; i < session->log_len; i++) {
        const struct instance *it = &session->log[i];

        len += it->message == like->message && it->group == 0 && it->is_replay == is_replay &&
               is_like(model, it, like);
    }
    return len;
}

/* Order: first instances of one publisher, topic, QoS and class come in the order of sending. */
static void check_order(struct model *model, const struct model_session *session, uint32_t message,
                        unsigned qos)
{
    const struct model_message *it = &model->messages[message];
    const struct wire_message *wire = &model->wire[message];

    /* What its publisher sent again may be published again, behind others. */
    if ((wire->qos == 1 && it->read_len > 1) || it->session_len > 1) {
        return;
    }
    for (unsigned i = 0; i < session->log_len; i++) {
        const struct instance *earlier = &session->log[i];
        const struct model_message *other = &model->messages[earlier->message];

        if (!earlier->is_first || qos_class(earlier->qos) != qos_class(qos)) {
            continue;
        }
        if (other->publisher == it->publisher && earlier->qos == qos &&
            model->wire[earlier->message].topic == wire->topic &&
            model->wire[earlier->message].qos == wire->qos && other->first_sent > it->first_sent) {
            model_complain(model, "client %u gets message %u behind message %u of the same client",
                           session->actor, message, earlier->message);
        } else if (known_has(&other->known, message)) {
            model_complain(model, "client %u gets message %u behind message %u, which followed %s",
                           session->actor, message, earlier->message,
                           it->acked && it->acked < other->first_sent ? "its acknowledgement"
                                                                      : "its reception");
        }
    }
}

void log_instance(struct model_session *session, const struct instance *instance)
{
    session->log =
        model_grow(session->log, session->log_len, &session->log_cap, sizeof(*session->log));
    session->log[session->log_len++] = *instance;
}

/*
 * With Retain As Published a value that comes live looks like one of a replay. While both may be,
 * it counts as live, and says nothing about the order.
 */
static void on_live(struct model *model, struct model_session *session, struct instance *instance)
{
    uint32_t message = instance->message;
    unsigned class = qos_class(instance->qos);
    unsigned copies = count_like(model, session, instance, false) + 1;
    unsigned allowed = allowed_copies(model, session, instance);

    session->live[instance->qos][message]++;
    if (model->messages[message].read_len == 0) {
        model_complain(model, "message %u is delivered before it was published", message);
    } else if (allowed == 0) {
        model_complain(model,
                       "client %u gets message %u (QoS %u, subscription %u) and has no "
                       "subscription for it",
                       session->actor, message, instance->qos, instance->identifier);
    } else if (copies > allowed) {
        model_complain(model, "client %u gets message %u %u times in place of %u", session->actor,
                       message, copies, allowed);
    }
    if (model->messages[message].is_will) {
        model_check_will(model, message);
    }
    instance->may_be_live = true;
    instance->is_first = !instance->may_be_replay && session_live(session, class, message) == 1;
    if (instance->is_first) {
        check_order(model, session, message, instance->qos);
    }
    log_instance(session, instance);
}

static void on_replay(struct model *model, struct model_session *session, struct instance *instance)
{
    unsigned copies = count_like(model, session, instance, true) + 1;
    unsigned allowed = allowed_replays(model, session, instance);

    session->replayed[instance->qos][instance->message]++;
    if (copies > allowed) {
        model_complain(model, "client %u gets the retained message %u %u times in place of %u",
                       session->actor, instance->message, copies, allowed);
    }
    instance->is_replay = true;
    instance->may_be_replay = true;
    log_instance(session, instance);
}

static void check_form(struct model *model, const struct model_session *session,
                       const struct instance *instance, const struct wire_packet *packet)
{
    if (model->params.merges && !instance->may_be_replay) {
        model_check_merged(model, session, packet);
    } else if (!model->params.merges && packet->identifier_len > 1) {
        model_complain(model, "client %u gets message %u with %u identifiers", session->actor,
                       packet->message, packet->identifier_len);
    }
}

/*
 * What was counted as live makes room for this one, where it may have been a replay. Which of the
 * two is the replay nobody knows.
 */
static void take_back(const struct model *model, struct model_session *session,
                      const struct instance *instance)
{
    unsigned copies = count_like(model, session, instance, false);

    for (unsigned i = 0; copies >= allowed_copies(model, session, instance) && i < session->log_len;
         i++) {
        struct instance *it = &session->log[i];

        if (it->message == instance->message && it->may_be_replay && !it->is_replay &&
            is_like(model, it, instance) &&
            count_like(model, session, it, true) < allowed_replays(model, session, it)) {
            it->is_replay = true;
            session->live[it->qos][it->message]--;
            session->replayed[it->qos][it->message]++;
            return;
        }
    }
}

static void on_instance(struct model *model, struct model_session *session,
                        struct instance *instance, const struct wire_packet *packet)
{
    bool may_be_live;

    if (!instance->retain && model_is_of_group(model, session, instance)) {
        model_on_shared(model, session, instance, packet->packet_id);
        return;
    }
    take_back(model, session, instance);
    may_be_live = !instance->retain || count_like(model, session, instance, false) <
                                           allowed_copies(model, session, instance);
    instance->may_be_replay = instance->retain && count_certain_replays(model, session, instance) <
                                                      allowed_replays(model, session, instance);
    if (may_be_live) {
        on_live(model, session, instance);
        check_form(model, session, instance, packet);
    } else {
        on_replay(model, session, instance);
    }
}

/* Expiry */

static const struct model_connection *will_connection(const struct model *model, uint32_t message)
{
    const struct model_message *it = &model->messages[message];

    return it->is_will ? &model->connections[it->connection] : NULL;
}

/* A will is published when its connection ends, or so long behind that. */
uint64_t model_first_published_ms(const struct model *model, uint32_t message)
{
    const struct model_connection *it = will_connection(model, message);

    if (!it) {
        return model->messages[message].first_read_ms;
    }
    return it->closed ? it->closed_ms : model->now_ms;
}

uint64_t model_last_published_ms(const struct model *model, uint32_t message)
{
    const struct model_connection *it = will_connection(model, message);

    if (!it) {
        return model->messages[message].last_read_ms;
    }
    return it->will_due_ms ? MIN(model->now_ms, it->will_due_ms + 2 * TIME_SLACK_MS)
                           : model->now_ms;
}

bool model_may_be_expired(const struct model *model, uint32_t message)
{
    uint64_t life_ms = (uint64_t)model->wire[message].expiry * 1000;

    return life_ms && model->messages[message].read_len > 0 &&
           model->now_ms + TIME_SLACK_MS >= model_first_published_ms(model, message) + life_ms;
}

/* Written long after it was sent, perhaps: the connection took no more, or only a part, or all that
 * was for it waited behind a CONNACK, and that for the store. */
static bool may_have_waited(const struct model *model, const struct model_connection *to)
{
    return to->was_full || to->is_late ||
           (model->params.has_store && to->connack_ms == model->now_ms);
}

/*
 * What is left of the expiry [MQTT-3.3.2-6], never more than came, and to the second: the worker
 * that sends may know an earlier time than the one that took the message.
 */
static bool rest_is_right(const struct model *model, const struct model_connection *to,
                          const struct wire_packet *packet)
{
    uint64_t longest_ms = model->now_ms - model_first_published_ms(model, packet->message);
    uint64_t shortest_ms = model->now_ms - model_last_published_ms(model, packet->message);
    uint64_t life_ms = (uint64_t)model->wire[packet->message].expiry * 1000;
    uint64_t left_ms = (uint64_t)packet->expiry * 1000;

    if (!packet->has_expiry || left_ms > life_ms ||
        left_ms + longest_ms + TIME_SLACK_MS < life_ms) {
        return false;
    }
    return may_have_waited(model, to) || left_ms <= 1000 ||
           left_ms + shortest_ms <= life_ms + TIME_SLACK_MS;
}

static void check_expiry(struct model *model, unsigned connection, const struct wire_packet *packet)
{
    const struct model_connection *to = &model->connections[connection];
    uint64_t life_ms = (uint64_t)model->wire[packet->message].expiry * 1000;
    uint64_t age_ms = model->now_ms - model_last_published_ms(model, packet->message);

    if (!life_ms && packet->has_expiry) {
        model_complain(model, "message %u expires, and was to stay", packet->message);
    }
    if (life_ms && to->version == MQTT_5_0 && !rest_is_right(model, to, packet)) {
        model_complain(model, "message %u, which expires after %u s, has %u s left after %u ms",
                       packet->message, model->wire[packet->message].expiry, packet->expiry,
                       (unsigned)age_ms);
    }
    if (life_ms && !may_have_waited(model, to) && !packet->dup &&
        age_ms > life_ms + TIME_SLACK_MS) {
        model_complain(model, "message %u is sent after it has expired", packet->message);
    }
}

/* Size */

bool model_fits(const struct model *model, const struct model_session *session, uint32_t message)
{
    return wire_fits(model->connections[session->connection].packet_maximum,
                     model->wire[message].size);
}

/* [MQTT-3.1.2-24] */
static void check_size(struct model *model, unsigned connection, const struct wire_packet *packet)
{
    uint32_t maximum = model->connections[connection].packet_maximum;

    if (maximum && packet->end - packet->begin > maximum) {
        model_complain(model, "message %u takes %zu bytes, and the client takes %u",
                       packet->message, packet->end - packet->begin, maximum);
    }
}

/* Flights */

struct flight *model_find_flight(struct model_session *session, uint16_t packet_id)
{
    for (unsigned i = 0; i < session->flight_len; i++) {
        if (session->flights[i].packet_id == packet_id) {
            return &session->flights[i];
        }
    }
    return NULL;
}

/* One that is sent again is of the group that it was of. */
static void set_flight(struct model_session *session, unsigned connection,
                       const struct wire_packet *packet, bool repeats)
{
    struct flight *flight = model_find_flight(session, packet->packet_id);
    unsigned group = repeats ? flight->group : 0;

    if (!flight) {
        session->flights = model_grow(session->flights, session->flight_len, &session->flight_cap,
                                      sizeof(*session->flights));
        flight = &session->flights[session->flight_len++];
    }
    *flight = (struct flight){
        .packet_id = packet->packet_id,
        .qos = packet->qos,
        .state = FLIGHT_SENT,
        .message = packet->message,
        .connection = connection,
        .group = group,
    };
}

static void check_window(struct model *model, const struct model_session *session,
                         unsigned connection, const struct wire_packet *packet)
{
    unsigned len = 0;
    uint64_t size = 0;
    unsigned window = model->connections[connection].window;

    for (unsigned i = 0; i < session->flight_len; i++) {
        const struct flight *flight = &session->flights[i];

        if (flight->connection == connection && flight->state != FLIGHT_DONE) {
            bool is_new = flight->packet_id == packet->packet_id;

            len++;
            size += flight->state == FLIGHT_SENT && !is_new ? model->wire[flight->message].size : 0;
        }
    }
    if (model->params.max_inflight_bytes && size >= model->params.max_inflight_bytes) {
        model_complain(model, "client %u is sent message %u with %llu bytes in flight",
                       session->actor, packet->message, (unsigned long long)size);
    }
    if (window && len >= window) {
        model_disturb(model, session);
    }
    if (window && len > window) {
        model_complain(model, "client %u has %u deliveries in flight, its window is %u",
                       session->actor, len, window);
    }
}

/* A repetition: what was in flight on an earlier connection and was not acknowledged for certain.
 */
static bool is_repetition(const struct flight *flight, unsigned connection,
                          const struct wire_packet *packet)
{
    return flight && flight->connection != connection && packet->dup &&
           flight->message == packet->message && flight->qos == packet->qos;
}

/* Whether the packet begins a delivery that the session has not seen. */
static bool begin_flight(struct model *model, struct model_session *session, unsigned connection,
                         const struct wire_packet *packet)
{
    struct flight *flight = model_find_flight(session, packet->packet_id);
    bool repeats = is_repetition(flight, connection, packet);

    if (!repeats && flight && flight->state != FLIGHT_DONE) {
        model_complain(model,
                       "client %u: packet id %u is used for message %u%s, and for %u already",
                       session->actor, packet->packet_id, packet->message,
                       packet->dup ? " (dup)" : "", flight->message);
    } else if (!repeats && packet->dup && session->connection_len < 2) {
        model_complain(model, "client %u: DUP with message %u, which was never sent",
                       session->actor, packet->message);
    }
    set_flight(session, connection, packet, repeats);
    check_window(model, session, connection, packet);
    return !repeats;
}

static struct model_session *session_of(struct model *model, unsigned connection)
{
    unsigned number = model->connections[connection].session;

    return number == NO_SESSION ? NULL : model->sessions[number];
}

void model_on_publish_written(struct model *model, unsigned connection,
                              const struct wire_packet *packet)
{
    struct model_session *session = session_of(model, connection);
    struct instance instance = {
        .message = packet->message,
        .identifier = packet->identifier,
        .qos = packet->qos,
        .retain = packet->retain,
    };

    /* The last bytes of a connection whose session has moved on. */
    if (!session || session->connection != connection) {
        return;
    }
    if (packet->qos > 0 && !begin_flight(model, session, connection, packet)) {
        return;
    }
    if (packet->qos == 0 && packet->dup) {
        model_complain(model, "client %u: DUP with QoS 0", session->actor);
    }
    check_expiry(model, connection, packet);
    check_size(model, connection, packet);
    on_instance(model, session, &instance, packet);
}

void model_on_pubrel_written(struct model *model, unsigned connection,
                             const struct wire_packet *packet)
{
    struct model_session *session = session_of(model, connection);
    struct flight *flight;

    if (!session || session->connection != connection) {
        return;
    }
    flight = model_find_flight(session, packet->packet_id);
    if (!flight || flight->qos != 2 || flight->state == FLIGHT_SENT) {
        model_complain(model, "client %u: PUBREL %u without PUBREC", session->actor,
                       packet->packet_id);
        return;
    }
    flight->state = FLIGHT_RECEIVED;
    flight->connection = connection;
}

void model_on_ack_read(struct model *model, unsigned connection, const struct wire_packet *packet)
{
    struct model_session *session = session_of(model, connection);
    struct flight *flight = session ? model_find_flight(session, packet->packet_id) : NULL;

    if (!flight) {
        return;
    }
    if (packet->type == MQTT_PUBREC) {
        flight->state = FLIGHT_RECEIVED;
    } else if (packet->type == MQTT_PUBACK || packet->type == MQTT_PUBCOMP) {
        flight->state = FLIGHT_DONE;
    }
}
