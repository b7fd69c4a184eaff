#include "base/test.h"
#include "mqtt/topics.h"
#include "sim/wire.h"

#include <stdlib.h>

static const struct wire_message messages[] = {
    {.topic = 0,    .size = 6, .qos = 0      },
    { .topic = 2, .size = 5000,  .qos = 2, .retain = true},
    { .topic = 3,    .size = 0,  .qos = 1, .retain = true},
};
static const unsigned message_len = ARRAY_LEN(messages);

/* What the clients send comes back as the server's: PUBLISH and the acknowledgements. */
static void test_round_trip(void **state)
{
    static const struct wire_packet packets[] = {
        {.type = MQTT_PUBLISH, .message = 0      },
        {               .type = MQTT_PUBLISH,        .message = 1,           .qos = 2, .packet_id = 7, .retain = true},
        { .type = MQTT_PUBLISH,                    .message = 2,                   .qos = 1, .packet_id = 8, .dup = true, .retain = true},
        { .type = MQTT_PUBACK,      .packet_id = 9,             .message = WIRE_NO_MESSAGE},
        {             .type = MQTT_PUBREL,  .packet_id = 10, .message = WIRE_NO_MESSAGE},
    };

    struct wire_aliases aliases = {0};

    (void)state;
    wire_set_messages(messages, &message_len);
    for (unsigned version = MQTT_3_1_1; version <= MQTT_5_0; version++) {
        for (unsigned i = 0; i < ARRAY_LEN(packets); i++) {
            struct wire_packet decoded;
            size_t len;
            uint8_t *bytes = wire_encode(version, &packets[i], NULL, &len);

            assert_int_equal(wire_decode(version, slice_of(bytes, len - 1), &aliases, &decoded), 0);
            assert_int_equal(wire_decode(version, slice_of(bytes, len), &aliases, &decoded), len);
            assert_int_equal(decoded.type, packets[i].type);
            assert_int_equal(decoded.message, packets[i].message);
            assert_int_equal(decoded.packet_id, packets[i].packet_id);
            assert_int_equal(decoded.qos, packets[i].qos);
            assert_int_equal(decoded.dup, packets[i].dup);
            assert_int_equal(decoded.retain, packets[i].retain);
            free(bytes);
        }
    }
}

static void test_requests_are_well_formed(void **state)
{
    static const struct wire_packet packet = {
        .type = MQTT_SUBSCRIBE,
        .packet_id = 3,
        .filter_len = 2,
        .filters = {0, 3},
        .codes = {1, 2},
        .identifier = 300,
    };

    (void)state;
    for (unsigned version = MQTT_3_1_1; version <= MQTT_5_0; version++) {
        size_t len;
        uint8_t *bytes = wire_encode(version, &packet, NULL, &len);
        struct mqtt_subscribe subscribe;
        struct mqtt_filter filter;

        assert_int_equal(mqtt_decode_subscribe(version, slice_of(bytes + 2, len - 2), &subscribe),
                         MQTT_SUCCESS);
        assert_int_equal(subscribe.packet_id, 3);
        assert_int_equal(subscribe.properties.subscription_identifier,
                         version == MQTT_5_0 ? 300 : 0);
        assert_true(mqtt_subscribe_next(&subscribe.filters, &filter));
        assert_int_equal(filter.qos, 1);
        assert_true(slice_is_equal(filter.filter, slice_of_text(world_filter(0))));
        assert_true(mqtt_subscribe_next(&subscribe.filters, &filter));
        assert_true(slice_is_equal(filter.filter, slice_of_text(world_filter(3))));
        assert_false(mqtt_subscribe_next(&subscribe.filters, &filter));
        free(bytes);
    }
}

/* What a client says of an alias reads like a server's: set, then alone. */
static void test_aliases(void **state)
{
    struct wire_packet packet = {.type = MQTT_PUBLISH, .message = 1, .alias = 2, .packet_id = 1};
    struct wire_aliases aliases = {.maximum = 2};
    struct wire_packet decoded;

    (void)state;
    wire_set_messages(messages, &message_len);
    packet.qos = messages[1].qos;
    for (unsigned i = 0; i < 2; i++) {
        size_t len;
        uint8_t *bytes = wire_encode(MQTT_5_0, &packet, NULL, &len);

        assert_int_equal(wire_decode(MQTT_5_0, slice_of(bytes, len), &aliases, &decoded), len);
        assert_int_equal(decoded.message, 1);
        free(bytes);
        packet.is_alias_alone = true;
    }
}

static void test_disconnect_with_expiry(void **state)
{
    static const struct wire_packet packet = {
        .type = MQTT_DISCONNECT, .code = 4, .has_expiry = true, .expiry = 77};
    struct mqtt_disconnect disconnect;
    size_t len;
    uint8_t *bytes = wire_encode(MQTT_5_0, &packet, NULL, &len);

    (void)state;
    assert_int_equal(
        mqtt_decode_disconnect(MQTT_5_0, false, slice_of(bytes + 2, len - 2), &disconnect),
        MQTT_SUCCESS);
    assert_int_equal(disconnect.reason, 4);
    assert_int_equal(disconnect.properties.session_expiry_interval, 77);
    free(bytes);
}

static void test_universe(void **state)
{
    (void)state;
    for (unsigned topic = 0; topic < WORLD_TOPIC_LEN; topic++) {
        struct slice name = slice_of_text(world_topic(topic));

        assert_true(mqtt_topic_is_valid(name));
        assert_int_equal(world_matches(WORLD_ALL, topic), name.data[0] != '$');
        assert_int_equal(world_matches(WORLD_ALL_HIDDEN, topic), name.data[0] == '$');
        for (unsigned filter = 0; filter < WORLD_FILTER_LEN; filter++) {
            assert_int_equal(world_matches(filter, topic),
                             mqtt_filter_matches(slice_of_text(world_filter(filter)), name));
        }
        for (unsigned filter = WORLD_FILTER_LEN; filter < WORLD_NAME_LEN; filter++) {
            struct slice group;
            struct slice inner;

            assert_int_equal(mqtt_share_parse(slice_of_text(world_filter(filter)), &group, &inner),
                             MQTT_SHARE_GROUP);
            assert_int_equal(world_matches(filter, topic), mqtt_filter_matches(inner, name));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_requests_are_well_formed),
        cmocka_unit_test(test_aliases),    cmocka_unit_test(test_disconnect_with_expiry),
        cmocka_unit_test(test_universe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
