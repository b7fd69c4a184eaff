#include "mqtt/decode.h"
#include "mqtt/read.h"
#include "mqtt/topics.h"

enum {
    OPTION_QOS = 0x03,
    OPTION_NO_LOCAL = 0x04,
    OPTION_RETAIN_AS_PUBLISHED = 0x08,
    OPTION_RETAIN_HANDLING = 0x30,
    OPTION_RESERVED = 0xC0
};

static bool is_shared(struct slice filter)
{
    struct slice group;
    struct slice rest;

    return mqtt_share_parse(filter, &group, &rest) != MQTT_SHARE_NONE;
}

static enum mqtt_reason check_options(unsigned version, struct slice filter, uint8_t options)
{
    if (version < MQTT_5_0) {
        return options <= 2 ? MQTT_SUCCESS : MQTT_MALFORMED_PACKET; /* 3.1.1: [MQTT-3-8.3-4] */
    }
    if ((options & OPTION_RESERVED) != 0) {
        return MQTT_MALFORMED_PACKET; /* [MQTT-3.8.3-5] */
    }
    if ((options & OPTION_QOS) == OPTION_QOS ||
        (options & OPTION_RETAIN_HANDLING) == OPTION_RETAIN_HANDLING) {
        return MQTT_PROTOCOL_ERROR; /* section 3.8.3.1 */
    }
    if ((options & OPTION_NO_LOCAL) != 0 && is_shared(filter)) {
        return MQTT_PROTOCOL_ERROR; /* [MQTT-3.8.3-4] */
    }
    return MQTT_SUCCESS;
}

/* Packet identifier and properties, in front of the filters. */
static enum mqtt_reason decode_head(unsigned version, enum mqtt_packet_type type,
                                    struct slice *body, struct mqtt_subscribe *subscribe)
{
    *subscribe = (struct mqtt_subscribe){0};
    if (!mqtt_read_two(body, &subscribe->packet_id) || subscribe->packet_id == 0) {
        return MQTT_MALFORMED_PACKET;
    }
    return mqtt_read_properties(body, version, type, false, &subscribe->properties);
}

/* An empty filter is refused here: no packet that holds one is well formed [MQTT-4.7.3-1]. */
static enum mqtt_reason check_filter(unsigned version, enum mqtt_packet_type type,
                                     struct slice *filters)
{
    struct slice filter;
    uint8_t options;

    if (!mqtt_read_text(filters, &filter) || filter.len == 0) {
        return MQTT_MALFORMED_PACKET;
    }
    if (type == MQTT_UNSUBSCRIBE) {
        return MQTT_SUCCESS;
    }
    if (!mqtt_read_byte(filters, &options)) {
        return MQTT_MALFORMED_PACKET;
    }
    return check_options(version, filter, options);
}

static enum mqtt_reason decode_filters(unsigned version, enum mqtt_packet_type type,
                                       struct slice body, struct mqtt_subscribe *subscribe)
{
    enum mqtt_reason reason = decode_head(version, type, &body, subscribe);

    if (reason != MQTT_SUCCESS) {
        return reason;
    }
    if (body.len == 0) {
        return MQTT_PROTOCOL_ERROR; /* [MQTT-3.8.3-2], [MQTT-3.10.3-2] */
    }
    subscribe->filters = body;
    while (reason == MQTT_SUCCESS && body.len > 0) {
        reason = check_filter(version, type, &body);
        subscribe->filter_count++;
    }
    return reason;
}

enum mqtt_reason mqtt_decode_subscribe(unsigned version, struct slice body,
                                       struct mqtt_subscribe *subscribe_out)
{
    return decode_filters(version, MQTT_SUBSCRIBE, body, subscribe_out);
}

enum mqtt_reason mqtt_decode_unsubscribe(unsigned version, struct slice body,
                                         struct mqtt_subscribe *unsubscribe_out)
{
    return decode_filters(version, MQTT_UNSUBSCRIBE, body, unsubscribe_out);
}

bool mqtt_unsubscribe_next(struct slice *filters, struct mqtt_filter *filter_out)
{
    bool is_whole;

    if (filters->len == 0) {
        return false;
    }
    *filter_out = (struct mqtt_filter){0};
    is_whole = mqtt_read_field(filters, &filter_out->filter);
    assert(is_whole);
    return true;
}

bool mqtt_subscribe_next(struct slice *filters, struct mqtt_filter *filter_out)
{
    uint8_t options;
    bool is_whole;

    if (!mqtt_unsubscribe_next(filters, filter_out)) {
        return false;
    }
    is_whole = mqtt_read_byte(filters, &options);
    assert(is_whole);
    filter_out->qos = options & OPTION_QOS;
    filter_out->no_local = (options & OPTION_NO_LOCAL) != 0;
    filter_out->retain_as_published = (options & OPTION_RETAIN_AS_PUBLISHED) != 0;
    filter_out->retain_handling = (options & OPTION_RETAIN_HANDLING) >> 4;
    return true;
}

static bool is_code_known(unsigned version, enum mqtt_packet_type type, uint8_t code)
{
    if (version < MQTT_5_0) {
        return code <= 2 || code == 0x80; /* 3.1.1: [MQTT-3.9.3-2] */
    }
    return mqtt_reason_is_allowed(code, type);
}

static enum mqtt_reason check_codes(unsigned version, enum mqtt_packet_type type,
                                    struct slice codes)
{
    for (size_t i = 0; i < codes.len; i++) {
        if (!is_code_known(version, type, codes.data[i])) {
            return MQTT_PROTOCOL_ERROR; /* [MQTT-3.9.3-2], [MQTT-3.11.3-2] */
        }
    }
    return MQTT_SUCCESS;
}

enum mqtt_reason mqtt_decode_suback(unsigned version, enum mqtt_packet_type type, struct slice body,
                                    struct mqtt_suback *suback_out)
{
    bool has_codes = type == MQTT_SUBACK || version >= MQTT_5_0;
    enum mqtt_reason reason;

    assert(type == MQTT_SUBACK || type == MQTT_UNSUBACK);
    *suback_out = (struct mqtt_suback){0};
    if (!mqtt_read_two(&body, &suback_out->packet_id) || suback_out->packet_id == 0) {
        return MQTT_MALFORMED_PACKET;
    }
    reason = mqtt_read_properties(&body, version, type, true, &suback_out->properties);
    if (reason != MQTT_SUCCESS) {
        return reason;
    }
    if (has_codes != (body.len > 0)) {
        return MQTT_MALFORMED_PACKET;
    }
    suback_out->codes = body;
    return check_codes(version, type, body);
}
