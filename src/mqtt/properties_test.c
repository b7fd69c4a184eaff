#include "mqtt/packets.h"
#include "mqtt/properties.h"
#include "mqtt/wire_test.h"

/*
 * Every property with a good value, and the packets of 5.0 that it may stand in: a letter for each
 * (see packet_letters), '<' behind one in which only a client may send it, '>' only a server.
 */
struct property_case {
    enum mqtt_property id;
    const char *value;
    const char *packets;
};

/* By packet type: will, CONNECT, CONNACK, PUBLISH, its four answers, SUBSCRIBE, SUBACK, ... */
static const char packet_letters[] = "wckp1234sSuU--da";

/* clang-format off */
static const struct property_case property_cases[] = {
    {MQTT_PAYLOAD_FORMAT_INDICATOR, "01", "wp"},
    {MQTT_MESSAGE_EXPIRY_INTERVAL, "00000001", "wp"},
    {MQTT_CONTENT_TYPE, "'text'", "wp"},
    {MQTT_RESPONSE_TOPIC, "'a/b'", "wp"},
    {MQTT_CORRELATION_DATA, "0002 ff00", "wp"},
    {MQTT_SUBSCRIPTION_IDENTIFIER, "8001", "p>s"},
    {MQTT_SESSION_EXPIRY_INTERVAL, "ffffffff", "ckd<"},
    {MQTT_ASSIGNED_CLIENT_IDENTIFIER, "'id'", "k"},
    {MQTT_SERVER_KEEP_ALIVE, "003c", "k"},
    {MQTT_AUTHENTICATION_METHOD, "'SCRAM'", "cka"},
    {MQTT_AUTHENTICATION_DATA, "0001 00", "cka"},
    {MQTT_REQUEST_PROBLEM_INFORMATION, "00", "c"},
    {MQTT_WILL_DELAY_INTERVAL, "00000005", "w"},
    {MQTT_REQUEST_RESPONSE_INFORMATION, "01", "c"},
    {MQTT_RESPONSE_INFORMATION, "'r'", "k"},
    {MQTT_SERVER_REFERENCE, "'host'", "kd>"},
    {MQTT_REASON_STRING, "'why'", "k1234SUda"},
    {MQTT_RECEIVE_MAXIMUM, "0014", "ck"},
    {MQTT_TOPIC_ALIAS_MAXIMUM, "000a", "ck"},
    {MQTT_TOPIC_ALIAS, "0001", "p"},
    {MQTT_MAXIMUM_QOS, "01", "k"},
    {MQTT_RETAIN_AVAILABLE, "00", "k"},
    {MQTT_USER_PROPERTY, "'name' 'value'", "wckp1234sSuUda"},
    {MQTT_MAXIMUM_PACKET_SIZE, "001e8480", "ck"},
    {MQTT_WILDCARD_SUBSCRIPTION_AVAILABLE, "01", "k"},
    {MQTT_SUBSCRIPTION_IDENTIFIER_AVAILABLE, "01", "k"},
    {MQTT_SHARED_SUBSCRIPTION_AVAILABLE, "01", "k"},
};
/* clang-format on */

/* A block of one property, or of the same one twice. */
static struct slice make_block(unsigned id, const char *value, unsigned times)
{
    struct slice bytes = bytes_parse(value);
    struct slice block;
    uint8_t buffer[256];
    size_t len = 1;

    for (unsigned i = 0; i < times; i++) {
        buffer[len++] = (uint8_t)id;
        memcpy(buffer + len, bytes.data, bytes.len);
        len += bytes.len;
    }
    buffer[0] = (uint8_t)(len - 1);
    block = bytes_copy(slice_of(buffer, len));
    bytes_free(bytes);
    return block;
}

static enum mqtt_reason decode(struct slice block, unsigned packet_type, bool from_server,
                               struct mqtt_properties *properties)
{
    struct slice input = block;
    enum mqtt_reason reason = mqtt_properties_decode(&input, packet_type, from_server, properties);

    if (reason == MQTT_SUCCESS) {
        assert_int_equal(input.len, 0);
        assert_ptr_equal(input.data, block.data + block.len);
    }
    return reason;
}

static enum mqtt_reason expected_place(const struct property_case *test, unsigned packet_type,
                                       bool from_server)
{
    char letter = packet_letters[packet_type];
    const char *at = letter == '-' ? NULL : strchr(test->packets, letter);

    if (!at) {
        return MQTT_MALFORMED_PACKET;
    }
    return at[1] == (from_server ? '<' : '>') ? MQTT_PROTOCOL_ERROR : MQTT_SUCCESS;
}

static void check_each_packet(const struct property_case *test)
{
    struct slice once = make_block(test->id, test->value, 1);
    struct slice twice = make_block(test->id, test->value, 2);

    for (unsigned i = 0; i < 2 * MQTT_PACKET_TYPE_CAP; i++) {
        unsigned type = i / 2;
        bool from_server = i % 2 != 0;
        bool repeats = test->id == MQTT_USER_PROPERTY ||
                       (test->id == MQTT_SUBSCRIPTION_IDENTIFIER && type == MQTT_PUBLISH);
        enum mqtt_reason expected = expected_place(test, type, from_server);
        struct mqtt_properties properties;

        if (decode(once, type, from_server, &properties) != expected) {
            fail_msg("%s in %s", mqtt_property_find(test->id)->name, mqtt_packet_name(type));
        }
        if (expected == MQTT_SUCCESS) {
            assert_int_equal(properties.present, UINT64_C(1) << test->id);
            assert_int_equal(properties.raw.len, once.len - 1);
            expected = repeats ? MQTT_SUCCESS : MQTT_PROTOCOL_ERROR;
        }
        assert_int_equal(decode(twice, type, from_server, &properties), expected);
    }
    bytes_free(once);
    bytes_free(twice);
}

static void test_each_property_in_each_packet(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(property_cases); i++) {
        check_each_packet(&property_cases[i]);
    }
}

static void test_unknown(void **state)
{
    unsigned known = 0;

    (void)state;
    for (unsigned id = 0; id < 128; id++) {
        struct slice block = make_block(id, "00000000", 1);
        struct mqtt_properties properties;

        if (mqtt_property_find(id)) {
            known++;
        } else {
            assert_int_equal(decode(block, MQTT_CONNACK, true, &properties), MQTT_MALFORMED_PACKET);
        }
        bytes_free(block);
    }
    assert_int_equal(known, ARRAY_LEN(property_cases));
    assert_null(mqtt_property_find(1000));
}

/* The packet that a property is tried in, and its side. */
static unsigned home_of(unsigned id, bool *from_server_out)
{
    const struct mqtt_property_row *row = mqtt_property_find(id);
    unsigned type = 0;

    while ((row->packets >> type & 1) == 0) {
        type++;
    }
    *from_server_out = (row->server_only >> type & 1) != 0;
    return type;
}

struct value_case {
    enum mqtt_property id;
    const char *value;
    enum mqtt_reason expected;
};

/* clang-format off */
static const struct value_case value_cases[] = {
    {MQTT_PAYLOAD_FORMAT_INDICATOR, "00", MQTT_SUCCESS},
    {MQTT_PAYLOAD_FORMAT_INDICATOR, "02", MQTT_PROTOCOL_ERROR},
    {MQTT_REQUEST_PROBLEM_INFORMATION, "02", MQTT_PROTOCOL_ERROR},
    {MQTT_REQUEST_RESPONSE_INFORMATION, "ff", MQTT_PROTOCOL_ERROR},
    {MQTT_MAXIMUM_QOS, "02", MQTT_PROTOCOL_ERROR},
    {MQTT_RETAIN_AVAILABLE, "02", MQTT_PROTOCOL_ERROR},
    {MQTT_WILDCARD_SUBSCRIPTION_AVAILABLE, "02", MQTT_PROTOCOL_ERROR},
    {MQTT_SUBSCRIPTION_IDENTIFIER_AVAILABLE, "02", MQTT_PROTOCOL_ERROR},
    {MQTT_SHARED_SUBSCRIPTION_AVAILABLE, "02", MQTT_PROTOCOL_ERROR},
    {MQTT_RECEIVE_MAXIMUM, "0000", MQTT_PROTOCOL_ERROR},
    {MQTT_RECEIVE_MAXIMUM, "ffff", MQTT_SUCCESS},
    {MQTT_TOPIC_ALIAS_MAXIMUM, "0000", MQTT_SUCCESS},
    {MQTT_TOPIC_ALIAS, "0000", MQTT_TOPIC_ALIAS_INVALID},
    {MQTT_TOPIC_ALIAS, "ffff", MQTT_SUCCESS},
    {MQTT_MAXIMUM_PACKET_SIZE, "00000000", MQTT_PROTOCOL_ERROR},
    {MQTT_MAXIMUM_PACKET_SIZE, "ffffffff", MQTT_SUCCESS},
    {MQTT_SERVER_KEEP_ALIVE, "0000", MQTT_SUCCESS},
    {MQTT_SESSION_EXPIRY_INTERVAL, "00000000", MQTT_SUCCESS},
    {MQTT_MESSAGE_EXPIRY_INTERVAL, "00000000", MQTT_SUCCESS},
    {MQTT_WILL_DELAY_INTERVAL, "00000000", MQTT_SUCCESS},
    {MQTT_SUBSCRIPTION_IDENTIFIER, "00", MQTT_PROTOCOL_ERROR},
    {MQTT_SUBSCRIPTION_IDENTIFIER, "ffffff7f", MQTT_SUCCESS},
    {MQTT_SUBSCRIPTION_IDENTIFIER, "ffffffff01", MQTT_MALFORMED_PACKET},
    {MQTT_SUBSCRIPTION_IDENTIFIER, "8100", MQTT_MALFORMED_PACKET},
    {MQTT_RESPONSE_TOPIC, "'a/+'", MQTT_PROTOCOL_ERROR},
    {MQTT_RESPONSE_TOPIC, "'#'", MQTT_PROTOCOL_ERROR},
    {MQTT_RESPONSE_TOPIC, "0001 ff", MQTT_MALFORMED_PACKET},
    {MQTT_CONTENT_TYPE, "0001 00", MQTT_MALFORMED_PACKET},
    {MQTT_CONTENT_TYPE, "0003 eda080", MQTT_MALFORMED_PACKET},
    {MQTT_CONTENT_TYPE, "''", MQTT_SUCCESS},
    {MQTT_CORRELATION_DATA, "0000", MQTT_SUCCESS},
    {MQTT_AUTHENTICATION_METHOD, "0001 c3", MQTT_MALFORMED_PACKET},
    {MQTT_ASSIGNED_CLIENT_IDENTIFIER, "0001 01", MQTT_MALFORMED_PACKET},
    {MQTT_SERVER_REFERENCE, "0001 7f", MQTT_MALFORMED_PACKET},
    {MQTT_REASON_STRING, "0002 c080", MQTT_MALFORMED_PACKET},
    {MQTT_RESPONSE_INFORMATION, "0001 80", MQTT_MALFORMED_PACKET},
    {MQTT_USER_PROPERTY, "'' ''", MQTT_SUCCESS},
    {MQTT_USER_PROPERTY, "0001 ff ''", MQTT_MALFORMED_PACKET},
    {MQTT_USER_PROPERTY, "'' 0001 ff", MQTT_MALFORMED_PACKET},
    {MQTT_USER_PROPERTY, "'a'", MQTT_MALFORMED_PACKET},
    {MQTT_USER_PROPERTY, "'a' 0002 61", MQTT_MALFORMED_PACKET},
};
/* clang-format on */

static void test_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(value_cases); i++) {
        const struct value_case *test = &value_cases[i];
        struct slice block = make_block(test->id, test->value, 1);
        struct mqtt_properties properties;
        bool from_server;
        unsigned type = home_of(test->id, &from_server);
        enum mqtt_reason reason = decode(block, type, from_server, &properties);

        if (reason != test->expected) {
            fail_msg("%s with %s: 0x%02x", mqtt_property_find(test->id)->name, test->value, reason);
        }
        bytes_free(block);
    }
}

/* Cut in the bytes, and cut by the length in front. */
static void test_cuts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(property_cases); i++) {
        struct slice block = make_block(property_cases[i].id, property_cases[i].value, 1);
        bool from_server;
        unsigned type = home_of(property_cases[i].id, &from_server);

        for (size_t len = 0; len < block.len; len++) {
            struct slice cut = bytes_copy(slice_of(block.data, len));
            struct mqtt_properties properties;

            assert_int_equal(decode(cut, type, from_server, &properties), MQTT_MALFORMED_PACKET);
            if (len > 1) {
                *(uint8_t *)(uintptr_t)cut.data = (uint8_t)(len - 1);
                assert_int_equal(decode(cut, type, from_server, &properties),
                                 MQTT_MALFORMED_PACKET);
            }
            bytes_free(cut);
        }
        bytes_free(block);
    }
}

static void test_stored(void **state)
{
    struct slice connack = bytes_parse(
        "5e 22 000a 13 003c 12 'id' 11 01020304 1a 'r' 15 'm' 16 'd' 1f 'why' 1c 'h' 25 00 27 "
        "001e8480 21 0014 24 01 28 00 29 01 2a 00 26 'k' 'v' 26 'k' 'w'");
    struct slice publish = bytes_parse("22 01 01 02 01020304 03 't' 08 'r' 09 'c' 0b 05 0b 8001 "
                                       "23 0007");
    struct mqtt_properties p;

    (void)state;
    ((uint8_t *)(uintptr_t)connack.data)[0] = (uint8_t)(connack.len - 1);
    ((uint8_t *)(uintptr_t)publish.data)[0] = (uint8_t)(publish.len - 1);
    assert_int_equal(decode(connack, MQTT_CONNACK, true, &p), MQTT_SUCCESS);
    assert_int_equal(p.topic_alias_maximum, 10);
    assert_int_equal(p.server_keep_alive, 60);
    assert_int_equal(p.session_expiry_interval, 0x01020304);
    assert_int_equal(p.maximum_packet_size, 2000000);
    assert_int_equal(p.receive_maximum, 20);
    assert_int_equal(p.maximum_qos, 1);
    assert_int_equal(p.retain_available, 0);
    assert_int_equal(p.wildcard_subscription_available, 0);
    assert_int_equal(p.subscription_identifier_available, 1);
    assert_int_equal(p.shared_subscription_available, 0);
    assert_true(mqtt_properties_has(&p, MQTT_RETAIN_AVAILABLE));
    assert_false(mqtt_properties_has(&p, MQTT_TOPIC_ALIAS));
    assert_text(p.assigned_client_identifier, "id");
    assert_text(p.response_information, "r");
    assert_text(p.authentication_method, "m");
    assert_text(p.authentication_data, "d");
    assert_text(p.reason_string, "why");
    assert_text(p.server_reference, "h");
    assert_int_equal(decode(publish, MQTT_PUBLISH, true, &p), MQTT_SUCCESS);
    assert_int_equal(p.payload_format_indicator, 1);
    assert_int_equal(p.message_expiry_interval, 0x01020304);
    assert_int_equal(p.subscription_identifier, 128);
    assert_int_equal(p.topic_alias, 7);
    assert_text(p.content_type, "t");
    assert_text(p.response_topic, "r");
    assert_text(p.correlation_data, "c");
    bytes_free(connack);
    bytes_free(publish);
}

static void test_walk(void **state)
{
    struct slice block = bytes_parse("17 02 00000001 26 'k' 'v' 0b 8001 26 '' 'x' 01 00");
    struct slice input = block;
    struct mqtt_properties properties;
    enum mqtt_property id;
    struct slice whole;
    struct slice name;
    struct slice value;

    (void)state;
    assert_int_equal(mqtt_properties_decode(&input, MQTT_PUBLISH, true, &properties), MQTT_SUCCESS);
    assert_true(mqtt_properties_next(&properties.raw, &id, &whole));
    assert_int_equal(id, MQTT_MESSAGE_EXPIRY_INTERVAL);
    assert_bytes(whole, "02 00000001");
    assert_true(mqtt_properties_next(&properties.raw, &id, &whole));
    assert_int_equal(id, MQTT_USER_PROPERTY);
    mqtt_user_property_decode(whole, &name, &value);
    assert_text(name, "k");
    assert_text(value, "v");
    assert_true(mqtt_properties_next(&properties.raw, &id, &whole));
    assert_int_equal(id, MQTT_SUBSCRIPTION_IDENTIFIER);
    assert_bytes(whole, "0b 8001");
    assert_true(mqtt_properties_next(&properties.raw, &id, &whole));
    mqtt_user_property_decode(whole, &name, &value);
    assert_text(name, "");
    assert_text(value, "x");
    assert_true(mqtt_properties_next(&properties.raw, &id, &whole));
    assert_int_equal(id, MQTT_PAYLOAD_FORMAT_INDICATOR);
    assert_false(mqtt_properties_next(&properties.raw, &id, &whole));
    bytes_free(block);
}

struct framing_case {
    const char *bytes;
    enum mqtt_reason expected;
    size_t left;
};

static const struct framing_case framing_cases[] = {
    {"",             MQTT_MALFORMED_PACKET, 0},
    {"00",           MQTT_SUCCESS,          0},
    {"00 0102",      MQTT_SUCCESS,          2},
    {"80",           MQTT_MALFORMED_PACKET, 0},
    {"8000",         MQTT_MALFORMED_PACKET, 0},
    {"02 01",        MQTT_MALFORMED_PACKET, 0},
    {"ffffffff01",   MQTT_MALFORMED_PACKET, 0},
    {"02 0101 02",   MQTT_SUCCESS,          1},
    {"01 01 01",     MQTT_MALFORMED_PACKET, 0},
    {"03 8100 01",   MQTT_MALFORMED_PACKET, 0}, /* an over-long identifier */
    {"03 80 01 00",  MQTT_MALFORMED_PACKET, 0},
    {"04 0101 0101", MQTT_PROTOCOL_ERROR,   0},
};

static void test_framing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(framing_cases); i++) {
        const struct framing_case *test = &framing_cases[i];
        struct slice block = bytes_parse(test->bytes);
        struct slice input = block;
        struct mqtt_properties properties;
        enum mqtt_reason reason = mqtt_properties_decode(&input, MQTT_PUBLISH, false, &properties);

        if (reason != test->expected || (reason == MQTT_SUCCESS && input.len != test->left)) {
            fail_msg("block %s: 0x%02x", test->bytes, reason);
        }
        bytes_free(block);
    }
}

/* As many user properties as a packet can hold: linear in time, and the last one still counts. */
static void test_many(void **state)
{
    size_t count = 200000;
    struct slice one = bytes_parse("26 '' ''");
    uint8_t *bytes = memory_must_alloc(4 + count * one.len);
    struct mqtt_properties properties;
    struct slice input;

    (void)state;
    bytes[0] = (uint8_t)(count * one.len) | 0x80;
    bytes[1] = (uint8_t)(count * one.len >> 7) | 0x80;
    bytes[2] = (uint8_t)(count * one.len >> 14);
    for (size_t i = 0; i < count; i++) {
        memcpy(bytes + 3 + i * one.len, one.data, one.len);
    }
    input = slice_of(bytes, 3 + count * one.len);
    assert_int_equal(mqtt_properties_decode(&input, MQTT_PUBLISH, false, &properties),
                     MQTT_SUCCESS);
    assert_int_equal(properties.raw.len, count * one.len);
    bytes[3 + (count - 1) * one.len] = 0x7E;
    input = slice_of(bytes, 3 + count * one.len);
    assert_int_equal(mqtt_properties_decode(&input, MQTT_PUBLISH, false, &properties),
                     MQTT_MALFORMED_PACKET);
    memory_free(bytes);
    bytes_free(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_property_in_each_packet),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_stored),
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_framing),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
