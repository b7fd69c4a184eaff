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
