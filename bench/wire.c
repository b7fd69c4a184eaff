#include "bench/wire.h"

static size_t put_variable(uint8_t *at, size_t value)
{
    size_t used = 0;

    do {
        at[used++] = (uint8_t)((value & 127) | (value > 127 ? 128 : 0));
        value >>= 7;
    } while (value);
    return used;
}

static size_t put_field(uint8_t *at, struct slice text)
{
    assert(text.len <= UINT16_MAX);
    wire_put_two(at, (uint16_t)text.len);
    if (text.len > 0) {
        memcpy(at + 2, text.data, text.len);
    }
    return 2 + text.len;
}

size_t wire_put_proxy(uint8_t *at, uint32_t number)
{
    static const uint8_t front[16] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51,
                                      0x55, 0x49, 0x54, 0x0a, 0x21, 0x11, 0x00, 0x0c};
    const uint8_t addresses[12] = {10,
                                   (uint8_t)(number >> 16),
                                   (uint8_t)(number >> 8),
                                   (uint8_t)number,
                                   192,
                                   0,
                                   2,
                                   1,
                                   (uint8_t)(0x80 | (number >> 8 & 0x7f)),
                                   (uint8_t)number,
                                   0x07,
                                   0x5b};

    memcpy(at, front, sizeof(front));
    memcpy(at + sizeof(front), addresses, sizeof(addresses));
    return WIRE_PROXY_SIZE;
}

size_t wire_put_connect(uint8_t *at, unsigned version, const struct wire_login *login)
{
    static const uint8_t name[6] = {0, 4, 'M', 'Q', 'T', 'T'};
    bool has_user = login->user.len > 0;
    size_t login_size = has_user ? 4 + login->user.len + login->password.len : 0;
    size_t used = 1;

    at[0] = WIRE_CONNECT << 4;
    used += put_variable(at + used,
                         sizeof(name) + 4 + (version == 5) + 2 + login->client_id.len + login_size);
    memcpy(at + used, name, sizeof(name));
    used += sizeof(name);
    at[used++] = (uint8_t)version;
    at[used++] = has_user ? 0xc2 : 2; /* clean session */
    wire_put_two(at + used, 600);     /* keep-alive */
    used += 2;
    if (version == 5) {
        at[used++] = 0;
    }
    used += put_field(at + used, login->client_id);
    if (has_user) {
        used += put_field(at + used, login->user);
        used += put_field(at + used, login->password);
    }
    return used;
}

size_t wire_put_subscribe(uint8_t *at, unsigned version, unsigned qos, const struct slice *filters,
                          size_t len)
{
    size_t body = 2u + (version == 5);
    size_t used = 1;

    for (size_t i = 0; i < len; i++) {
        body += filters[i].len + WIRE_FILTER_EXTRA;
    }

    at[0] = WIRE_SUBSCRIBE << 4 | 2;
    used += put_variable(at + used, body);
    wire_put_two(at + used, 1); /* packet identifier */
    used += 2;
    if (version == 5) {
        at[used++] = 0;
    }
    for (size_t i = 0; i < len; i++) {
        used += put_field(at + used, filters[i]);
        at[used++] = (uint8_t)qos;
    }
    return used;
}

size_t wire_put_disconnect(uint8_t *at)
{
    at[0] = WIRE_DISCONNECT << 4;
    at[1] = 0;
    return 2;
}

size_t wire_put_publish(uint8_t *at, unsigned version, unsigned qos, struct slice topic,
                        size_t payload_size)
{
    size_t used = 1;

    at[0] = (uint8_t)(WIRE_PUBLISH << 4 | qos << 1);
    used += put_variable(at + used, 2 + topic.len + (qos ? 2 : 0) + (version == 5) + payload_size);
    used += put_field(at + used, topic);
    if (qos) {
        wire_put_two(at + used, 0);
        used += 2;
    }
    if (version == 5) {
        at[used++] = 0;
    }
    return used;
}

bool wire_parse(struct slice input, struct wire_packet *packet_out)
{
    size_t body = 0;
    size_t used = 1;
    unsigned shift = 0;

    packet_out->size = 0;
    do {
        if (used >= input.len || shift > 21) {
            return false;
        }
        body |= (size_t)(input.data[used] & 127) << shift;
        shift += 7;
    } while (input.data[used++] > 127);

    packet_out->type = input.data[0] >> 4;
    packet_out->qos = input.data[0] >> 1 & 3;
    packet_out->body = slice_of(input.data + used, body);
    packet_out->size = used + body;
    return packet_out->size <= input.len;
}

/* Skips the properties at the front; false: they reach beyond the end. */
static bool skip_properties(struct slice *rest)
{
    size_t len = 0;
    size_t used = 0;

    do {
        if (used >= rest->len || used == 4) {
            return false;
        }
        len |= (size_t)(rest->data[used] & 127) << 7 * used;
    } while (rest->data[used++] > 127);
    if (len > rest->len - used) {
        return false;
    }
    *rest = slice_skip(*rest, used + len);
    return true;
}

bool wire_parse_publish(const struct wire_packet *packet, unsigned version,
                        struct wire_publish *publish_out)
{
    struct slice rest = packet->body;
    size_t topic_len = rest.len < 2 ? SIZE_MAX / 2 : wire_two(rest.data);
    size_t id_size = packet->qos ? 2 : 0;

    if (2 + topic_len + id_size > rest.len) {
        return false;
    }
    publish_out->topic = slice_of(rest.data + 2, topic_len);
    publish_out->packet_id = 0;
    rest = slice_skip(rest, 2 + topic_len);
    if (id_size) {
        publish_out->packet_id = wire_two(rest.data);
        rest = slice_skip(rest, id_size);
    }
    if (version == 5 && !skip_properties(&rest)) {
        return false;
    }
    publish_out->payload = rest;
    return true;
}

/* The bytes of a property that a CONNACK may hold, its identifier included; 0: unknown. */
static size_t property_size(struct slice rest)
{
    switch (rest.data[0]) {
    case 0x24: /* Maximum QoS */
    case 0x25: /* Retain Available */
    case 0x28: /* Wildcard Subscription Available */
    case 0x29: /* Subscription Identifiers Available */
    case 0x2a: /* Shared Subscription Available */ return 2;
    case 0x13: /* Server Keep Alive */
    case 0x21: /* Receive Maximum */
    case 0x22: /* Topic Alias Maximum */ return 3;
    case 0x11: /* Session Expiry Interval */
    case 0x27: /* Maximum Packet Size */ return 5;
    case 0x12: /* Assigned Client Identifier */
    case 0x1a: /* Response Information */
    case 0x1c: /* Server Reference */
    case 0x1f: /* Reason String */ return rest.len < 3 ? 0 : 3 + (size_t)wire_two(rest.data + 1);
    default: return 0;
    }
}

int wire_parse_connack(const struct wire_packet *packet, unsigned version,
                       uint16_t *receive_maximum_out)
{
    struct slice rest = packet->body;

    *receive_maximum_out = UINT16_MAX;
    if (packet->type != WIRE_CONNACK || rest.len < 2) {
        return -1;
    }
    if (version < 5 || rest.len == 2) {
        return rest.data[1];
    }
    if (rest.len < 3 || rest.data[2] > 127 || (size_t)rest.data[2] + 3 > rest.len) {
        return -1;
    }
    for (rest = slice_skip(rest, 3); rest.len;) {
        size_t size = property_size(rest);

        if (!size || size > rest.len) {
            return -1;
        }
        if (rest.data[0] == 0x21) {
            *receive_maximum_out = wire_two(rest.data + 1);
        }
        rest = slice_skip(rest, size);
    }
    return packet->body.data[1];
}
