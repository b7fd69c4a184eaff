#include "client/mount.h"

#include "client/client.h"
#include "client/hub.h"
#include "mqtt/encode.h"
#include "mqtt/topics.h"

static struct slice mount_of(const struct client *client)
{
    return client->listener->mount;
}

/* `front`, the mount point and `rest` in one. False: no memory. */
static bool join(const struct client *client, struct slice front, struct slice rest,
                 struct slice *joined_out)
{
    struct slice mount = mount_of(client);
    size_t len = front.len + mount.len + rest.len;
    uint8_t *at = hub_name(client->hub, len);

    if (!at) {
        return false;
    }
    mqtt_put_bytes(mqtt_put_bytes(mqtt_put_bytes(at, front), mount), rest);
    *joined_out = slice_of(at, len);
    return true;
}

enum mqtt_reason mount_topic(const struct client *client, struct slice *topic)
{
    struct slice joined;

    if (mount_of(client).len == 0) {
        return MQTT_SUCCESS;
    }
    if (mount_of(client).len + topic->len > UINT16_MAX) {
        return MQTT_TOPIC_NAME_INVALID;
    }
    if (!join(client, slice_of(NULL, 0), *topic, &joined)) {
        return MQTT_QUOTA_EXCEEDED;
    }
    *topic = joined;
    return mqtt_topic_is_valid(joined) ? MQTT_SUCCESS : MQTT_TOPIC_NAME_INVALID;
}

enum mqtt_reason mount_filter(const struct client *client, struct slice *filter)
{
    struct slice group;
    struct slice inner;
    struct slice front;
    struct slice joined;

    if (mount_of(client).len == 0) {
        return MQTT_SUCCESS;
    }
    if (mount_of(client).len + filter->len > UINT16_MAX) {
        return MQTT_TOPIC_FILTER_INVALID;
    }
    if (mqtt_share_parse(*filter, &group, &inner) == MQTT_SHARE_INVALID) {
        return MQTT_TOPIC_FILTER_INVALID;
    }
    front = slice_of(filter->data, filter->len - inner.len);
    if (!join(client, front, inner, &joined)) {
        return MQTT_QUOTA_EXCEEDED;
    }
    *filter = joined;
    return mqtt_filter_is_valid(slice_skip(joined, front.len)) ? MQTT_SUCCESS
                                                               : MQTT_TOPIC_FILTER_INVALID;
}

bool mount_is_before_wildcard(const struct client *client, struct slice filter)
{
    size_t len = mount_of(client).len;

    return len > 0 && filter.len > len && (filter.data[len] == '#' || filter.data[len] == '+');
}

bool mount_strip(const struct client *client, struct slice *topic)
{
    struct slice mount = mount_of(client);

    if (mount.len == 0) {
        return true;
    }
    /* "m/" is under the filter "m/#", and is nothing to a client without the "m/". */
    if (topic->len <= mount.len || !slice_is_equal(slice_of(topic->data, mount.len), mount)) {
        return false;
    }
    *topic = slice_skip(*topic, mount.len);
    return true;
}
