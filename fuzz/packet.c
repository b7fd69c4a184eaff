#include "fuzz.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/topics.h"
#include "mqtt_properties.h"

/*
 * The first byte: version (its low two bits) and, in bit 4, who sent it. The rest is a stream of
 * packets, each given to the decoder of its type on the heap at its exact size. What is accepted
 * must lie inside the body, and must come out of the encoder again as it went in.
 */

struct context {
    unsigned version;
    bool from_server;
    struct mqtt_frame frame;
};

/* Whether the bytes of a packet hold this body; frees them. */
static bool is_packet_of(uint8_t *packet, size_t size, struct slice body)
{
    size_t header_size = 1 + mqtt_variable_size((uint32_t)body.len);
    bool is_same = size == header_size + body.len &&
                   slice_is_equal(slice_of(packet + header_size, body.len), body);

    memory_free(packet);
    return is_same;
}

static void check_will(const struct mqtt_connect *connect, struct slice body)
{
    fuzz_assert_inside(connect->will.topic, body);
    fuzz_assert_inside(connect->will.payload, body);
    if (connect->has_will) {
        assert(mqtt_topic_is_valid(connect->will.topic) && connect->will.qos <= 2);
        fuzz_check_properties(&connect->will.properties, MQTT_WILL_PROPERTIES, body);
    }
}

static void on_connect(const struct context *context, struct slice body)
{
    struct mqtt_connect connect;
    uint8_t *packet;
    size_t size;

    (void)context;
    if (mqtt_decode_connect(body, &connect) != MQTT_SUCCESS) {
        return;
    }
    assert(connect.version >= MQTT_3_1 && connect.version <= MQTT_5_0);
    fuzz_assert_inside(connect.client_id, body);
    fuzz_assert_inside(connect.username, body);
    fuzz_assert_inside(connect.password, body);
    fuzz_check_properties(&connect.properties, MQTT_CONNECT, body);
    check_will(&connect, body);
    size = mqtt_connect_size(&connect);
    packet = memory_must_alloc(size);
    assert(mqtt_encode_connect(packet, &connect) == size);
    /* What 3.1 leaves out or ignores is not written again. */
    assert(is_packet_of(packet, size, body) || connect.version == MQTT_3_1);
}

static void on_connack(const struct context *context, struct slice body)
{
    struct mqtt_connack connack;

    if (mqtt_decode_connack(context->version, body, &connack) == MQTT_SUCCESS) {
        assert(connack.code == 0 || !connack.session_present);
        fuzz_check_properties(&connack.properties, MQTT_CONNACK, body);
    }
}

static void on_publish(const struct context *context, struct slice body)
{
    struct mqtt_publish publish;
    enum mqtt_reason reason = mqtt_decode_publish(context->version, context->frame.flags, body,
                                                  context->from_server, &publish);
    uint8_t *packet;
    size_t size;

    if (reason != MQTT_SUCCESS) {
        return;
    }
    assert(publish.qos <= 2 && (publish.qos > 0) == (publish.packet_id > 0));
    fuzz_assert_inside(publish.topic, body);
    fuzz_assert_inside(publish.payload, body);
    fuzz_check_properties(&publish.properties, MQTT_PUBLISH, body);
    size = mqtt_publish_size(context->version, &publish);
    packet = memory_must_alloc(size);
    assert(mqtt_encode_publish(packet, context->version, &publish) == size);
    assert(packet[0] == (MQTT_PUBLISH << 4 | context->frame.flags));
    assert(is_packet_of(packet, size, body));
}

static void on_ack(const struct context *context, struct slice body)
{
    enum mqtt_packet_type type = context->frame.type;
    uint8_t packet[MQTT_ACK_SIZE_MAX];
    struct mqtt_ack ack;
    struct mqtt_ack again;
    size_t size;

    if (mqtt_decode_ack(context->version, type, body, &ack) != MQTT_SUCCESS) {
        return;
    }
    fuzz_check_properties(&ack.properties, type, body);
    size = mqtt_encode_ack(packet, context->version, type, ack.packet_id, ack.reason);
    assert(mqtt_decode_ack(context->version, type, slice_of(packet + 2, size - 2), &again) ==
           MQTT_SUCCESS);
    assert(again.packet_id == ack.packet_id && again.reason == ack.reason);
}

static void on_subscribe(const struct context *context, struct slice body)
{
    struct mqtt_subscribe subscribe;
    struct mqtt_filter filter;
    uint32_t count = 0;

    if (mqtt_decode_subscribe(context->version, body, &subscribe) != MQTT_SUCCESS) {
        return;
    }
    fuzz_check_properties(&subscribe.properties, MQTT_SUBSCRIBE, body);
    while (mqtt_subscribe_next(&subscribe.filters, &filter)) {
        fuzz_assert_inside(filter.filter, body);
        assert(filter.filter.len > 0 && filter.qos <= 2 && filter.retain_handling <= 2);
        count++;
    }
    assert(count == subscribe.filter_count && count > 0);
    if (count == 1) {
        struct slice raw = subscribe.properties.raw;
        size_t size = mqtt_subscribe_size(context->version, &filter, raw);
        uint8_t *packet = memory_must_alloc(size);

        assert(mqtt_encode_subscribe(packet, context->version, subscribe.packet_id, &filter, raw) ==
               size);
        assert(is_packet_of(packet, size, body));
    }
}

static void on_unsubscribe(const struct context *context, struct slice body)
{
    struct mqtt_subscribe unsubscribe;
    struct mqtt_filter filter;
    uint32_t count = 0;

    if (mqtt_decode_unsubscribe(context->version, body, &unsubscribe) != MQTT_SUCCESS) {
        return;
    }
    fuzz_check_properties(&unsubscribe.properties, MQTT_UNSUBSCRIBE, body);
    while (mqtt_unsubscribe_next(&unsubscribe.filters, &filter)) {
        fuzz_assert_inside(filter.filter, body);
        assert(filter.filter.len > 0);
        count++;
    }
    assert(count == unsubscribe.filter_count && count > 0);
    if (count == 1) {
        struct slice raw = unsubscribe.properties.raw;
        size_t size = mqtt_unsubscribe_size(context->version, filter.filter, raw);
        uint8_t *packet = memory_must_alloc(size);

        assert(mqtt_encode_unsubscribe(packet, context->version, unsubscribe.packet_id,
                                       filter.filter, raw) == size);
        assert(is_packet_of(packet, size, body));
    }
}

static void on_suback(const struct context *context, struct slice body)
{
    enum mqtt_packet_type type = context->frame.type;
    struct mqtt_suback suback;
    uint8_t *packet;
    size_t size;

    if (mqtt_decode_suback(context->version, type, body, &suback) != MQTT_SUCCESS) {
        return;
    }
    fuzz_assert_inside(suback.codes, body);
    fuzz_check_properties(&suback.properties, type, body);
    if (suback.properties.present == 0) {
        size = mqtt_suback_size(context->version, type, suback.codes.len);
        packet = memory_must_alloc(size);
        assert(mqtt_encode_suback(packet, context->version, type, suback.packet_id, suback.codes) ==
               size);
        assert(is_packet_of(packet, size, body));
    }
}

static void on_disconnect(const struct context *context, struct slice body)
{
    struct slice none = slice_of(NULL, 0);
    struct mqtt_disconnect disconnect;
    struct mqtt_disconnect again;
    uint8_t packet[3];
    size_t size;

    if (mqtt_decode_disconnect(context->version, context->from_server, body, &disconnect) !=
        MQTT_SUCCESS) {
        return;
    }
    fuzz_check_properties(&disconnect.properties, MQTT_DISCONNECT, body);
    assert(mqtt_disconnect_size(disconnect.reason, none, none) <= sizeof(packet));
    size = mqtt_encode_disconnect(packet, disconnect.reason, none, none);
    assert(mqtt_decode_disconnect(5, true, slice_of(packet + 2, size - 2), &again) == MQTT_SUCCESS);
    assert(again.reason == disconnect.reason);
}

static void on_auth(const struct context *context, struct slice body)
{
    struct mqtt_disconnect auth;

    if (mqtt_decode_auth(context->version, body, &auth) == MQTT_SUCCESS) {
        fuzz_check_properties(&auth.properties, MQTT_AUTH, body);
    }
}

static void on_ping(const struct context *context, struct slice body)
{
    (void)context;
    assert((mqtt_decode_ping(body) == MQTT_SUCCESS) == (body.len == 0));
}

static void (*const decoders[MQTT_PACKET_TYPE_CAP])(const struct context *, struct slice) = {
    [MQTT_CONNECT] = on_connect, [MQTT_CONNACK] = on_connack,
    [MQTT_PUBLISH] = on_publish, [MQTT_PUBACK] = on_ack,
    [MQTT_PUBREC] = on_ack,      [MQTT_PUBREL] = on_ack,
    [MQTT_PUBCOMP] = on_ack,     [MQTT_SUBSCRIBE] = on_subscribe,
    [MQTT_SUBACK] = on_suback,   [MQTT_UNSUBSCRIBE] = on_unsubscribe,
    [MQTT_UNSUBACK] = on_suback, [MQTT_PINGREQ] = on_ping,
    [MQTT_PINGRESP] = on_ping,   [MQTT_DISCONNECT] = on_disconnect,
    [MQTT_AUTH] = on_auth,
};

/* The first packet of the stream; false when there is none. A length too long takes what is there.
 */
static bool take_packet(struct context *context, struct slice *stream)
{
    struct slice body;
    size_t len;

    if (mqtt_frame_decode(*stream, context->version, &context->frame) != MQTT_FRAME_OK) {
        return false;
    }
    assert(context->frame.header_size >= 2 && context->frame.header_size <= 5);
    *stream = slice_skip(*stream, context->frame.header_size);
    len = MIN((size_t)context->frame.body_size, stream->len);
    body = fuzz_copy(slice_of(stream->data, len));
    decoders[context->frame.type](context, body);
    fuzz_free(body);
    *stream = slice_skip(*stream, len);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct context context = {0};
    struct slice stream;

    if (size == 0) {
        return 0;
    }
    context.version = MAX(3u, (data[0] & 3u) + 2);
    context.from_server = (data[0] & 0x10) != 0;
    stream = fuzz_copy(slice_of(data + 1, size - 1));
    data = stream.data;
    while (take_packet(&context, &stream)) {
    }
    fuzz_free(slice_of(data, size - 1));
    return 0;
}
