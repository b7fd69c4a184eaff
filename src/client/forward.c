#include "client/forward.h"

#include "base/wheel.h"
#include "client/hub.h"
#include "core/message.h"

#define OF_THIS_HOP                                                                  \
    (UINT64_C(1) << MQTT_TOPIC_ALIAS | UINT64_C(1) << MQTT_MESSAGE_EXPIRY_INTERVAL | \
     UINT64_C(1) << MQTT_SUBSCRIPTION_IDENTIFIER | UINT64_C(1) << MQTT_WILL_DELAY_INTERVAL)

uint32_t forward_expiry(const struct mqtt_properties *properties, uint64_t now_ms)
{
    if (!mqtt_properties_has(properties, MQTT_MESSAGE_EXPIRY_INTERVAL)) {
        return MESSAGE_NEVER;
    }
    return MIN(wheel_deadline(now_ms, (uint64_t)properties->message_expiry_interval * 1000),
               MESSAGE_LATEST);
}

/* Without those of this hop. */
static NO_INLINE int copy_others(struct hub *hub, const struct mqtt_properties *properties,
                                 struct slice *forwarded_out)
{
    struct slice raw = properties->raw;
    enum mqtt_property id;
    struct slice whole;
    uint8_t *scratch;
    uint8_t *at;

    scratch = hub_scratch(hub, raw.len);
    if (!scratch) {
        return -ENOMEM;
    }
    at = scratch;
    while (mqtt_properties_next(&raw, &id, &whole)) {
        if ((OF_THIS_HOP >> id & 1) == 0) {
            memcpy(at, whole.data, whole.len);
            at += whole.len;
        }
    }
    *forwarded_out = slice_of(scratch, (size_t)(at - scratch));
    return 0;
}

int forward_properties(struct hub *hub, const struct mqtt_properties *properties,
                       struct slice *forwarded_out)
{
    if ((properties->present & OF_THIS_HOP) == 0) {
        *forwarded_out = properties->raw;
        return 0;
    }
    return copy_others(hub, properties, forwarded_out);
}
