#include "mqtt/decode.h"
#include "mqtt/read.h"

/*
 * What PUBACK and its kin, DISCONNECT and AUTH of 5.0 end with: a reason code and properties, both
 * of which may be left out from the end.
 */
static enum mqtt_reason decode_outcome(struct slice body, enum mqtt_packet_type type,
                                       bool from_server, enum mqtt_reason *reason_out,
                                       struct mqtt_properties *properties_out)
{
    enum mqtt_reason verdict;
    uint8_t code;

    mqtt_clear_properties(properties_out);
    *reason_out = MQTT_SUCCESS;
    if (!mqtt_read_byte(&body, &code)) {
        return MQTT_SUCCESS;
    }
    if (!mqtt_reason_is_allowed(code, type)) {
        return MQTT_PROTOCOL_ERROR;
    }
    *reason_out = (enum mqtt_reason)code;
    if (body.len == 0) {
        return MQTT_SUCCESS;
    }
    verdict = mqtt_properties_decode(&body, type, from_server, properties_out);
    if (verdict == MQTT_SUCCESS && body.len > 0) {
        return MQTT_MALFORMED_PACKET;
    }
    return verdict;
}

/* Below 5.0 nothing follows. */
static enum mqtt_reason decode_nothing(struct slice body, struct mqtt_properties *properties_out)
{
    mqtt_clear_properties(properties_out);
    return body.len == 0 ? MQTT_SUCCESS : MQTT_MALFORMED_PACKET;
}

static bool is_ack(enum mqtt_packet_type type)
{
    return type >= MQTT_PUBACK && type <= MQTT_PUBCOMP;
}

enum mqtt_reason mqtt_decode_ack(unsigned version, enum mqtt_packet_type type, struct slice body,
                                 struct mqtt_ack *ack_out)
{
    assert(is_ack(type));
    ack_out->reason = MQTT_SUCCESS;
    if (!mqtt_read_two(&body, &ack_out->packet_id)) {
        return MQTT_MALFORMED_PACKET;
    }
    if (ack_out->packet_id == 0) {
        return MQTT_PROTOCOL_ERROR;
    }
    if (version < MQTT_5_0) {
        return decode_nothing(body, &ack_out->properties);
    }
    return decode_outcome(body, type, false, &ack_out->reason, &ack_out->properties);
}

enum mqtt_reason mqtt_decode_disconnect(unsigned version, bool from_server, struct slice body,
                                        struct mqtt_disconnect *disconnect_out)
{
    if (version < MQTT_5_0) {
        disconnect_out->reason = MQTT_SUCCESS;
        return from_server ? MQTT_PROTOCOL_ERROR
                           : decode_nothing(body, &disconnect_out->properties);
    }
    return decode_outcome(body, MQTT_DISCONNECT, from_server, &disconnect_out->reason,
                          &disconnect_out->properties);
}

enum mqtt_reason mqtt_decode_auth(unsigned version, struct slice body,
                                  struct mqtt_disconnect *auth_out)
{
    enum mqtt_reason verdict;

    if (version < MQTT_5_0) {
        return MQTT_PROTOCOL_ERROR;
    }
    verdict = decode_outcome(body, MQTT_AUTH, false, &auth_out->reason, &auth_out->properties);
    if (verdict == MQTT_SUCCESS && body.len > 0 &&
        !mqtt_properties_has(&auth_out->properties, MQTT_AUTHENTICATION_METHOD)) {
        return MQTT_PROTOCOL_ERROR; /* section 3.15.2.2.2 */
    }
    return verdict;
}
