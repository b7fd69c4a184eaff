#pragma once

/*
 * Properties
 *
 * The table of MQTT 5.0's properties (section 2.2.2) and the decoder of a property block. A decoded
 * block borrows from the bytes it was decoded from; nothing is allocated.
 */

#include "base/slice.h"
#include "mqtt/reasons.h"

enum mqtt_property {
    MQTT_PAYLOAD_FORMAT_INDICATOR = 0x01,
    MQTT_MESSAGE_EXPIRY_INTERVAL = 0x02,
    MQTT_CONTENT_TYPE = 0x03,
    MQTT_RESPONSE_TOPIC = 0x08,
    MQTT_CORRELATION_DATA = 0x09,
    MQTT_SUBSCRIPTION_IDENTIFIER = 0x0B,
    MQTT_SESSION_EXPIRY_INTERVAL = 0x11,
    MQTT_ASSIGNED_CLIENT_IDENTIFIER = 0x12,
    MQTT_SERVER_KEEP_ALIVE = 0x13,
    MQTT_AUTHENTICATION_METHOD = 0x15,
    MQTT_AUTHENTICATION_DATA = 0x16,
    MQTT_REQUEST_PROBLEM_INFORMATION = 0x17,
    MQTT_WILL_DELAY_INTERVAL = 0x18,
    MQTT_REQUEST_RESPONSE_INFORMATION = 0x19,
    MQTT_RESPONSE_INFORMATION = 0x1A,
    MQTT_SERVER_REFERENCE = 0x1C,
    MQTT_REASON_STRING = 0x1F,
    MQTT_RECEIVE_MAXIMUM = 0x21,
    MQTT_TOPIC_ALIAS_MAXIMUM = 0x22,
    MQTT_TOPIC_ALIAS = 0x23,
    MQTT_MAXIMUM_QOS = 0x24,
    MQTT_RETAIN_AVAILABLE = 0x25,
    MQTT_USER_PROPERTY = 0x26,
    MQTT_MAXIMUM_PACKET_SIZE = 0x27,
    MQTT_WILDCARD_SUBSCRIPTION_AVAILABLE = 0x28,
    MQTT_SUBSCRIPTION_IDENTIFIER_AVAILABLE = 0x29,
    MQTT_SHARED_SUBSCRIPTION_AVAILABLE = 0x2A
};

#define MQTT_PROPERTY_CAP 0x2B

enum mqtt_property_type {
    MQTT_BYTE = 1,
    MQTT_TWO_BYTES,
    MQTT_FOUR_BYTES,
    MQTT_VARIABLE,
    MQTT_STRING,
    MQTT_STRING_PAIR,
    MQTT_BINARY
};

/* The will's properties are their own column: bit 0, which no packet type uses. */
#define MQTT_WILL_PROPERTIES 0

struct mqtt_property_row {
    const char *name;     /* "Message Expiry Interval" */
    uint8_t type;         /* enum mqtt_property_type */
    uint16_t packets;     /* bit 1 << packet type where it may stand; bit 0 = will properties */
    uint16_t repeats;     /* those of `packets` in which it may appear more than once */
    uint16_t client_only; /* those of `packets` in which only a client may send it */
    uint16_t server_only; /* those in which only a server may */
    uint16_t field;       /* its place in struct mqtt_properties; 0 = none, walk the raw block */
    uint32_t min, max;    /* of numbers */
};

/* NULL for an identifier that the standard does not know. */
const struct mqtt_property_row *mqtt_property_find(unsigned id);

/*
 * A decoded property block. A number or string is meaningful only when its property is present.
 * Slices borrow from the decoded bytes.
 */
struct mqtt_properties {
    uint64_t present; /* bit 1 << enum mqtt_property */
    struct slice raw; /* the whole block without its length: user properties in order, all
                         subscription identifiers */
    uint32_t message_expiry_interval; /* seconds */
    uint32_t session_expiry_interval; /* seconds; 0xFFFFFFFF never */
    uint32_t will_delay_interval;     /* seconds */
    uint32_t maximum_packet_size;
    uint32_t subscription_identifier; /* the last one, where it repeats */
    uint16_t server_keep_alive;       /* seconds */
    uint16_t receive_maximum;
    uint16_t topic_alias_maximum;
    uint16_t topic_alias;
    uint8_t payload_format_indicator;
    uint8_t request_problem_information;
    uint8_t request_response_information;
    uint8_t maximum_qos;
    uint8_t retain_available;
    uint8_t wildcard_subscription_available;
    uint8_t subscription_identifier_available;
    uint8_t shared_subscription_available;
    struct slice content_type;
    struct slice response_topic;
    struct slice correlation_data;
    struct slice assigned_client_identifier;
    struct slice authentication_method;
    struct slice authentication_data;
    struct slice response_information;
    struct slice server_reference;
    struct slice reason_string;
};

static inline bool mqtt_properties_has(const struct mqtt_properties *properties,
                                       enum mqtt_property id)
{
    return (properties->present >> id & 1) != 0;
}

/*
 * Decodes a property block that begins with its length at the front of `*input` and takes it off
 * `*input`. `packet_type` is an enum mqtt_packet_type, or MQTT_WILL_PROPERTIES.
 *
 * MQTT_MALFORMED_PACKET for framing, UTF-8, unknown identifiers and those that do not belong into
 * this packet (5.0 section 2.2.2.2); MQTT_PROTOCOL_ERROR for repeats, forbidden values, a response
 * topic with wildcards, and what only the other side may send; MQTT_TOPIC_ALIAS_INVALID for a topic
 * alias of 0 [MQTT-3.3.2-8]. Time is linear in the bytes, however many properties there are.
 */
enum mqtt_reason mqtt_properties_decode(struct slice *input, unsigned packet_type, bool from_server,
                                        struct mqtt_properties *properties_out) MUST_CHECK;

/*
 * One step through the raw properties of a block that was decoded before (so it is well formed):
 * takes the next one off `*raw`. False at the end. `whole_out` is the property with its identifier,
 * ready to be copied into another packet.
 */
bool mqtt_properties_next(struct slice *raw, enum mqtt_property *id_out, struct slice *whole_out);

/* Name and value of a user property, as mqtt_properties_next() found it. */
void mqtt_user_property_decode(struct slice whole, struct slice *name_out, struct slice *value_out);
