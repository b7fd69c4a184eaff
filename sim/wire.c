#include "sim/wire.h"

#include "mqtt/encode.h"
#include "sim/fail.h"

#include <stdio.h>
#include <stdlib.h>

/* A payload: 'M', four digits, ':', and bytes that follow from the number. */
#define PAYLOAD_HEAD 6u

/* clang-format off */
static const char *const topics[WORLD_TOPIC_LEN] = {
    "a", "b", "a/b", "a/c", "b/c", "a/b/c", "a/b/d", "b//c", "x/y/z", "$x/y", "c/1", "c/2",
};
static const char *const filters[WORLD_NAME_LEN] = {
    "#", "a", "a/b", "a/+", "a/#", "+/+", "+/b", "b/c", "b/#", "a/+/c", "a/b/#", "+/+/+", "x/y/z",
    "$x/#", "c/1", "+",
    "$share/g/a", "$share/h/a", "$share/g/#", "$share/h/+/+",
};
/* clang-format on */

static const struct wire_message *messages;
static const unsigned *message_len;

const char *world_topic(unsigned topic)
{
    assert(topic < WORLD_TOPIC_LEN);
    return topics[topic];
}

const char *world_filter(unsigned filter)
{
    assert(filter < WORLD_NAME_LEN);
    return filters[filter];
}

/* Level by level, with nothing of the product's matcher. */
static bool matches_text(const char *filter, const char *topic)
{
    if (*topic == '$' && *filter != '$') {
        return false;
    }
    for (;;) {
        size_t filter_len = strcspn(filter, "/");
        size_t topic_len = strcspn(topic, "/");

        if (*filter == '#') {
            return true;
        }
        if (*filter != '+' && (filter_len != topic_len || strncmp(filter, topic, topic_len) != 0)) {
            return false;
        }
        filter += filter_len;
        topic += topic_len;
        if (!*filter || !*topic) {
            return (!*filter && !*topic) || strcmp(filter, "/#") == 0;
        }
        filter++;
        topic++;
    }
}

bool world_matches(unsigned filter, unsigned topic)
{
    static int8_t known[WORLD_NAME_LEN][WORLD_TOPIC_LEN]; /* 0: not yet */
    const char *text = world_filter(filter);

    if (!known[filter][topic]) {
        text += world_is_shared(filter) ? strlen("$share/g/") : 0;
        known[filter][topic] = matches_text(text, world_topic(topic)) ? 1 : -1;
    }
    return known[filter][topic] > 0;
}

void wire_set_messages(const struct wire_message *array, const unsigned *len)
{
    messages = array;
    message_len = len;
}

static void payload_fill(uint8_t *payload, uint32_t message)
{
    char head[PAYLOAD_HEAD + 1];
    uint32_t size = messages[message].size;

    snprintf(head, sizeof(head), "M%04u:", message % 10000);
    for (uint32_t i = 0; i < size; i++) {
        payload[i] = i < PAYLOAD_HEAD ? (uint8_t)head[i] : (uint8_t)(message * 7 + i);
    }
}

static unsigned find_topic(struct slice topic)
{
    for (unsigned i = 0; i < WORLD_TOPIC_LEN; i++) {
        if (slice_is_equal(topic, slice_of_text(topics[i]))) {
            return i;
        }
    }
    sim_fail("a PUBLISH for the topic \"%.*s\", to which nobody publishes", (int)topic.len,
             (const char *)topic.data);
}

/* An empty payload clears a topic, and each topic is cleared once in a run at most. */
static uint32_t find_clearing(unsigned topic)
{
    for (unsigned i = 0; i < *message_len; i++) {
        if (messages[i].size == 0 && messages[i].topic == topic) {
            return i;
        }
    }
    sim_fail("an empty PUBLISH for \"%s\", which nobody cleared", topics[topic]);
}

static bool payload_is_intact(struct slice payload, uint32_t message)
{
    if (payload.len != messages[message].size) {
        return false;
    }
    for (size_t i = PAYLOAD_HEAD; i < payload.len; i++) {
        if (payload.data[i] != (uint8_t)(message * 7 + i)) {
            return false;
        }
    }
    return true;
}

static uint32_t find_message(unsigned topic, struct slice payload)
{
    uint32_t message = 0;

    if (payload.len == 0) {
        return find_clearing(topic);
    }
    for (unsigned i = 1; i < PAYLOAD_HEAD - 1 && i < payload.len; i++) {
        message = message * 10 + (payload.data[i] - (unsigned)'0');
    }
    if (message >= *message_len || !payload_is_intact(payload, message)) {
        sim_fail("a PUBLISH with a payload that nobody published (%zu bytes, topic %s)",
                 payload.len, topics[topic]);
    }
    if (messages[message].topic != topic) {
        sim_fail("message %u came with topic %s in place of %s", message, topics[topic],
                 topics[messages[message].topic]);
    }
    return message;
}

static uint8_t *must_have(void *memory)
{
    if (!memory) {
        sim_fail("no memory");
    }
    return memory;
}

static struct slice connect_properties(const struct wire_connect *connect, uint8_t *bytes)
{
    uint8_t *at = bytes;

    if (connect->expiry_interval) {
        at = mqtt_put_property_number(at, MQTT_SESSION_EXPIRY_INTERVAL, connect->expiry_interval);
    }
    if (connect->receive_maximum) {
        at = mqtt_put_property_number(at, MQTT_RECEIVE_MAXIMUM, connect->receive_maximum);
    }
    if (connect->alias_maximum) {
        at = mqtt_put_property_number(at, MQTT_TOPIC_ALIAS_MAXIMUM, connect->alias_maximum);
    }
    if (connect->packet_maximum) {
        at = mqtt_put_property_number(at, MQTT_MAXIMUM_PACKET_SIZE, connect->packet_maximum);
    }
    return slice_of(bytes, (size_t)(at - bytes));
}

static uint8_t *encode_connect(unsigned version, const struct wire_packet *packet,
                               const struct wire_connect *connect, size_t *len_out)
{
    uint8_t properties[32];
    uint8_t will_properties[16];
    struct mqtt_connect out = {
        .version = (uint8_t)version,
        .clean_start = packet->is_clean,
        .keep_alive = connect->keep_alive,
        .client_id = slice_of_text(connect->client_id),
    };
    uint8_t *payload = NULL;
    uint8_t *bytes;

    out.properties.raw = connect_properties(connect, properties);
    if (connect->will != WIRE_NO_MESSAGE) {
        const struct wire_message *will = &messages[connect->will];
        uint8_t *end = will_properties;

        payload = must_have(malloc(will->size + 1));
        payload_fill(payload, connect->will);
        if (connect->will_delay) {
            end = mqtt_put_property_number(end, MQTT_WILL_DELAY_INTERVAL, connect->will_delay);
        }
        if (will->expiry) {
            end = mqtt_put_property_number(end, MQTT_MESSAGE_EXPIRY_INTERVAL, will->expiry);
        }
        out.has_will = true;
        out.will.topic = slice_of_text(topics[will->topic]);
        out.will.payload = slice_of(payload, will->size);
        out.will.qos = will->qos;
        out.will.retain = will->retain;
        out.will.properties.raw = slice_of(will_properties, (size_t)(end - will_properties));
    }
    bytes = must_have(malloc(mqtt_connect_size(&out)));
    *len_out = mqtt_encode_connect(bytes, &out);
    free(payload);
    return bytes;
}

static struct slice publish_properties(const struct wire_packet *packet, uint8_t *bytes)
{
    uint32_t expiry = messages[packet->message].expiry;
    uint8_t *at = bytes;

    if (expiry) {
        at = mqtt_put_property_number(at, MQTT_MESSAGE_EXPIRY_INTERVAL, expiry);
    }
    if (packet->alias) {
        at = mqtt_put_property_number(at, MQTT_TOPIC_ALIAS, packet->alias);
    }
    return slice_of(bytes, (size_t)(at - bytes));
}

static uint8_t *encode_publish(unsigned version, const struct wire_packet *packet, size_t *len_out)
{
    const struct wire_message *message = &messages[packet->message];
    uint8_t *payload = must_have(malloc(message->size + 1));
    uint8_t properties[16];
    struct mqtt_publish publish = {
        .topic = slice_of_text(packet->is_alias_alone ? "" : topics[message->topic]),
        .properties.raw = publish_properties(packet, properties),
        .payload = slice_of(payload, message->size),
        .packet_id = packet->packet_id,
        .qos = packet->qos,
        .retain = packet->retain,
        .dup = packet->dup,
    };
    uint8_t *bytes = must_have(malloc(mqtt_publish_size(version, &publish)));

    payload_fill(payload, packet->message);
    *len_out = mqtt_encode_publish(bytes, version, &publish);
    free(payload);
    return bytes;
}

/* SUBSCRIBE and UNSUBSCRIBE with several filters, which the product's encoder has not. */
static uint8_t *encode_filters(unsigned version, const struct wire_packet *packet, size_t *len_out)
{
    bool is_subscribe = packet->type == MQTT_SUBSCRIBE;
    uint8_t properties[8];
    uint8_t *end = properties;
    uint32_t size;
    uint8_t *bytes;
    uint8_t *at;

    if (packet->identifier) {
        end = mqtt_put_property_number(end, MQTT_SUBSCRIPTION_IDENTIFIER, packet->identifier);
    }
    size = 2 + (version == MQTT_5_0 ? 1 + (uint32_t)(end - properties) : 0);
    for (unsigned i = 0; i < packet->filter_len; i++) {
        size += 2 + (uint32_t)strlen(filters[packet->filters[i]]) + (is_subscribe ? 1u : 0u);
    }
    bytes = must_have(malloc(size + 5));
    at = mqtt_put_two(mqtt_put_header(bytes, packet->type, 2, size), packet->packet_id);
    if (version == MQTT_5_0) {
        at = mqtt_put_properties(at, slice_of(properties, (size_t)(end - properties)));
    }
    for (unsigned i = 0; i < packet->filter_len; i++) {
        at = mqtt_put_field(at, slice_of_text(filters[packet->filters[i]]));
        if (is_subscribe) {
            at = mqtt_put_byte(at, packet->codes[i]);
        }
    }
    *len_out = (size_t)(at - bytes);
    return bytes;
}

static size_t encode_disconnect(unsigned version, const struct wire_packet *packet, uint8_t *bytes)
{
    uint8_t property[8];
    uint8_t *at;

    if (version < MQTT_5_0) {
        return mqtt_encode_disconnect_3(bytes);
    }
    if (!packet->has_expiry) {
        return mqtt_encode_disconnect(bytes, (enum mqtt_reason)packet->code, slice_of(NULL, 0),
                                      slice_of(NULL, 0));
    }
    at = mqtt_put_property_number(property, MQTT_SESSION_EXPIRY_INTERVAL, packet->expiry);
    at = mqtt_put_properties(
        mqtt_put_byte(mqtt_put_header(bytes, MQTT_DISCONNECT, 0, 2 + (uint32_t)(at - property)),
                      packet->code),
        slice_of(property, (size_t)(at - property)));
    return (size_t)(at - bytes);
}

static uint8_t *encode_small(unsigned version, const struct wire_packet *packet, size_t *len_out)
{
    uint8_t *bytes = must_have(malloc(16));

    switch (packet->type) {
    case MQTT_PINGREQ: *len_out = mqtt_encode_pingreq(bytes); break;
    case MQTT_DISCONNECT: *len_out = encode_disconnect(version, packet, bytes); break;
    default:
        *len_out = mqtt_encode_ack(bytes, version, packet->type, packet->packet_id,
                                   (enum mqtt_reason)packet->code);
    }
    return bytes;
}

uint8_t *wire_encode(unsigned version, const struct wire_packet *packet,
                     const struct wire_connect *connect, size_t *len_out)
{
    switch (packet->type) {
    case MQTT_CONNECT: return encode_connect(version, packet, connect, len_out);
    case MQTT_PUBLISH: return encode_publish(version, packet, len_out);
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE: return encode_filters(version, packet, len_out);
    default: return encode_small(version, packet, len_out);
    }
}

static enum mqtt_reason decode_connack(unsigned version, struct slice body,
                                       struct wire_packet *packet)
{
    struct mqtt_connack connack;
    enum mqtt_reason reason = mqtt_decode_connack(version, body, &connack);

    packet->is_clean = !connack.session_present;
    packet->code = connack.code;
    if (mqtt_properties_has(&connack.properties, MQTT_RECEIVE_MAXIMUM)) {
        packet->receive_maximum = connack.properties.receive_maximum;
    }
    if (mqtt_properties_has(&connack.properties, MQTT_TOPIC_ALIAS_MAXIMUM)) {
        packet->alias_maximum = connack.properties.topic_alias_maximum;
    }
    return reason;
}

/* The topic of a PUBLISH, by its name or its alias. */
static unsigned resolve_topic(const struct mqtt_publish *publish, struct wire_aliases *aliases)
{
    unsigned alias = publish->properties.topic_alias;
    unsigned topic;

    if (!mqtt_properties_has(&publish->properties, MQTT_TOPIC_ALIAS)) {
        return find_topic(publish->topic);
    }
    if (alias > aliases->maximum) {
        sim_fail("a PUBLISH with topic alias %u, the maximum is %u", alias, aliases->maximum);
    }
    if (publish->topic.len == 0) {
        if (!aliases->topics[alias - 1]) {
            sim_fail("a PUBLISH with topic alias %u, which stands for nothing", alias);
        }
        return aliases->topics[alias - 1] - 1u;
    }
    topic = find_topic(publish->topic);
    aliases->topics[alias - 1] = (uint8_t)(topic + 1);
    return topic;
}

static void decode_identifiers(const struct mqtt_properties *properties, struct wire_packet *packet)
{
    struct slice raw = properties->raw;
    enum mqtt_property id;
    struct slice whole;

    while (mqtt_properties_next(&raw, &id, &whole)) {
        uint32_t value = 0;

        for (size_t i = whole.len; id == MQTT_SUBSCRIPTION_IDENTIFIER && i-- > 1;) {
            value = value << 7 | (whole.data[i] & 0x7F);
        }
        if (value > 0 && packet->identifier_len == WIRE_IDENTIFIER_CAP) {
            sim_fail("more subscription identifiers than there are subscriptions");
        }
        if (value > 0) {
            packet->identifier = value;
            packet->identifiers[packet->identifier_len++] = value;
        }
    }
}

static enum mqtt_reason decode_publish(unsigned version, const struct mqtt_frame *frame,
                                       struct slice body, struct wire_aliases *aliases,
                                       struct wire_packet *packet)
{
    struct mqtt_publish publish;
    enum mqtt_reason reason = mqtt_decode_publish(version, frame->flags, body, true, &publish);

    if (reason != MQTT_SUCCESS) {
        return reason;
    }
    packet->packet_id = publish.packet_id;
    packet->qos = publish.qos;
    packet->dup = publish.dup;
    packet->retain = publish.retain;
    packet->message = find_message(resolve_topic(&publish, aliases), publish.payload);
    if (mqtt_properties_has(&publish.properties, MQTT_MESSAGE_EXPIRY_INTERVAL)) {
        packet->has_expiry = true;
        packet->expiry = publish.properties.message_expiry_interval;
    }
    decode_identifiers(&publish.properties, packet);
    return reason;
}

static enum mqtt_reason decode_codes(unsigned version, struct slice body,
                                     struct wire_packet *packet)
{
    struct mqtt_suback suback;
    enum mqtt_reason reason = mqtt_decode_suback(version, packet->type, body, &suback);

    if (reason != MQTT_SUCCESS) {
        return reason;
    }
    packet->packet_id = suback.packet_id;
    packet->filter_len = (unsigned)suback.codes.len;
    for (size_t i = 0; i < suback.codes.len && i < WIRE_FILTER_CAP; i++) {
        packet->codes[i] = suback.codes.data[i];
    }
    return reason;
}

static enum mqtt_reason decode_ack(unsigned version, struct slice body, struct wire_packet *packet)
{
    struct mqtt_ack ack;
    enum mqtt_reason reason = mqtt_decode_ack(version, packet->type, body, &ack);

    packet->packet_id = ack.packet_id;
    packet->code = (uint8_t)ack.reason;
    return reason;
}

static enum mqtt_reason decode_disconnect(unsigned version, struct slice body,
                                          struct wire_packet *packet)
{
    struct mqtt_disconnect disconnect;
    enum mqtt_reason reason = mqtt_decode_disconnect(version, true, body, &disconnect);

    packet->code = (uint8_t)disconnect.reason;
    return version == MQTT_5_0 ? reason : MQTT_PROTOCOL_ERROR;
}

static enum mqtt_reason decode_body(unsigned version, const struct mqtt_frame *frame,
                                    struct slice body, struct wire_aliases *aliases,
                                    struct wire_packet *packet)
{
    switch (frame->type) {
    case MQTT_CONNACK: return decode_connack(version, body, packet);
    case MQTT_PUBLISH: return decode_publish(version, frame, body, aliases, packet);
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP: return decode_ack(version, body, packet);
    case MQTT_SUBACK:
    case MQTT_UNSUBACK: return decode_codes(version, body, packet);
    case MQTT_PINGRESP: return mqtt_decode_ping(body);
    case MQTT_DISCONNECT: return decode_disconnect(version, body, packet);
    default: return MQTT_PROTOCOL_ERROR;
    }
}

size_t wire_decode(unsigned version, struct slice bytes, struct wire_aliases *aliases,
                   struct wire_packet *packet_out)
{
    struct mqtt_frame frame;
    enum mqtt_frame_verdict verdict = mqtt_frame_decode(bytes, version, &frame);
    struct slice body;

    if (verdict == MQTT_FRAME_MALFORMED) {
        sim_fail("the server sent something that is no packet");
    }
    if (verdict == MQTT_FRAME_SHORT || bytes.len < frame.header_size + (size_t)frame.body_size) {
        return 0;
    }
    *packet_out = (struct wire_packet){.type = frame.type, .message = WIRE_NO_MESSAGE};
    body = slice_of(bytes.data + frame.header_size, frame.body_size);
    if (decode_body(version, &frame, body, aliases, packet_out) != MQTT_SUCCESS) {
        sim_fail("the server sent a %s that it must not send", mqtt_packet_name(frame.type));
    }
    return frame.header_size + (size_t)frame.body_size;
}

static int describe_filters(const struct wire_packet *packet, char *text, size_t cap)
{
    int len = 0;

    for (unsigned i = 0; i < packet->filter_len && (size_t)len < cap; i++) {
        len += snprintf(text + len, cap - (size_t)len, " %s", filters[packet->filters[i]]);
    }
    return len;
}

const char *wire_describe(const struct wire_packet *packet)
{
    static char text[200];
    int len = snprintf(text, sizeof(text), "%s", mqtt_packet_name(packet->type));
    size_t cap = sizeof(text) - (size_t)len;
    char *at = text + len;

    switch (packet->type) {
    case MQTT_PUBLISH:
        snprintf(at, cap, " message %u on %s, QoS %u, id %u%s%s, expiry %u, subscription %u",
                 packet->message, topics[messages[packet->message].topic], packet->qos,
                 packet->packet_id, packet->dup ? ", dup" : "", packet->retain ? ", retain" : "",
                 packet->expiry, packet->identifier);
        break;
    case MQTT_CONNECT:
        snprintf(at, cap, "%s, will %d", packet->is_clean ? ", clean" : "", (int)packet->message);
        break;
    case MQTT_CONNACK:
        snprintf(at, cap, " code %u%s", packet->code, packet->is_clean ? "" : ", session present");
        break;
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE:
        len = snprintf(at, cap, " id %u, subscription %u,", packet->packet_id, packet->identifier);
        describe_filters(packet, at + len, cap - (size_t)len);
        break;
    default: snprintf(at, cap, " id %u, code %u", packet->packet_id, packet->code);
    }
    return text;
}
