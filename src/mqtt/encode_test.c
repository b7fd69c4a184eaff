#include "mqtt/encode.h"
#include "mqtt/wire_test.h"

/* Holds 5.0: MQTT-1.5.5-1. */
static void test_variable(void **state)
{
    static const uint32_t values[] = {0,     1,       127,     128,    16383,
                                      16384, 2097151, 2097152, 100000, MQTT_REMAINING_MAX};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        uint8_t bytes[4];
        uint32_t value;
        unsigned size;
        size_t written = (size_t)(mqtt_put_variable(bytes, values[i]) - bytes);

        assert_int_equal(written, mqtt_variable_size(values[i]));
        assert_int_equal(mqtt_variable_decode(slice_of(bytes, written), &value, &size),
                         MQTT_FRAME_OK);
        assert_true(value == values[i] && size == written);
    }
    assert_int_equal(mqtt_packet_size(127), 129);
    assert_int_equal(mqtt_packet_size(128), 131);
    assert_int_equal(mqtt_packet_size(2097152), 2097157);
}

static void test_acks(void **state)
{
    uint8_t at[MQTT_ACK_SIZE_MAX];

    (void)state;
    assert_bytes(slice_of(at, mqtt_encode_ack(at, 4, MQTT_PUBACK, 0x1234, MQTT_SUCCESS)),
                 "40 02 1234");
    assert_bytes(slice_of(at, mqtt_encode_ack(at, 5, MQTT_PUBREC, 0x1234, MQTT_SUCCESS)),
                 "50 02 1234");
    assert_bytes(slice_of(at, mqtt_encode_ack(at, 4, MQTT_PUBREL, 1, MQTT_SUCCESS)), "62 02 0001");
    assert_bytes(slice_of(at, mqtt_encode_ack(at, 5, MQTT_PUBCOMP, 1, MQTT_PACKET_ID_NOT_FOUND)),
                 "70 03 0001 92");
    assert_bytes(slice_of(at, mqtt_encode_ack(at, 5, MQTT_PUBACK, 1, MQTT_NO_MATCHING_SUBSCRIBERS)),
                 "40 03 0001 10");
    assert_bytes(slice_of(at, mqtt_encode_ack(at, 4, MQTT_PUBACK, 1, MQTT_NO_MATCHING_SUBSCRIBERS)),
                 "40 02 0001");
    assert_bytes(slice_of(at, mqtt_encode_pingresp(at)), "d0 00");
}

struct told_case {
    enum mqtt_packet_type type;
    enum mqtt_reason reason;
    const char *text;
    const char *bytes;
};

/* clang-format off */
static const struct told_case told_cases[] = {
    {MQTT_PUBACK, MQTT_QUOTA_EXCEEDED, "why", "40 0a 0001 97 06 1f'why'"},
    {MQTT_PUBREC, MQTT_NOT_AUTHORIZED, "", "50 03 0001 87"},
    {MQTT_PUBREL, MQTT_PACKET_ID_NOT_FOUND, "x", "62 08 0001 92 04 1f'x'"},
    {MQTT_PUBACK, MQTT_SUCCESS, "why", "40 02 0001"},
};
/* clang-format on */

static void test_told_acks(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(told_cases); i++) {
        const struct told_case *test = &told_cases[i];
        struct slice text = slice_of_text(test->text);
        uint8_t at[32];
        size_t size = mqtt_encode_told_ack(at, test->type, 1, test->reason, text);

        assert_int_equal(size, mqtt_told_ack_size(test->reason, text));
        assert_bytes(slice_of(at, size), test->bytes);
    }
}

struct connack_case {
    struct mqtt_connack_out connack;
    const char *bytes;
};

#define TEXT(text)                                               \
    {                                                            \
        .data = (const uint8_t *)(text), .len = sizeof(text) - 1 \
    }

/* clang-format off */
static const struct connack_case connack_cases[] = {
    {{.version = 4}, "20 02 00 00"},
    {{.version = 4, .session_present = true, .receive_maximum = 20}, "20 02 01 00"},
    {{.version = 3, .session_present = true}, "20 02 00 00"},
    {{.version = 4, .reason = MQTT_UNSUPPORTED_PROTOCOL_VERSION}, "20 02 00 01"},
    {{.version = 4, .reason = MQTT_CLIENT_ID_NOT_VALID, .session_present = true}, "20 02 00 02"},
    {{.version = 3, .reason = MQTT_SERVER_UNAVAILABLE}, "20 02 00 03"},
    {{.version = 3, .reason = MQTT_BAD_USERNAME_OR_PASSWORD}, "20 02 00 04"},
    {{.version = 4, .reason = MQTT_NOT_AUTHORIZED}, "20 02 00 05"},
    {{.version = 4, .reason = MQTT_PROTOCOL_ERROR}, ""},
    {{.version = 5}, "20 03 00 00 00"},
    /* a drop-in's defaults */
    {{.version = 5, .topic_alias_maximum = 10, .maximum_packet_size = 2000000,
      .receive_maximum = 20}, "20 0e 00 00 0b 22 000a 27 001e8480 21 0014"},
    {{.version = 5, .session_present = true, .topic_alias_maximum = 10,
      .maximum_packet_size = 2000000, .receive_maximum = 20, .assigned_client_id = TEXT("auto-1")},
     "20 17 01 00 14 22 000a 12 'auto-1' 27 001e8480 21 0014"},
    {{.version = 5, .reason = MQTT_NOT_AUTHORIZED, .topic_alias_maximum = 10,
      .session_present = true, .maximum_packet_size = 2000000, .receive_maximum = 20,
      .has_maximum_qos = true}, "20 03 00 87 00"},
    {{.version = 5, .reason = MQTT_USE_ANOTHER_SERVER, .server_reference = TEXT("h"),
      .reason_string = TEXT("why"), .authentication_method = TEXT("m")},
     "20 11 00 9c 0e 15 'm' 1f 'why' 1c 'h'"},
    {{.version = 5, .topic_alias_maximum = 7, .server_keep_alive = 60, .has_maximum_qos = true,
      .maximum_qos = 1, .retain_unavailable = true, .receive_maximum = 20,
      .maximum_packet_size = 2000, .assigned_client_id = TEXT("id"), .has_session_expiry = true,
      .session_expiry_interval = 0, .response_information = TEXT("r"),
      .authentication_method = TEXT("m"), .authentication_data = TEXT("d"),
      .reason_string = TEXT("s"), .server_reference = TEXT("h")},
     "20 33 00 00 30 22 0007 13 003c 12 'id' 11 00000000 1a 'r' 15 'm' 16 'd' 1f 's' 1c 'h' 25 00 "
     "27 000007d0 21 0014 24 01"},
};
/* clang-format on */

static void test_connacks(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(connack_cases); i++) {
        const struct connack_case *test = &connack_cases[i];
        size_t size = mqtt_connack_size(&test->connack);
        uint8_t *at = memory_must_alloc(size);
        struct mqtt_connack connack;

        assert_int_equal(mqtt_encode_connack(at, &test->connack), size);
        assert_bytes(slice_of(at, size), test->bytes);
        if (size > 0) {
            assert_int_equal(
                mqtt_decode_connack(test->connack.version, slice_of(at + 2, size - 2), &connack),
                MQTT_SUCCESS);
        }
        memory_free(at);
    }
}

/* Properties of more than 127 bytes: both lengths take two. */
static void test_long_connack(void **state)
{
    struct mqtt_connack_out out = {.version = 5};
    struct mqtt_connack connack;
    struct mqtt_frame frame;
    uint8_t at[256];
    size_t size;

    (void)state;
    out.reason_string = slice_of_text("a reason that is longer than a byte of the length can tell, "
                                      "so that both the packet and its properties need two bytes "
                                      "for theirs, as it happens in life");
    size = mqtt_encode_connack(at, &out);
    assert_int_equal(size, mqtt_connack_size(&out));
    assert_int_equal(mqtt_frame_decode(slice_of(at, size), 5, &frame), MQTT_FRAME_OK);
    assert_int_equal(frame.header_size, 3);
    assert_int_equal(frame.header_size + frame.body_size, size);
    assert_int_equal(mqtt_decode_connack(5, slice_of(at + 3, size - 3), &connack), MQTT_SUCCESS);
    assert_true(slice_is_equal(connack.properties.reason_string, out.reason_string));
}

static void check_suback(unsigned version, enum mqtt_packet_type type, const char *codes_text,
                         const char *expected)
{
    struct slice codes = bytes_parse(codes_text);
    size_t size = mqtt_suback_size(version, type, codes.len);
    uint8_t *at = memory_must_alloc(size);

    assert_int_equal(mqtt_encode_suback(at, version, type, 0x1234, codes), size);
    assert_bytes(slice_of(at, size), expected);
    memory_free(at);
    bytes_free(codes);
}

static void test_subacks(void **state)
{
    (void)state;
    check_suback(4, MQTT_SUBACK, "00 01 02 80 87 a2", "90 08 1234 00 01 02 80 80 80");
    check_suback(3, MQTT_SUBACK, "00", "90 03 1234 00");
    check_suback(5, MQTT_SUBACK, "00 01 87", "90 06 1234 00 00 01 87");
    check_suback(4, MQTT_UNSUBACK, "00 11", "b0 02 1234");
    check_suback(5, MQTT_UNSUBACK, "00 11", "b0 05 1234 00 00 11");
}

static void check_disconnect(enum mqtt_reason reason, const char *reason_string,
                             const char *server_reference, const char *expected)
{
    struct slice string = slice_of_text(reason_string);
    struct slice reference = slice_of_text(server_reference);
    size_t size = mqtt_disconnect_size(reason, string, reference);
    uint8_t *at = memory_must_alloc(size);
    struct mqtt_disconnect disconnect;

    assert_int_equal(mqtt_encode_disconnect(at, reason, string, reference), size);
    assert_bytes(slice_of(at, size), expected);
    assert_int_equal(mqtt_decode_disconnect(5, true, slice_of(at + 2, size - 2), &disconnect),
                     MQTT_SUCCESS);
    assert_true(slice_is_equal(disconnect.properties.reason_string, string));
    memory_free(at);
}

static void test_disconnects(void **state)
{
    (void)state;
    check_disconnect(MQTT_SUCCESS, "", "", "e0 00");
    check_disconnect(MQTT_SESSION_TAKEN_OVER, "", "", "e0 01 8e");
    check_disconnect(MQTT_SUCCESS, "x", "", "e0 06 00 04 1f 'x'");
    check_disconnect(MQTT_SERVER_MOVED, "", "host", "e0 09 9d 07 1c 'host'");
    check_disconnect(MQTT_SERVER_MOVED, "x", "h", "e0 0a 9d 08 1f 'x' 1c 'h'");
}

static void check_auth(const char *data_text, const char *expected)
{
    struct slice method = slice_of_text("m");
    struct slice data = slice_of_text(data_text);
    size_t size = mqtt_auth_size(method, data);
    uint8_t *at = memory_must_alloc(size);
    struct mqtt_disconnect auth;

    assert_int_equal(mqtt_encode_auth(at, MQTT_CONTINUE_AUTHENTICATION, method, data), size);
    assert_bytes(slice_of(at, size), expected);
    assert_int_equal(mqtt_decode_auth(5, slice_of(at + 2, size - 2), &auth), MQTT_SUCCESS);
    memory_free(at);
}

static void test_auths(void **state)
{
    (void)state;
    check_auth("", "f0 06 18 04 15 'm'");
    check_auth("data", "f0 0d 18 0b 15 'm' 16 'data'");
}

struct number_case {
    enum mqtt_property id;
    uint32_t value;
    const char *bytes;
};

static const struct number_case number_cases[] = {
    {MQTT_PAYLOAD_FORMAT_INDICATOR, 1,                  "01 01"      },
    {MQTT_TOPIC_ALIAS,              0x0102,             "23 0102"    },
    {MQTT_MESSAGE_EXPIRY_INTERVAL,  0x01020304,         "02 01020304"},
    {MQTT_SUBSCRIPTION_IDENTIFIER,  1,                  "0b 01"      },
    {MQTT_SUBSCRIPTION_IDENTIFIER,  128,                "0b 8001"    },
    {MQTT_SUBSCRIPTION_IDENTIFIER,  MQTT_REMAINING_MAX, "0b ffffff7f"},
};

static void test_properties(void **state)
{
    uint8_t at[16];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(number_cases); i++) {
        const struct number_case *test = &number_cases[i];
        size_t size = mqtt_property_number_size(test->id, test->value);

        assert_ptr_equal(mqtt_put_property_number(at, test->id, test->value), at + size);
        assert_bytes(slice_of(at, size), test->bytes);
    }
    assert_int_equal(mqtt_property_field_size(slice_of_text("ab")), 5);
    mqtt_put_property_field(at, MQTT_CONTENT_TYPE, slice_of_text("ab"));
    assert_bytes(slice_of(at, 5), "03 'ab'");
    assert_int_equal(mqtt_user_property_size(slice_of_text("k"), slice_of_text("v")), 7);
    mqtt_put_user_property(at, slice_of_text("k"), slice_of_text("v"));
    assert_bytes(slice_of(at, 7), "26 'k' 'v'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variable),     cmocka_unit_test(test_acks),
        cmocka_unit_test(test_told_acks),    cmocka_unit_test(test_connacks),
        cmocka_unit_test(test_long_connack), cmocka_unit_test(test_subacks),
        cmocka_unit_test(test_disconnects),  cmocka_unit_test(test_auths),
        cmocka_unit_test(test_properties),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
