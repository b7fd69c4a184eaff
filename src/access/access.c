#include "access/access.h"

/*
 * With nothing that could check a name, any name passes where anonymous clients do: Mosquitto does
 * the same.
 */
enum mqtt_reason access_connect(const struct access_request *request)
{
    return request->is_vouched_for || request->listener->allow_anonymous ? MQTT_SUCCESS
                                                                         : MQTT_NOT_AUTHORIZED;
}

bool access_may_refuse(const struct listener_settings *before, const struct listener_settings *now)
{
    return before->allow_anonymous && !now->allow_anonymous;
}

static bool is_under(struct slice topic, const char *top)
{
    struct slice prefix = slice_of_text(top);

    return topic.len >= prefix.len && slice_is_equal(slice_of(topic.data, prefix.len), prefix) &&
           (topic.len == prefix.len || topic.data[prefix.len] == '/');
}

/* $SYS is the broker's own; what $CONTROL would do is not there to be asked for. */
enum mqtt_reason access_publish(struct slice topic)
{
    return is_under(topic, "$SYS") || is_under(topic, "$CONTROL") ? MQTT_NOT_AUTHORIZED
                                                                  : MQTT_SUCCESS;
}
