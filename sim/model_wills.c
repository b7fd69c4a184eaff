#include "sim/model_state.h"

/*
 * Wills: whether the end of a connection publishes one, and when. What is not certain may be seen
 * or not: a take-over that somebody else may have made first, a server that stops.
 */

void model_judge_will(struct model *model, unsigned connection)
{
    struct model_connection *it = &model->connections[connection];
    struct model_message *will;
    bool is_rivalled = model_has_rival(model, connection);

    if (it->will == WIRE_NO_MESSAGE) {
        return;
    }
    will = &model->messages[it->will];
    if (!it->connack) {
        will->will_must_not = !it->connect_read;
    } else if (it->disconnect_read && it->disconnect_code != MQTT_DISCONNECT_WITH_WILL &&
               !is_rivalled) {
        /* Read is not handled: what a full queue ends, or a stop, may have it put off. */
        will->will_must_not = !model->params.may_overflow && !model->is_stopping;
    } else if ((!it->disconnect_sent ||
                (it->disconnect_read && it->disconnect_code == MQTT_DISCONNECT_WITH_WILL)) &&
               !model->is_stopping) {
        will->will_must = it->will_delay == 0 || !is_rivalled;
    }
}

/* A session that somebody ended with Clean Start publishes its will at once. */
static bool may_be_ended(const struct model *model, unsigned connection)
{
    const struct model_connection *mine = &model->connections[connection];

    for (unsigned i = 0; i < model->connection_len; i++) {
        const struct model_connection *other = &model->connections[i];

        if (i != connection && other->actor == mine->actor && other->connect_read &&
            other->is_clean && other->connect_read > mine->connect_read) {
            return true;
        }
    }
    return false;
}

/* Neither the delay nor the session's expiry can be over [MQTT-3.1.3-9]. */
static bool is_too_early(const struct model *model, const struct model_connection *it)
{
    uint64_t left_ms = it->closed ? it->closed_ms : model->now_ms;
    uint64_t delay_ms = (uint64_t)MIN(it->will_delay, it->expiry) * 1000;

    return model->now_ms + TIME_SLACK_MS < left_ms + delay_ms;
}

void model_forget_delayed(struct model *model, unsigned connection)
{
    const struct model_connection *it = &model->connections[connection];
    struct model_message *will = &model->messages[it->will];

    will->will_must = false;
    if (it->session == model->session_of[it->actor] && is_too_early(model, it) &&
        !may_be_ended(model, connection)) {
        will->will_must_not = true;
    }
}

void model_check_will(struct model *model, uint32_t message)
{
    const struct model_message *will = &model->messages[message];
    const struct model_connection *it = &model->connections[will->connection];
    bool is_late = it->keep_alive && model->now_ms + TIME_SLACK_MS >=
                                         it->last_read_ms + (uint64_t)it->keep_alive * 1500;

    if (will->will_must_not ||
        (!it->closed && !it->ended && !it->sent_garbage && !is_late && !model->is_stopping &&
         !model->params.may_overflow && !model->params.drains &&
         it->disconnect_code != MQTT_DISCONNECT_WITH_WILL &&
         !model_has_rival(model, will->connection))) {
        model_complain(model, "the will %u is sent, though its connection %u did not break",
                       message, will->connection);
    } else if (!model->is_stopping && is_too_early(model, it) &&
               !may_be_ended(model, will->connection)) {
        model_complain(model, "the will %u of connection %u is sent before its delay is over",
                       message, will->connection);
    }
}
