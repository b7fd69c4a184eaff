#pragma once

/*
 * Decoding
 *
 * Strict decoders for every control packet of MQTT 3.1, 3.1.1 and 5.0, in place: results borrow
 * from the input and nothing is allocated. A decoder never reads outside the body it is given and
 * refuses bytes that are left over.
 *
 * Answers: MQTT_SUCCESS, or the reason the standard names for the mistake (MQTT_MALFORMED_PACKET,
 * MQTT_PROTOCOL_ERROR, MQTT_UNSUPPORTED_PROTOCOL_VERSION, ...). With versions below 5.0 the caller
 * just closes. What a refused packet leaves in the result means nothing, but for the version of a
 * CONNECT. Pure functions: any thread.
 */

#include "base/slice.h"
#include "mqtt/packets.h"
#include "mqtt/properties.h"
#include "mqtt/reasons.h"

/* The largest Remaining Length (5.0 section 2.1.4). */
#define MQTT_REMAINING_MAX 268435455u

enum mqtt_frame_verdict {
    MQTT_FRAME_OK,       /* the fixed header is whole; the body may still be on its way */
    MQTT_FRAME_SHORT,    /* more bytes are needed to know the length */
    MQTT_FRAME_MALFORMED /* over-long or more than four length bytes, wrong type or flags */
};

/* The variable byte integer at the front of `input`: its value, and its size of 1 to 4 bytes. */
enum mqtt_frame_verdict mqtt_variable_decode(struct slice input, uint32_t *value_out,
                                             unsigned *size_out) MUST_CHECK;

struct mqtt_frame {
    enum mqtt_packet_type type;
    uint8_t flags;       /* low four bits of the first byte */
    uint8_t header_size; /* bytes of the fixed header: 2 to 5 */
    uint32_t body_size;  /* the Remaining Length */
};

/*
 * Reads the fixed header at the front of `input`. Checks that the type exists in this version (0
 * before CONNECT: as 5.0), that its flags are the fixed ones (3.1 does not care), and the minimal
 * encoding of the length. Direction and the flags of PUBLISH are not checked here. A first byte
 * that is wrong is refused before the length has arrived.
 */
enum mqtt_frame_verdict mqtt_frame_decode(struct slice input, unsigned version,
                                          struct mqtt_frame *frame_out) MUST_CHECK;

struct mqtt_will {
    struct slice topic;
    struct slice payload;
    struct mqtt_properties properties;
    uint8_t qos;
    bool retain;
};

struct mqtt_connect {
    uint8_t version; /* enum mqtt_version, without the bridge bit */
    bool is_bridge;  /* protocol level 0x83 or 0x84 */
    bool clean_start;
    bool has_will;
    bool has_username;
    bool has_password;
    uint16_t keep_alive; /* seconds, 0 = off */
    struct slice client_id;
    struct slice username;
    struct slice password;
    struct mqtt_properties properties;
    struct mqtt_will will;
};

/*
 * The version is in the packet itself. MQTT_UNSUPPORTED_PROTOCOL_VERSION when the name is "MQTT" or
 * "MQIsdp" and the level is unknown; `connect_out->version` is then the level that was asked for
 * (so that the caller answers 3.x style below 5). Otherwise a refusal leaves the version there if
 * it was read, or 0: the caller just closes.
 *
 * The will's topic is checked whole: MQTT_TOPIC_NAME_INVALID. Rules on empty client ids are for the
 * caller. 3.1 is read as leniently as it was written: unused flags, and user name or password
 * flagged but missing at the end (then `has_username`, `has_password` are false).
 */
enum mqtt_reason mqtt_decode_connect(struct slice body,
                                     struct mqtt_connect *connect_out) MUST_CHECK;

struct mqtt_connack {
    bool session_present;
    uint8_t code; /* 5.0: enum mqtt_reason; 3.x: the return code */
    struct mqtt_properties properties;
};

enum mqtt_reason mqtt_decode_connack(unsigned version, struct slice body,
                                     struct mqtt_connack *connack_out) MUST_CHECK;

struct mqtt_publish {
    struct slice topic; /* may be empty in 5.0 when a topic alias is present */
    struct slice payload;
    uint16_t packet_id; /* 0 with QoS 0 */
    uint8_t qos;
    bool retain;
    bool dup;
    struct mqtt_properties properties; /* nothing present below 5.0 */
};

/*
 * The topic's content is for the caller: mqtt_topic_is_valid(), and what it refuses is
 * MQTT_TOPIC_NAME_INVALID (or, where bytes are no UTF-8, MQTT_MALFORMED_PACKET). An empty topic
 * passes in 5.0 with a topic alias only.
 */
enum mqtt_reason mqtt_decode_publish(unsigned version, uint8_t flags, struct slice body,
                                     bool from_server, struct mqtt_publish *publish_out) MUST_CHECK;

/* PUBACK, PUBREC, PUBREL, PUBCOMP. A reason that may not stand there: MQTT_PROTOCOL_ERROR. */
struct mqtt_ack {
    uint16_t packet_id;
    enum mqtt_reason reason; /* MQTT_SUCCESS below 5.0 */
    struct mqtt_properties properties;
};

enum mqtt_reason mqtt_decode_ack(unsigned version, enum mqtt_packet_type type, struct slice body,
                                 struct mqtt_ack *ack_out) MUST_CHECK;

/* SUBSCRIBE and UNSUBSCRIBE: the header; the filters are walked with the functions below. */
struct mqtt_subscribe {
    uint16_t packet_id;
    uint32_t filter_count; /* how many filters the packet holds: at least 1 */
    struct slice filters;  /* the encoded filters, well formed */
    struct mqtt_properties properties;
};

struct mqtt_filter {
    struct slice filter; /* valid UTF-8, not empty; whether it is a valid filter is for the caller
                            to ask: mqtt_share_parse(), mqtt_filter_is_valid() */
    uint8_t qos;
    bool no_local;
    bool retain_as_published;
    uint8_t retain_handling; /* 0, 1, 2 */
};

enum mqtt_reason mqtt_decode_subscribe(unsigned version, struct slice body,
                                       struct mqtt_subscribe *subscribe_out) MUST_CHECK;
enum mqtt_reason mqtt_decode_unsubscribe(unsigned version, struct slice body,
                                         struct mqtt_subscribe *unsubscribe_out) MUST_CHECK;

/* Takes the next filter off `*filters`, which was decoded before; false at the end. */
bool mqtt_subscribe_next(struct slice *filters, struct mqtt_filter *filter_out);
bool mqtt_unsubscribe_next(struct slice *filters, struct mqtt_filter *filter_out);

/* SUBACK and UNSUBACK; `codes` is empty for an UNSUBACK below 5.0. */
struct mqtt_suback {
    uint16_t packet_id;
    struct slice codes;
    struct mqtt_properties properties;
};

enum mqtt_reason mqtt_decode_suback(unsigned version, enum mqtt_packet_type type, struct slice body,
                                    struct mqtt_suback *suback_out) MUST_CHECK;

/*
 * DISCONNECT and AUTH. Which reasons may come from this side, and whether the authentication method
 * is that of the CONNECT (an empty AUTH has none), is for the caller.
 */
struct mqtt_disconnect {
    enum mqtt_reason reason;
    struct mqtt_properties properties;
};

enum mqtt_reason mqtt_decode_disconnect(unsigned version, bool from_server, struct slice body,
                                        struct mqtt_disconnect *disconnect_out) MUST_CHECK;
enum mqtt_reason mqtt_decode_auth(unsigned version, struct slice body,
                                  struct mqtt_disconnect *auth_out) MUST_CHECK;

/* PINGREQ, PINGRESP: nothing may be in them. */
enum mqtt_reason mqtt_decode_ping(struct slice body) MUST_CHECK;
