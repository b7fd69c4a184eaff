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

static int options_qos(unsigned options, unsigned published)
{
    return (int)MIN(options & 3, published);
}

int episode_qos(const struct model *model, const struct model_session *session,
                const struct episode *episode, uint32_t message)
{
    const struct wire_message *wire = &model->wire[message];

    if (!world_matches(episode->filter, wire->topic)) {
        return -1;
    }
    if ((episode->options & 4) && model->messages[message].publisher == session->actor) {
        return -1; /* No Local */
    }
    return options_qos(episode->options, wire->qos);
}

/* Copies that the session may get: one per subscription that may have stood, and per publication.
 */
static unsigned allowed_copies(const struct model *model, const struct model_session *session,
                               uint32_t message, unsigned qos)
{
    const struct model_message *it = &model->messages[message];
    unsigned copies = 0;

    for (unsigned i = 0; i < session->episode_len; i++) {
        const struct episode *episode = &session->episodes[i];

        if (episode_qos(model, session, episode, message) == (int)qos &&
            (!episode->unsub_acked || episode->unsub_acked > it->first_sent)) {
            copies +=
                model->wire[message].qos == 2 && !it->is_will ? it->session_len : it->read_len;
        }
    }
    return copies;
}

/* Values of a replay: one per SUBSCRIBE. Subscriptions that ended since count: it may be queued. */
static unsigned allowed_replays(const struct model *model, const struct model_session *session,
                                uint32_t message, unsigned qos)
{
    unsigned copies = 0;

    if (!model->wire[message].retain || model->wire[message].size == 0) {
        return 0;
    }
    for (unsigned i = 0; i < session->episode_len; i++) {
        const struct episode *episode = &session->episodes[i];

        if (world_matches(episode->filter, model->wire[message].topic) &&
            options_qos(episode->options, model->wire[message].qos) == (int)qos &&
            (episode->options >> 4 & 3) != 2) {
            copies += (episode->options >> 4 & 3) == 1 ? 1 : episode->subscribe_len;
        }
    }
    return copies;
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

static void log_instance(struct model_session *session, uint32_t message, unsigned qos,
                         bool is_replay)
{
    session->log =
        model_grow(session->log, session->log_len, &session->log_cap, sizeof(*session->log));
    session->log[session->log_len++] = (struct instance){
        .message = message,
        .qos = (uint8_t)qos,
        .is_replay = is_replay,
        .is_first = !is_replay && session_live(session, qos_class(qos), message) == 1,
    };
}

static void check_will(struct model *model, uint32_t message)
{
    const struct model_message *will = &model->messages[message];
    const struct model_connection *it = &model->connections[will->connection];
    bool is_late = it->keep_alive && model->now_ms + TIME_SLACK_MS >=
                                         it->last_read_ms + (uint64_t)it->keep_alive * 1500;

    if (will->will_must_not ||
        (!it->closed && !it->ended && !it->sent_garbage && !is_late && !model->is_stopping &&
         it->disconnect_code != MQTT_DISCONNECT_WITH_WILL &&
         !model_has_rival(model, will->connection))) {
        model_complain(model, "the will %u is sent, though its connection %u did not break",
                       message, will->connection);
    }
}

static void on_live(struct model *model, struct model_session *session, uint32_t message,
                    unsigned qos)
{
    unsigned copies = ++session->live[qos][message];
    unsigned allowed = allowed_copies(model, session, message, qos);

    if (model->messages[message].read_len == 0) {
        model_complain(model, "message %u is delivered before it was published", message);
    } else if (allowed == 0) {
        model_complain(model, "client %u gets message %u (QoS %u) and has no subscription for it",
                       session->actor, message, qos);
    } else if (copies > allowed) {
        model_complain(model, "client %u gets message %u %u times in place of %u", session->actor,
                       message, copies, allowed);
    }
    if (model->messages[message].is_will) {
        check_will(model, message);
    }
    if (session_live(session, qos_class(qos), message) == 1) {
        check_order(model, session, message, qos);
    }
    log_instance(session, message, qos, false);
}

static void on_replay(struct model *model, struct model_session *session, uint32_t message,
                      unsigned qos)
{
    unsigned copies = ++session->replayed[qos][message];
    unsigned allowed = allowed_replays(model, session, message, qos);

    if (copies > allowed) {
        model_complain(model, "client %u gets the retained message %u %u times in place of %u",
                       session->actor, message, copies, allowed);
    }
    log_instance(session, message, qos, true);
}

/* Flights */

static struct flight *find_flight(struct model_session *session, uint16_t packet_id)
{
    for (unsigned i = 0; i < session->flight_len; i++) {
        if (session->flights[i].packet_id == packet_id) {
            return &session->flights[i];
        }
    }
    return NULL;
}

static void set_flight(struct model_session *session, unsigned connection,
                       const struct wire_packet *packet)
{
    struct flight *flight = find_flight(session, packet->packet_id);

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
    };
}

static void check_window(struct model *model, const struct model_session *session,
                         unsigned connection)
{
    unsigned len = 0;
    unsigned window = model->connections[connection].window;

    for (unsigned i = 0; i < session->flight_len; i++) {
        len += session->flights[i].connection == connection &&
               session->flights[i].state != FLIGHT_DONE;
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
    struct flight *flight = find_flight(session, packet->packet_id);
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
    set_flight(session, connection, packet);
    check_window(model, session, connection);
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
    if (packet->retain) {
        on_replay(model, session, packet->message, packet->qos);
    } else {
        on_live(model, session, packet->message, packet->qos);
    }
}

void model_on_pubrel_written(struct model *model, unsigned connection,
                             const struct wire_packet *packet)
{
    struct model_session *session = session_of(model, connection);
    struct flight *flight;

    if (!session || session->connection != connection) {
        return;
    }
    flight = find_flight(session, packet->packet_id);
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
    struct flight *flight = session ? find_flight(session, packet->packet_id) : NULL;

    if (!flight) {
        return;
    }
    if (packet->type == MQTT_PUBREC) {
        flight->state = FLIGHT_RECEIVED;
    } else if (packet->type == MQTT_PUBACK || packet->type == MQTT_PUBCOMP) {
        flight->state = FLIGHT_DONE;
    }
}
