#include "base/test.h"
#include "client/client.h"
#include "client/hub.h"
#include "client/mount.h"

/* A client of a listener with this mount point. */
struct fixture {
    struct hub *hub;
    struct server_listener listener;
    struct client client;
};

static struct fixture *fixture_new(const char *mount)
{
    struct fixture *fixture = memory_must_alloc_zero(1, sizeof(*fixture));

    fixture->hub = memory_must_alloc_zero(1, sizeof(*fixture->hub));
    fixture->listener.mount = slice_of_text(mount);
    fixture->client.listener = &fixture->listener;
    fixture->client.hub = fixture->hub;
    return fixture;
}

static void fixture_free(struct fixture *fixture)
{
    memory_free(fixture->hub->name.bytes);
    memory_free(fixture->hub);
    memory_free(fixture);
}

static void assert_text(struct slice slice, const char *text)
{
    assert_true(slice_is_equal(slice, slice_of_text(text)));
}

struct filter_case {
    const char *filter;
    const char *mounted; /* NULL: refused */
};

static void test_filters(void **state)
{
    static const struct filter_case cases[] = {
        {"a",                "m/a"               },
        {"#",                "m/#"               },
        {"+/a",              "m/+/a"             },
        {"$SYS/#",           "m/$SYS/#"          },
        {"$share/group/a/#", "$share/group/m/a/#"},
        {"$share/group//",   "$share/group/m//"  },
        {"$shared/a",        "m/$shared/a"       },
        {"$share/group",     NULL                },
    };
    struct fixture *fixture = fixture_new("m/");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice filter = slice_of_text(cases[i].filter);
        enum mqtt_reason reason = mount_filter(&fixture->client, &filter);

        assert_int_equal(reason, cases[i].mounted ? MQTT_SUCCESS : MQTT_TOPIC_FILTER_INVALID);
        if (cases[i].mounted) {
            assert_text(filter, cases[i].mounted);
        }
    }
    fixture_free(fixture);
}

static void test_topics_and_back(void **state)
{
    struct fixture *fixture = fixture_new("m/");
    struct slice topic = slice_of_text("a/b");

    (void)state;
    assert_int_equal(mount_topic(&fixture->client, &topic), MQTT_SUCCESS);
    assert_text(topic, "m/a/b");
    assert_true(mount_strip(&fixture->client, &topic));
    assert_text(topic, "a/b");
    fixture_free(fixture);
}

static void test_what_is_outside(void **state)
{
    static const char *const topics[] = {"m", "m/", "n/a", "", "M/a"};
    struct fixture *fixture = fixture_new("m/");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(topics); i++) {
        struct slice topic = slice_of_text(topics[i]);

        assert_false(mount_strip(&fixture->client, &topic));
    }
    fixture_free(fixture);
}

/* A prefix need not end a level: then a wildcard is no level any more. */
static void test_within_a_level(void **state)
{
    struct fixture *fixture = fixture_new("m");
    struct slice filter = slice_of_text("a/#");

    (void)state;
    assert_int_equal(mount_filter(&fixture->client, &filter), MQTT_SUCCESS);
    assert_text(filter, "ma/#");
    filter = slice_of_text("#");
    assert_int_equal(mount_filter(&fixture->client, &filter), MQTT_TOPIC_FILTER_INVALID);
    fixture_free(fixture);
}

static void test_none(void **state)
{
    struct fixture *fixture = fixture_new("");
    struct slice name = slice_of_text("a");

    (void)state;
    assert_int_equal(mount_topic(&fixture->client, &name), MQTT_SUCCESS);
    assert_int_equal(mount_filter(&fixture->client, &name), MQTT_SUCCESS);
    assert_true(mount_strip(&fixture->client, &name));
    assert_text(name, "a");
    assert_null(fixture->hub->name.bytes);
    fixture_free(fixture);
}

/* Up to the longest name and the deepest one, and not beyond. */
static void test_bounds(void **state)
{
    struct fixture *fixture = fixture_new("m/");
    uint8_t *bytes = memory_must_alloc(UINT16_MAX);
    struct slice name;

    (void)state;
    memset(bytes, 'x', UINT16_MAX);
    name = slice_of(bytes, UINT16_MAX - 2);
    assert_int_equal(mount_topic(&fixture->client, &name), MQTT_SUCCESS);
    name = slice_of(bytes, UINT16_MAX - 1);
    assert_int_equal(mount_topic(&fixture->client, &name), MQTT_TOPIC_NAME_INVALID);
    assert_int_equal(mount_filter(&fixture->client, &name), MQTT_TOPIC_FILTER_INVALID);
    memset(bytes, '/', 200);
    name = slice_of(bytes, 199);
    assert_int_equal(mount_topic(&fixture->client, &name), MQTT_SUCCESS);
    name = slice_of(bytes, 200);
    assert_int_equal(mount_topic(&fixture->client, &name), MQTT_TOPIC_NAME_INVALID);
    name = slice_of(bytes, 200);
    assert_int_equal(mount_filter(&fixture->client, &name), MQTT_TOPIC_FILTER_INVALID);
    memory_free(bytes);
    fixture_free(fixture);
}

static void test_without_memory(void **state)
{
    struct fixture *fixture = fixture_new("m/");
    struct slice name = slice_of_text("a");

    (void)state;
    memory_fail_after(1);
    assert_int_equal(mount_topic(&fixture->client, &name), MQTT_QUOTA_EXCEEDED);
    memory_fail_after(1);
    assert_int_equal(mount_filter(&fixture->client, &name), MQTT_QUOTA_EXCEEDED);
    memory_fail_after(0);
    assert_text(name, "a");
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_topics_and_back),
        cmocka_unit_test(test_what_is_outside),
        cmocka_unit_test(test_within_a_level),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
