#include "mqtt/properties.h"

#include "mqtt/packets.h"
#include "mqtt/read.h"

/*
 * The table drives everything: a decoded value goes to the place that its row names, and what a
 * row does not allow is refused. NUMBER and FIELD tie a row to a member of struct mqtt_properties;
 * a member of another type does not compile.
 */

#define IN_WILL      (1u << MQTT_WILL_PROPERTIES)
#define IN_MESSAGE   (MQTT_IN(PUBLISH) | IN_WILL)
#define IN_HANDSHAKE (MQTT_IN(CONNECT) | MQTT_IN(CONNACK))
#define IN_ACKS      (MQTT_IN(PUBACK) | MQTT_IN(PUBREC) | MQTT_IN(PUBREL) | MQTT_IN(PUBCOMP))
#define IN_ANSWERS                                                                            \
    (MQTT_IN(CONNACK) | IN_ACKS | MQTT_IN(SUBACK) | MQTT_IN(UNSUBACK) | MQTT_IN(DISCONNECT) | \
     MQTT_IN(AUTH))
#define IN_ALL \
    (IN_ANSWERS | IN_MESSAGE | MQTT_IN(CONNECT) | MQTT_IN(SUBSCRIBE) | MQTT_IN(UNSUBSCRIBE))

#define MEMBER(member, member_type)             \
    (offsetof(struct mqtt_properties, member) + \
     0 * sizeof(char[_Generic(&((struct mqtt_properties *)0)->member, member_type * : 1)]))
#define BYTE(member)   .type = MQTT_BYTE, .field = MEMBER(member, uint8_t)
#define TWO(member)    .type = MQTT_TWO_BYTES, .max = UINT16_MAX, .field = MEMBER(member, uint16_t)
#define FOUR(member)   .type = MQTT_FOUR_BYTES, .max = UINT32_MAX, .field = MEMBER(member, uint32_t)
#define FLAG(member)   BYTE(member), .max = 1
#define TEXT(member)   .type = MQTT_STRING, .field = MEMBER(member, struct slice)
#define BINARY(member) .type = MQTT_BINARY, .field = MEMBER(member, struct slice)

/* clang-format off */
static const struct mqtt_property_row rows[MQTT_PROPERTY_CAP] = {
    [MQTT_PAYLOAD_FORMAT_INDICATOR] = {
        "Payload Format Indicator", .packets = IN_MESSAGE, FLAG(payload_format_indicator)},
    [MQTT_MESSAGE_EXPIRY_INTERVAL] = {
        "Message Expiry Interval", .packets = IN_MESSAGE, FOUR(message_expiry_interval)},
    [MQTT_CONTENT_TYPE] = {
        "Content Type", .packets = IN_MESSAGE, TEXT(content_type)},
    [MQTT_RESPONSE_TOPIC] = {
        "Response Topic", .packets = IN_MESSAGE, TEXT(response_topic)},
    [MQTT_CORRELATION_DATA] = {
        "Correlation Data", .packets = IN_MESSAGE, BINARY(correlation_data)},
    [MQTT_SUBSCRIPTION_IDENTIFIER] = {
        "Subscription Identifier", .packets = MQTT_IN(PUBLISH) | MQTT_IN(SUBSCRIBE),
        .server_only = MQTT_IN(PUBLISH),
        .repeats = MQTT_IN(PUBLISH), .type = MQTT_VARIABLE, .min = 1,
        .max = MQTT_REMAINING_MAX, .field = MEMBER(subscription_identifier, uint32_t)},
    [MQTT_SESSION_EXPIRY_INTERVAL] = {
        "Session Expiry Interval", .packets = IN_HANDSHAKE | MQTT_IN(DISCONNECT),
        .client_only = MQTT_IN(DISCONNECT), FOUR(session_expiry_interval)},
    [MQTT_ASSIGNED_CLIENT_IDENTIFIER] = {
        "Assigned Client Identifier", .packets = MQTT_IN(CONNACK),
        TEXT(assigned_client_identifier)},
    [MQTT_SERVER_KEEP_ALIVE] = {
        "Server Keep Alive", .packets = MQTT_IN(CONNACK), TWO(server_keep_alive)},
    [MQTT_AUTHENTICATION_METHOD] = {
        "Authentication Method", .packets = IN_HANDSHAKE | MQTT_IN(AUTH),
        TEXT(authentication_method)},
    [MQTT_AUTHENTICATION_DATA] = {
        "Authentication Data", .packets = IN_HANDSHAKE | MQTT_IN(AUTH),
        BINARY(authentication_data)},
    [MQTT_REQUEST_PROBLEM_INFORMATION] = {
        "Request Problem Information", .packets = MQTT_IN(CONNECT),
        FLAG(request_problem_information)},
    [MQTT_WILL_DELAY_INTERVAL] = {
        "Will Delay Interval", .packets = IN_WILL, FOUR(will_delay_interval)},
    [MQTT_REQUEST_RESPONSE_INFORMATION] = {
        "Request Response Information", .packets = MQTT_IN(CONNECT),
        FLAG(request_response_information)},
    [MQTT_RESPONSE_INFORMATION] = {
        "Response Information", .packets = MQTT_IN(CONNACK), TEXT(response_information)},
    [MQTT_SERVER_REFERENCE] = {
        "Server Reference", .packets = MQTT_IN(CONNACK) | MQTT_IN(DISCONNECT),
        .server_only = MQTT_IN(DISCONNECT), TEXT(server_reference)},
    [MQTT_REASON_STRING] = {
        "Reason String", .packets = IN_ANSWERS, TEXT(reason_string)},
    [MQTT_RECEIVE_MAXIMUM] = {
        "Receive Maximum", .packets = IN_HANDSHAKE, TWO(receive_maximum), .min = 1},
    [MQTT_TOPIC_ALIAS_MAXIMUM] = {
        "Topic Alias Maximum", .packets = IN_HANDSHAKE, TWO(topic_alias_maximum)},
    [MQTT_TOPIC_ALIAS] = {
        "Topic Alias", .packets = MQTT_IN(PUBLISH), TWO(topic_alias), .min = 1},
    [MQTT_MAXIMUM_QOS] = {
        "Maximum QoS", .packets = MQTT_IN(CONNACK), FLAG(maximum_qos)},
    [MQTT_RETAIN_AVAILABLE] = {
        "Retain Available", .packets = MQTT_IN(CONNACK), FLAG(retain_available)},
    [MQTT_USER_PROPERTY] = {
        "User Property", .packets = IN_ALL, .type = MQTT_STRING_PAIR, .repeats = IN_ALL},
    [MQTT_MAXIMUM_PACKET_SIZE] = {
        "Maximum Packet Size", .packets = IN_HANDSHAKE, FOUR(maximum_packet_size), .min = 1},
    [MQTT_WILDCARD_SUBSCRIPTION_AVAILABLE] = {
        "Wildcard Subscription Available", .packets = MQTT_IN(CONNACK),
        FLAG(wildcard_subscription_available)},
    [MQTT_SUBSCRIPTION_IDENTIFIER_AVAILABLE] = {
        "Subscription Identifier Available", .packets = MQTT_IN(CONNACK),
        FLAG(subscription_identifier_available)},
    [MQTT_SHARED_SUBSCRIPTION_AVAILABLE] = {
        "Shared Subscription Available", .packets = MQTT_IN(CONNACK),
        FLAG(shared_subscription_available)},
};
/* clang-format on */

const struct mqtt_property_row *mqtt_property_find(unsigned id)
{
    return id < ARRAY_LEN(rows) && rows[id].name ? &rows[id] : NULL;
}

/* A value off the wire: a number, the bytes of a field, or the two of a pair. */
struct value {
    uint32_t number;
    struct slice bytes;
    struct slice second;
};

/* A number of `size` bytes, the highest first. */
static bool read_number(struct slice *input, size_t size, uint32_t *number_out)
{
    uint32_t number = 0;

    if (input->len < size) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        number = number << 8 | input->data[i];
    }
    *number_out = number;
    *input = slice_skip(*input, size);
    return true;
}

static bool read_value(struct slice *input, unsigned type, struct value *value_out)
{
    switch (type) {
    case MQTT_BYTE: return read_number(input, 1, &value_out->number);
    case MQTT_TWO_BYTES: return read_number(input, 2, &value_out->number);
    case MQTT_FOUR_BYTES: return read_number(input, 4, &value_out->number);
    case MQTT_VARIABLE: return mqtt_read_variable(input, &value_out->number);
    case MQTT_STRING_PAIR:
        return mqtt_read_field(input, &value_out->bytes) &&
               mqtt_read_field(input, &value_out->second);
    default: return mqtt_read_field(input, &value_out->bytes);
    }
}

static bool has_wildcard(struct slice topic)
{
    return topic.len && (memchr(topic.data, '+', topic.len) || memchr(topic.data, '#', topic.len));
}

static enum mqtt_reason check_value(const struct mqtt_property_row *row, unsigned id,
                                    const struct value *value)
{
    switch (row->type) {
    case MQTT_STRING_PAIR:
    case MQTT_STRING:
        if (!utf8_is_valid(value->bytes) || !utf8_is_valid(value->second)) {
            return MQTT_MALFORMED_PACKET;
        }
        return id == MQTT_RESPONSE_TOPIC && has_wildcard(value->bytes) ? MQTT_PROTOCOL_ERROR
                                                                       : MQTT_SUCCESS;
    case MQTT_BINARY: return MQTT_SUCCESS;
    default:
        if (value->number < row->min || value->number > row->max) {
            return id == MQTT_TOPIC_ALIAS ? MQTT_TOPIC_ALIAS_INVALID : MQTT_PROTOCOL_ERROR;
        }
        return MQTT_SUCCESS;
    }
}

static void store_value(const struct mqtt_property_row *row, const struct value *value,
                        struct mqtt_properties *properties)
{
    void *field = (char *)properties + row->field;

    switch (row->type) {
    case MQTT_BYTE: *(uint8_t *)field = (uint8_t)value->number; break;
    case MQTT_TWO_BYTES: *(uint16_t *)field = (uint16_t)value->number; break;
    case MQTT_FOUR_BYTES:
    case MQTT_VARIABLE: *(uint32_t *)field = value->number; break;
    case MQTT_STRING:
    case MQTT_BINARY: *(struct slice *)field = value->bytes; break;
    default: assert(row->field == 0);
    }
}

/* Whether this property may stand here, once more if it was there before. */
static enum mqtt_reason check_place(const struct mqtt_property_row *row, unsigned packet_type,
                                    bool from_server, bool is_repeated)
{
    unsigned here = 1u << packet_type;

    if ((row->packets & here) == 0) {
        return MQTT_MALFORMED_PACKET;
    }
    if (((from_server ? row->client_only : row->server_only) & here) != 0) {
        return MQTT_PROTOCOL_ERROR;
    }
    return is_repeated && (row->repeats & here) == 0 ? MQTT_PROTOCOL_ERROR : MQTT_SUCCESS;
}

static enum mqtt_reason decode_property(struct slice *rest, unsigned packet_type, bool from_server,
                                        struct mqtt_properties *properties)
{
    const struct mqtt_property_row *row;
    struct value value = {0};
    enum mqtt_reason reason;
    uint32_t id;

    if (!mqtt_read_variable(rest, &id)) {
        return MQTT_MALFORMED_PACKET;
    }
    row = mqtt_property_find(id);
    if (!row) {
        return MQTT_MALFORMED_PACKET;
    }
    reason = check_place(row, packet_type, from_server,
                         mqtt_properties_has(properties, (enum mqtt_property)id));
    if (reason != MQTT_SUCCESS) {
        return reason;
    }
    if (!read_value(rest, row->type, &value)) {
        return MQTT_MALFORMED_PACKET;
    }
    reason = check_value(row, id, &value);
    if (reason != MQTT_SUCCESS) {
        return reason;
    }
    store_value(row, &value, properties);
    properties->present |= UINT64_C(1) << id;
    return MQTT_SUCCESS;
}

enum mqtt_reason mqtt_properties_decode(struct slice *input, unsigned packet_type, bool from_server,
                                        struct mqtt_properties *properties_out)
{
    enum mqtt_reason reason = MQTT_SUCCESS;
    struct slice rest;
    uint32_t size;

    assert(packet_type < MQTT_PACKET_TYPE_CAP);
    mqtt_clear_properties(properties_out);
    if (!mqtt_read_variable(input, &size) || size > input->len) {
        return MQTT_MALFORMED_PACKET;
    }
    rest = slice_of(input->data, size);
    properties_out->raw = rest;
    *input = slice_skip(*input, size);
    while (reason == MQTT_SUCCESS && rest.len > 0) {
        reason = decode_property(&rest, packet_type, from_server, properties_out);
    }
    return reason;
}

bool mqtt_properties_next(struct slice *raw, enum mqtt_property *id_out, struct slice *whole_out)
{
    const struct mqtt_property_row *row;
    struct slice rest = *raw;
    struct value value;
    uint32_t id;
    bool is_whole;

    if (rest.len == 0) {
        return false;
    }
    is_whole = mqtt_read_variable(&rest, &id);
    assert(is_whole);
    row = mqtt_property_find(id);
    assert(row);
    is_whole = read_value(&rest, row->type, &value);
    assert(is_whole);
    *id_out = (enum mqtt_property)id;
    *whole_out = slice_of(raw->data, raw->len - rest.len);
    *raw = rest;
    return true;
}

void mqtt_user_property_decode(struct slice whole, struct slice *name_out, struct slice *value_out)
{
    bool is_whole;

    assert(whole.len > 0 && whole.data[0] == MQTT_USER_PROPERTY);
    whole = slice_skip(whole, 1);
    is_whole = mqtt_read_field(&whole, name_out) && mqtt_read_field(&whole, value_out);
    assert(is_whole && whole.len == 0);
}
