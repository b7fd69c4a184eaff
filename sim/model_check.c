#include "sim/model_state.h"

#include <string.h>

/*
 * What must hold when nobody can go on, and at the end of a run.
 */

struct check {
    struct model *model;
    bool (*eager)(void *context, unsigned connection);
    void *context;
    bool is_end;
};

/* A session whose client has taken and answered everything: nothing is under way to it. */
static bool is_settled(const struct check *check, const struct model_session *session)
{
    const struct model *model = check->model;

    return !session->is_over && model_is_holder(model, session->connection) &&
           check->eager(check->context, session->connection);
}

static void check_answers(const struct check *check, unsigned connection)
{
    struct model_connection *it = &check->model->connections[connection];

    if (it->closed || it->ended || it->awaited_len == 0 || it->sent_garbage ||
        !check->eager(check->context, connection)) {
        return;
    }
    model_complain(check->model, "client %u, connection %u: no answer to its request (%s %u)",
                   it->actor, connection, mqtt_packet_name(it->awaited[0].type),
                   it->awaited[0].packet_id);
}

static void check_flights(const struct check *check, const struct model_session *session)
{
    for (unsigned i = 0; i < session->flight_len; i++) {
        const struct flight *flight = &session->flights[i];

        if (flight->state != FLIGHT_DONE) {
            model_complain(check->model, "client %u: message %u in flight (id %u) is forgotten",
                           session->actor, flight->message, flight->packet_id);
        }
    }
}

/* Whether the server must have passed a message on by now. */
static bool is_published(const struct model *model, uint32_t message)
{
    const struct model_message *it = &model->messages[message];

    if (it->is_will) {
        return it->will_must;
    }
    return it->acked || (it->read_len > 0 && model->connections[it->connection].connack &&
                         !model->connections[it->connection].closed &&
                         !model->connections[it->connection].replaced);
}

/* QoS 0 is promised only to who was there all the time and kept up. */
static bool is_promised(const struct model *model, const struct model_session *session,
                        const struct episode *episode, unsigned class)
{
    bool was_there = episode->connection == session->connection &&
                     !model->connections[session->connection].was_full;

    return class > 0 || was_there;
}

/* How many deliveries of a message are missing. */
static unsigned check_message(const struct check *check, const struct model_session *session,
                              uint32_t message)
{
    const struct model *model = check->model;
    unsigned needed[2] = {0, 0};
    unsigned got[2] = {session_live(session, 0, message), session_live(session, 1, message)};
    unsigned missing = 0;

    for (unsigned i = 0; i < session->episode_len; i++) {
        const struct episode *episode = &session->episodes[i];
        int qos = episode_qos(model, session, episode, message);

        if (qos >= 0 && model_fits(model, session, message) &&
            episode_is_certain(episode, model->messages[message].first_sent) &&
            is_promised(model, session, episode, qos_class((unsigned)qos))) {
            needed[qos_class((unsigned)qos)]++;
        }
    }
    if (model->params.merges && needed[0] + needed[1] > 0) {
        got[1] += got[0];
        got[0] = 0;
        needed[0] = 0;
        needed[1] = 1;
    }
    for (unsigned class = 0; class < 2; class ++) {

        missing += needed[class] - MIN(got[class], needed[class]);
        if (got[class] < needed[class] && !model->params.may_drop) {
            model_complain(check->model,
                           "client %u got message %u (topic %s, QoS %u) %u times in place of %u",
                           session->actor, message, world_topic(model->wire[message].topic),
                           model->wire[message].qos, got[class], needed[class]);
        }
    }
    return missing;
}

/* A will without delay follows the end at once; others only as time goes by. */
bool model_is_due(const struct model *model, uint32_t message, bool is_end)
{
    const struct model_message *it = &model->messages[message];

    return is_published(model, message) && !model_may_be_expired(model, message) &&
           (!it->is_will || is_end || model->connections[it->connection].will_delay == 0);
}

/* What a limit drops is counted, and nothing else is. */
static void check_drops(const struct check *check, uint64_t missing)
{
    struct model *model = check->model;

    if (model->drop_len > 0 && !model->params.may_drop) {
        model_complain(model, "%llu deliveries were dropped, and there is no limit",
                       (unsigned long long)model->drop_len);
    }
    if (model->params.may_drop && missing > model->drop_len) {
        model_complain(model, "%llu deliveries are missing, and %llu were counted as dropped",
                       (unsigned long long)missing, (unsigned long long)model->drop_len);
    }
}

static void check_sessions(const struct check *check)
{
    const struct model *model = check->model;
    uint64_t missing = 0;

    for (unsigned i = 0; i < model->session_len; i++) {
        const struct model_session *session = model->sessions[i];

        if (!is_settled(check, session)) {
            continue;
        }
        check_flights(check, session);
        for (uint32_t message = 0; message < model->message_len; message++) {
            if (model_is_due(model, message, check->is_end)) {
                missing += check_message(check, session, message);
            }
        }
    }
    check_drops(check, missing);
}

static bool session_is_settled(void *context, const struct model_session *session)
{
    return is_settled(context, session);
}

/* A second and a half for each of the keep alive's, and the wheel's next turn. */
static void check_keep_alive(const struct check *check, const struct model_connection *it)
{
    uint64_t end_ms = it->last_read_ms + (uint64_t)it->keep_alive * 1500 + 2 * TIME_SLACK_MS;

    if (it->connack && !it->closed && it->keep_alive && check->model->now_ms > end_ms) {
        model_complain(check->model, "client %u: its keep alive of %u s is long over", it->actor,
                       it->keep_alive);
    }
}

void model_check_quiet(struct model *model, bool (*eager)(void *context, unsigned connection),
                       void *context)
{
    struct check check = {.model = model, .eager = eager, .context = context};

    for (unsigned i = 0; i < model->connection_len; i++) {
        check_answers(&check, i);
        check_keep_alive(&check, &model->connections[i]);
    }
    check_sessions(&check);
    model_check_groups(model, session_is_settled, &check, false);
}

/* Retained values */

/* What the fresh client got for a topic; WIRE_NO_MESSAGE: nothing. */
static uint32_t final_value(struct model *model, const struct model_session *fresh, unsigned topic)
{
    uint32_t value = WIRE_NO_MESSAGE;

    for (unsigned i = 0; i < fresh->log_len; i++) {
        const struct instance *instance = &fresh->log[i];

        if (model->wire[instance->message].topic != topic) {
            continue;
        }
        if (!instance->is_replay || value != WIRE_NO_MESSAGE) {
            model_complain(model, "a fresh client gets message %u for topic %s, and %d, too",
                           instance->message, world_topic(topic), (int)value);
        }
        value = instance->message;
    }
    return value;
}

/* The last that a session saw of a topic's retained messages in a class. */
static uint32_t last_seen(const struct model *model, const struct model_session *session,
                          unsigned topic, unsigned class)
{
    uint32_t last = WIRE_NO_MESSAGE;

    for (unsigned i = 0; i < session->log_len; i++) {
        const struct wire_message *wire = &model->wire[session->log[i].message];

        if (wire->topic == topic && wire->retain && session->log[i].group == 0 &&
            qos_class(session->log[i].qos) == class) {
            last = session->log[i].message;
        }
    }
    return last;
}

static bool is_clearing(const struct model *model, uint32_t message)
{
    return message == WIRE_NO_MESSAGE || model->wire[message].size == 0;
}

/* A subscription that is younger than the clearing has not seen it. */
static bool has_seen_clearing(const struct model *model, const struct episode *episode,
                              unsigned topic)
{
    for (uint32_t i = 0; i < model->message_len; i++) {
        if (model->wire[i].topic == topic && model->wire[i].size == 0) {
            return model->messages[i].first_sent > episode->sub_acked;
        }
    }
    return false;
}

/* A value of this topic may have ended by itself, and what was before it does not come back. */
static bool has_expiring(const struct model *model, unsigned topic)
{
    for (uint32_t i = 0; i < model->message_len; i++) {
        if (model->wire[i].topic == topic && model->wire[i].retain &&
            model_may_be_expired(model, i)) {
            return true;
        }
    }
    return false;
}

/* Retain Handling 1 and 2 leave out the replay, No Local what the session itself published. */
static bool leaves_out(const struct model_session *session, unsigned topic)
{
    for (unsigned i = 0; i < session->episode_len; i++) {
        const struct episode *episode = &session->episodes[i];

        if (episode_covers(episode, topic) &&
            (episode->options & EPISODE_NO_LOCAL || episode->options >> 4)) {
            return true;
        }
    }
    return false;
}

/* SUBSCRIBEs of a session that cover a topic, over its life. */
static unsigned subscribe_count(const struct model_session *session, unsigned topic)
{
    unsigned len = 0;

    for (unsigned i = 0; i < session->episode_len; i++) {
        if (episode_covers(&session->episodes[i], topic)) {
            len += session->episodes[i].subscribe_len;
        }
    }
    return len;
}

/*
 * Whether another subscription that covers the topic ended since this one began: it may have
 * brought an older live value late, and none of the later ones.
 */
static bool has_ended_beside(const struct model_session *session, const struct episode *episode,
                             unsigned topic)
{
    for (unsigned i = 0; i < session->episode_len; i++) {
        const struct episode *other = &session->episodes[i];

        if (other != episode && episode_covers(other, topic) &&
            other->unsub_sent > episode->sub_sent) {
            return true;
        }
    }
    return false;
}

static void check_last_seen(struct model *model, const struct model_session *session,
                            const struct episode *episode, unsigned topic, uint32_t value)
{
    unsigned qos = episode->options & 3u;
    unsigned class;
    uint32_t last;

    if (value != WIRE_NO_MESSAGE && !model->params.upgrades_qos) {
        qos = MIN(qos, model->wire[value].qos);
    }
    class = qos_class(qos);
    if (!episode->sub_acked || episode->unsub_sent || leaves_out(session, topic) ||
        !episode_covers(episode, topic) || !is_promised(model, session, episode, class) ||
        (value != WIRE_NO_MESSAGE && !model_fits(model, session, value)) ||
        has_ended_beside(session, episode, topic) || model->params.may_drop ||
        (model->params.merges && subscribe_count(session, topic) > 1) ||
        (value == WIRE_NO_MESSAGE &&
         (has_expiring(model, topic) || !has_seen_clearing(model, episode, topic)))) {
        return;
    }
    last = last_seen(model, session, topic, class);
    if (last != value && !(is_clearing(model, last) && value == WIRE_NO_MESSAGE)) {
        model_complain(model, "the retained message of %s is %d, but client %u saw message %d last",
                       world_topic(topic), (int)value, session->actor, (int)last);
    }
}

/* A value that was sent only after another one had been acknowledged is newer. */
static void check_newest(struct model *model, unsigned topic, uint32_t value)
{
    uint64_t acked = value == WIRE_NO_MESSAGE ? 1 : model->messages[value].acked;
    bool has_cleared = has_expiring(model, topic);

    for (uint32_t i = 0; i < model->message_len; i++) {
        has_cleared |= model->wire[i].topic == topic && model->wire[i].size == 0;
    }
    for (uint32_t i = 0; i < model->message_len; i++) {
        const struct model_message *it = &model->messages[i];

        if (i == value || model->wire[i].topic != topic || !model->wire[i].retain || it->is_will ||
            !it->acked || model->wire[i].size == 0) {
            continue;
        }
        if ((value == WIRE_NO_MESSAGE && !has_cleared) ||
            (value != WIRE_NO_MESSAGE && acked && it->first_sent > acked &&
             model->messages[value].read_len == 1)) {
            model_complain(model, "the retained message of %s is %d, but %u is newer",
                           world_topic(topic), (int)value, i);
        }
    }
}

/*
 * All subscribers see the retained values of a topic in one order: what is seen directly before
 * something else is an edge, and there is no cycle. A message that its publisher sent twice may be
 * stored twice and says nothing.
 */
struct topic_order {
    uint32_t messages[WIRE_MESSAGE_CAP];
    unsigned len;
    struct known before[WIRE_MESSAGE_CAP]; /* by message: those that come before it */
};

static bool has_one_place(const struct model *model, uint32_t message)
{
    return model->messages[message].sent_len == 1;
}

/*
 * A replay that comes to an older subscription, too, or to one that was replaced, may overtake
 * values that are still on their way there: then only what came live has an order.
 */
static void add_edges(const struct model *model, const struct model_session *session,
                      unsigned topic, unsigned class, struct topic_order *order)
{
    bool has_one = subscribe_count(session, topic) == 1;
    uint32_t previous = WIRE_NO_MESSAGE;

    for (unsigned i = 0; i < session->log_len; i++) {
        uint32_t message = session->log[i].message;

        if ((session->log[i].may_be_replay && !has_one) || session->log[i].group) {
            continue;
        }
        if (model->wire[message].topic != topic || !model->wire[message].retain ||
            qos_class(session->log[i].qos) != class || !has_one_place(model, message)) {
            continue;
        }
        if (previous != WIRE_NO_MESSAGE && previous != message) {
            known_add(&order->before[message], previous);
        }
        previous = message;
    }
}

static void check_cycles(struct model *model, unsigned topic, struct topic_order *order)
{
    for (unsigned k = 0; k < order->len; k++) {
        for (unsigned i = 0; i < order->len; i++) {
            if (known_has(&order->before[order->messages[i]], order->messages[k])) {
                known_merge(&order->before[order->messages[i]], &order->before[order->messages[k]]);
            }
        }
    }
    for (unsigned i = 0; i < order->len; i++) {
        if (known_has(&order->before[order->messages[i]], order->messages[i])) {
            model_complain(model, "retained messages of %s come in different orders (message %u)",
                           world_topic(topic), order->messages[i]);
            return;
        }
    }
}

static void check_topic_order(struct model *model, unsigned topic)
{
    static struct topic_order order;

    memset(&order, 0, sizeof(order));
    for (uint32_t i = 0; i < model->message_len; i++) {
        if (model->wire[i].topic == topic && model->wire[i].retain && has_one_place(model, i)) {
            order.messages[order.len++] = i;
        }
    }
    for (unsigned i = 0; i < model->session_len; i++) {
        add_edges(model, model->sessions[i], topic, 0, &order);
        add_edges(model, model->sessions[i], topic, 1, &order);
    }
    check_cycles(model, topic, &order);
}

static void check_topic(const struct check *check, const struct model_session *fresh,
                        unsigned topic)
{
    struct model *model = check->model;
    uint32_t value = final_value(model, fresh, topic);

    /* The fresh client's queue is limited, too. */
    if (!model->params.may_drop) {
        check_newest(model, topic, value);
    }
    for (unsigned i = 0; i < model->session_len; i++) {
        const struct model_session *session = model->sessions[i];

        for (unsigned j = 0; is_settled(check, session) && j < session->episode_len; j++) {
            check_last_seen(model, session, &session->episodes[j], topic, value);
        }
    }
    check_topic_order(model, topic);
}

/* A new subscription that was made once sees each value once, live or in its replay. */
static void check_seen_once(struct model *model, const struct model_session *session)
{
    for (uint32_t message = 0; message < model->message_len; message++) {
        unsigned seen = 0;

        for (unsigned qos = 0; qos < 3; qos++) {
            seen += session->live[qos][message] + (unsigned)session->replayed[qos][message];
        }
        if (seen > 1 && subscribe_count(session, model->wire[message].topic) == 1 &&
            has_one_place(model, message)) {
            model_complain(model, "client %u saw message %u %u times, live and in a replay",
                           session->actor, message, seen);
        }
    }
}

void model_check_end(struct model *model, bool (*eager)(void *context, unsigned connection),
                     void *context, unsigned fresh_connection)
{
    struct check check = {.model = model, .eager = eager, .context = context, .is_end = true};
    unsigned fresh = model->connections[fresh_connection].session;

    model_check_quiet(model, eager, context);
    check_sessions(&check);
    model_check_groups(model, session_is_settled, &check, true);
    if (fresh == NO_SESSION) {
        model_complain(model, "the fresh client has no session");
        return;
    }
    for (unsigned topic = 0; topic < WORLD_TOPIC_LEN; topic++) {
        check_topic(&check, model->sessions[fresh], topic);
    }
    for (unsigned i = 0; i < model->session_len; i++) {
        check_seen_once(model, model->sessions[i]);
    }
}
