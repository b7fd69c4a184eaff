#pragma once

/*
 * Encoding
 *
 * What a broker writes (and, for the load generator, the fuzzers and the tests, what a client
 * writes). Encoders write into a buffer of the caller and never allocate: each has a function that
 * tells how many bytes it will write, and answers how many it wrote. The bytes and the order of
 * properties are Mosquitto's. What is given must fit into a packet: strings of at most 65,535
 * bytes, bodies of at most MQTT_REMAINING_MAX. Pure functions: any thread.
 */

#include "base/slice.h"
#include "mqtt/decode.h"

/* Bytes that `value` takes as a variable byte integer: 1 to 4. */
static inline unsigned mqtt_variable_size(uint32_t value)
{
    return value < 128 ? 1 : value < 16384 ? 2 : value < 2097152 ? 3 : 4;
}

/* Each `put` writes at `at` and answers the place behind what it wrote. */
uint8_t *mqtt_put_variable(uint8_t *at, uint32_t value);

static inline uint8_t *mqtt_put_byte(uint8_t *at, uint8_t value)
{
    *at = value;
    return at + 1;
}

static inline uint8_t *mqtt_put_two(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
    return at + 2;
}

static inline uint8_t *mqtt_put_four(uint8_t *at, uint32_t value)
{
    return mqtt_put_two(mqtt_put_two(at, (uint16_t)(value >> 16)), (uint16_t)value);
}

static inline uint8_t *mqtt_put_bytes(uint8_t *at, struct slice bytes)
{
    if (bytes.len) {
        memcpy(at, bytes.data, bytes.len);
    }
    return at + bytes.len;
}

/* A string or binary field: two length bytes and its bytes (at most 65,535). */
static inline uint8_t *mqtt_put_field(uint8_t *at, struct slice field)
{
    assert(field.len <= UINT16_MAX);
    return mqtt_put_bytes(mqtt_put_two(at, (uint16_t)field.len), field);
}

/* Bytes of a whole packet whose body has `body_size` bytes. */
static inline size_t mqtt_packet_size(uint32_t body_size)
{
    return 1 + mqtt_variable_size(body_size) + (size_t)body_size;
}

/*
 * Properties, each with its identifier. A number takes the bytes that the table of properties says;
 * a field is any string or binary property but the user property.
 */
size_t mqtt_property_number_size(enum mqtt_property id, uint32_t value);
uint8_t *mqtt_put_property_number(uint8_t *at, enum mqtt_property id, uint32_t value);

static inline size_t mqtt_property_field_size(struct slice field)
{
    return 3 + field.len;
}

static inline uint8_t *mqtt_put_property_field(uint8_t *at, enum mqtt_property id,
                                               struct slice field)
{
    return mqtt_put_field(mqtt_put_byte(at, (uint8_t)id), field);
}

static inline size_t mqtt_user_property_size(struct slice name, struct slice value)
{
    return 5 + name.len + value.len;
}

static inline uint8_t *mqtt_put_user_property(uint8_t *at, struct slice name, struct slice value)
{
    return mqtt_put_field(mqtt_put_property_field(at, MQTT_USER_PROPERTY, name), value);
}

/* A property block of 5.0: its length, then its properties. */
static inline uint8_t *mqtt_put_properties(uint8_t *at, struct slice properties)
{
    return mqtt_put_bytes(mqtt_put_variable(at, (uint32_t)properties.len), properties);
}

/*
 * The fixed header: first byte and Remaining Length. Of a PUBLISH, the caller puts topic, packet
 * identifier and properties behind it with mqtt_put_*.
 */
uint8_t *mqtt_put_header(uint8_t *at, enum mqtt_packet_type type, uint8_t flags,
                         uint32_t body_size);

/* PUBACK, PUBREC, PUBREL, PUBCOMP without properties: 4 bytes, or 5 with a reason in 5.0. */
#define MQTT_ACK_SIZE_MAX 5
size_t mqtt_encode_ack(uint8_t *at, unsigned version, enum mqtt_packet_type type,
                       uint16_t packet_id, enum mqtt_reason reason);

/* The same in 5.0 with a reason string, which is not sent when empty, or beside a success. */
size_t mqtt_told_ack_size(enum mqtt_reason reason, struct slice reason_string);
size_t mqtt_encode_told_ack(uint8_t *at, enum mqtt_packet_type type, uint16_t packet_id,
                            enum mqtt_reason reason, struct slice reason_string);

#define MQTT_PING_SIZE 2
size_t mqtt_encode_pingresp(uint8_t *at);

/* What a CONNACK of a broker may carry beyond the defaults; written in Mosquitto's order. */
struct mqtt_connack_out {
    unsigned version;
    enum mqtt_reason reason; /* mapped to the return code of 3.x through the table of reasons */
    bool session_present;
    bool has_maximum_qos;    /* announce maximum_qos */
    bool retain_unavailable; /* announce Retain Available 0 */
    uint8_t maximum_qos;
    uint16_t server_keep_alive;   /* 0: not sent */
    uint16_t topic_alias_maximum; /* 0: not sent */
    uint16_t receive_maximum;     /* 0: not sent */
    uint32_t maximum_packet_size; /* 0: not sent */
    uint32_t session_expiry_interval;
    bool has_session_expiry;           /* announce session_expiry_interval */
    struct slice assigned_client_id;   /* empty: not sent */
    struct slice response_information; /* empty: not sent */
    struct slice authentication_method;
    struct slice authentication_data; /* each of these four: empty, not sent */
    struct slice reason_string;
    struct slice server_reference;
};

/*
 * The bytes that mqtt_encode_connack() will write: 0 when 3.x has no return code for the reason, so
 * the connection is just closed [MQTT-3.2.2-6]. On refusal no property is written but the reason
 * string, the server reference and the authentication ones, where they are set.
 */
size_t mqtt_connack_size(const struct mqtt_connack_out *connack);
size_t mqtt_encode_connack(uint8_t *at, const struct mqtt_connack_out *connack);

/* SUBACK, and UNSUBACK (whose codes are left out below 5.0). One code a filter, already in the form
 * of 5.0; below it 0x80 and up become 0x80. */
size_t mqtt_suback_size(unsigned version, enum mqtt_packet_type type, size_t code_count);
size_t mqtt_encode_suback(uint8_t *at, unsigned version, enum mqtt_packet_type type,
                          uint16_t packet_id, struct slice codes);

/*
 * 5.0 only; 2 bytes with reason 0, else 3, more with a reason string or server reference.
 */
size_t mqtt_disconnect_size(enum mqtt_reason reason, struct slice reason_string,
                            struct slice server_reference);
size_t mqtt_encode_disconnect(uint8_t *at, enum mqtt_reason reason, struct slice reason_string,
                              struct slice server_reference);

/* 5.0 only, either side. Empty data is not sent. */
size_t mqtt_auth_size(struct slice method, struct slice data);
size_t mqtt_encode_auth(uint8_t *at, enum mqtt_reason reason, struct slice method,
                        struct slice data);

/*
 * What a client writes, and the whole PUBLISH of either side. The structs are those of the
 * decoders; of their properties only `raw` is written, so a decoded packet encodes to the bytes it
 * came from. Properties are left out below 5.0.
 */
size_t mqtt_connect_size(const struct mqtt_connect *connect);
size_t mqtt_encode_connect(uint8_t *at, const struct mqtt_connect *connect);

size_t mqtt_publish_size(unsigned version, const struct mqtt_publish *publish);
size_t mqtt_encode_publish(uint8_t *at, unsigned version, const struct mqtt_publish *publish);

/* One filter a packet. */
size_t mqtt_subscribe_size(unsigned version, const struct mqtt_filter *filter,
                           struct slice properties);
size_t mqtt_encode_subscribe(uint8_t *at, unsigned version, uint16_t packet_id,
                             const struct mqtt_filter *filter, struct slice properties);
size_t mqtt_unsubscribe_size(unsigned version, struct slice filter, struct slice properties);
size_t mqtt_encode_unsubscribe(uint8_t *at, unsigned version, uint16_t packet_id,
                               struct slice filter, struct slice properties);

size_t mqtt_encode_pingreq(uint8_t *at);

/* A client's normal DISCONNECT, any version. */
#define MQTT_DISCONNECT_3_SIZE 2
size_t mqtt_encode_disconnect_3(uint8_t *at);
