#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/wire_test.h"

#include <stdlib.h>

static enum mqtt_reason connect_reason(unsigned version, struct slice body)
{
    struct mqtt_connect connect;

    (void)version;
    return mqtt_decode_connect(body, &connect);
}

#define OK        MQTT_SUCCESS
#define MALFORMED MQTT_MALFORMED_PACKET
#define PROTOCOL  MQTT_PROTOCOL_ERROR

/* Name, level, flags, keep alive, [properties], client id, [will], [user name], [password]. */
/* clang-format off */
static const struct wire_case connect_cases[] = {
    {"3.1", "3", "'MQIsdp' 03 02 003c 'id'", OK},
    {"3.1.1", "4", "'MQTT' 04 02 003c 'id'", OK},
    {"5.0", "5", "'MQTT' 05 02 003c 00 'id'", OK},
    {"3.1 of a bridge", "3", "'MQIsdp' 83 02 003c 'id'", OK},
    {"3.1.1 of a bridge", "4", "'MQTT' 84 02 003c 'id'", OK},
    {"5.0 of a bridge", "5", "'MQTT' 85 02 003c 00 'id'", MQTT_UNSUPPORTED_PROTOCOL_VERSION},
    {"level 2", "3", "'MQIsdp' 02 02 003c 'id'", MQTT_UNSUPPORTED_PROTOCOL_VERSION},
    {"level 6, nothing behind", "5", "'MQTT' 06", MQTT_UNSUPPORTED_PROTOCOL_VERSION},
    {"level 0", "4", "'MQTT' 00 02 003c 'id'", MQTT_UNSUPPORTED_PROTOCOL_VERSION},
    {"level 3 with the new name", "3", "'MQTT' 03 02 003c 'id'",
        MQTT_UNSUPPORTED_PROTOCOL_VERSION},
    {"level 4 with the old name", "4", "'MQIsdp' 04 02 003c 'id'",
        MQTT_UNSUPPORTED_PROTOCOL_VERSION},
    {"another name", "4", "'MQTTX' 04 02 003c 'id'", PROTOCOL},
    {"lower case", "4", "'mqtt' 04 02 003c 'id'", PROTOCOL},
    {"empty name", "4", "'' 04 02 003c 'id'", PROTOCOL},
    {"cut name", "4", "0005 4d515454", MALFORMED},
    {"nothing", "4", "", MALFORMED},

    {"empty client id", "4", "'MQTT' 04 02 003c ''", OK},
    {"client id, no UTF-8", "4", "'MQTT' 04 02 003c 0001 ff", MALFORMED},
    {"client id with NUL", "4", "'MQTT' 04 02 003c 0001 00", MALFORMED},
    {"client id with a control", "4", "'MQTT' 04 02 003c 0001 0a", MALFORMED},
    {"no client id", "4", "'MQTT' 04 02 003c", MALFORMED},
    {"bytes behind", "4", "'MQTT' 04 02 003c 'id' 00", MALFORMED},
    {"a field behind", "4", "'MQTT' 04 02 003c 'id' 'x'", MALFORMED},
    {"bytes behind in 5.0", "5", "'MQTT' 05 02 003c 00 'id' 00", MALFORMED},
    {"bytes behind in 3.1", "3", "'MQIsdp' 03 02 003c 'id' 00", MALFORMED},

    {"reserved flag", "4", "'MQTT' 04 03 003c 'id'", MALFORMED},
    {"reserved flag in 5.0", "5", "'MQTT' 05 03 003c 00 'id'", MALFORMED},
    {"reserved flag in 3.1", "3", "'MQIsdp' 03 03 003c 'id'", OK},
    {"will QoS without will", "4", "'MQTT' 04 0a 003c 'id'", MALFORMED},
    {"will QoS without will in 3.1", "3", "'MQIsdp' 03 0a 003c 'id'", OK},
    {"will retain without will", "5", "'MQTT' 05 22 003c 00 'id'", MALFORMED},
    {"will QoS 3", "4", "'MQTT' 04 1e 003c 'id' 'w' 'x'", MALFORMED},
    {"will QoS 3 in 3.1", "3", "'MQIsdp' 03 1e 003c 'id' 'w' 'x'", MALFORMED},
    {"will QoS 3 in 5.0", "5", "'MQTT' 05 1e 003c 00 'id' 00 'w' 'x'", MALFORMED},

    {"will", "4", "'MQTT' 04 06 003c 'id' 'w' 'x'", OK},
    {"will with an empty payload", "4", "'MQTT' 04 06 003c 'id' 'w' ''", OK},
    {"will of 5.0", "5", "'MQTT' 05 36 003c 00 'id' 05 18 00000001 'w' 'x'", OK},
    {"will without properties in 5.0", "5", "'MQTT' 05 06 003c 00 'id' 'w' 'x'", MALFORMED},
    {"will to nowhere", "4", "'MQTT' 04 06 003c 'id' '' 'x'", MQTT_TOPIC_NAME_INVALID},
    {"will to a filter", "4", "'MQTT' 04 06 003c 'id' 'a/#' 'x'", MQTT_TOPIC_NAME_INVALID},
    {"will to a filter in 5.0", "5", "'MQTT' 05 06 003c 00 'id' 00 '+' 'x'",
        MQTT_TOPIC_NAME_INVALID},
    {"will topic, no UTF-8", "5", "'MQTT' 05 06 003c 00 'id' 00 0001 ff 'x'", MALFORMED},
    {"will payload, any bytes", "5", "'MQTT' 05 06 003c 00 'id' 00 'w' 0002 ff00", OK},
    {"will with a topic alias", "5", "'MQTT' 05 06 003c 00 'id' 03 23 0001 'w' 'x'", MALFORMED},
    {"will without topic", "4", "'MQTT' 04 06 003c 'id'", MALFORMED},
    {"will without payload", "4", "'MQTT' 04 06 003c 'id' 'w'", MALFORMED},

    {"user name", "4", "'MQTT' 04 82 003c 'id' 'user'", OK},
    {"user name and password", "4", "'MQTT' 04 c2 003c 'id' 'user' 'pass'", OK},
    {"all", "4", "'MQTT' 04 ee 003c 'id' 'w' 'x' 'user' 'pass'", OK},
    {"user name, no UTF-8", "4", "'MQTT' 04 82 003c 'id' 0001 ff", MALFORMED},
    {"password, any bytes", "4", "'MQTT' 04 c2 003c 'id' 'user' 0002 ff00", OK},
    {"password alone", "4", "'MQTT' 04 42 003c 'id' 'pass'", MALFORMED},
    {"password alone in 3.1", "3", "'MQIsdp' 03 42 003c 'id' 'pass'", MALFORMED},
    {"password alone in 5.0", "5", "'MQTT' 05 42 003c 00 'id' 'pass'", OK},
    {"user name missing", "4", "'MQTT' 04 82 003c 'id'", MALFORMED},
    {"password missing", "4", "'MQTT' 04 c2 003c 'id' 'user'", MALFORMED},
    {"password missing in 5.0", "5", "'MQTT' 05 c2 003c 00 'id' 'user'", MALFORMED},
    {"user name missing in 3.1", "3", "'MQIsdp' 03 82 003c 'id'", OK},
    {"both missing in 3.1", "3", "'MQIsdp' 03 c2 003c 'id'", OK},
    {"password missing in 3.1", "3", "'MQIsdp' 03 c2 003c 'id' 'user'", OK},
    {"user name cut in 3.1", "3", "'MQIsdp' 03 82 003c 'id' 0003 61", MALFORMED},

    {"properties", "5", "'MQTT' 05 02 003c 08 11 0000000a 21 0014 'id'", OK},
    {"no properties in 5.0", "5", "'MQTT' 05 02 003c 'id'", MALFORMED},
    {"receive maximum 0", "5", "'MQTT' 05 02 003c 03 21 0000 'id'", PROTOCOL},
    {"authentication", "5", "'MQTT' 05 02 003c 08 15 'm' 16 'd' 'id'", OK},
    {"authentication data alone", "5", "'MQTT' 05 02 003c 04 16 'd' 'id'", PROTOCOL},
    {"property of another packet", "5", "'MQTT' 05 02 003c 02 01 00 'id'", MALFORMED},
};
/* clang-format on */

static void test_connects(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(connect_cases); i++) {
        const struct wire_case *test = &connect_cases[i];
        unsigned accepted = wire_case_run(test, 0, connect_reason);

        /* Only 3.1 may be cut, where it may lack user name and password. */
        assert_true(accepted == 0 || test->expected != MQTT_SUCCESS || test->versions[0] == '3');
    }
}

static void test_connect_values(void **state)
{
    struct slice body = bytes_parse(
        "'MQTT' 05 ee 1234 05 11 0000000a 'id' 05 18 00000001 'w/t' 'bye' 'user' 0002 ff00");
    struct mqtt_connect c;

    (void)state;
    assert_int_equal(mqtt_decode_connect(body, &c), MQTT_SUCCESS);
    assert_int_equal(c.version, MQTT_5_0);
    assert_false(c.is_bridge);
    assert_true(c.clean_start && c.has_will && c.has_username && c.has_password);
    assert_int_equal(c.keep_alive, 0x1234);
    assert_text(c.client_id, "id");
    assert_int_equal(c.properties.session_expiry_interval, 10);
    assert_text(c.will.topic, "w/t");
    assert_text(c.will.payload, "bye");
    assert_int_equal(c.will.qos, 1);
    assert_true(c.will.retain);
    assert_int_equal(c.will.properties.will_delay_interval, 1);
    assert_text(c.username, "user");
    assert_bytes(c.password, "ff00");
    bytes_free(body);
}

static void test_connect_versions(void **state)
{
    struct slice bridge = bytes_parse("'MQIsdp' 83 00 0000 'id'");
    struct slice unknown = bytes_parse("'MQTT' 07 00 0000 'id'");
    struct slice name = bytes_parse("'HTTP' 04 00 0000 'id'");
    struct slice lenient = bytes_parse("'MQIsdp' 03 c0 0000 'id' 'user'");
    struct mqtt_connect c;

    (void)state;
    assert_int_equal(mqtt_decode_connect(bridge, &c), MQTT_SUCCESS);
    assert_true(c.version == MQTT_3_1 && c.is_bridge && !c.clean_start);
    assert_int_equal(mqtt_decode_connect(unknown, &c), MQTT_UNSUPPORTED_PROTOCOL_VERSION);
    assert_int_equal(c.version, 7);
    assert_int_equal(mqtt_decode_connect(name, &c), MQTT_PROTOCOL_ERROR);
    assert_int_equal(c.version, 0);
    assert_int_equal(mqtt_decode_connect(lenient, &c), MQTT_SUCCESS);
    assert_true(c.has_username && !c.has_password);
    bytes_free(bridge);
    bytes_free(unknown);
    bytes_free(name);
    bytes_free(lenient);
}

static enum mqtt_reason connack_reason(unsigned version, struct slice body)
{
    struct mqtt_connack connack;

    return mqtt_decode_connack(version, body, &connack);
}

/* clang-format off */
static const struct wire_case connack_cases[] = {
    {"accepted", "34", "00 00", OK},
    {"session present", "34", "01 00", OK},
    {"refused", "34", "00 05", OK},
    {"unknown code", "34", "00 06", PROTOCOL},
    {"refused, session present", "34", "01 05", PROTOCOL},
    {"reserved flag", "345", "02 00 00", MALFORMED},
    {"bytes behind", "34", "00 00 00", MALFORMED},
    {"short", "345", "00", MALFORMED},
    {"nothing", "345", "", MALFORMED},
    {"5.0 without properties", "5", "00 00", MALFORMED},
    {"5.0", "5", "00 00 00", OK},
    {"5.0, as Mosquitto", "5", "00 00 08 22 000a 27 001e8480", OK},
    {"5.0 refused", "5", "00 87 00", OK},
    {"5.0 with a code of PUBACK", "5", "00 10 00", PROTOCOL},
    {"5.0 refused, session present", "5", "01 87 00", PROTOCOL},
    {"5.0, bytes behind", "5", "00 00 00 00", MALFORMED},
};
/* clang-format on */

static void test_connacks(void **state)
{
    (void)state;
    wire_cases_run(connack_cases, ARRAY_LEN(connack_cases), connack_reason);
}

/* What decodes encodes to the same bytes. */
static void check_round_trip(const struct wire_case *test)
{
    struct slice body = bytes_parse(test->bytes);
    struct mqtt_connect connect;
    struct mqtt_frame frame;
    uint8_t packet[256];
    size_t size;

    assert_int_equal(mqtt_decode_connect(body, &connect), MQTT_SUCCESS);
    size = mqtt_encode_connect(packet, &connect);
    assert_int_equal(size, mqtt_connect_size(&connect));
    assert_int_equal(mqtt_frame_decode(slice_of(packet, size), 0, &frame), MQTT_FRAME_OK);
    assert_int_equal(frame.type, MQTT_CONNECT);
    assert_int_equal(frame.header_size + frame.body_size, size);
    assert_true(slice_is_equal(slice_of(packet + frame.header_size, frame.body_size), body));
    bytes_free(body);
}

static void test_round_trips(void **state)
{
    unsigned count = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(connect_cases); i++) {
        const struct wire_case *test = &connect_cases[i];

        /* 3.1's leniencies are not written again. */
        if (test->expected == MQTT_SUCCESS && !strstr(test->name, " in 3.1")) {
            check_round_trip(test);
            count++;
        }
    }
    assert_true(count > 15);
}

/* Random bytes behind a good front: whatever they are, nothing is read outside (sanitizers). */
static void test_random(void **state)
{
    struct slice good = bytes_parse(
        "'MQTT' 05 ee 1234 05 11 0000000a 'id' 05 18 00000001 'w/t' 'bye' 'user' 'pass'");

    (void)state;
    srand(20);
    for (unsigned i = 0; i < 20000; i++) {
        struct slice copy = bytes_copy(slice_of(good.data, good.len - (size_t)rand() % 4));
        struct mqtt_connect connect;

        for (int n = rand() % 4; n >= 0; n--) {
            ((uint8_t *)(uintptr_t)copy.data)[7 + (size_t)rand() % (copy.len - 7)] =
                (uint8_t)rand();
        }
        if (mqtt_decode_connect(copy, &connect) == MQTT_SUCCESS) {
            assert_true(connect.client_id.data + connect.client_id.len <= copy.data + copy.len);
        }
        bytes_free(copy);
    }
    bytes_free(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connects),         cmocka_unit_test(test_connect_values),
        cmocka_unit_test(test_connect_versions), cmocka_unit_test(test_connacks),
        cmocka_unit_test(test_round_trips),      cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
