#include "sim/actor_state.h"
#include "sim/fail.h"

#include <string.h>

/*
 * What an actor says and hears. PUBACKs go out in the order of the PUBLISHes, and so do PUBRECs;
 * PUBRELs in the order of the PUBRECs. Between the kinds, and for PUBCOMP, any order is allowed.
 */

void actor_send(struct actor *actor, struct wire_packet *packet)
{
    model_on_sent(actor->world->model, actor->connection->number, packet);
    network_send(actor->connection, packet, NULL);
}

static void send_id(struct actor *actor, enum mqtt_packet_type type, uint16_t packet_id)
{
    struct wire_packet packet = {.type = type, .packet_id = packet_id, .message = WIRE_NO_MESSAGE};

    actor_send(actor, &packet);
}

static bool is_id_in_use(const struct actor *actor, uint16_t packet_id)
{
    for (unsigned i = 0; i < actor->out_len; i++) {
        if (actor->out[i].packet_id == packet_id) {
            return true;
        }
    }
    for (unsigned i = 0; i < actor->request_len; i++) {
        if (actor->requests[i] == packet_id) {
            return true;
        }
    }
    return false;
}

/* Few identifiers, so that they come round. */
static uint16_t next_id(struct actor *actor)
{
    do {
        actor->next_id = (uint16_t)(actor->next_id % 40 + 1);
    } while (is_id_in_use(actor, actor->next_id));
    return actor->next_id;
}

/* Publishing */

uint8_t actor_retained_qos(const struct actor_world *world, unsigned topic, unsigned qos)
{
    return (topic + world->salt) % 3 == 0 ? 0 : (uint8_t)MAX(qos, 1u);
}

static uint32_t draw_size(struct actor_world *world)
{
    if (choice_chance(world->choice, world->large_permille)) {
        return choice_between(world->choice, 8000, 50000);
    }
    if (choice_chance(world->choice, 100)) {
        return choice_between(world->choice, 900, 3000);
    }
    return choice_between(world->choice, 6, 60);
}

static struct wire_message draw_message(struct actor_world *world, unsigned version)
{
    struct choice *choice = world->choice;
    struct wire_message message = {
        .topic = choice_below(choice, world->topic_len),
        .size = draw_size(world),
        .qos = (uint8_t)choice_below(choice, 3),
        .retain = choice_chance(choice, world->retained_permille),
    };

    if (message.retain) {
        message.qos = actor_retained_qos(world, message.topic, message.qos);
        if (choice_chance(choice, 100) && !(world->cleared >> message.topic & 1)) {
            world->cleared |= 1u << message.topic;
            message.size = 0;
        }
    }
    if (version == MQTT_5_0 && message.size > 0 && choice_chance(choice, world->expiry_permille)) {
        message.expiry = choice_between(choice, 3, 20);
    }
    return message;
}

/* Sets a topic alias, or uses one that is set. */
static void draw_alias(struct actor *actor, unsigned topic, struct wire_packet *packet)
{
    unsigned len = MIN(actor->alias_maximum, (unsigned)ACTOR_ALIAS_CAP);
    unsigned at;

    if (len == 0 || !choice_chance(actor->world->choice, 300)) {
        return;
    }
    at = choice_below(actor->world->choice, len);
    packet->alias = (uint16_t)(at + 1);
    packet->is_alias_alone = actor->aliases[at] == topic + 1;
    actor->aliases[at] = (uint8_t)(topic + 1);
}

static void send_publish(struct actor *actor, uint32_t message, uint16_t packet_id, bool dup)
{
    unsigned len_unused;
    const unsigned *len = &len_unused;
    const struct wire_message *wire = &model_messages(actor->world->model, &len)[message];
    struct wire_packet packet = {
        .type = MQTT_PUBLISH,
        .packet_id = packet_id,
        .qos = wire->qos,
        .dup = dup,
        .retain = wire->retain,
        .message = message,
    };

    draw_alias(actor, wire->topic, &packet);
    actor_send(actor, &packet);
}

void actor_publish(struct actor *actor)
{
    struct wire_message wire = draw_message(actor->world, actor->params.version);
    bool has_room = actor->out_len < ACTOR_OUT_CAP && actor->out_len < actor->in_flight_max;
    uint16_t packet_id = 0;
    uint32_t message;

    if (wire.qos > 0 && !has_room) {
        if (wire.size == 0) {
            actor->world->cleared &= ~(1u << wire.topic);
        }
        return;
    }
    message = model_new_message(actor->world->model, actor->params.number, &wire, false);
    if (message == WIRE_NO_MESSAGE) {
        return;
    }
    if (wire.qos > 0) {
        packet_id = next_id(actor);
        actor->out[actor->out_len++] =
            (struct outgoing){.packet_id = packet_id, .message = message};
    }
    send_publish(actor, message, packet_id, false);
}

/* On a new connection of a session that was there [MQTT-4.4.0-1]. */
static void send_again(struct actor *actor)
{
    for (unsigned i = 0; i < actor->out_len; i++) {
        const struct outgoing *out = &actor->out[i];

        if (out->is_received) {
            send_id(actor, MQTT_PUBREL, out->packet_id);
        } else {
            send_publish(actor, out->message, out->packet_id, true);
        }
    }
}

static struct outgoing *find_out(struct actor *actor, uint16_t packet_id)
{
    for (unsigned i = 0; i < actor->out_len; i++) {
        if (actor->out[i].packet_id == packet_id) {
            return &actor->out[i];
        }
    }
    return NULL;
}

static void remove_out(struct actor *actor, struct outgoing *out)
{
    unsigned at = (unsigned)(out - actor->out);

    actor->out_len--;
    memmove(out, out + 1, (actor->out_len - at) * sizeof(*out));
}

/* Subscribing */

static void request(struct actor *actor, struct wire_packet *packet)
{
    packet->packet_id = next_id(actor);
    packet->message = WIRE_NO_MESSAGE;
    actor->requests[actor->request_len++] = packet->packet_id;
    actor_send(actor, packet);
}

static bool has_filter(const struct wire_packet *packet, unsigned filter)
{
    for (unsigned i = 0; i < packet->filter_len; i++) {
        if (packet->filters[i] == filter) {
            return true;
        }
    }
    return false;
}

/* A filter that stands keeps its options, so that it is known what its deliveries look like. */
static uint8_t draw_options(struct actor *actor, unsigned filter)
{
    struct choice *choice = actor->world->choice;
    uint8_t options = (uint8_t)choice_below(choice, 3);

    if (actor->subscribed[filter]) {
        return (uint8_t)(actor->subscribed[filter] - 1);
    }
    if (world_is_shared(filter)) {
        return options;
    }
    if (actor->params.version == MQTT_5_0 && choice_chance(choice, 300)) {
        options |= (uint8_t)(choice_below(choice, 4) << 2 | choice_below(choice, 3) << 4);
    }
    return options;
}

/* A filter that stands keeps its identifier, too: all filters of a packet have the same. */
static uint32_t draw_identifier(struct actor *actor, unsigned filter)
{
    if (actor->subscribed[filter]) {
        return actor->identifiers[filter];
    }
    if (actor->params.version < MQTT_5_0 ||
        (!world_is_shared(filter) && !choice_chance(actor->world->choice, 300))) {
        return 0;
    }
    return actor->next_identifier = actor->next_identifier % 10000 + 1;
}

/*
 * What comes of a group must be told from what comes of other subscriptions: by an identifier, and
 * where there is none by having nothing else.
 */
static unsigned draw_filter(struct actor *actor)
{
    struct choice *choice = actor->world->choice;
    unsigned group_len = actor->world->group_len;
    bool is_shared = group_len > 0 && choice_chance(choice, 300);

    if (actor->params.version < MQTT_5_0) {
        is_shared = group_len > 0 && actor->params.is_member;
        group_len = MIN(group_len, 1u);
    }
    return is_shared ? WORLD_FILTER_LEN + choice_below(choice, group_len)
                     : choice_below(choice, actor->world->filter_len);
}

static bool may_add(const struct actor *actor, const struct wire_packet *packet, unsigned filter)
{
    return !has_filter(packet, filter) &&
           (packet->filter_len == 0 ||
            (!world_is_shared(filter) && !world_is_shared(packet->filters[0]))) &&
           (!actor->subscribed[filter] || actor->identifiers[filter] == packet->identifier);
}

void actor_subscribe(struct actor *actor)
{
    struct choice *choice = actor->world->choice;
    struct wire_packet packet = {.type = MQTT_SUBSCRIBE};
    unsigned len = choice_chance(choice, 300) ? choice_between(choice, 2, 3) : 1;

    if (actor->request_len == ACTOR_REQUEST_CAP) {
        return;
    }
    while (packet.filter_len < len) {
        unsigned filter = draw_filter(actor);

        if (packet.filter_len == 0) {
            packet.identifier = draw_identifier(actor, filter);
        }
        if (!may_add(actor, &packet, filter)) {
            break;
        }
        packet.filters[packet.filter_len] = (uint8_t)filter;
        packet.codes[packet.filter_len++] = draw_options(actor, filter);
        actor->identifiers[filter] = packet.identifier;
        actor->subscribed[filter] = (uint8_t)(packet.codes[packet.filter_len - 1] + 1);
    }
    request(actor, &packet);
}

void actor_subscribe_all(struct actor *actor, unsigned qos)
{
    struct wire_packet packet = {
        .type = MQTT_SUBSCRIBE,
        .filter_len = 2,
        .filters = {WORLD_ALL,    WORLD_ALL_HIDDEN},
        .codes = {(uint8_t)qos, (uint8_t)qos    },
    };

    actor->identifiers[WORLD_ALL] = 0;
    actor->identifiers[WORLD_ALL_HIDDEN] = 0;
    actor->subscribed[WORLD_ALL] = (uint8_t)(qos + 1);
    actor->subscribed[WORLD_ALL_HIDDEN] = (uint8_t)(qos + 1);
    request(actor, &packet);
}

/* Not what an observer looks through. */
void actor_unsubscribe(struct actor *actor)
{
    struct choice *choice = actor->world->choice;
    unsigned filter = draw_filter(actor);
    struct wire_packet packet = {.type = MQTT_UNSUBSCRIBE};

    if (actor->request_len == ACTOR_REQUEST_CAP ||
        (!actor->subscribed[filter] && choice_chance(choice, 700)) ||
        (actor->params.is_observer && (filter == WORLD_ALL || filter == WORLD_ALL_HIDDEN))) {
        return;
    }
    packet.filters[packet.filter_len++] = (uint8_t)filter;
    actor->subscribed[filter] = 0;
    request(actor, &packet);
}

void actor_ping(struct actor *actor)
{
    send_id(actor, MQTT_PINGREQ, 0);
}

void actor_pipeline(struct actor *actor)
{
    unsigned len = choice_between(actor->world->choice, 1, 4);

    while (len-- > 0) {
        if (choice_chance(actor->world->choice, 500)) {
            actor_subscribe(actor);
        } else if (actor->out_len < 1) {
            actor_publish(actor);
        }
    }
}

/* Hearing */

static void push_id(uint16_t *ids, unsigned *len, uint16_t packet_id)
{
    if (*len == ACTOR_ACK_CAP) {
        sim_fail("more deliveries than a client of the simulator can answer");
    }
    ids[(*len)++] = packet_id;
}

static uint16_t take_id(uint16_t *ids, unsigned *len, unsigned at)
{
    uint16_t packet_id = ids[at];

    (*len)--;
    memmove(&ids[at], &ids[at + 1], (*len - at) * sizeof(*ids));
    return packet_id;
}

static void add_incoming(struct actor *actor, uint16_t packet_id)
{
    for (unsigned i = 0; i < actor->incoming_len; i++) {
        if (actor->incoming[i] == packet_id) {
            return;
        }
    }
    if (actor->incoming_len < ACTOR_INCOMING_CAP) {
        actor->incoming[actor->incoming_len++] = packet_id;
    }
}

static void on_publish(struct actor *actor, const struct wire_packet *packet)
{
    if (packet->qos == 1) {
        push_id(actor->pubacks, &actor->puback_len, packet->packet_id);
    } else if (packet->qos == 2) {
        add_incoming(actor, packet->packet_id);
        push_id(actor->pubrecs, &actor->pubrec_len, packet->packet_id);
    }
}

static void on_pubrel(struct actor *actor, uint16_t packet_id)
{
    for (unsigned i = 0; i < actor->incoming_len; i++) {
        if (actor->incoming[i] == packet_id) {
            actor->incoming[i] = actor->incoming[--actor->incoming_len];
            break;
        }
    }
    push_id(actor->pubcomps, &actor->pubcomp_len, packet_id);
}

static void on_connack(struct actor *actor, const struct wire_packet *packet)
{
    actor->is_online = true;
    actor->is_afresh = false;
    actor->is_passing = actor->is_fragile && !actor->is_clean;
    actor->alias_maximum = packet->alias_maximum;
    if (packet->receive_maximum) {
        actor->in_flight_max = packet->receive_maximum;
    }
    if (packet->is_clean && !actor->is_clean) {
        actor_forget(actor);
    } else if (!packet->is_clean) {
        send_again(actor);
    }
    if (actor->params.is_observer && packet->is_clean) {
        actor_subscribe_all(actor, 2);
    }
}

/* The order of PUBRELs is that of the PUBRECs, so it goes out at once; so do the rest of `out`. */
static void on_pubrec(struct actor *actor, struct outgoing *out)
{
    struct outgoing received = *out;

    if (out->is_received) {
        return;
    }
    remove_out(actor, out);
    received.is_received = true;
    actor->out[actor->out_len++] = received;
    send_id(actor, MQTT_PUBREL, received.packet_id);
}

static void on_ack(struct actor *actor, const struct wire_packet *packet)
{
    struct outgoing *out = find_out(actor, packet->packet_id);

    if (!out) {
        return;
    }
    if (packet->type == MQTT_PUBREC) {
        on_pubrec(actor, out);
    } else {
        remove_out(actor, out);
    }
}

static void on_answer(struct actor *actor, uint16_t packet_id)
{
    for (unsigned i = 0; i < actor->request_len; i++) {
        if (actor->requests[i] == packet_id) {
            actor->requests[i] = actor->requests[--actor->request_len];
            return;
        }
    }
}

static void on_packet(struct actor *actor, const struct wire_packet *packet)
{
    switch (packet->type) {
    case MQTT_CONNACK: on_connack(actor, packet); break;
    case MQTT_PUBLISH: on_publish(actor, packet); break;
    case MQTT_PUBREL: on_pubrel(actor, packet->packet_id); break;
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBCOMP: on_ack(actor, packet); break;
    case MQTT_SUBACK:
    case MQTT_UNSUBACK: on_answer(actor, packet->packet_id); break;
    default: break;
    }
}

/* What the model is told also names the message that an acknowledgement is for. */
static void take_packet(struct actor *actor, struct wire_packet packet)
{
    const struct outgoing *out = NULL;

    if (packet.type == MQTT_PUBACK || packet.type == MQTT_PUBREC) {
        out = find_out(actor, packet.packet_id);
    }
    if (out) {
        packet.message = out->message;
    }
    model_on_taken(actor->world->model, actor->connection->number, &packet);
    on_packet(actor, &packet);
}

bool actor_take(struct actor *actor, size_t max)
{
    struct connection *connection = actor->connection;
    unsigned from = connection->received.read;

    if (network_waiting(connection) == 0) {
        return false;
    }
    network_take(connection, max);
    for (unsigned i = from; i < connection->received.read; i++) {
        take_packet(actor, connection->received.packets[i].packet);
    }
    return true;
}

bool actor_answer(struct actor *actor)
{
    struct choice *choice = actor->world->choice;
    unsigned weights[] = {actor->puback_len, actor->pubrec_len, actor->pubcomp_len};

    if (weights[0] + weights[1] + weights[2] == 0) {
        return false;
    }
    switch (choice_weighted(choice, weights, ARRAY_LEN(weights))) {
    case 0: send_id(actor, MQTT_PUBACK, take_id(actor->pubacks, &actor->puback_len, 0)); break;
    case 1: send_id(actor, MQTT_PUBREC, take_id(actor->pubrecs, &actor->pubrec_len, 0)); break;
    default:
        send_id(actor, MQTT_PUBCOMP,
                take_id(actor->pubcomps, &actor->pubcomp_len,
                        choice_below(choice, actor->pubcomp_len)));
    }
    return true;
}
