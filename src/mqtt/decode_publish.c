#include "mqtt/decode.h"
#include "mqtt/read.h"

enum { FLAG_RETAIN = 1, FLAG_QOS = 6, FLAG_DUP = 8 };

/* [MQTT-3.3.1-4], [MQTT-3.3.1-2] */
static bool are_flags_valid(uint8_t flags)
{
    return (flags & FLAG_QOS) != FLAG_QOS && ((flags & FLAG_DUP) == 0 || (flags & FLAG_QOS) != 0);
}

enum mqtt_reason mqtt_decode_publish(unsigned version, uint8_t flags, struct slice body,
                                     bool from_server, struct mqtt_publish *publish_out)
{
    enum mqtt_reason reason;

    assert(flags < 16);
    publish_out->qos = (flags & FLAG_QOS) >> 1;
    publish_out->retain = (flags & FLAG_RETAIN) != 0;
    publish_out->dup = (flags & FLAG_DUP) != 0;
    publish_out->packet_id = 0;
    if (unlikely(!are_flags_valid(flags) || !mqtt_read_field(&body, &publish_out->topic))) {
        return MQTT_MALFORMED_PACKET;
    }
    if (publish_out->qos > 0) {
        if (unlikely(!mqtt_read_two(&body, &publish_out->packet_id))) {
            return MQTT_MALFORMED_PACKET;
        }
        if (unlikely(publish_out->packet_id == 0)) {
            return MQTT_PROTOCOL_ERROR; /* [MQTT-2.2.1-3] */
        }
    }
    reason =
        mqtt_read_properties(&body, version, MQTT_PUBLISH, from_server, &publish_out->properties);
    if (unlikely(reason != MQTT_SUCCESS)) {
        return reason;
    }
    if (unlikely(publish_out->topic.len == 0 &&
                 !mqtt_properties_has(&publish_out->properties, MQTT_TOPIC_ALIAS))) {
        return MQTT_PROTOCOL_ERROR;
    }
    publish_out->payload = body;
    return MQTT_SUCCESS;
}

/*
 * Measures what stands before the payload: `*size_out` bytes. SHORT when that reaches behind what
 * has arrived, MALFORMED when it reaches behind the end of the packet.
 */
static enum mqtt_frame_verdict measure_front(unsigned version, uint8_t flags, struct slice body,
                                             uint32_t body_size, size_t *size_out)
{
    size_t size = 2 + ((flags & FLAG_QOS) != 0 ? 2 : 0);

    if (body.len >= 2) {
        size += (size_t)body.data[0] << 8 | body.data[1];
    }
    if (version >= MQTT_5_0 && size < body.len) {
        enum mqtt_frame_verdict verdict;
        unsigned length_size;
        uint32_t length;

        verdict = mqtt_variable_decode(slice_skip(body, size), &length, &length_size);
        if (verdict != MQTT_FRAME_OK) {
            return verdict;
        }
        size += length_size + length;
    } else if (version >= MQTT_5_0) {
        size += 1;
    }
    *size_out = size;
    if (size > body_size) {
        return MQTT_FRAME_MALFORMED;
    }
    return size > body.len ? MQTT_FRAME_SHORT : MQTT_FRAME_OK;
}

enum mqtt_reason mqtt_decode_publish_front(unsigned version, uint8_t flags, struct slice body,
                                           uint32_t body_size, bool from_server,
                                           struct mqtt_publish *publish_out, bool *is_short_out)
{
    size_t size;

    assert(flags < 16 && body.len <= body_size);
    *is_short_out = false;
    if (!are_flags_valid(flags)) {
        return MQTT_MALFORMED_PACKET;
    }
    switch (measure_front(version, flags, body, body_size, &size)) {
    case MQTT_FRAME_MALFORMED: return MQTT_MALFORMED_PACKET;
    case MQTT_FRAME_SHORT: *is_short_out = body.len < body_size; break;
    case MQTT_FRAME_OK: break;
    }
    if (*is_short_out) {
        return MQTT_SUCCESS;
    }
    return mqtt_decode_publish(version, flags, body, from_server, publish_out);
}
