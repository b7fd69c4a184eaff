#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/wire_test.h"

#define OK        MQTT_SUCCESS
#define MALFORMED MQTT_MALFORMED_PACKET
#define PROTOCOL  MQTT_PROTOCOL_ERROR

/* The flags come first, as in the first byte of the packet: 2 is QoS 1. */
/* clang-format off */
static const struct wire_case publish_cases[] = {
    {"QoS 0", "34", "00 'a' 78", OK},
    {"QoS 0, retained", "34", "01 'a' 78", OK},
    {"QoS 1", "34", "02 'a' 0001 78", OK},
    {"QoS 1 again", "34", "0a 'a' 0001 78", OK},
    {"QoS 2, all flags", "34", "0d 'a' ffff 78", OK},
    {"no payload", "34", "00 'a'", OK},
    {"QoS 3", "34", "06 'a' 0001 78", MALFORMED},
    {"QoS 3 in 5.0", "5", "06 'a' 0001 00 78", MALFORMED},
    {"DUP at QoS 0", "34", "08 'a' 78", MALFORMED},
    {"DUP at QoS 0 in 5.0", "5", "09 'a' 00 78", MALFORMED},
    {"identifier 0", "34", "02 'a' 0000 78", PROTOCOL},
    {"identifier 0 in 5.0", "5", "04 'a' 0000 00 78", PROTOCOL},
    {"identifier cut", "34", "02 'a' 00", MALFORMED},
    {"nothing", "345", "00", MALFORMED},
    {"topic cut", "345", "00 0002 61", MALFORMED},
    {"empty topic", "34", "00 '' 78", PROTOCOL},
    {"the topic's content is the caller's", "34", "00 0003 ff0023 78", OK},

    {"5.0", "5", "00 'a' 00 78", OK},
    {"5.0, QoS 2", "5", "04 'a' 0001 00 78", OK},
    {"5.0 without properties", "5", "00 'a'", MALFORMED},
    {"5.0 with properties", "5", "02 'a' 0001 07 01 01 02 00000005 78", OK},
    {"5.0, properties cut", "5", "00 'a' 05 02 0000", MALFORMED},
    {"alias", "5", "00 'a' 03 23 0001 78", OK},
    {"alias without topic", "5", "00 '' 03 23 0001 78", OK},
    {"alias 0", "5", "00 'a' 03 23 0000 78", MQTT_TOPIC_ALIAS_INVALID},
    {"empty topic, no alias", "5", "00 '' 00 78", PROTOCOL},
    {"identifier of a subscription", "5", "00 'a' 02 0b 01 78", PROTOCOL},
    {"property of another packet", "5", "00 'a' 03 21 0001 78", MALFORMED},
    {"response topic with a wildcard", "5", "00 'a' 04 08 '#' 78", PROTOCOL},
};
/* clang-format on */

static enum mqtt_reason publish_reason(unsigned version, struct slice packet)
{
    struct mqtt_publish publish;

    if (packet.len == 0) {
        return MQTT_MALFORMED_PACKET;
    }
    return mqtt_decode_publish(version, packet.data[0], slice_skip(packet, 1), false, &publish);
}

static void test_publishes(void **state)
{
    (void)state;
    wire_cases_run(publish_cases, ARRAY_LEN(publish_cases), publish_reason);
}

static void test_values(void **state)
{
    struct slice old = bytes_parse("'a/b' 1234 010203");
    struct slice new = bytes_parse("'a/b' 1234 07 02 0000000a 01 01 010203");
    struct mqtt_publish p;

    (void)state;
    memset(&p, 0xFF, sizeof(p));
    assert_int_equal(mqtt_decode_publish(4, 0x0D, old, false, &p), MQTT_SUCCESS);
    assert_text(p.topic, "a/b");
    assert_bytes(p.payload, "010203");
    assert_true(p.packet_id == 0x1234 && p.qos == 2 && p.retain && p.dup);
    assert_true(p.properties.present == 0 && p.properties.raw.len == 0);
    assert_true(p.properties.topic_alias == 0 && p.properties.reason_string.data == NULL);
    assert_int_equal(mqtt_decode_publish(5, 0x02, new, false, &p), MQTT_SUCCESS);
    assert_bytes(p.payload, "010203");
    assert_true(p.packet_id == 0x1234 && p.qos == 1 && !p.retain && !p.dup);
    assert_int_equal(p.properties.message_expiry_interval, 10);
    assert_int_equal(p.properties.payload_format_indicator, 1);
    bytes_free(old);
    bytes_free(new);
}

static void test_from_server(void **state)
{
    struct slice body = bytes_parse("'a' 05 0b 01 0b 8001 78");
    struct mqtt_publish p;

    (void)state;
    assert_int_equal(mqtt_decode_publish(5, 0, body, true, &p), MQTT_SUCCESS);
    assert_int_equal(p.properties.subscription_identifier, 128);
    assert_int_equal(mqtt_decode_publish(5, 0, body, false, &p), MQTT_PROTOCOL_ERROR);
    bytes_free(body);
}

static void check_round_trip(const struct wire_case *test, unsigned version)
{
    struct slice bytes = bytes_parse(test->bytes);
    struct slice body = slice_skip(bytes, 1);
    struct mqtt_publish publish;
    struct mqtt_frame frame;
    uint8_t packet[256];
    size_t size;

    assert_int_equal(mqtt_decode_publish(version, bytes.data[0], body, false, &publish),
                     MQTT_SUCCESS);
    size = mqtt_encode_publish(packet, version, &publish);
    assert_int_equal(size, mqtt_publish_size(version, &publish));
    assert_int_equal(mqtt_frame_decode(slice_of(packet, size), version, &frame), MQTT_FRAME_OK);
    assert_int_equal(frame.flags, bytes.data[0]);
    assert_true(slice_is_equal(slice_of(packet + frame.header_size, frame.body_size), body));
    bytes_free(bytes);
}

static void test_round_trips(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(publish_cases); i++) {
        const struct wire_case *test = &publish_cases[i];

        for (const char *version = test->versions; *version; version++) {
            if (test->expected == MQTT_SUCCESS) {
                check_round_trip(test, (unsigned)(*version - '0'));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_publishes),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_from_server),
        cmocka_unit_test(test_round_trips),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
