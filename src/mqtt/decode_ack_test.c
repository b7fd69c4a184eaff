#include "mqtt/decode.h"
#include "mqtt/wire_test.h"

#define OK        MQTT_SUCCESS
#define MALFORMED MQTT_MALFORMED_PACKET
#define PROTOCOL  MQTT_PROTOCOL_ERROR

/* clang-format off */
static const struct wire_case ack_cases[] = {
    {"plain", "345", "0001", OK},
    {"identifier 0", "345", "0000", PROTOCOL},
    {"identifier cut", "345", "00", MALFORMED},
    {"nothing", "345", "", MALFORMED},
    {"a byte behind in 3.x", "34", "0001 00", MALFORMED},
    {"reason", "5", "0001 00", OK},
    {"reason and empty properties", "5", "0001 00 00", OK},
    {"reason string", "5", "0001 00 04 1f 'x'", OK},
    {"user properties", "5", "0001 00 0e 26 'k' 'v' 26 'k' 'v'", OK},
    {"unknown reason", "5", "0001 7f", PROTOCOL},
    {"reason of another packet", "5", "0001 81", PROTOCOL},
    {"property of another packet", "5", "0001 00 02 01 00", MALFORMED},
    {"reason string twice", "5", "0001 00 08 1f 'x' 1f 'y'", PROTOCOL},
    {"properties cut", "5", "0001 00 05 1f 'x'", MALFORMED},
    {"a byte behind", "5", "0001 00 00 00", MALFORMED},
};
/* clang-format on */

static enum mqtt_packet_type ack_type;

static enum mqtt_reason ack_reason(unsigned version, struct slice body)
{
    struct mqtt_ack ack;

    return mqtt_decode_ack(version, ack_type, body, &ack);
}

static void test_acks(void **state)
{
    (void)state;
    for (ack_type = MQTT_PUBACK; ack_type <= MQTT_PUBCOMP; ack_type++) {
        wire_cases_run(ack_cases, ARRAY_LEN(ack_cases), ack_reason);
    }
}

static void test_ack_values(void **state)
{
    struct slice body = bytes_parse("1234 10 04 1f 'x'");
    struct mqtt_ack ack;

    (void)state;
    assert_int_equal(mqtt_decode_ack(5, MQTT_PUBACK, body, &ack), MQTT_SUCCESS);
    assert_int_equal(ack.packet_id, 0x1234);
    assert_int_equal(ack.reason, MQTT_NO_MATCHING_SUBSCRIBERS);
    assert_text(ack.properties.reason_string, "x");
    memset(&ack, 0xFF, sizeof(ack));
    assert_int_equal(mqtt_decode_ack(4, MQTT_PUBACK, slice_of("\1\2", 2), &ack), MQTT_SUCCESS);
    assert_int_equal(ack.packet_id, 0x0102);
    assert_true(ack.reason == MQTT_SUCCESS && ack.properties.present == 0);
    bytes_free(body);
}

static enum mqtt_reason disconnect_reason(unsigned version, struct slice body)
{
    struct mqtt_disconnect disconnect;

    return mqtt_decode_disconnect(version, false, body, &disconnect);
}

static enum mqtt_reason server_disconnect_reason(unsigned version, struct slice body)
{
    struct mqtt_disconnect disconnect;

    return mqtt_decode_disconnect(version, true, body, &disconnect);
}

static enum mqtt_reason auth_reason(unsigned version, struct slice body)
{
    struct mqtt_disconnect auth;

    return mqtt_decode_auth(version, body, &auth);
}

/* clang-format off */
static const struct wire_case disconnect_cases[] = {
    {"plain", "345", "", OK},
    {"a byte in 3.x", "34", "00", MALFORMED},
    {"reason", "5", "04", OK},
    {"reason and empty properties", "5", "00 00", OK},
    {"session expiry", "5", "00 05 11 00000000", OK},
    {"reason string", "5", "80 04 1f 'x'", OK},
    {"server reference from a client", "5", "00 04 1c 'x'", PROTOCOL},
    {"unknown reason", "5", "01", PROTOCOL},
    {"properties cut", "5", "00 05 11 0000", MALFORMED},
    {"a byte behind", "5", "00 00 00", MALFORMED},
    {"topic alias", "5", "00 03 23 0001", MALFORMED},
};

static const struct wire_case server_disconnect_cases[] = {
    {"3.x has none", "34", "", PROTOCOL},
    {"plain", "5", "", OK},
    {"reason", "5", "8e", OK},
    {"server reference", "5", "9c 04 1c 'x'", OK},
    {"session expiry", "5", "00 05 11 00000000", PROTOCOL},
};

static const struct wire_case auth_cases[] = {
    {"3.x has none", "34", "", PROTOCOL},
    {"plain", "5", "", OK},
    {"method and data", "5", "18 08 15 'm' 16 'd'", OK},
    {"no method", "5", "18", PROTOCOL},
    {"no properties", "5", "19 00", PROTOCOL},
    {"data without method", "5", "18 04 16 'd'", PROTOCOL},
    {"reason of another packet", "5", "80 04 15 'm'", PROTOCOL},
    {"a byte behind", "5", "18 04 15 'm' 00", MALFORMED},
    {"session expiry", "5", "00 05 11 00000000", MALFORMED},
};
/* clang-format on */

static void test_ends(void **state)
{
    (void)state;
    wire_cases_run(disconnect_cases, ARRAY_LEN(disconnect_cases), disconnect_reason);
    wire_cases_run(server_disconnect_cases, ARRAY_LEN(server_disconnect_cases),
                   server_disconnect_reason);
    wire_cases_run(auth_cases, ARRAY_LEN(auth_cases), auth_reason);
}

static void test_end_values(void **state)
{
    struct slice body = bytes_parse("04 05 11 0000000a");
    struct slice empty = bytes_parse("");
    struct mqtt_disconnect d;

    (void)state;
    assert_int_equal(mqtt_decode_disconnect(5, false, body, &d), MQTT_SUCCESS);
    assert_int_equal(d.reason, MQTT_DISCONNECT_WITH_WILL);
    assert_int_equal(d.properties.session_expiry_interval, 10);
    memset(&d, 0xFF, sizeof(d));
    assert_int_equal(mqtt_decode_disconnect(5, false, empty, &d), MQTT_SUCCESS);
    assert_true(d.reason == MQTT_SUCCESS && d.properties.present == 0);
    memset(&d, 0xFF, sizeof(d));
    assert_int_equal(mqtt_decode_disconnect(3, false, empty, &d), MQTT_SUCCESS);
    assert_true(d.reason == MQTT_SUCCESS && d.properties.present == 0);
    bytes_free(body);
    bytes_free(empty);
}

/* Every code in every packet that ends with a reason. */
static void test_each_reason(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 256; code++) {
        uint8_t body[] = {0, 1, (uint8_t)code, 4, MQTT_AUTHENTICATION_METHOD, 0, 1, 'm'};

        for (ack_type = MQTT_PUBACK; ack_type <= MQTT_PUBCOMP; ack_type++) {
            assert_int_equal(ack_reason(5, slice_of(body, 3)),
                             mqtt_reason_is_allowed(code, ack_type) ? OK : PROTOCOL);
        }
        assert_int_equal(disconnect_reason(5, slice_of(body + 2, 1)),
                         mqtt_reason_is_allowed(code, MQTT_DISCONNECT) ? OK : PROTOCOL);
        assert_int_equal(auth_reason(5, slice_of(body + 2, sizeof(body) - 2)),
                         mqtt_reason_is_allowed(code, MQTT_AUTH) ? OK : PROTOCOL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_acks),        cmocka_unit_test(test_ack_values),
        cmocka_unit_test(test_ends),        cmocka_unit_test(test_end_values),
        cmocka_unit_test(test_each_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
