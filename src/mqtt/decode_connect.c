#include "mqtt/decode.h"
#include "mqtt/read.h"
#include "mqtt/topics.h"

#define BRIDGE_BIT 0x80

enum {
    FLAG_RESERVED = 0x01,
    FLAG_CLEAN_START = 0x02,
    FLAG_WILL = 0x04,
    FLAG_WILL_QOS = 0x18,
    FLAG_WILL_RETAIN = 0x20,
    FLAG_PASSWORD = 0x40,
    FLAG_USERNAME = 0x80
};

static bool is_text(struct slice slice, const char *text)
{
    return slice_is_equal(slice, slice_of_text(text));
}

static bool is_level_known(struct slice name, uint8_t level)
{
    if (is_text(name, "MQTT")) {
        return level == MQTT_5_0 || (level & ~BRIDGE_BIT) == MQTT_3_1_1;
    }
    return (level & ~BRIDGE_BIT) == MQTT_3_1;
}

static enum mqtt_reason decode_protocol(struct slice *body, struct mqtt_connect *connect)
{
    struct slice name;
    uint8_t level;

    if (!mqtt_read_field(body, &name)) {
        return MQTT_MALFORMED_PACKET;
    }
    if (!is_text(name, "MQTT") && !is_text(name, "MQIsdp")) {
        return MQTT_PROTOCOL_ERROR;
    }
    if (!mqtt_read_byte(body, &level)) {
        return MQTT_MALFORMED_PACKET;
    }
    connect->version = level;
    if (!is_level_known(name, level)) {
        return MQTT_UNSUPPORTED_PROTOCOL_VERSION;
    }
    connect->version = (uint8_t)(level & ~BRIDGE_BIT);
    connect->is_bridge = (level & BRIDGE_BIT) != 0;
    return MQTT_SUCCESS;
}

/* 3.1 has bit 0 unused and says that the will's bits are ignored without a will. */
static bool are_flags_valid(unsigned version, uint8_t flags)
{
    bool has_will = (flags & FLAG_WILL) != 0;

    if (has_will && (flags & FLAG_WILL_QOS) == FLAG_WILL_QOS) {
        return false; /* [MQTT-3.1.2-12] */
    }
    if (version < MQTT_5_0 && (flags & FLAG_PASSWORD) != 0 && (flags & FLAG_USERNAME) == 0) {
        return false; /* 3.1.1: [MQTT-3.1.2-22] */
    }
    if (version == MQTT_3_1) {
        return true;
    }
    /* [MQTT-3.1.2-3], [MQTT-3.1.2-11], [MQTT-3.1.2-13] */
    return (flags & FLAG_RESERVED) == 0 &&
           (has_will || (flags & (FLAG_WILL_QOS | FLAG_WILL_RETAIN)) == 0);
}

static enum mqtt_reason decode_flags(struct slice *body, struct mqtt_connect *connect)
{
    uint8_t flags;

    if (!mqtt_read_byte(body, &flags) || !are_flags_valid(connect->version, flags)) {
        return MQTT_MALFORMED_PACKET;
    }
    connect->clean_start = (flags & FLAG_CLEAN_START) != 0;
    connect->has_username = (flags & FLAG_USERNAME) != 0;
    connect->has_password = (flags & FLAG_PASSWORD) != 0;
    connect->has_will = (flags & FLAG_WILL) != 0;
    if (connect->has_will) {
        connect->will.qos = (flags & FLAG_WILL_QOS) >> 3;
        connect->will.retain = (flags & FLAG_WILL_RETAIN) != 0;
    }
    return mqtt_read_two(body, &connect->keep_alive) ? MQTT_SUCCESS : MQTT_MALFORMED_PACKET;
}

static enum mqtt_reason decode_will(struct slice *body, unsigned version, struct mqtt_will *will)
{
    enum mqtt_reason reason =
        mqtt_read_properties(body, version, MQTT_WILL_PROPERTIES, false, &will->properties);

    if (reason != MQTT_SUCCESS) {
        return reason;
    }
    if (!mqtt_read_text(body, &will->topic) || !mqtt_read_field(body, &will->payload)) {
        return MQTT_MALFORMED_PACKET;
    }
    return mqtt_topic_is_valid(will->topic) ? MQTT_SUCCESS : MQTT_TOPIC_NAME_INVALID;
}

static enum mqtt_reason decode_credentials(struct slice *body, struct mqtt_connect *connect)
{
    /* 3.1 section 3.1: the length of the packet takes precedence over these two flags. */
    if (connect->version == MQTT_3_1 && body->len == 0) {
        connect->has_username = false;
        connect->has_password = false;
    }
    if (connect->has_username && !mqtt_read_text(body, &connect->username)) {
        return MQTT_MALFORMED_PACKET;
    }
    if (connect->version == MQTT_3_1 && body->len == 0) {
        connect->has_password = false;
    }
    if (connect->has_password && !mqtt_read_field(body, &connect->password)) {
        return MQTT_MALFORMED_PACKET;
    }
    return body->len == 0 ? MQTT_SUCCESS : MQTT_MALFORMED_PACKET;
}

static enum mqtt_reason decode_connect_properties(struct slice *body, struct mqtt_connect *connect)
{
    struct mqtt_properties *properties = &connect->properties;
    enum mqtt_reason reason =
        mqtt_read_properties(body, connect->version, MQTT_CONNECT, false, properties);

    if (reason != MQTT_SUCCESS) {
        return reason;
    }
    /* 5.0 section 3.1.2.11.10 */
    if (mqtt_properties_has(properties, MQTT_AUTHENTICATION_DATA) &&
        !mqtt_properties_has(properties, MQTT_AUTHENTICATION_METHOD)) {
        return MQTT_PROTOCOL_ERROR;
    }
    return MQTT_SUCCESS;
}

static enum mqtt_reason decode_payload(struct slice *body, struct mqtt_connect *connect)
{
    if (!mqtt_read_text(body, &connect->client_id)) {
        return MQTT_MALFORMED_PACKET;
    }
    if (connect->has_will) {
        enum mqtt_reason reason = decode_will(body, connect->version, &connect->will);

        if (reason != MQTT_SUCCESS) {
            return reason;
        }
    }
    return decode_credentials(body, connect);
}

enum mqtt_reason mqtt_decode_connect(struct slice body, struct mqtt_connect *connect_out)
{
    static enum mqtt_reason (*const steps[])(struct slice *, struct mqtt_connect *) = {
        decode_protocol, decode_flags, decode_connect_properties, decode_payload};

    *connect_out = (struct mqtt_connect){0};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        enum mqtt_reason reason = steps[i](&body, connect_out);

        if (reason != MQTT_SUCCESS) {
            return reason;
        }
    }
    return MQTT_SUCCESS;
}

static bool is_connack_code_known(unsigned version, uint8_t code)
{
    return version < MQTT_5_0 ? code <= 5 : mqtt_reason_is_allowed(code, MQTT_CONNACK);
}

enum mqtt_reason mqtt_decode_connack(unsigned version, struct slice body,
                                     struct mqtt_connack *connack_out)
{
    enum mqtt_reason reason;
    uint8_t flags;

    *connack_out = (struct mqtt_connack){0};
    if (!mqtt_read_byte(&body, &flags) || !mqtt_read_byte(&body, &connack_out->code)) {
        return MQTT_MALFORMED_PACKET;
    }
    if ((flags & 0xFE) != 0) {
        return MQTT_MALFORMED_PACKET; /* [MQTT-3.2.2-1] */
    }
    connack_out->session_present = flags != 0;
    if (!is_connack_code_known(version, connack_out->code) ||
        (connack_out->session_present && connack_out->code != 0)) {
        return MQTT_PROTOCOL_ERROR; /* [MQTT-3.2.2-8], [MQTT-3.2.2-6] */
    }
    reason = mqtt_read_properties(&body, version, MQTT_CONNACK, true, &connack_out->properties);
    if (reason == MQTT_SUCCESS && body.len > 0) {
        return MQTT_MALFORMED_PACKET;
    }
    return reason;
}
