#include "base/test.h"
#include "bench/wire.h"

#define BYTES(text) slice_of(text, sizeof(text) - 1)

static void assert_bytes(const uint8_t *at, size_t len, struct slice expected)
{
    assert_int_equal(len, expected.len);
    assert_memory_equal(at, expected.data, len);
}

static void encodes(void **state)
{
    const struct slice filters[] = {BYTES("t"), BYTES("uv")};
    const struct wire_login plain = {.client_id = BYTES("ab")};
    const struct wire_login named = {.client_id = BYTES("ab"), .user = BYTES("u")};
    uint8_t at[128];

    (void)state;
    assert_bytes(at, wire_put_connect(at, 4, &plain),
                 BYTES("\x10\x0e\x00\x04MQTT\x04\x02\x02\x58\x00\x02"
                       "ab"));
    assert_bytes(at, wire_put_connect(at, 5, &plain),
                 BYTES("\x10\x0f\x00\x04MQTT\x05\x02\x02\x58\x00\x00\x02"
                       "ab"));
    assert_bytes(at, wire_put_connect(at, 4, &named),
                 BYTES("\x10\x13\x00\x04MQTT\x04\xc2\x02\x58\x00\x02"
                       "ab\0\x01u\0\0"));
    assert_bytes(at, wire_put_subscribe(at, 4, 1, filters, 1), BYTES("\x82\x06\0\x01\0\x01t\x01"));
    assert_bytes(at, wire_put_subscribe(at, 4, 1, filters, 2),
                 BYTES("\x82\x0b\0\x01\0\x01t\x01\0\x02uv\x01"));
    assert_bytes(at, wire_put_subscribe(at, 5, 2, filters, 1),
                 BYTES("\x82\x07\0\x01\0\0\x01t\x02"));
    assert_bytes(at, wire_put_publish(at, 4, 0, BYTES("t"), 64), BYTES("\x30\x43\0\x01t"));
    assert_bytes(at, wire_put_publish(at, 5, 2, BYTES("t"), 200),
                 BYTES("\x34\xce\x01\0\x01t\0\0\0"));
    assert_bytes(at, wire_put_ack(at, WIRE_PUBREL, 0x1234), BYTES("\x62\x02\x12\x34"));
    assert_bytes(at, wire_put_ack(at, WIRE_PUBACK, 7), BYTES("\x40\x02\x00\x07"));
    assert_bytes(at, wire_put_disconnect(at), BYTES("\xe0\0"));
    assert_bytes(at, wire_put_proxy(at, 0x010203),
                 BYTES("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\x01\x02\x03\xc0\0\x02\x01\x82\x03"
                       "\x07\x5b"));
}

struct parse_case {
    struct slice input;
    bool is_whole;
    size_t size;
};

static void parses_headers(void **state)
{
    /* clang-format off */
    const struct parse_case cases[] = {
        {BYTES(""), false, 0},
        {BYTES("\x30"), false, 0},
        {BYTES("\x30\x80"), false, 0},
        {BYTES("\x30\x02"), false, 4},
        {BYTES("\x30\x02\0"), false, 4},
        {BYTES("\x30\x02\0\0"), true, 4},
        {BYTES("\x30\x02\0\0\x30"), true, 4},
        {BYTES("\x30\x80\x01"), false, 131},
        {BYTES("\x30\xff\xff\xff\x7f"), false, 268435460},
        {BYTES("\x30\xff\xff\xff\xff\x7f"), false, 0},
    };
    /* clang-format on */

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice input = bytes_copy(cases[i].input);
        struct wire_packet packet;

        assert_int_equal(wire_parse(input, &packet), cases[i].is_whole);
        assert_int_equal(packet.size, cases[i].size);
        bytes_free(input);
    }
}

struct publish_case {
    unsigned version;
    struct slice input;
    const char *payload; /* NULL: malformed */
    uint16_t packet_id;
};

static void parses_publishes(void **state)
{
    /* clang-format off */
    const struct publish_case cases[] = {
        {4, BYTES("\x30\x05\0\x01tab"), "ab", 0},
        {4, BYTES("\x32\x07\0\x01t\0\x09" "ab"), "ab", 9},
        {5, BYTES("\x30\x06\0\x01t\0ab"), "ab", 0},
        {5, BYTES("\x34\x0a\0\x01t\x01\x02\x02\x01\x01" "ab"), "ab", 0x102},
        {4, BYTES("\x30\x01\0"), NULL, 0},
        {4, BYTES("\x30\x03\0\x02t"), NULL, 0},
        {4, BYTES("\x32\x04\0\x01t\0"), NULL, 0},
        {5, BYTES("\x30\x03\0\x01t"), NULL, 0},
        {5, BYTES("\x30\x05\0\x01t\x02\x01"), NULL, 0},
    };
    /* clang-format on */

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct publish_case *c = &cases[i];
        struct slice input = bytes_copy(c->input);
        struct wire_packet packet;
        struct wire_publish publish = {0};

        assert_true(wire_parse(input, &packet));
        assert_int_equal(wire_parse_publish(&packet, c->version, &publish), c->payload != NULL);
        if (c->payload) {
            assert_true(slice_is_equal(publish.topic, BYTES("t")));
            assert_true(slice_is_equal(publish.payload, slice_of_text(c->payload)));
            assert_int_equal(publish.packet_id, c->packet_id);
        }
        bytes_free(input);
    }
}

struct connack_case {
    unsigned version;
    struct slice input;
    int code;
    uint16_t receive_maximum;
};

static void parses_connacks(void **state)
{
    /* clang-format off */
    const struct connack_case cases[] = {
        {4, BYTES("\x20\x02\0\0"), 0, 65535},
        {4, BYTES("\x20\x02\0\x05"), 5, 65535},
        {4, BYTES("\x20\x01\0"), -1, 65535},
        {4, BYTES("\x30\x02\0\0"), -1, 65535},
        {5, BYTES("\x20\x03\0\0\0"), 0, 65535},
        {5, BYTES("\x20\x03\0\x87\0"), 0x87, 65535},
        {5, BYTES("\x20\x09\0\0\x06\x22\0\x0a\x21\0\x14"), 0, 20},
        {5, BYTES("\x20\x0d\0\0\x0a\x12\0\x02id\x24\x01\x21\0\x14"), 0, 20},
        {5, BYTES("\x20\x05\0\0\x03\x21\0"), -1, 65535},
        {5, BYTES("\x20\x05\0\0\x02\x99\0"), -1, 65535},
    };
    /* clang-format on */

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice input = bytes_copy(cases[i].input);
        struct wire_packet packet;
        uint16_t receive_maximum = 0;

        (void)wire_parse(input, &packet);
        packet.body.len = MIN(packet.body.len, input.len - 2);
        assert_int_equal(wire_parse_connack(&packet, cases[i].version, &receive_maximum),
                         cases[i].code);
        assert_int_equal(receive_maximum, cases[i].receive_maximum);
        bytes_free(input);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes),
        cmocka_unit_test(parses_headers),
        cmocka_unit_test(parses_publishes),
        cmocka_unit_test(parses_connacks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
