#include "mqtt/encode.h"

#define BRIDGE_BIT 0x80

static size_t field_size(struct slice field)
{
    return 2 + field.len;
}

/* A property block with its length; nothing below 5.0. */
static size_t block_size(unsigned version, struct slice properties)
{
    if (version < MQTT_5_0) {
        return 0;
    }
    return mqtt_variable_size((uint32_t)properties.len) + properties.len;
}

static uint8_t *put_block(uint8_t *at, unsigned version, struct slice properties)
{
    return version < MQTT_5_0 ? at : mqtt_put_properties(at, properties);
}

static uint32_t checked_body_size(size_t size)
{
    assert(size <= MQTT_REMAINING_MAX);
    return (uint32_t)size;
}

static struct slice protocol_name(const struct mqtt_connect *connect)
{
    return slice_of_text(connect->version == MQTT_3_1 ? "MQIsdp" : "MQTT");
}

static uint8_t connect_flags(const struct mqtt_connect *connect)
{
    unsigned flags = (connect->clean_start ? 0x02u : 0) | (connect->has_password ? 0x40u : 0) |
                     (connect->has_username ? 0x80u : 0);

    if (connect->has_will) {
        flags |= 0x04u | (unsigned)connect->will.qos << 3 | (connect->will.retain ? 0x20u : 0);
    }
    return (uint8_t)flags;
}

static uint32_t connect_body_size(const struct mqtt_connect *connect)
{
    unsigned version = connect->version;
    size_t size = field_size(protocol_name(connect)) + 4;

    size += block_size(version, connect->properties.raw) + field_size(connect->client_id);
    if (connect->has_will) {
        size += block_size(version, connect->will.properties.raw) +
                field_size(connect->will.topic) + field_size(connect->will.payload);
    }
    size += connect->has_username ? field_size(connect->username) : 0;
    size += connect->has_password ? field_size(connect->password) : 0;
    return checked_body_size(size);
}

size_t mqtt_connect_size(const struct mqtt_connect *connect)
{
    return mqtt_packet_size(connect_body_size(connect));
}

size_t mqtt_encode_connect(uint8_t *at, const struct mqtt_connect *connect)
{
    const uint8_t *start = at;
    unsigned version = connect->version;

    at = mqtt_put_header(at, MQTT_CONNECT, 0, connect_body_size(connect));
    at = mqtt_put_field(at, protocol_name(connect));
    at = mqtt_put_byte(at, (uint8_t)(version | (connect->is_bridge ? BRIDGE_BIT : 0)));
    at = mqtt_put_byte(at, connect_flags(connect));
    at = mqtt_put_two(at, connect->keep_alive);
    at = put_block(at, version, connect->properties.raw);
    at = mqtt_put_field(at, connect->client_id);
    if (connect->has_will) {
        at = put_block(at, version, connect->will.properties.raw);
        at = mqtt_put_field(at, connect->will.topic);
        at = mqtt_put_field(at, connect->will.payload);
    }
    if (connect->has_username) {
        at = mqtt_put_field(at, connect->username);
    }
    if (connect->has_password) {
        at = mqtt_put_field(at, connect->password);
    }
    return (size_t)(at - start);
}

static uint32_t publish_body_size(unsigned version, const struct mqtt_publish *publish)
{
    return checked_body_size(field_size(publish->topic) + (publish->qos > 0 ? 2 : 0) +
                             block_size(version, publish->properties.raw) + publish->payload.len);
}

size_t mqtt_publish_size(unsigned version, const struct mqtt_publish *publish)
{
    return mqtt_packet_size(publish_body_size(version, publish));
}

size_t mqtt_encode_publish(uint8_t *at, unsigned version, const struct mqtt_publish *publish)
{
    const uint8_t *start = at;
    unsigned flags = (publish->dup ? 8u : 0) | (unsigned)publish->qos << 1 | publish->retain;

    assert(publish->qos <= 2);
    at = mqtt_put_header(at, MQTT_PUBLISH, (uint8_t)flags, publish_body_size(version, publish));
    at = mqtt_put_field(at, publish->topic);
    if (publish->qos > 0) {
        assert(publish->packet_id != 0);
        at = mqtt_put_two(at, publish->packet_id);
    }
    at = put_block(at, version, publish->properties.raw);
    at = mqtt_put_bytes(at, publish->payload);
    return (size_t)(at - start);
}

static uint32_t filter_body_size(unsigned version, struct slice filter, struct slice properties)
{
    return checked_body_size(2 + block_size(version, properties) + field_size(filter));
}

static uint8_t filter_options(unsigned version, const struct mqtt_filter *filter)
{
    assert(filter->qos <= 2 && filter->retain_handling <= 2);
    if (version < MQTT_5_0) {
        return filter->qos;
    }
    return (uint8_t)(filter->qos | (filter->no_local ? 4u : 0) |
                     (filter->retain_as_published ? 8u : 0) |
                     (unsigned)filter->retain_handling << 4);
}

size_t mqtt_subscribe_size(unsigned version, const struct mqtt_filter *filter,
                           struct slice properties)
{
    return mqtt_packet_size(1 + filter_body_size(version, filter->filter, properties));
}

size_t mqtt_encode_subscribe(uint8_t *at, unsigned version, uint16_t packet_id,
                             const struct mqtt_filter *filter, struct slice properties)
{
    const uint8_t *start = at;

    assert(packet_id != 0);
    at = mqtt_put_header(at, MQTT_SUBSCRIBE, 2,
                         1 + filter_body_size(version, filter->filter, properties));
    at = mqtt_put_two(at, packet_id);
    at = put_block(at, version, properties);
    at = mqtt_put_field(at, filter->filter);
    at = mqtt_put_byte(at, filter_options(version, filter));
    return (size_t)(at - start);
}

size_t mqtt_unsubscribe_size(unsigned version, struct slice filter, struct slice properties)
{
    return mqtt_packet_size(filter_body_size(version, filter, properties));
}

size_t mqtt_encode_unsubscribe(uint8_t *at, unsigned version, uint16_t packet_id,
                               struct slice filter, struct slice properties)
{
    const uint8_t *start = at;

    assert(packet_id != 0);
    at = mqtt_put_header(at, MQTT_UNSUBSCRIBE, 2, filter_body_size(version, filter, properties));
    at = mqtt_put_two(at, packet_id);
    at = put_block(at, version, properties);
    at = mqtt_put_field(at, filter);
    return (size_t)(at - start);
}
