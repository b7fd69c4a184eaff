#include "sim/actor.h"

#include "sim/actor_state.h"
#include "sim/fail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The connection's side of an actor: coming, leaving, and what it does of its own. What it answers
 * is in actor_packets.c.
 */

#define OBSERVER_FILTERS 2u

static uint32_t draw_expiry(struct choice *choice)
{
    static const uint32_t intervals[] = {0, 4, 60, UINT32_MAX, UINT32_MAX};

    return intervals[choice_below(choice, ARRAY_LEN(intervals))];
}

/* Between what small, middle and large payloads need; the same for all connections of a client. */
static uint32_t draw_packet_maximum(struct choice *choice, unsigned version)
{
    static const uint32_t sizes[] = {0, 0, 0, 500, 5000};

    return version == MQTT_5_0 ? sizes[choice_below(choice, ARRAY_LEN(sizes))] : 0;
}

struct actor *actor_new(struct actor_world *world, const struct actor_params *params)
{
    struct actor *actor = calloc(1, sizeof(*actor));

    if (!actor) {
        sim_fail("no memory");
    }
    actor->world = world;
    actor->params = *params;
    actor->expiry = params->is_observer ? UINT32_MAX : draw_expiry(world->choice);
    actor->packet_maximum =
        params->is_observer ? 0 : draw_packet_maximum(world->choice, params->version);
    snprintf(actor->id, sizeof(actor->id), "c%u", params->number);
    return actor;
}

struct actor *actor_free(struct actor *actor)
{
    free(actor);
    return NULL;
}

struct connection *actor_connection(const struct actor *actor)
{
    return actor->connection;
}

/* Leaving */

static void drop(struct actor *actor, struct connection *connection)
{
    if (connection == actor->connection) {
        actor->connection = NULL;
        actor->is_online = false;
    }
}

static void end(struct actor *actor, struct connection *connection, bool properly)
{
    if (connection_is_open(connection)) {
        if (properly) {
            network_finish(connection);
        } else {
            network_reset(connection);
        }
        model_on_ended(actor->world->model, connection->number);
    }
    drop(actor, connection);
}

/* The connection stays open at our end, and we do nothing with it any more. */
static void abandon(struct actor *actor)
{
    struct connection *connection = actor->connection;

    network_push(connection);
    if (actor->ghost_len < ACTOR_GHOST_CAP) {
        actor->ghosts[actor->ghost_len++] = connection;
        drop(actor, connection);
    } else {
        end(actor, connection, false);
    }
}

static void disconnect(struct actor *actor)
{
    struct wire_packet packet = {.type = MQTT_DISCONNECT, .message = WIRE_NO_MESSAGE};

    if (actor->params.version == MQTT_5_0 && choice_chance(actor->world->choice, 200)) {
        packet.code = MQTT_DISCONNECT_WITH_WILL;
    }
    /* None that was to end with its connection [MQTT-3.14.2-2]. */
    if (actor->params.version == MQTT_5_0 && actor->expiry > 0 &&
        choice_chance(actor->world->choice, 200)) {
        packet.has_expiry = true;
        packet.expiry = draw_expiry(actor->world->choice);
        actor->is_passing = true;
    }
    actor_send(actor, &packet);
    if (choice_chance(actor->world->choice, 700)) {
        end(actor, actor->connection, true);
    } else {
        abandon(actor);
    }
}

/* Coming */

static uint32_t draw_will(struct actor *actor)
{
    struct choice *choice = actor->world->choice;
    struct wire_message will = {.qos = (uint8_t)choice_below(choice, 3)};

    if (actor->params.is_observer || !choice_chance(choice, 500)) {
        return WIRE_NO_MESSAGE;
    }
    will.topic = choice_below(choice, actor->world->topic_len);
    will.size = choice_between(choice, 6, 40);
    will.retain = choice_chance(choice, actor->world->retained_permille);
    if (actor->params.version == MQTT_5_0 && choice_chance(choice, actor->world->expiry_permille)) {
        will.expiry = choice_between(choice, 3, 20);
    }
    if (will.retain) {
        will.qos = actor_retained_qos(actor->world, will.topic, will.qos);
    }
    return model_new_message(actor->world->model, actor->params.number, &will, true);
}

static struct wire_connect draw_connect(struct actor *actor, bool settles)
{
    struct choice *choice = actor->world->choice;
    bool is_5 = actor->params.version == MQTT_5_0;
    struct wire_connect connect = {
        .client_id = actor->id,
        .expiry_interval = is_5 ? actor->expiry : 0,
        .will = settles ? WIRE_NO_MESSAGE : draw_will(actor),
        .packet_maximum = actor->packet_maximum,
    };

    if (!settles && !actor->params.is_observer && choice_chance(choice, 150)) {
        connect.keep_alive = (uint16_t)choice_between(choice, 5, 30);
    }
    if (is_5 && choice_chance(choice, 500)) {
        connect.receive_maximum = (uint16_t)choice_between(choice, 1, 6);
    }
    if (is_5 && choice_chance(choice, 300)) {
        connect.alias_maximum = (uint16_t)choice_between(choice, 1, WIRE_ALIAS_CAP);
    }
    if (is_5 && choice_chance(choice, 300)) {
        connect.will_delay = choice_between(choice, 1, 40);
    }
    return connect;
}

/* A clean start forgets at once what we knew of the session. */
void actor_forget(struct actor *actor)
{
    actor->out_len = 0;
    actor->incoming_len = 0;
    memset(actor->subscribed, 0, sizeof(actor->subscribed));
}

static void forget_connection(struct actor *actor)
{
    actor->puback_len = 0;
    actor->pubrec_len = 0;
    actor->pubcomp_len = 0;
    actor->request_len = 0;
    actor->alias_maximum = 0;
    memset(actor->aliases, 0, sizeof(actor->aliases));
    actor->is_online = false;
    actor->in_flight_max = 0xFFFF;
}

static unsigned draw_port(struct actor_world *world)
{
    unsigned web = choice_chance(world->choice, world->web_permille) ? NETWORK_WEB : 0;
    unsigned tls = choice_chance(world->choice, world->tls_permille) ? NETWORK_TLS : 0;
    unsigned proxy = choice_chance(world->choice, world->proxy_permille) ? NETWORK_PROXY : 0;

    return web | tls | proxy;
}

static bool is_passing(const struct actor *actor)
{
    return actor->params.version == MQTT_5_0 && actor->expiry != 0 && actor->expiry != UINT32_MAX;
}

/*
 * An attempt that was given up before its CONNACK may have been anything: where it may have made a
 * session that is taken for the one before, it is fragile, and waited for.
 */
static void connect(struct actor *actor, bool wants_clean, bool settles)
{
    bool clean = wants_clean || actor->is_afresh;
    struct wire_connect connect = draw_connect(actor, settles);
    struct wire_packet packet = {.type = MQTT_CONNECT, .message = connect.will, .is_clean = clean};
    unsigned port = draw_port(actor->world);
    struct connection *connection = network_open(actor->params.number, actor->params.version, port);

    if (!connection) {
        return;
    }
    forget_connection(actor);
    if (clean) {
        actor_forget(actor);
        actor->is_afresh = true;
    }
    actor->connection = connection;
    actor->is_clean = clean;
    actor->is_fragile = clean || actor->is_passing || is_passing(actor);
    connect.version = actor->params.version;
    connect.is_clean = clean;
    model_on_open(actor->world->model, connection->number, actor->params.number, &connect);
    network_send(connection, &packet, &connect);
}

/* Whether a clean CONNECT, which nobody has answered, may have begun a session that we know nothing
 * of: then nothing can be told of it but by another one. */
static bool must_be_clean(const struct actor *actor)
{
    const struct model *model = actor->world->model;

    return actor->is_fragile && model_is_in_doubt(model, actor->params.number) &&
           !model_is_pending(model, actor->params.number);
}

static void come(struct actor *actor)
{
    struct choice *choice = actor->world->choice;
    const struct model *model = actor->world->model;
    bool is_pending = model_is_pending(model, actor->params.number);
    bool is_in_doubt = model_is_in_doubt(model, actor->params.number);
    bool clean = choice_chance(choice, 300);

    /* 3.1 is not told whether there was a session. */
    if (actor->params.version == MQTT_3_1 && is_pending) {
        return;
    }
    if (!is_pending && !is_in_doubt && !actor->params.is_observer && choice_chance(choice, 300)) {
        actor->expiry = draw_expiry(choice);
    }
    clean |= must_be_clean(actor) || actor->params.version == MQTT_3_1;
    clean &= !is_pending;
    connect(actor, clean, false);
    if (clean && actor->connection && choice_chance(choice, 300)) {
        actor_pipeline(actor);
    }
}

bool actor_look_around(struct actor *actor)
{
    actor->packet_maximum = 0;
    connect(actor, true, true);
    if (!actor->connection) {
        return false;
    }
    actor_subscribe_all(actor, OBSERVER_FILTERS);
    return true;
}

/* Own doing */

/* Somebody else's bytes, or an old client that does not know that it was replaced. */
static void stir_ghost(struct actor *actor)
{
    struct choice *choice = actor->world->choice;
    unsigned at = choice_below(choice, actor->ghost_len);
    struct connection *ghost = actor->ghosts[at];
    struct wire_packet ping = {.type = MQTT_PINGREQ, .message = WIRE_NO_MESSAGE};

    if (choice_chance(choice, 300) && connection_is_open(ghost) &&
        model_is_holder(actor->world->model, ghost->number)) {
        model_on_sent(actor->world->model, ghost->number, &ping);
        network_send(ghost, &ping, NULL);
        network_push(ghost);
        return;
    }
    if (ghost->is_closed || choice_chance(choice, 500)) {
        end(actor, ghost, choice_chance(choice, 500));
        actor->ghosts[at] = actor->ghosts[--actor->ghost_len];
    }
}

/* No TLS, no packet, or a SUBSCRIBE to a group with No Local [MQTT-3.8.3-4]: none has an effect. */
static void send_garbage(struct actor *actor)
{
    static const uint8_t garbage[] = {0xF3, 0x7F, 0xFF, 0x00};
    static const uint8_t no_local[] = {0x82, 0x10, 0x00, 0x63, 0x00, 0x00, 0x0A, '$', 's',
                                       'h',  'a',  'r',  'e',  '/',  'g',  '/',  '#', 0x05};
    bool joins = actor->params.version == MQTT_5_0 && choice_chance(actor->world->choice, 500);

    model_on_garbage(actor->world->model, actor->connection->number);
    if (actor->connection->port & NETWORK_TLS && choice_chance(actor->world->choice, 500)) {
        network_spoil(actor->connection);
    } else {
        network_send_bytes(actor->connection, joins ? no_local : garbage,
                           joins ? sizeof(no_local) : sizeof(garbage));
    }
    abandon(actor);
}

static void act_offline(struct actor *actor)
{
    unsigned permille = actor->params.is_observer ? 1000 : 200;

    if (choice_chance(actor->world->choice, permille)) {
        come(actor);
    }
}

/* Takes its id over from itself, from several connections at once. */
static void storm(struct actor *actor, unsigned len)
{
    do {
        abandon(actor);
        come(actor);
    } while (--len > 0 && actor->connection && !actor->is_fragile);
}

/* Breaks off, or comes back on another connection while this one still stands. */
static void break_off(struct actor *actor)
{
    struct choice *choice = actor->world->choice;

    switch (choice_below(choice, 4)) {
    case 0: end(actor, actor->connection, false); break;
    case 1: end(actor, actor->connection, true); break;
    case 2: storm(actor, choice_between(choice, 2, 6)); break;
    default: storm(actor, 1);
    }
}

static void act_online(struct actor *actor)
{
    struct choice *choice = actor->world->choice;
    unsigned chaos = actor->params.is_observer ? 0 : actor->world->chaos;
    unsigned churn = actor->world->churn;
    unsigned weights[] = {
        60,
        14 + 10 * churn,
        6 + 10 * churn,
        2,
        chaos,
        chaos,
        actor->world->has_bad_clients ? chaos : 0,
    };

    switch (choice_weighted(choice, weights, ARRAY_LEN(weights))) {
    case 0: actor_publish(actor); break;
    case 1: actor_subscribe(actor); break;
    case 2: actor_unsubscribe(actor); break;
    case 3: actor_ping(actor); break;
    case 4: disconnect(actor); break;
    case 5: break_off(actor); break;
    default: send_garbage(actor);
    }
}

static void act_connecting(struct actor *actor)
{
    if (!actor->params.is_observer && !actor->is_fragile &&
        choice_chance(actor->world->choice, 4 * actor->world->chaos)) {
        break_off(actor);
    }
}

/* Our connection has ended at the other side, and we have seen all of it. */
static bool notice_end(struct actor *actor)
{
    struct connection *connection = actor->connection;

    if (!connection || !(connection->is_closed || connection->is_left) ||
        network_waiting(connection) > 0) {
        return false;
    }
    end(actor, connection, true);
    return true;
}

static size_t draw_bite(struct actor *actor)
{
    return actor->params.is_slow ? choice_between(actor->world->choice, 1, 200) : SIZE_MAX;
}

void actor_tell(struct actor *actor)
{
    if (actor->is_online && actor->sleep_steps == 0) {
        actor_publish(actor);
    }
}

/* Something of its own. */
static void act(struct actor *actor)
{
    if (actor->params.is_slow && choice_chance(actor->world->choice, 30)) {
        actor->sleep_steps = choice_between(actor->world->choice, 1, 60);
    }
    if (actor->is_online) {
        act_online(actor);
    } else {
        act_connecting(actor);
    }
}

bool actor_step(struct actor *actor)
{
    struct choice *choice = actor->world->choice;
    unsigned late = actor->params.is_late ? 200 : 900;

    if (actor->ghost_len > 0 && choice_chance(choice, 100)) {
        stir_ghost(actor);
    }
    if (actor->sleep_steps > 0) {
        actor->sleep_steps--;
        return false;
    }
    if (notice_end(actor)) {
        return false;
    }
    if (!actor->connection) {
        act_offline(actor);
        return false;
    }
    if (choice_chance(choice, 500)) {
        network_push(actor->connection);
    }
    if (choice_chance(choice, 600) && actor_take(actor, draw_bite(actor))) {
        return true;
    }
    if (!choice_chance(choice, late) || !actor_answer(actor)) {
        act(actor);
    }
    return false;
}

bool actor_work(struct actor *actor)
{
    bool took = actor->connection && actor_take(actor, SIZE_MAX);
    bool answered = false;

    while (actor->connection && actor_answer(actor)) {
        answered = true;
    }
    answered |= actor->connection && network_push(actor->connection);
    return notice_end(actor) || took || answered;
}

/* Connections at the end of a run that try to complete what was begun. Where a full queue sends its
 * client away, what that repeats may fill its queue each time again. */
#define SETTLE_TRIES 50u

static bool gives_up(struct actor *actor)
{
    return ++actor->settle_len > SETTLE_TRIES &&
           !model_is_pending(actor->world->model, actor->params.number);
}

bool actor_settle(struct actor *actor)
{
    actor->sleep_steps = 0;
    if (actor->ghost_len > 0) {
        end(actor, actor->ghosts[--actor->ghost_len], true);
        return true;
    }
    if (actor_work(actor)) {
        return true;
    }
    if (!actor->connection && model_is_kept(actor->world->model, actor->params.number)) {
        connect(actor, must_be_clean(actor) || gives_up(actor), true);
        return actor->connection != NULL;
    }
    return false;
}

bool actor_is_eager(const struct actor *actor, const struct connection *connection)
{
    return connection == actor->connection && !connection->is_closed && !connection->is_left &&
           actor->sleep_steps == 0 && network_waiting(connection) == 0 && actor->puback_len == 0 &&
           actor->pubrec_len == 0 && actor->pubcomp_len == 0 && network_is_read(connection);
}
