#pragma once

/*
 * The client's side of the wire
 *
 * The few packets that a load generator writes, and a reader for those that come back. It is
 * written apart from the broker's codec, so that a mistake there is not repeated here. Encoders
 * write at `at`, which has room for WIRE_FRONT_MAX bytes and whatever text they are given, and
 * answer how many bytes they wrote. Pure functions.
 */

#include "base/slice.h"

enum wire_type {
    WIRE_CONNECT = 1,
    WIRE_CONNACK = 2,
    WIRE_PUBLISH = 3,
    WIRE_PUBACK = 4,
    WIRE_PUBREC = 5,
    WIRE_PUBREL = 6,
    WIRE_PUBCOMP = 7,
    WIRE_SUBSCRIBE = 8,
    WIRE_SUBACK = 9,
    WIRE_PINGREQ = 12,
    WIRE_PINGRESP = 13,
    WIRE_DISCONNECT = 14
};

#define WIRE_FRONT_MAX  32
#define WIRE_PROXY_SIZE 28
#define WIRE_ACK_SIZE   4

#define WIRE_FILTER_EXTRA 3

/* One packet as it lies in the input. */
struct wire_packet {
    enum wire_type type;
    unsigned qos; /* of a PUBLISH */
    struct slice body;
    size_t size; /* with its header; may reach beyond the input */
};

/* A PUBLISH taken apart. */
struct wire_publish {
    struct slice topic;
    struct slice payload;
    uint16_t packet_id;
};

/* A header of PROXY protocol version 2: TCP over IPv4, source 10.x.y.z made from `number`. */
size_t wire_put_proxy(uint8_t *at, uint32_t number);

/* What a client says of itself; an empty user name: it sends neither name nor password. */
struct wire_login {
    struct slice client_id;
    struct slice user;
    struct slice password;
};

size_t wire_put_connect(uint8_t *at, unsigned version, const struct wire_login *login);

/* One packet with `len` filters. Each takes its own length and WIRE_FILTER_EXTRA bytes. */
size_t wire_put_subscribe(uint8_t *at, unsigned version, unsigned qos, const struct slice *filters,
                          size_t len);
size_t wire_put_disconnect(uint8_t *at);

/* Everything of a PUBLISH that stands before its payload. */
size_t wire_put_publish(uint8_t *at, unsigned version, unsigned qos, struct slice topic,
                        size_t payload_size);

static inline void wire_put_two(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline size_t wire_put_ack(uint8_t *at, enum wire_type type, uint16_t packet_id)
{
    at[0] = (uint8_t)(type << 4 | (type == WIRE_PUBREL ? 2 : 0));
    at[1] = 2;
    wire_put_two(at + 2, packet_id);
    return WIRE_ACK_SIZE;
}

static inline uint16_t wire_two(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* Answers whether a whole packet is at the front. If not, `size` is 0 or what the packet needs. */
bool wire_parse(struct slice input, struct wire_packet *packet_out);

/* False: not well formed. Properties of 5.0 are skipped. */
bool wire_parse_publish(const struct wire_packet *packet, unsigned version,
                        struct wire_publish *publish_out);

/* The reason code of a CONNACK, -1 when it is malformed; in 5.0 `receive_maximum_out` is set too.
 */
int wire_parse_connack(const struct wire_packet *packet, unsigned version,
                       uint16_t *receive_maximum_out);
