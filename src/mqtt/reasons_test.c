#include "base/test.h"
#include "mqtt/packets.h"
#include "mqtt/reasons.h"
#include "mqtt/websocket_codes.h"

/*
 * The codes that section 3.x.2 of 5.0 lists for each packet, written out from there and not from
 * table 2-6, so that the two check each other (0x8C in a DISCONNECT is in table 2-6 alone).
 */
struct packet_case {
    enum mqtt_packet_type type;
    const char *codes;
};

/* clang-format off */
static const struct packet_case packet_cases[] = {
    {MQTT_CONNACK, "00 80 81 82 83 84 85 86 87 88 89 8a 8c 90 95 97 99 9a 9b 9c 9d 9f"},
    {MQTT_PUBACK, "00 10 80 83 87 90 91 97 99"},
    {MQTT_PUBREC, "00 10 80 83 87 90 91 97 99"},
    {MQTT_PUBREL, "00 92"},
    {MQTT_PUBCOMP, "00 92"},
    {MQTT_SUBACK, "00 01 02 80 83 87 8f 91 97 9e a1 a2"},
    {MQTT_UNSUBACK, "00 11 80 83 87 8f 91"},
    {MQTT_DISCONNECT, "00 04 80 81 82 83 87 89 8b 8c 8d 8e 8f 90 93 94 95 96 97 98 99 9a 9b 9c 9d"
                      " 9e 9f a0 a1 a2"},
    {MQTT_AUTH, "00 18 19"},
    {MQTT_CONNECT, ""}, {MQTT_PUBLISH, ""}, {MQTT_SUBSCRIBE, ""}, {MQTT_UNSUBSCRIBE, ""},
    {MQTT_PINGREQ, ""}, {MQTT_PINGRESP, ""},
};
/* clang-format on */

/* Holds 5.0: MQTT-3.2.2-8 MQTT-3.4.2-1 MQTT-3.5.2-1 MQTT-3.6.2-1 MQTT-3.7.2-1 MQTT-3.9.3-2
 * MQTT-3.11.3-2 MQTT-3.14.2-1 MQTT-3.15.2-1. */
static void test_each_reason_in_each_packet(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(packet_cases); i++) {
        const struct packet_case *test = &packet_cases[i];

        for (unsigned code = 0; code < 300; code++) {
            char text[8];

            snprintf(text, sizeof(text), "%02x", code);
            if (mqtt_reason_is_allowed(code, test->type) != (strstr(test->codes, text) != NULL)) {
                fail_msg("%s in %s", text, mqtt_packet_name(test->type));
            }
        }
    }
}

static void test_table(void **state)
{
    size_t len;
    const struct mqtt_reason_row *rows = mqtt_reason_table(&len);

    (void)state;
    assert_int_equal(len, 43);
    for (size_t i = 0; i < len; i++) {
        assert_ptr_equal(mqtt_reason_find(rows[i].code), &rows[i]);
        assert_true(i == 0 || rows[i - 1].code < rows[i].code);
        assert_int_not_equal(rows[i].packets, 0);
        /* What 3.x answers in a CONNACK may stand in one of 5.0. */
        assert_true(rows[i].connack_3 == 0 || mqtt_reason_is_allowed(rows[i].code, MQTT_CONNACK));
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(mqtt_reason_name(0), "Success");
    assert_string_equal(mqtt_reason_name(MQTT_PACKET_TOO_LARGE), "Packet too large");
    assert_string_equal(mqtt_reason_name(0x03), "Unknown reason");
    assert_string_equal(mqtt_reason_name(0xA3), "Unknown reason");
    assert_string_equal(mqtt_reason_name(0x100), "Unknown reason");
    assert_null(mqtt_reason_find(0x7F));
}

static void test_return_codes(void **state)
{
    static const uint8_t codes[] = {
        0,
        MQTT_UNSUPPORTED_PROTOCOL_VERSION,
        MQTT_CLIENT_ID_NOT_VALID,
        MQTT_SERVER_UNAVAILABLE,
        MQTT_BAD_USERNAME_OR_PASSWORD,
        MQTT_NOT_AUTHORIZED,
    };

    (void)state;
    for (size_t code = 1; code < ARRAY_LEN(codes); code++) {
        assert_int_equal(mqtt_reason_find(codes[code])->connack_3, code);
    }
    assert_int_equal(mqtt_reason_find(MQTT_PROTOCOL_ERROR)->connack_3, 0);
}

/* By what each code means to whoever hears it; written out apart from the table. */
struct websocket_case {
    enum websocket_code code;
    const char *reasons;
};

/* clang-format off */
static const struct websocket_case websocket_cases[] = {
    {WEBSOCKET_NORMAL, "00 04 8e"},
    {WEBSOCKET_GOING_AWAY, "8b 9c 9d"},
    {WEBSOCKET_PROTOCOL_ERROR, "81 82 84 94"},
    {WEBSOCKET_MISMATCHED, "99"},
    {WEBSOCKET_POLICY, "85 86 87 8a 8c 8d 8f 90 93 96 97 98 9a 9b 9e a0 a1 a2"},
    {WEBSOCKET_TOO_BIG, "95"},
    {WEBSOCKET_INTERNAL, "80 83"},
    {WEBSOCKET_TRY_AGAIN, "88 89 9f"},
    /* Those that no connection ends for. */
    {(enum websocket_code)0, "01 02 10 11 18 19 91 92"},
};
/* clang-format on */

static void test_websocket_codes(void **state)
{
    size_t len;
    const struct mqtt_reason_row *rows = mqtt_reason_table(&len);
    const unsigned ends = MQTT_IN(CONNACK) | MQTT_IN(DISCONNECT);

    (void)state;
    for (size_t i = 0; i < len; i++) {
        char text[8];

        snprintf(text, sizeof(text), "%02x", rows[i].code);
        assert_int_equal((rows[i].packets & ends) != 0, rows[i].websocket != 0);
        for (size_t j = 0; j < ARRAY_LEN(websocket_cases); j++) {
            bool is_said = strstr(websocket_cases[j].reasons, text) != NULL;

            if (is_said != (rows[i].websocket == (unsigned)websocket_cases[j].code)) {
                fail_msg("0x%s: %u", text, rows[i].websocket);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_reason_in_each_packet),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_return_codes),
        cmocka_unit_test(test_websocket_codes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
