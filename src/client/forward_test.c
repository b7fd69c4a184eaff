#include "client/forward.h"
#include "client/hub.h"
#include "core/message.h"
#include "mqtt/wire_test.h"

/* The block of a PUBLISH or a will, as it came, and what goes on of it. */
struct row {
    unsigned packet;
    const char *came;
    const char *goes;
};

/* clang-format off */
static const struct row rows[] = {
    {MQTT_PUBLISH, "", ""},
    {MQTT_PUBLISH, "01 01", "01 01"},                                     /* payload format */
    {MQTT_PUBLISH, "03'text' 08'reply' 09'id'", "03'text' 08'reply' 09'id'"},
    {MQTT_PUBLISH, "26'b''1' 26'a''2' 26'b''3'", "26'b''1' 26'a''2' 26'b''3'"},
    {MQTT_PUBLISH, "23 0005", ""},                                        /* topic alias */
    {MQTT_PUBLISH, "02 0000000a", ""},                                    /* expiry */
    {MQTT_PUBLISH, "23 0005 26'a''1' 02 0000000a 26'b''2'", "26'a''1' 26'b''2'"},
    {MQTT_PUBLISH, "26'a''1' 23 0005", "26'a''1'"},
    {MQTT_WILL_PROPERTIES, "18 00000005", ""},                            /* will delay */
    {MQTT_WILL_PROPERTIES, "01 00 18 00000005 26'a''1' 02 00000001", "01 00 26'a''1'"},
};
/* clang-format on */

static struct mqtt_properties decode(unsigned packet, const char *text, struct slice *bytes_out)
{
    struct mqtt_properties properties;
    struct slice block = bytes_parse(text);
    uint8_t *whole = memory_must_alloc(block.len + 1);
    struct slice input = slice_of(whole, block.len + 1);

    assert_true(block.len < 128);
    whole[0] = (uint8_t)block.len;
    memcpy(whole + 1, block.data, block.len);
    bytes_free(block);
    *bytes_out = slice_of(whole, block.len + 1);
    assert_int_equal(mqtt_properties_decode(&input, packet, false, &properties), MQTT_SUCCESS);
    return properties;
}

static void test_what_goes_on(void **state)
{
    struct hub *hub = memory_must_alloc_zero(1, sizeof(*hub));

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice bytes;
        struct slice forwarded;
        struct mqtt_properties properties = decode(rows[i].packet, rows[i].came, &bytes);

        assert_int_equal(forward_properties(hub, &properties, &forwarded), 0);
        assert_bytes(forwarded, rows[i].goes);
        bytes_free(bytes);
    }
    memory_free(hub->scratch.bytes);
    memory_free(hub);
}

static void test_without_memory(void **state)
{
    struct hub *hub = memory_must_alloc_zero(1, sizeof(*hub));
    struct slice bytes;
    struct slice forwarded;
    struct mqtt_properties properties = decode(MQTT_PUBLISH, "23 0005 26'a''1'", &bytes);

    (void)state;
    memory_fail_after(1);
    assert_int_equal(forward_properties(hub, &properties, &forwarded), -ENOMEM);
    assert_int_equal(forward_properties(hub, &properties, &forwarded), 0);
    assert_bytes(forwarded, "26'a''1'");
    bytes_free(bytes);
    memory_free(hub->scratch.bytes);
    memory_free(hub);
}

static void test_expiry(void **state)
{
    static const struct {
        uint32_t interval;
        uint64_t now_ms;
        uint32_t expected;
    } times[] = {
        {0,          5000, 5             },
        {1,          5000, 6             },
        {1,          5001, 7             }, /* never early */
        {1,          5999, 7             },
        {UINT32_MAX, 5000, MESSAGE_LATEST},
    };
    struct mqtt_properties properties = {0};

    (void)state;
    assert_int_equal(forward_expiry(&properties, 5000), MESSAGE_NEVER);
    properties.present = UINT64_C(1) << MQTT_MESSAGE_EXPIRY_INTERVAL;
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        properties.message_expiry_interval = times[i].interval;
        assert_int_equal(forward_expiry(&properties, times[i].now_ms), times[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_goes_on),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_expiry),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
