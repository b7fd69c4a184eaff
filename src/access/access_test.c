#include "access/access.h"
#include "base/test.h"

/* Without anything that could check a name, a name changes nothing. */
static void test_who_may_connect(void **state)
{
    static const struct {
        bool allow_anonymous;
        const char *username; /* NULL: none was sent */
        enum mqtt_reason expected;
    } rows[] = {
        {true,  NULL,   MQTT_SUCCESS       },
        {true,  "",     MQTT_SUCCESS       },
        {true,  "anna", MQTT_SUCCESS       },
        {false, NULL,   MQTT_NOT_AUTHORIZED},
        {false, "",     MQTT_NOT_AUTHORIZED},
        {false, "anna", MQTT_NOT_AUTHORIZED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct listener_settings listener = {.allow_anonymous = rows[i].allow_anonymous};
        struct access_request request = {
            .listener = &listener,
            .client_id = slice_of_text("c"),
            .username = slice_of_text(rows[i].username ? rows[i].username : ""),
            .has_username = rows[i].username != NULL,
        };

        assert_int_equal(access_connect(&request), rows[i].expected);
    }
}

static void test_what_may_be_published(void **state)
{
    static const struct {
        const char *topic;
        bool may;
    } rows[] = {
        {"a",                true },
        {"/",                true },
        {"SYS",              true },
        {"/$SYS",            true },
        {"a/$SYS/b",         true },
        {"$SY",              true },
        {"$SYSTEM",          true },
        {"$sys/a",           true },
        {"$other/a",         true },
        {"$CONTROLLER/a",    true },
        {"$SYS",             false},
        {"$SYS/",            false},
        {"$SYS/broker/load", false},
        {"$SYS//",           false},
        {"$CONTROL",         false},
        {"$CONTROL/broker",  false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice topic = bytes_copy(slice_of_text(rows[i].topic));

        assert_int_equal(access_publish(topic), rows[i].may ? MQTT_SUCCESS : MQTT_NOT_AUTHORIZED);
        bytes_free(topic);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_may_connect),
        cmocka_unit_test(test_what_may_be_published),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
