#include "mqtt/encode.h"

uint8_t *mqtt_put_variable(uint8_t *at, uint32_t value)
{
    assert(value <= MQTT_REMAINING_MAX);
    while (value >= 128) {
        at = mqtt_put_byte(at, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    return mqtt_put_byte(at, (uint8_t)value);
}

uint8_t *mqtt_put_header(uint8_t *at, enum mqtt_packet_type type, uint8_t flags, uint32_t body_size)
{
    assert(flags < 16);
    return mqtt_put_variable(mqtt_put_byte(at, (uint8_t)((unsigned)type << 4 | flags)), body_size);
}

size_t mqtt_property_number_size(enum mqtt_property id, uint32_t value)
{
    const struct mqtt_property_row *row = mqtt_property_find(id);

    assert(row && value >= row->min && value <= row->max);
    switch (row->type) {
    case MQTT_BYTE: return 2;
    case MQTT_TWO_BYTES: return 3;
    case MQTT_FOUR_BYTES: return 5;
    default: assert(row->type == MQTT_VARIABLE); return 1 + mqtt_variable_size(value);
    }
}

uint8_t *mqtt_put_property_number(uint8_t *at, enum mqtt_property id, uint32_t value)
{
    const struct mqtt_property_row *row = mqtt_property_find(id);

    assert(row && value >= row->min && value <= row->max);
    at = mqtt_put_byte(at, (uint8_t)id);
    switch (row->type) {
    case MQTT_BYTE: return mqtt_put_byte(at, (uint8_t)value);
    case MQTT_TWO_BYTES: return mqtt_put_two(at, (uint16_t)value);
    case MQTT_FOUR_BYTES: return mqtt_put_four(at, value);
    default: assert(row->type == MQTT_VARIABLE); return mqtt_put_variable(at, value);
    }
}

size_t mqtt_encode_ack(uint8_t *at, unsigned version, enum mqtt_packet_type type,
                       uint16_t packet_id, enum mqtt_reason reason)
{
    bool has_reason = version >= MQTT_5_0 && reason != MQTT_SUCCESS;

    assert(type >= MQTT_PUBACK && type <= MQTT_PUBCOMP && packet_id != 0);
    at = mqtt_put_header(at, type, type == MQTT_PUBREL ? 2 : 0, has_reason ? 3 : 2);
    at = mqtt_put_two(at, packet_id);
    if (!has_reason) {
        return 4;
    }
    mqtt_put_byte(at, (uint8_t)reason);
    return 5;
}

static size_t encode_empty(uint8_t *at, enum mqtt_packet_type type)
{
    mqtt_put_header(at, type, 0, 0);
    return 2;
}

size_t mqtt_encode_pingresp(uint8_t *at)
{
    return encode_empty(at, MQTT_PINGRESP);
}

size_t mqtt_encode_pingreq(uint8_t *at)
{
    return encode_empty(at, MQTT_PINGREQ);
}

size_t mqtt_encode_disconnect_3(uint8_t *at)
{
    return encode_empty(at, MQTT_DISCONNECT);
}

/*
 * A property block that is measured and written by the same lines: with `at` NULL they count only.
 */
struct block {
    uint8_t *at;
    size_t size;
};

static void add_number(struct block *block, enum mqtt_property id, uint32_t value)
{
    block->size += mqtt_property_number_size(id, value);
    if (block->at) {
        block->at = mqtt_put_property_number(block->at, id, value);
    }
}

static void add_number_above_0(struct block *block, enum mqtt_property id, uint32_t value)
{
    if (value > 0) {
        add_number(block, id, value);
    }
}

static void add_field(struct block *block, enum mqtt_property id, struct slice field)
{
    if (field.len == 0) {
        return;
    }
    block->size += mqtt_property_field_size(field);
    if (block->at) {
        block->at = mqtt_put_property_field(block->at, id, field);
    }
}

/* The order of an acceptance is Mosquitto's; its clients' and scripts' tests compare bytes. */
static size_t put_connack_properties(uint8_t *at, const struct mqtt_connack_out *connack)
{
    struct block block = {.at = at};
    bool is_accepted = connack->reason == MQTT_SUCCESS;

    if (is_accepted) {
        add_number_above_0(&block, MQTT_TOPIC_ALIAS_MAXIMUM, connack->topic_alias_maximum);
        add_number_above_0(&block, MQTT_SERVER_KEEP_ALIVE, connack->server_keep_alive);
        add_field(&block, MQTT_ASSIGNED_CLIENT_IDENTIFIER, connack->assigned_client_id);
        if (connack->has_session_expiry) {
            add_number(&block, MQTT_SESSION_EXPIRY_INTERVAL, connack->session_expiry_interval);
        }
        add_field(&block, MQTT_RESPONSE_INFORMATION, connack->response_information);
    }
    add_field(&block, MQTT_AUTHENTICATION_METHOD, connack->authentication_method);
    add_field(&block, MQTT_AUTHENTICATION_DATA, connack->authentication_data);
    add_field(&block, MQTT_REASON_STRING, connack->reason_string);
    add_field(&block, MQTT_SERVER_REFERENCE, connack->server_reference);
    if (is_accepted) {
        if (connack->retain_unavailable) {
            add_number(&block, MQTT_RETAIN_AVAILABLE, 0);
        }
        add_number_above_0(&block, MQTT_MAXIMUM_PACKET_SIZE, connack->maximum_packet_size);
        add_number_above_0(&block, MQTT_RECEIVE_MAXIMUM, connack->receive_maximum);
        if (connack->has_maximum_qos) {
            add_number(&block, MQTT_MAXIMUM_QOS, connack->maximum_qos);
        }
    }
    return block.size;
}

/* Whether 3.x knows a return code for the reason. */
static bool can_answer(const struct mqtt_connack_out *connack)
{
    const struct mqtt_reason_row *row = mqtt_reason_find(connack->reason);

    assert(row);
    return connack->version >= MQTT_5_0 || connack->reason == MQTT_SUCCESS || row->connack_3 != 0;
}

static uint32_t connack_body_size(const struct mqtt_connack_out *connack)
{
    size_t size;

    if (connack->version < MQTT_5_0) {
        return 2;
    }
    size = put_connack_properties(NULL, connack);
    return (uint32_t)(2 + mqtt_variable_size((uint32_t)size) + size);
}

size_t mqtt_connack_size(const struct mqtt_connack_out *connack)
{
    return can_answer(connack) ? mqtt_packet_size(connack_body_size(connack)) : 0;
}

size_t mqtt_encode_connack(uint8_t *at, const struct mqtt_connack_out *connack)
{
    const uint8_t *start = at;
    bool is_present = connack->session_present && connack->reason == MQTT_SUCCESS &&
                      connack->version >= MQTT_3_1_1;
    size_t size;

    if (!can_answer(connack)) {
        return 0;
    }
    at = mqtt_put_header(at, MQTT_CONNACK, 0, connack_body_size(connack));
    at = mqtt_put_byte(at, is_present); /* [MQTT-3.2.2-6]; 3.1 has no such flag */
    if (connack->version < MQTT_5_0) {
        at = mqtt_put_byte(at, mqtt_reason_find(connack->reason)->connack_3);
    } else {
        at = mqtt_put_byte(at, (uint8_t)connack->reason);
        size = put_connack_properties(NULL, connack);
        at = mqtt_put_variable(at, (uint32_t)size);
        at += put_connack_properties(at, connack);
    }
    return (size_t)(at - start);
}

static uint32_t suback_body_size(unsigned version, enum mqtt_packet_type type, size_t code_count)
{
    assert(type == MQTT_SUBACK || type == MQTT_UNSUBACK);
    assert(code_count <= MQTT_REMAINING_MAX - 3);
    if (version >= MQTT_5_0) {
        return (uint32_t)(3 + code_count);
    }
    return type == MQTT_SUBACK ? (uint32_t)(2 + code_count) : 2;
}

size_t mqtt_suback_size(unsigned version, enum mqtt_packet_type type, size_t code_count)
{
    return mqtt_packet_size(suback_body_size(version, type, code_count));
}

size_t mqtt_encode_suback(uint8_t *at, unsigned version, enum mqtt_packet_type type,
                          uint16_t packet_id, struct slice codes)
{
    const uint8_t *start = at;

    assert(packet_id != 0);
    at = mqtt_put_header(at, type, 0, suback_body_size(version, type, codes.len));
    at = mqtt_put_two(at, packet_id);
    if (version >= MQTT_5_0) {
        at = mqtt_put_bytes(mqtt_put_byte(at, 0), codes);
    } else if (type == MQTT_SUBACK) {
        for (size_t i = 0; i < codes.len; i++) {
            /* [MQTT-3.9.3-2] */
            at = mqtt_put_byte(at, codes.data[i] < 0x80 ? codes.data[i] : 0x80);
        }
    }
    return (size_t)(at - start);
}

static uint32_t told_ack_body_size(struct slice reason_string)
{
    size_t size = mqtt_property_field_size(reason_string);

    return (uint32_t)(3 + mqtt_variable_size((uint32_t)size) + size);
}

size_t mqtt_told_ack_size(enum mqtt_reason reason, struct slice reason_string)
{
    if (reason == MQTT_SUCCESS) {
        return 4;
    }
    return reason_string.len > 0 ? mqtt_packet_size(told_ack_body_size(reason_string)) : 5;
}

size_t mqtt_encode_told_ack(uint8_t *at, enum mqtt_packet_type type, uint16_t packet_id,
                            enum mqtt_reason reason, struct slice reason_string)
{
    const uint8_t *start = at;

    if (reason == MQTT_SUCCESS || reason_string.len == 0) {
        return mqtt_encode_ack(at, MQTT_5_0, type, packet_id, reason);
    }
    assert(type >= MQTT_PUBACK && type <= MQTT_PUBCOMP && packet_id != 0);
    at = mqtt_put_header(at, type, type == MQTT_PUBREL ? 2 : 0, told_ack_body_size(reason_string));
    at = mqtt_put_two(at, packet_id);
    at = mqtt_put_byte(at, (uint8_t)reason);
    at = mqtt_put_variable(at, (uint32_t)mqtt_property_field_size(reason_string));
    at = mqtt_put_property_field(at, MQTT_REASON_STRING, reason_string);
    return (size_t)(at - start);
}

static size_t put_disconnect_properties(uint8_t *at, struct slice reason_string,
                                        struct slice server_reference)
{
    struct block block = {.at = at};

    add_field(&block, MQTT_REASON_STRING, reason_string);
    add_field(&block, MQTT_SERVER_REFERENCE, server_reference);
    return block.size;
}

static uint32_t disconnect_body_size(enum mqtt_reason reason, size_t properties_size)
{
    if (properties_size > 0) {
        return (uint32_t)(1 + mqtt_variable_size((uint32_t)properties_size) + properties_size);
    }
    return reason == MQTT_SUCCESS ? 0 : 1;
}

size_t mqtt_disconnect_size(enum mqtt_reason reason, struct slice reason_string,
                            struct slice server_reference)
{
    size_t size = put_disconnect_properties(NULL, reason_string, server_reference);

    return mqtt_packet_size(disconnect_body_size(reason, size));
}

size_t mqtt_encode_disconnect(uint8_t *at, enum mqtt_reason reason, struct slice reason_string,
                              struct slice server_reference)
{
    const uint8_t *start = at;
    size_t size = put_disconnect_properties(NULL, reason_string, server_reference);
    uint32_t body_size = disconnect_body_size(reason, size);

    assert(mqtt_reason_is_allowed(reason, MQTT_DISCONNECT));
    at = mqtt_put_header(at, MQTT_DISCONNECT, 0, body_size);
    if (body_size > 0) {
        at = mqtt_put_byte(at, (uint8_t)reason);
    }
    if (size > 0) {
        at = mqtt_put_variable(at, (uint32_t)size);
        at += put_disconnect_properties(at, reason_string, server_reference);
    }
    return (size_t)(at - start);
}

static size_t put_auth_properties(uint8_t *at, struct slice method, struct slice data)
{
    struct block block = {.at = at};

    assert(method.len > 0);
    add_field(&block, MQTT_AUTHENTICATION_METHOD, method);
    add_field(&block, MQTT_AUTHENTICATION_DATA, data);
    return block.size;
}

static uint32_t auth_body_size(size_t properties_size)
{
    return (uint32_t)(1 + mqtt_variable_size((uint32_t)properties_size) + properties_size);
}

size_t mqtt_auth_size(struct slice method, struct slice data)
{
    return mqtt_packet_size(auth_body_size(put_auth_properties(NULL, method, data)));
}

size_t mqtt_encode_auth(uint8_t *at, enum mqtt_reason reason, struct slice method,
                        struct slice data)
{
    const uint8_t *start = at;
    size_t size = put_auth_properties(NULL, method, data);

    assert(mqtt_reason_is_allowed(reason, MQTT_AUTH));
    at = mqtt_put_header(at, MQTT_AUTH, 0, auth_body_size(size));
    at = mqtt_put_byte(at, (uint8_t)reason);
    at = mqtt_put_variable(at, (uint32_t)size);
    at += put_auth_properties(at, method, data);
    return (size_t)(at - start);
}
