#include "mqtt/decode.h"
#include "mqtt/wire_test.h"

#define OK        MQTT_SUCCESS
#define MALFORMED MQTT_MALFORMED_PACKET
#define PROTOCOL  MQTT_PROTOCOL_ERROR

static enum mqtt_reason subscribe_reason(unsigned version, struct slice body)
{
    struct mqtt_subscribe subscribe;

    return mqtt_decode_subscribe(version, body, &subscribe);
}

/* clang-format off */
static const struct wire_case subscribe_cases[] = {
    {"one", "34", "0001 'a' 00", OK},
    {"three", "34", "0001 'a' 00 'b/+' 01 '#' 02", OK},
    {"5.0", "5", "0001 00 'a' 00", OK},
    {"5.0, all options", "5", "0001 00 'a' 2e", OK},
    {"5.0, identifier", "5", "0001 02 0b 01 'a' 00", OK},
    {"shared", "5", "0001 00 '$share/g/a' 01", OK},
    {"content of a filter is the caller's", "34", "0001 'a#b' 00", OK},
    {"packet identifier 0", "34", "0000 'a' 00", MALFORMED},
    {"packet identifier 0 in 5.0", "5", "0000 00 'a' 00", MALFORMED},
    {"nothing", "345", "", MALFORMED},
    {"no filter", "34", "0001", PROTOCOL},
    {"no filter in 5.0", "5", "0001 00", PROTOCOL},
    {"no properties in 5.0", "5", "0001", MALFORMED},
    {"empty filter", "34", "0001 '' 00", MALFORMED},
    {"empty filter behind another", "5", "0001 00 'a' 00 '' 00", MALFORMED},
    {"no options", "34", "0001 'a'", MALFORMED},
    {"no options behind another", "5", "0001 00 'a' 00 'b'", MALFORMED},
    {"a byte behind", "34", "0001 'a' 00 00", MALFORMED},
    {"filter, no UTF-8", "34", "0001 0001 ff 00", MALFORMED},
    {"filter with NUL", "5", "0001 00 0001 00 00", MALFORMED},
    {"filter cut", "34", "0001 0004 61 00", MALFORMED},
    {"QoS 3", "34", "0001 'a' 03", MALFORMED},
    {"QoS 3 in 5.0", "5", "0001 00 'a' 03", PROTOCOL},
    {"options of 5.0", "34", "0001 'a' 04", MALFORMED},
    {"retain handling 3", "5", "0001 00 'a' 30", PROTOCOL},
    {"reserved bit 6", "5", "0001 00 'a' 40", MALFORMED},
    {"reserved bit 7", "5", "0001 00 'a' 80", MALFORMED},
    {"reserved bit 7 in 3.x", "34", "0001 'a' 80", MALFORMED},
    {"no local", "5", "0001 00 'a' 04", OK},
    {"no local, shared", "5", "0001 00 '$share/g/a' 04", PROTOCOL},
    {"no local, badly shared", "5", "0001 00 '$share' 04", PROTOCOL},
    {"no local, not shared", "5", "0001 00 '$shared/g/a' 04", OK},
    {"identifier of a subscription 0", "5", "0001 02 0b 00 'a' 00", PROTOCOL},
    {"identifier of a subscription twice", "5", "0001 04 0b 01 0b 02 'a' 00", PROTOCOL},
    {"reason string", "5", "0001 04 1f 'x' 'a' 00", MALFORMED},
};
/* clang-format on */

static void test_subscribes(void **state)
{
    (void)state;
    wire_cases_run(subscribe_cases, ARRAY_LEN(subscribe_cases), subscribe_reason);
}

static enum mqtt_reason unsubscribe_reason(unsigned version, struct slice body)
{
    struct mqtt_subscribe unsubscribe;

    return mqtt_decode_unsubscribe(version, body, &unsubscribe);
}

/* clang-format off */
static const struct wire_case unsubscribe_cases[] = {
    {"one", "34", "0001 'a'", OK},
    {"three", "34", "0001 'a' 'b/+' '#'", OK},
    {"5.0", "5", "0001 00 'a'", OK},
    {"5.0, user property", "5", "0001 07 26 'k' 'v' 'a'", OK},
    {"identifier of a subscription", "5", "0001 02 0b 01 'a'", MALFORMED},
    {"packet identifier 0", "34", "0000 'a'", MALFORMED},
    {"no filter", "34", "0001", PROTOCOL},
    {"no filter in 5.0", "5", "0001 00", PROTOCOL},
    {"empty filter", "34", "0001 ''", MALFORMED},
    {"filter, no UTF-8", "34", "0001 0001 ff", MALFORMED},
    {"filter cut", "34", "0001 'a' 0002 61", MALFORMED},
    {"a byte behind", "34", "0001 'a' 00", MALFORMED},
};
/* clang-format on */

static void test_unsubscribes(void **state)
{
    (void)state;
    wire_cases_run(unsubscribe_cases, ARRAY_LEN(unsubscribe_cases), unsubscribe_reason);
}

static void test_walk(void **state)
{
    struct slice body = bytes_parse("0102 02 0b 07 'a' 01 'b/#' 2e '$share/g/c' 10");
    struct mqtt_subscribe subscribe;
    struct mqtt_filter filter;

    (void)state;
    assert_int_equal(mqtt_decode_subscribe(5, body, &subscribe), MQTT_SUCCESS);
    assert_int_equal(subscribe.packet_id, 0x0102);
    assert_int_equal(subscribe.filter_count, 3);
    assert_int_equal(subscribe.properties.subscription_identifier, 7);
    assert_true(mqtt_subscribe_next(&subscribe.filters, &filter));
    assert_text(filter.filter, "a");
    assert_true(filter.qos == 1 && !filter.no_local && !filter.retain_as_published);
    assert_true(mqtt_subscribe_next(&subscribe.filters, &filter));
    assert_text(filter.filter, "b/#");
    assert_true(filter.qos == 2 && filter.no_local && filter.retain_as_published);
    assert_int_equal(filter.retain_handling, 2);
    assert_true(mqtt_subscribe_next(&subscribe.filters, &filter));
    assert_text(filter.filter, "$share/g/c");
    assert_true(filter.qos == 0 && filter.retain_handling == 1 && !filter.no_local);
    assert_false(mqtt_subscribe_next(&subscribe.filters, &filter));
    bytes_free(body);
}

static void test_unsubscribe_walk(void **state)
{
    struct slice body = bytes_parse("0102 'a' 'b/#'");
    struct mqtt_subscribe unsubscribe;
    struct mqtt_filter filter;

    (void)state;
    assert_int_equal(mqtt_decode_unsubscribe(4, body, &unsubscribe), MQTT_SUCCESS);
    assert_int_equal(unsubscribe.filter_count, 2);
    assert_true(mqtt_unsubscribe_next(&unsubscribe.filters, &filter));
    assert_text(filter.filter, "a");
    assert_true(mqtt_unsubscribe_next(&unsubscribe.filters, &filter));
    assert_text(filter.filter, "b/#");
    assert_false(mqtt_unsubscribe_next(&unsubscribe.filters, &filter));
    bytes_free(body);
}

static enum mqtt_reason suback_reason(unsigned version, struct slice body)
{
    struct mqtt_suback suback;

    return mqtt_decode_suback(version, MQTT_SUBACK, body, &suback);
}

static enum mqtt_reason unsuback_reason(unsigned version, struct slice body)
{
    struct mqtt_suback unsuback;

    return mqtt_decode_suback(version, MQTT_UNSUBACK, body, &unsuback);
}

/* clang-format off */
static const struct wire_case suback_cases[] = {
    {"codes", "34", "0001 00010280", OK},
    {"a code of 5.0", "34", "0001 87", PROTOCOL},
    {"code 3", "345", "0001 00 03", PROTOCOL},
    {"no code", "34", "0001", MALFORMED},
    {"identifier 0", "34", "0000 00", MALFORMED},
    {"5.0", "5", "0001 00 00018791a2", OK},
    {"5.0, a code of UNSUBACK", "5", "0001 00 11", PROTOCOL},
    {"5.0, no code", "5", "0001 00", MALFORMED},
    {"5.0, reason string", "5", "0001 04 1f 'x' 00", OK},
};

static const struct wire_case unsuback_cases[] = {
    {"3.x", "34", "0001", OK},
    {"3.x with a code", "34", "0001 00", MALFORMED},
    {"5.0", "5", "0001 00 001187", OK},
    {"5.0, no code", "5", "0001 00", MALFORMED},
    {"5.0, a code of SUBACK", "5", "0001 00 01", PROTOCOL},
    {"identifier 0", "34", "0000", MALFORMED},
};
/* clang-format on */

static void test_subacks(void **state)
{
    (void)state;
    wire_cases_run(suback_cases, ARRAY_LEN(suback_cases), suback_reason);
    wire_cases_run(unsuback_cases, ARRAY_LEN(unsuback_cases), unsuback_reason);
}

/* Every code in SUBACK and UNSUBACK of 5.0. */
static void test_each_code(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 256; code++) {
        uint8_t body[] = {0, 1, 0, (uint8_t)code};

        assert_int_equal(suback_reason(5, slice_of(body, sizeof(body))),
                         mqtt_reason_is_allowed(code, MQTT_SUBACK) ? OK : PROTOCOL);
        assert_int_equal(unsuback_reason(5, slice_of(body, sizeof(body))),
                         mqtt_reason_is_allowed(code, MQTT_UNSUBACK) ? OK : PROTOCOL);
    }
}

/* As many filters as a packet of 100,000 bytes may hold: counted, in linear time. */
static void test_many(void **state)
{
    size_t count = 33332;
    uint8_t *body = memory_must_alloc(2 + count * 3);
    struct mqtt_subscribe unsubscribe;
    struct mqtt_filter filter;
    size_t seen = 0;

    (void)state;
    body[0] = 0;
    body[1] = 1;
    for (size_t i = 0; i < count; i++) {
        memcpy(body + 2 + i * 3, "\0\1a", 3);
    }
    assert_int_equal(mqtt_decode_unsubscribe(4, slice_of(body, 2 + count * 3), &unsubscribe), OK);
    assert_int_equal(unsubscribe.filter_count, count);
    while (mqtt_unsubscribe_next(&unsubscribe.filters, &filter)) {
        seen++;
    }
    assert_int_equal(seen, count);
    memory_free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subscribes), cmocka_unit_test(test_unsubscribes),
        cmocka_unit_test(test_walk),       cmocka_unit_test(test_unsubscribe_walk),
        cmocka_unit_test(test_subacks),    cmocka_unit_test(test_each_code),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
