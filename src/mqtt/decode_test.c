#include "mqtt/decode.h"
#include "mqtt/wire_test.h"

struct frame_case {
    const char *bytes;
    unsigned version;
    enum mqtt_frame_verdict verdict;
    unsigned header_size;
    uint32_t body_size;
};

/* clang-format off */
static const struct frame_case frame_cases[] = {
    {"", 4, MQTT_FRAME_SHORT, 0, 0},
    {"30", 4, MQTT_FRAME_SHORT, 0, 0},
    {"30 80", 4, MQTT_FRAME_SHORT, 0, 0},
    {"30 ffffff", 4, MQTT_FRAME_SHORT, 0, 0},
    {"c0 00", 4, MQTT_FRAME_OK, 2, 0},
    {"30 7f", 4, MQTT_FRAME_OK, 2, 127},
    {"30 8001", 4, MQTT_FRAME_OK, 3, 128},
    {"30 ff7f", 4, MQTT_FRAME_OK, 3, 16383},
    {"30 808001", 4, MQTT_FRAME_OK, 4, 16384},
    {"30 ffff7f", 4, MQTT_FRAME_OK, 4, 2097151},
    {"30 80808001", 4, MQTT_FRAME_OK, 5, 2097152},
    {"30 ffffff7f", 4, MQTT_FRAME_OK, 5, MQTT_REMAINING_MAX},
    {"30 8000", 4, MQTT_FRAME_MALFORMED, 0, 0},
    {"30 ff00", 4, MQTT_FRAME_MALFORMED, 0, 0},
    {"30 808000", 4, MQTT_FRAME_MALFORMED, 0, 0},
    {"30 80808000", 4, MQTT_FRAME_MALFORMED, 0, 0},
    {"30 80808080", 4, MQTT_FRAME_MALFORMED, 0, 0},
    {"30 ffffffff01", 4, MQTT_FRAME_MALFORMED, 0, 0},
    /* a wrong first byte is known before the length */
    {"00", 4, MQTT_FRAME_MALFORMED, 0, 0},
    {"41", 4, MQTT_FRAME_MALFORMED, 0, 0},
    {"f0", 4, MQTT_FRAME_MALFORMED, 0, 0},
    {"f0 00", 3, MQTT_FRAME_MALFORMED, 0, 0},
    {"f0 00", 5, MQTT_FRAME_OK, 2, 0},
    {"f0 00", 0, MQTT_FRAME_OK, 2, 0},
    {"11 00", 0, MQTT_FRAME_MALFORMED, 0, 0},
    {"10 00", 0, MQTT_FRAME_OK, 2, 0},
    /* 3.1 does not use the flags */
    {"8a 06", 3, MQTT_FRAME_OK, 2, 6},
    {"80 06", 3, MQTT_FRAME_OK, 2, 6},
    {"6a 02", 3, MQTT_FRAME_OK, 2, 2},
    {"8a 06", 4, MQTT_FRAME_MALFORMED, 0, 0},
    {"80 06", 5, MQTT_FRAME_MALFORMED, 0, 0},
};
/* clang-format on */

/* Holds 5.0: MQTT-1.5.5-1. */
static void test_frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(frame_cases); i++) {
        const struct frame_case *test = &frame_cases[i];
        struct slice input = bytes_parse(test->bytes);
        struct mqtt_frame frame = {0};

        if (mqtt_frame_decode(input, test->version, &frame) != test->verdict) {
            fail_msg("frame %s, version %u", test->bytes, test->version);
        }
        if (test->verdict == MQTT_FRAME_OK) {
            assert_int_equal(frame.header_size, test->header_size);
            assert_int_equal(frame.body_size, test->body_size);
            assert_int_equal(frame.type, input.data[0] >> 4);
            assert_int_equal(frame.flags, input.data[0] & 0x0F);
        }
        bytes_free(input);
    }
}

static bool is_flag_right(unsigned type, unsigned flags)
{
    switch (type) {
    case 0: return false;
    case MQTT_PUBLISH: return true;
    case MQTT_PUBREL:
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE: return flags == 2;
    default: return flags == 0;
    }
}

static void test_each_first_byte(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t bytes[2] = {(uint8_t)byte, 0};
        bool is_right = is_flag_right(byte >> 4, byte & 0x0F);
        bool is_auth = byte >> 4 == MQTT_AUTH;
        struct mqtt_frame frame;

        for (unsigned version = 4; version <= 5; version++) {
            bool is_known = is_right && (version == 5 || !is_auth);

            assert_int_equal(mqtt_frame_decode(slice_of(bytes, 2), version, &frame),
                             is_known ? MQTT_FRAME_OK : MQTT_FRAME_MALFORMED);
        }
        assert_int_equal(mqtt_frame_decode(slice_of(bytes, 2), 3, &frame),
                         byte >= 0x10 && !is_auth ? MQTT_FRAME_OK : MQTT_FRAME_MALFORMED);
    }
}

static void test_ping(void **state)
{
    (void)state;
    assert_int_equal(mqtt_decode_ping(slice_of(NULL, 0)), MQTT_SUCCESS);
    assert_int_equal(mqtt_decode_ping(slice_of("a", 1)), MQTT_MALFORMED_PACKET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_each_first_byte),
        cmocka_unit_test(test_ping),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
