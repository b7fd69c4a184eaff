#pragma once

/*
 * Packets
 *
 * The table of MQTT's control packets (3.1.1 section 2.2.1, 5.0 section 2.1.2) and what every
 * version says of each: direction, fixed flags, packet identifier, properties.
 */

#include "base/base.h"

enum mqtt_version { MQTT_3_1 = 3, MQTT_3_1_1 = 4, MQTT_5_0 = 5 };

enum mqtt_packet_type {
    MQTT_CONNECT = 1,
    MQTT_CONNACK = 2,
    MQTT_PUBLISH = 3,
    MQTT_PUBACK = 4,
    MQTT_PUBREC = 5,
    MQTT_PUBREL = 6,
    MQTT_PUBCOMP = 7,
    MQTT_SUBSCRIBE = 8,
    MQTT_SUBACK = 9,
    MQTT_UNSUBSCRIBE = 10,
    MQTT_UNSUBACK = 11,
    MQTT_PINGREQ = 12,
    MQTT_PINGRESP = 13,
    MQTT_DISCONNECT = 14,
    MQTT_AUTH = 15
};

#define MQTT_PACKET_TYPE_CAP 16

/* The bit of a packet type in the `packets` columns of the tables: MQTT_IN(PUBACK). */
#define MQTT_IN(name) (1u << MQTT_##name)

/* Who may send a packet of this type. */
enum mqtt_direction { MQTT_FROM_CLIENT = 1, MQTT_FROM_SERVER = 2, MQTT_FROM_BOTH = 3 };

struct mqtt_packet_row {
    const char *name;      /* "PUBLISH" */
    uint8_t direction;     /* enum mqtt_direction */
    uint8_t flags;         /* the low four bits that the fixed header must carry */
    bool any_flags;        /* PUBLISH: the flags mean something of their own */
    bool has_id;           /* always carries a packet identifier (PUBLISH: see QoS) */
    bool has_properties;   /* in MQTT 5.0 */
    uint8_t first_version; /* AUTH exists from 5.0 on */
    uint8_t body_min;      /* bytes after the fixed header, 3.1 and 3.1.1 */
    uint8_t body_min_5;    /* the same, 5.0 */
};

/* The row of a type (AUTH too, whatever the version); NULL for those that do not exist. */
const struct mqtt_packet_row *mqtt_packet_find(unsigned type);

/* "PUBLISH", or "UNKNOWN". */
const char *mqtt_packet_name(unsigned type);
