#include "base/test.h"
#include "mqtt/packets.h"

/* Name, who sends it, fixed flags, packet identifier, least body in 3.x and 5.0. */
static const char *const expected[MQTT_PACKET_TYPE_CAP] = {
    [1] = "CONNECT client 0 no 12 13", [2] = "CONNACK server 0 no 2 3",
    [3] = "PUBLISH both * no 3 4",     [4] = "PUBACK both 0 id 2 2",
    [5] = "PUBREC both 0 id 2 2",      [6] = "PUBREL both 2 id 2 2",
    [7] = "PUBCOMP both 0 id 2 2",     [8] = "SUBSCRIBE client 2 id 6 7",
    [9] = "SUBACK server 0 id 3 4",    [10] = "UNSUBSCRIBE client 2 id 5 6",
    [11] = "UNSUBACK server 0 id 2 4", [12] = "PINGREQ client 0 no 0 0",
    [13] = "PINGRESP server 0 no 0 0", [14] = "DISCONNECT both 0 no 0 0",
    [15] = "AUTH both 0 no 0 0",
};

static void test_rows(void **state)
{
    static const char *const directions[] = {"", "client", "server", "both"};

    (void)state;
    for (unsigned type = 1; type < MQTT_PACKET_TYPE_CAP; type++) {
        const struct mqtt_packet_row *row = mqtt_packet_find(type);
        char flags[2] = {0};
        char text[64];

        assert_non_null(row);
        flags[0] = row->any_flags ? '*' : (char)('0' + row->flags);
        snprintf(text, sizeof(text), "%s %s %s %s %u %u", row->name, directions[row->direction],
                 flags, row->has_id ? "id" : "no", row->body_min, row->body_min_5);
        assert_string_equal(text, expected[type]);
        assert_int_equal(row->first_version, type == MQTT_AUTH ? 5 : 3);
        assert_int_equal(row->has_properties, type != MQTT_PINGREQ && type != MQTT_PINGRESP);
    }
}

static void test_unknown(void **state)
{
    (void)state;
    assert_null(mqtt_packet_find(0));
    assert_null(mqtt_packet_find(16));
    assert_string_equal(mqtt_packet_name(0), "UNKNOWN");
    assert_string_equal(mqtt_packet_name(99), "UNKNOWN");
    assert_string_equal(mqtt_packet_name(MQTT_PUBREL), "PUBREL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
