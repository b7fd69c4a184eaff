#include "mqtt/encode.h"
#include "mqtt/wire_test.h"

/* CONNECT and PUBLISH of every kind are round trips in the tests of their decoders. */

static void test_connect(void **state)
{
    struct slice properties = bytes_parse("11 0000000a");
    struct mqtt_connect connect = {
        .version = 5,
        .clean_start = true,
        .has_will = true,
        .has_username = true,
        .has_password = true,
        .keep_alive = 60,
        .client_id = slice_of_text("id"),
        .username = slice_of_text("user"),
        .password = slice_of_text("pass"),
        .properties = {.raw = properties},
        .will = { .topic = slice_of_text("w"), .payload = slice_of_text("x"), .qos = 2},
    };
    uint8_t at[128];
    size_t size = mqtt_encode_connect(at, &connect);

    (void)state;
    assert_int_equal(size, mqtt_connect_size(&connect));
    assert_bytes(slice_of(at, size), "10 27 'MQTT' 05 d6 003c 05 11 0000000a 'id' 00 'w' 'x' "
                                     "'user' 'pass'");
    connect = (struct mqtt_connect){.version = 3, .client_id = slice_of_text("id")};
    size = mqtt_encode_connect(at, &connect);
    assert_bytes(slice_of(at, size), "10 10 'MQIsdp' 03 00 0000 'id'");
    bytes_free(properties);
}

static void test_publish(void **state)
{
    struct mqtt_publish publish = {
        .topic = slice_of_text("a/b"),
        .payload = slice_of_text("hello"),
        .packet_id = 7,
        .qos = 1,
        .retain = true,
    };
    uint8_t at[300];

    (void)state;
    assert_bytes(slice_of(at, mqtt_encode_publish(at, 4, &publish)), "33 0c 'a/b' 0007 68656c6c6f");
    assert_bytes(slice_of(at, mqtt_encode_publish(at, 5, &publish)),
                 "33 0d 'a/b' 0007 00 68656c6c6f");
    publish.qos = 0;
    publish.retain = false;
    assert_bytes(slice_of(at, mqtt_encode_publish(at, 4, &publish)), "30 0a 'a/b' 68656c6c6f");
    /* The size at which the Remaining Length grows. */
    for (size_t len = 120; len < 125; len++) {
        publish.payload = slice_of(at, len);
        assert_int_equal(mqtt_publish_size(4, &publish), len + 5 + (len <= 122 ? 2 : 3));
    }
}

struct filter_case {
    unsigned version;
    struct mqtt_filter filter;
    const char *properties;
    const char *subscribe;
    const char *unsubscribe;
};

#define FILTER                                   \
    {                                            \
        .data = (const uint8_t *)"a/#", .len = 3 \
    }

/* clang-format off */
static const struct filter_case filter_cases[] = {
    {4, {.filter = FILTER, .qos = 1}, "", "82 08 1234 'a/#' 01", "a2 07 1234 'a/#'"},
    {3, {.filter = FILTER, .no_local = true}, "0b 01", "82 08 1234 'a/#' 00", "a2 07 1234 'a/#'"},
    {5, {.filter = FILTER, .qos = 2}, "", "82 09 1234 00 'a/#' 02", "a2 08 1234 00 'a/#'"},
    {5, {.filter = FILTER, .qos = 2, .no_local = true, .retain_as_published = true,
         .retain_handling = 2}, "26 'k' 'v'", "82 10 1234 07 26 'k' 'v' 'a/#' 2e",
        "a2 0f 1234 07 26 'k' 'v' 'a/#'"},
};
/* clang-format on */

static void check_subscribe(const struct filter_case *test, struct slice properties)
{
    size_t size = mqtt_subscribe_size(test->version, &test->filter, properties);
    uint8_t *at = memory_must_alloc(size);
    struct mqtt_subscribe subscribe;
    struct mqtt_filter filter;

    assert_int_equal(mqtt_encode_subscribe(at, test->version, 0x1234, &test->filter, properties),
                     size);
    assert_bytes(slice_of(at, size), test->subscribe);
    assert_int_equal(mqtt_decode_subscribe(test->version, slice_of(at + 2, size - 2), &subscribe),
                     MQTT_SUCCESS);
    assert_true(mqtt_subscribe_next(&subscribe.filters, &filter));
    assert_true(slice_is_equal(filter.filter, test->filter.filter));
    assert_int_equal(filter.qos, test->filter.qos);
    memory_free(at);
}

static void check_unsubscribe(const struct filter_case *test, struct slice properties)
{
    size_t size = mqtt_unsubscribe_size(test->version, test->filter.filter, properties);
    uint8_t *at = memory_must_alloc(size);
    struct mqtt_subscribe unsubscribe;

    assert_int_equal(
        mqtt_encode_unsubscribe(at, test->version, 0x1234, test->filter.filter, properties), size);
    assert_bytes(slice_of(at, size), test->unsubscribe);
    assert_int_equal(
        mqtt_decode_unsubscribe(test->version, slice_of(at + 2, size - 2), &unsubscribe),
        MQTT_SUCCESS);
    memory_free(at);
}

static void test_filters(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(filter_cases); i++) {
        struct slice properties = bytes_parse(filter_cases[i].properties);

        check_subscribe(&filter_cases[i], properties);
        check_unsubscribe(&filter_cases[i], properties);
        bytes_free(properties);
    }
}

static void test_empty_packets(void **state)
{
    uint8_t at[2];

    (void)state;
    assert_bytes(slice_of(at, mqtt_encode_pingreq(at)), "c0 00");
    assert_bytes(slice_of(at, mqtt_encode_disconnect_3(at)), "e0 00");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect),
        cmocka_unit_test(test_publish),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_empty_packets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
