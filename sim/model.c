#include "sim/model.h"

#include "sim/model_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Connections, sessions, answers and wills. Every event has a stamp: what has the smaller one came
 * first. A client id's session is replaced when the server writes a CONNACK without Session
 * Present.
 */

/* connect_timeout, and what no client of a run reaches. */
#define CONNECT_TIMEOUT_MS 10000

void model_complain(struct model *model, const char *format, ...)
{
    char text[300];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    model->params.complain(model->params.context, text);
}

void *model_grow(void *array, unsigned len, unsigned *cap, size_t size)
{
    void *grown;

    if (len < *cap) {
        return array;
    }
    *cap = MAX(*cap * 2, 8u);
    grown = realloc(array, *cap * size);
    if (!grown) {
        abort();
    }
    return grown;
}

struct model *model_new(const struct model_params *params)
{
    struct model *model = calloc(1, sizeof(*model));

    if (!model) {
        abort();
    }
    model->params = *params;
    for (unsigned i = 0; i < MODEL_ACTOR_CAP; i++) {
        model->session_of[i] = NO_SESSION;
    }
    return model;
}

struct model *model_free(struct model *model)
{
    for (unsigned i = 0; i < model->session_len; i++) {
        free(model->sessions[i]->episodes);
        free(model->sessions[i]->flights);
        free(model->sessions[i]->log);
        free(model->sessions[i]);
    }
    for (unsigned i = 0; i < model->connection_len; i++) {
        free(model->connections[i].awaited);
    }
    free(model->sessions);
    free(model);
    return NULL;
}

void model_set_time(struct model *model, uint64_t now_ms)
{
    model->now_ms = now_ms;
    for (unsigned i = 0; i < model->connection_len; i++) {
        struct model_connection *it = &model->connections[i];

        if (it->closed && it->will != WIRE_NO_MESSAGE && it->will_due_ms == 0 &&
            now_ms >= it->closed_ms + (uint64_t)it->will_delay * 1000) {
            it->will_due_ms = now_ms;
        }
    }
}

uint32_t model_new_message(struct model *model, unsigned actor, const struct wire_message *message,
                           bool is_will)
{
    uint32_t number = model->message_len;

    if (number == WIRE_MESSAGE_CAP) {
        return WIRE_NO_MESSAGE;
    }
    model->wire[number] = *message;
    model->messages[number] = (struct model_message){
        .publisher = is_will ? MODEL_ACTOR_CAP + number : actor,
        .is_will = is_will,
    };
    model->message_len++;
    return number;
}

const struct wire_message *model_messages(const struct model *model, const unsigned **len_out)
{
    *len_out = &model->message_len;
    return model->wire;
}

/* Connections */

static struct model_connection *get(struct model *model, unsigned connection)
{
    assert(connection < model->connection_len);
    return &model->connections[connection];
}

bool model_has_rival(const struct model *model, unsigned connection)
{
    const struct model_connection *mine = &model->connections[connection];

    for (unsigned i = 0; i < model->connection_len; i++) {
        const struct model_connection *other = &model->connections[i];

        bool was_before = other->connack && mine->connack && other->connack < mine->connack;

        if (i != connection && other->actor == mine->actor && other->connect_read &&
            (!other->closed || other->closed > mine->opened) && !was_before) {
            return true;
        }
    }
    return false;
}

bool model_is_holder(const struct model *model, unsigned connection)
{
    const struct model_connection *it = &model->connections[connection];

    return it->connack && !it->replaced && !it->closed;
}

bool model_is_pending(const struct model *model, unsigned actor)
{
    for (unsigned i = 0; i < model->connection_len; i++) {
        const struct model_connection *it = &model->connections[i];

        if (it->actor == actor && !it->connack && !it->closed) {
            return true;
        }
    }
    return false;
}

bool model_is_kept(const struct model *model, unsigned actor)
{
    unsigned number = model->session_of[actor];

    return number != NO_SESSION && !model->sessions[number]->is_over &&
           model->sessions[number]->expiry > 0;
}

/* Below 5.0 a session is kept for ever, or not at all. */
static uint32_t expiry_of(const struct wire_connect *connect)
{
    if (connect->version == MQTT_5_0) {
        return connect->expiry_interval;
    }
    return connect->is_clean ? 0 : UINT32_MAX;
}

/* The smaller of what the client takes and the server gives. */
static uint32_t window_of(const struct model *model, const struct wire_connect *connect)
{
    if (connect->receive_maximum && model->params.max_inflight) {
        return MIN(connect->receive_maximum, model->params.max_inflight);
    }
    return connect->receive_maximum ? connect->receive_maximum : model->params.max_inflight;
}

void model_on_open(struct model *model, unsigned connection, unsigned actor,
                   const struct wire_connect *connect)
{
    struct model_connection *it = &model->connections[connection];

    assert(connection == model->connection_len && connection < MODEL_CONNECTION_CAP);
    model->connection_len++;
    *it = (struct model_connection){
        .actor = actor,
        .version = connect->version,
        .session = NO_SESSION,
        .is_clean = connect->is_clean,
        .keep_alive = connect->keep_alive,
        .window = window_of(model, connect),
        .packet_maximum = connect->packet_maximum,
        .expiry = expiry_of(connect),
        .will = connect->will,
        .will_delay = connect->will_delay,
        .opened = ++model->stamp,
        .opened_ms = model->now_ms,
        .last_read_ms = model->now_ms,
    };
    if (it->will != WIRE_NO_MESSAGE) {
        model->messages[it->will].first_sent = model->stamp;
        model->messages[it->will].last_sent = model->stamp;
        model->messages[it->will].sent_len = 1;
        model->messages[it->will].connection = connection;
    }
}

void model_on_garbage(struct model *model, unsigned connection)
{
    get(model, connection)->sent_garbage = true;
}

void model_on_full(struct model *model, unsigned connection)
{
    struct model_connection *it = get(model, connection);

    it->was_full = true;
    model_disturb(model, model_session(model, it->session));
}

void model_on_late(struct model *model, unsigned connection, bool is_late)
{
    get(model, connection)->is_late = is_late;
}

void model_set_drops(struct model *model, uint64_t drop_len)
{
    model->drop_len = drop_len;
}

void model_on_stop(struct model *model)
{
    model->is_stopping = true;
}

void model_on_ended(struct model *model, unsigned connection)
{
    struct model_connection *it = get(model, connection);

    it->ended = ++model->stamp;
    model_disturb(model, model_session(model, it->session));
}

/* Sessions */

static struct model_session *session_new(struct model *model, unsigned actor)
{
    struct model_session *session = calloc(1, sizeof(*session));

    if (!session) {
        abort();
    }
    session->actor = actor;
    model->sessions = model_grow(model->sessions, model->session_len, &model->session_cap,
                                 sizeof(struct model_session *));
    model->session_of[actor] = model->session_len;
    model->sessions[model->session_len++] = session;
    return session;
}

/* 1: yes, 0: no, -1: perhaps, at a moment that is not known any better. */
static int is_expired_between(const struct model *model, const struct model_session *session,
                              uint64_t first_ms, uint64_t last_ms)
{
    uint64_t over_ms = session->left_ms + (uint64_t)session->expiry * 1000;

    if (session->expiry == UINT32_MAX || !session->left_ms) {
        return 0;
    }
    /* Of a client that was sent away the time begins when it is told, though it may close later. */
    if (last_ms + TIME_SLACK_MS + (model->params.drains ? LEAVING_MS : 0) < over_ms) {
        return 0;
    }
    return first_ms > over_ms + TIME_SLACK_MS ? 1 : -1;
}

int model_is_expired(const struct model *model, const struct model_session *session)
{
    return is_expired_between(model, session, model->now_ms, model->now_ms);
}

/*
 * A connection whose CONNECT was handled and whose CONNACK was never written: it may have made a
 * session.
 */
static bool is_hidden(const struct model *model, unsigned connection, unsigned actor)
{
    const struct model_connection *it = &model->connections[connection];

    return it->actor == actor && it->connect_read && !it->connack &&
           (!it->closed || it->closed > model->last_connack[actor]);
}

static bool has_hidden(const struct model *model, unsigned actor, unsigned except)
{
    for (unsigned i = 0; i < model->connection_len; i++) {
        if (i != except && is_hidden(model, i, actor)) {
            return true;
        }
    }
    return false;
}

bool model_is_in_doubt(const struct model *model, unsigned actor)
{
    return has_hidden(model, actor, NO_CONNECTION);
}

/* A DISCONNECT with another expiry was read, and may be handled behind the take-over or not at all.
 */
static bool is_changing(const struct model *model, const struct model_session *old,
                        const struct model_connection *next)
{
    const struct model_connection *it = old ? &model->connections[old->connection] : NULL;

    return it && it->disconnect_read && it->disconnect_has_expiry &&
           (!it->closed || it->closed > next->connect_read);
}

static void check_present(struct model *model, const struct model_connection *it,
                          const struct model_session *old, bool is_present)
{
    /* A CONNACK may wait long for the store. */
    int expired = old ? is_expired_between(model, old, it->connect_read_ms, model->now_ms) : 1;
    bool is_gone = !old || old->is_over;
    unsigned connection = (unsigned)(it - model->connections);

    if (!it->is_clean &&
        (has_hidden(model, it->actor, connection) || is_changing(model, old, it))) {
        return;
    }
    if (is_present && (it->is_clean || is_gone || expired == 1 || old->expiry == 0)) {
        model_complain(model, "client %u: Session Present, but there is no session", it->actor);
    }
    if (!is_present && !it->is_clean && !is_gone && expired == 0 && old->expiry > 0) {
        model_complain(model, "client %u: its session was lost", it->actor);
    }
}

/* Answers */

static void await(struct model *model, struct model_connection *it, enum mqtt_packet_type type,
                  const struct wire_packet *packet)
{
    it->awaited = model_grow(it->awaited, it->awaited_len, &it->awaited_cap, sizeof(*it->awaited));
    it->awaited[it->awaited_len++] = (struct awaited){
        .type = type,
        .packet_id = packet->packet_id,
        .message = packet->message,
        .read = model->stamp,
        .of = *packet,
    };
}

/* Answers of one kind come in the order of what they answer [MQTT-4.6.0-2 and following]. */
static bool settle(struct model *model, struct model_connection *it,
                   const struct wire_packet *packet, struct awaited *awaited_out)
{
    for (unsigned i = 0; i < it->awaited_len; i++) {
        if (it->awaited[i].type != packet->type) {
            continue;
        }
        *awaited_out = it->awaited[i];
        if (awaited_out->packet_id != packet->packet_id && packet->type != MQTT_CONNACK) {
            break;
        }
        it->awaited_len--;
        memmove(&it->awaited[i], &it->awaited[i + 1], (it->awaited_len - i) * sizeof(*it->awaited));
        return true;
    }
    model_complain(model, "client %u: %s that nobody waits for, or not yet", it->actor,
                   wire_describe(packet));
    return false;
}

/* The latest one that stands, of those begun up to then. */
static struct episode *find_episode(struct model_session *session, unsigned filter, uint64_t up_to)
{
    for (unsigned i = session->episode_len; i-- > 0;) {
        struct episode *episode = &session->episodes[i];

        if (episode->filter == filter && !episode->unsub_acked && episode->sub_sent <= up_to) {
            return episode;
        }
    }
    return NULL;
}

static void add_episodes(struct model *model, unsigned connection, const struct wire_packet *packet,
                         uint64_t stamp)
{
    struct model_session *session = model_session(model, model->connections[connection].session);

    for (unsigned i = 0; session && i < packet->filter_len; i++) {
        struct episode *episode = find_episode(session, packet->filters[i], NEVER);

        if (episode && episode->options == packet->codes[i] &&
            episode->identifier == packet->identifier && !episode->unsub_sent) {
            episode->subscribe_len++;
            continue;
        }
        if (episode && !episode->unsub_sent) {
            episode->unsub_sent = stamp;
        }
        session->episodes = model_grow(session->episodes, session->episode_len,
                                       &session->episode_cap, sizeof(*session->episodes));
        session->episodes[session->episode_len++] = (struct episode){
            .filter = packet->filters[i],
            .options = packet->codes[i],
            .identifier = packet->identifier,
            .connection = connection,
            .subscribe_len = 1,
            .sub_sent = stamp,
        };
    }
}

static void replace_others(struct model *model, unsigned connection)
{
    unsigned actor = model->connections[connection].actor;

    for (unsigned i = 0; i < model->connection_len; i++) {
        struct model_connection *other = &model->connections[i];

        if (i == connection || other->actor != actor || !other->connack) {
            continue;
        }
        if (!other->replaced) {
            other->replaced = model->stamp;
        }
        if (other->will != WIRE_NO_MESSAGE && other->will_delay > 0) {
            model_forget_delayed(model, i);
        }
    }
}

/* SUBSCRIBEs that were read before the session was known. */
static void add_awaited(struct model *model, unsigned to, unsigned from)
{
    const struct model_connection *it = &model->connections[from];

    for (unsigned i = 0; i < it->awaited_len; i++) {
        if (it->awaited[i].type == MQTT_SUBACK) {
            add_episodes(model, to, &it->awaited[i].of, it->awaited[i].read);
        }
    }
}

static void adopt_hidden(struct model *model, unsigned connection)
{
    unsigned actor = model->connections[connection].actor;

    for (unsigned i = 0; i < model->connection_len; i++) {
        if (i != connection && is_hidden(model, i, actor)) {
            add_awaited(model, connection, i);
        }
    }
}

static void on_connack(struct model *model, unsigned connection, const struct wire_packet *packet)
{
    struct model_connection *it = get(model, connection);
    struct model_session *session = model_session(model, model->session_of[it->actor]);
    bool is_new;

    if (packet->code != 0) {
        it->refused = true;
        if (!model->is_stopping) {
            model_complain(model, "client %u is refused with code %u", it->actor, packet->code);
        }
        return;
    }
    check_present(model, it, session, !packet->is_clean);
    is_new =
        packet->is_clean || !session ||
        ((session->is_over || session->expiry == 0) && has_hidden(model, it->actor, connection));
    if (is_new) {
        if (session) {
            session->is_over = true;
        }
        session = session_new(model, it->actor);
    }
    replace_others(model, connection);
    it->session = model->session_of[it->actor];
    if (is_new && !packet->is_clean) {
        adopt_hidden(model, connection);
    }
    it->connack = model->stamp;
    it->connack_ms = model->now_ms;
    model->last_connack[it->actor] = model->stamp;
    session->connection = connection;
    session->connection_len++;
    session->is_over = false;
    session->expiry = it->expiry;
    session->left_ms = 0;
    model_disturb(model, session);
    add_awaited(model, connection, connection);
}

/* More packets */

/* Those that this one has replaced with other options. */
static void end_replaced(const struct model *model, struct model_session *session,
                         const struct episode *newer)
{
    for (unsigned i = 0; i < session->episode_len; i++) {
        struct episode *episode = &session->episodes[i];

        if (episode->sub_sent < newer->sub_sent && episode->filter == newer->filter &&
            !episode->unsub_acked) {
            episode->unsub_acked = model->stamp;
        }
    }
}

static void on_granted(struct model *model, struct model_session *session, struct episode *episode,
                       unsigned connection)
{
    model_disturb(model, session);
    episode->suback_len++;
    episode->last_acked = model->stamp;
    if (!episode->sub_acked) {
        episode->sub_acked = model->stamp;
        episode->connection = connection;
        end_replaced(model, session, episode);
    }
}

static void on_suback(struct model *model, unsigned connection, const struct wire_packet *packet,
                      const struct awaited *awaited)
{
    const struct wire_packet *of = &awaited->of;
    struct model_session *session = model_session(model, model->connections[connection].session);

    if (packet->filter_len != of->filter_len) {
        model_complain(model, "SUBACK with %u codes for %u filters", packet->filter_len,
                       of->filter_len);
        return;
    }
    for (unsigned i = 0; session && i < of->filter_len; i++) {
        struct episode *episode = find_episode(session, of->filters[i], awaited->read);

        if (packet->codes[i] != (of->codes[i] & 3)) {
            model_complain(model, "SUBACK code %u for QoS %u", packet->codes[i], of->codes[i] & 3);
        } else if (episode) {
            on_granted(model, session, episode, connection);
        }
    }
}

/* From when the client says so, nothing is owed any more. */
static void on_unsubscribe(struct model *model, unsigned connection,
                           const struct wire_packet *packet)
{
    struct model_session *session = model_session(model, model->connections[connection].session);

    model_disturb(model, session);
    for (unsigned i = 0; session && i < packet->filter_len; i++) {
        struct episode *episode = find_episode(session, packet->filters[i], NEVER);

        if (episode && !episode->unsub_sent) {
            episode->unsub_sent = model->stamp;
        }
    }
}

static void on_unsuback(struct model *model, unsigned connection, const struct awaited *awaited)
{
    const struct wire_packet *of = &awaited->of;
    struct model_session *session = model_session(model, model->connections[connection].session);

    for (unsigned i = 0; session && i < of->filter_len; i++) {
        for (unsigned j = 0; j < session->episode_len; j++) {
            struct episode *episode = &session->episodes[j];

            if (episode->filter == of->filters[i] && !episode->unsub_acked &&
                episode->sub_sent < awaited->read) {
                episode->unsub_acked = model->stamp;
                episode->unsub_sent = episode->unsub_sent ? episode->unsub_sent : model->stamp;
            }
        }
    }
}

/* Packets */

static void on_publish_sent(struct model *model, unsigned connection,
                            const struct wire_packet *packet)
{
    struct model_message *message = &model->messages[packet->message];

    if (message->sent_len++ == 0) {
        message->first_sent = model->stamp;
        message->known = model->known_by[model->connections[connection].actor];
        known_merge(&message->known, &model->acked);
    }
    message->last_sent = model->stamp;
    message->connection = connection;
}

void model_on_sent(struct model *model, unsigned connection, const struct wire_packet *packet)
{
    struct model_connection *it = get(model, connection);

    model->stamp++;
    switch (packet->type) {
    case MQTT_PUBLISH: on_publish_sent(model, connection, packet); break;
    case MQTT_UNSUBSCRIBE: on_unsubscribe(model, connection, packet); break;
    case MQTT_DISCONNECT: it->disconnect_sent = model->stamp; break;
    default: break;
    }
}

void model_on_touched(struct model *model, unsigned connection)
{
    struct model_connection *it = get(model, connection);

    it->last_read_ms = model->now_ms;
    if (it->replaced) {
        model_complain(model, "client %u: a connection is read on after another took its id",
                       it->actor);
    }
}

/* Sent before a quiet moment, and read behind it. */
static bool is_late(const struct model *model, const struct model_message *message)
{
    for (unsigned i = 0; i < WORLD_GROUP_LEN; i++) {
        if (message->first_sent < model->groups[i].calm_since) {
            return true;
        }
    }
    return false;
}

static void on_publish_read(struct model *model, struct model_connection *it,
                            const struct wire_packet *packet)
{
    struct model_message *message = &model->messages[packet->message];

    message->last_read_ms = model->now_ms;
    if (message->read_len > 0 || is_late(model, message)) {
        model_disturb(model, NULL);
    }
    if (message->read_len == 0) {
        message->first_read_ms = model->now_ms;
    }
    if (message->read_len++ == 0 || message->session != it->session) {
        message->session = it->session;
        message->session_len++;
    }
    if (packet->qos > 0) {
        await(model, it, packet->qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, packet);
    }
}

static void on_disconnect_read(struct model *model, unsigned connection,
                               const struct wire_packet *packet)
{
    struct model_connection *it = get(model, connection);
    struct model_session *session = model_session(model, it->session);

    it->disconnect_read = model->stamp;
    it->disconnect_code = packet->code;
    it->disconnect_has_expiry = packet->has_expiry;
    if (packet->has_expiry) {
        it->expiry = packet->expiry;
    }
    if (packet->has_expiry && session && session->connection == connection) {
        session->expiry = packet->expiry;
    }
}

void model_on_read(struct model *model, unsigned connection, const struct wire_packet *packet)
{
    struct model_connection *it = get(model, connection);

    model->stamp++;
    switch (packet->type) {
    case MQTT_CONNECT:
        it->connect_read = model->stamp;
        it->connect_read_ms = model->now_ms;
        await(model, it, MQTT_CONNACK, packet);
        if (it->will != WIRE_NO_MESSAGE) {
            model->messages[it->will].read_len = 1;
        }
        break;
    case MQTT_PUBLISH: on_publish_read(model, it, packet); break;
    case MQTT_PUBREL: await(model, it, MQTT_PUBCOMP, packet); break;
    case MQTT_SUBSCRIBE:
        add_episodes(model, connection, packet, model->stamp);
        await(model, it, MQTT_SUBACK, packet);
        break;
    case MQTT_UNSUBSCRIBE:
        on_unsubscribe(model, connection, packet);
        await(model, it, MQTT_UNSUBACK, packet);
        break;
    case MQTT_PINGREQ: await(model, it, MQTT_PINGRESP, packet); break;
    case MQTT_DISCONNECT: on_disconnect_read(model, connection, packet); break;
    default: model_on_ack_read(model, connection, packet);
    }
}

static void on_answer(struct model *model, unsigned connection, const struct wire_packet *packet)
{
    struct awaited awaited;

    if (!settle(model, get(model, connection), packet, &awaited)) {
        return;
    }
    switch (packet->type) {
    case MQTT_CONNACK: on_connack(model, connection, packet); break;
    case MQTT_PUBACK:
    case MQTT_PUBREC:
        if (packet->code >= 0x80) {
            model_complain(model, "message %u is refused with code %u", awaited.message,
                           packet->code);
        } else if (!model->messages[awaited.message].acked) {
            model->messages[awaited.message].acked = model->stamp;
        }
        break;
    case MQTT_SUBACK: on_suback(model, connection, packet, &awaited); break;
    case MQTT_UNSUBACK: on_unsuback(model, connection, &awaited); break;
    default: break;
    }
}

void model_on_written(struct model *model, unsigned connection, const struct wire_packet *packet)
{
    struct model_connection *it = get(model, connection);

    model->stamp++;
    if (!it->connack && packet->type != MQTT_CONNACK &&
        !(packet->type == MQTT_DISCONNECT && it->version == MQTT_5_0)) {
        model_complain(model, "client %u: %s before CONNACK", it->actor, wire_describe(packet));
        return;
    }
    switch (packet->type) {
    case MQTT_PUBLISH: model_on_publish_written(model, connection, packet); break;
    case MQTT_PUBREL: model_on_pubrel_written(model, connection, packet); break;
    case MQTT_DISCONNECT: break;
    default: on_answer(model, connection, packet);
    }
}

void model_on_taken(struct model *model, unsigned connection, const struct wire_packet *packet)
{
    struct known *known = &model->known_by[get(model, connection)->actor];

    model->stamp++;
    if (packet->type == MQTT_PUBLISH) {
        known_add(known, packet->message);
        known_merge(known, &model->messages[packet->message].known);
    }
    if ((packet->type == MQTT_PUBACK || packet->type == MQTT_PUBREC) &&
        packet->message != WIRE_NO_MESSAGE) {
        known_add(&model->acked, packet->message);
        known_merge(&model->acked, &model->messages[packet->message].known);
    }
}

/* The end of a connection */

static bool may_close(const struct model *model, unsigned connection)
{
    const struct model_connection *it = &model->connections[connection];
    uint64_t patience_ms = it->connack ? (uint64_t)it->keep_alive * 1500 : CONNECT_TIMEOUT_MS;
    uint64_t since_ms = it->connack ? it->last_read_ms : it->opened_ms;

    return it->ended || it->disconnect_read || it->sent_garbage || it->refused ||
           (model->params.may_refuse && !it->connect_read) || model->is_stopping ||
           model->params.may_overflow || model->params.drains ||
           model_has_rival(model, connection) ||
           (patience_ms && model->now_ms + TIME_SLACK_MS >= since_ms + patience_ms);
}

void model_on_closed(struct model *model, unsigned connection)
{
    struct model_connection *it = get(model, connection);
    struct model_session *session = model_session(model, it->session);

    model->stamp++;
    if (!may_close(model, connection)) {
        model_complain(model, "client %u: connection %u is closed for no reason", it->actor,
                       connection);
    }
    model_judge_will(model, connection);
    it->closed = model->stamp;
    it->closed_ms = model->now_ms;
    model_disturb(model, it->will == WIRE_NO_MESSAGE ? session : NULL);
    if (session && session->connection == connection) {
        session->left_ms = model->now_ms;
        session->is_over |= session->expiry == 0;
    }
}
