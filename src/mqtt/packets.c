#include "mqtt/packets.h"

/* clang-format off */
static const struct mqtt_packet_row rows[MQTT_PACKET_TYPE_CAP] = {
    [MQTT_CONNECT] = {
        .name = "CONNECT", .direction = MQTT_FROM_CLIENT, .has_properties = true,
        .first_version = MQTT_3_1, .body_min = 12, .body_min_5 = 13},
    [MQTT_CONNACK] = {
        .name = "CONNACK", .direction = MQTT_FROM_SERVER, .has_properties = true,
        .first_version = MQTT_3_1, .body_min = 2, .body_min_5 = 3},
    [MQTT_PUBLISH] = {
        .name = "PUBLISH", .direction = MQTT_FROM_BOTH, .any_flags = true, .has_properties = true,
        .first_version = MQTT_3_1, .body_min = 3, .body_min_5 = 4},
    [MQTT_PUBACK] = {
        .name = "PUBACK", .direction = MQTT_FROM_BOTH, .has_id = true, .has_properties = true,
        .first_version = MQTT_3_1, .body_min = 2, .body_min_5 = 2},
    [MQTT_PUBREC] = {
        .name = "PUBREC", .direction = MQTT_FROM_BOTH, .has_id = true, .has_properties = true,
        .first_version = MQTT_3_1, .body_min = 2, .body_min_5 = 2},
    [MQTT_PUBREL] = {
        .name = "PUBREL", .direction = MQTT_FROM_BOTH, .flags = 2, .has_id = true,
        .has_properties = true, .first_version = MQTT_3_1, .body_min = 2, .body_min_5 = 2},
    [MQTT_PUBCOMP] = {
        .name = "PUBCOMP", .direction = MQTT_FROM_BOTH, .has_id = true, .has_properties = true,
        .first_version = MQTT_3_1, .body_min = 2, .body_min_5 = 2},
    [MQTT_SUBSCRIBE] = {
        .name = "SUBSCRIBE", .direction = MQTT_FROM_CLIENT, .flags = 2, .has_id = true,
        .has_properties = true, .first_version = MQTT_3_1, .body_min = 6, .body_min_5 = 7},
    [MQTT_SUBACK] = {
        .name = "SUBACK", .direction = MQTT_FROM_SERVER, .has_id = true, .has_properties = true,
        .first_version = MQTT_3_1, .body_min = 3, .body_min_5 = 4},
    [MQTT_UNSUBSCRIBE] = {
        .name = "UNSUBSCRIBE", .direction = MQTT_FROM_CLIENT, .flags = 2, .has_id = true,
        .has_properties = true, .first_version = MQTT_3_1, .body_min = 5, .body_min_5 = 6},
    [MQTT_UNSUBACK] = {
        .name = "UNSUBACK", .direction = MQTT_FROM_SERVER, .has_id = true, .has_properties = true,
        .first_version = MQTT_3_1, .body_min = 2, .body_min_5 = 4},
    [MQTT_PINGREQ] = {
        .name = "PINGREQ", .direction = MQTT_FROM_CLIENT, .first_version = MQTT_3_1},
    [MQTT_PINGRESP] = {
        .name = "PINGRESP", .direction = MQTT_FROM_SERVER, .first_version = MQTT_3_1},
    [MQTT_DISCONNECT] = {
        .name = "DISCONNECT", .direction = MQTT_FROM_BOTH, .has_properties = true,
        .first_version = MQTT_3_1},
    [MQTT_AUTH] = {
        .name = "AUTH", .direction = MQTT_FROM_BOTH, .has_properties = true,
        .first_version = MQTT_5_0},
};
/* clang-format on */

const struct mqtt_packet_row *mqtt_packet_find(unsigned type)
{
    return type < ARRAY_LEN(rows) && rows[type].name ? &rows[type] : NULL;
}

const char *mqtt_packet_name(unsigned type)
{
    const struct mqtt_packet_row *row = mqtt_packet_find(type);

    return row ? row->name : "UNKNOWN";
}
