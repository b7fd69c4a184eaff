#include "mqtt/topics.h"
#include "mqtt/topics_naive.h"
#include "mqtt/wire_test.h"

#include <stdlib.h>

static bool ask(bool (*question)(struct slice), const char *text)
{
    struct slice copy = bytes_copy(slice_of_text(text));
    bool answer = question(copy);

    bytes_free(copy);
    return answer;
}

struct validity_case {
    const char *text;
    bool is_topic;
    bool is_filter;
};

static const struct validity_case validity_cases[] = {
    {"",           false, false},
    {"a",          true,  true },
    {"/",          true,  true },
    {"//",         true,  true },
    {"a/b/c",      true,  true },
    {" ",          true,  true },
    {"$SYS/a",     true,  true },
    {"$share/g/a", true,  true },
    {"+",          false, true },
    {"#",          false, true },
    {"/#",         false, true },
    {"/+",         false, true },
    {"+/+/#",      false, true },
    {"+/",         false, true },
    {"a/+/b",      false, true },
    {"a/#",        false, true },
    {"a+",         false, false},
    {"+a",         false, false},
    {"a/b+/c",     false, false},
    {"++",         false, false},
    {"a#",         false, false},
    {"#a",         false, false},
    {"##",         false, false},
    {"#/",         false, false},
    {"a/#/b",      false, false},
    {"#/#",        false, false},
    {"+#",         false, false},
    {"a\x01",      false, false},
    {"a\xFF",      false, false},
    {"\xC3\xA4/+", false, true },
    {"a\xC3",      false, false},
    {"a\xC3\xA4",  true,  true },
};

static void test_validity(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(validity_cases); i++) {
        const struct validity_case *test = &validity_cases[i];

        if (ask(mqtt_topic_is_valid, test->text) != test->is_topic) {
            fail_msg("topic %s", test->text);
        }
        if (ask(mqtt_filter_is_valid, test->text) != test->is_filter) {
            fail_msg("filter %s", test->text);
        }
    }
    assert_false(mqtt_topic_is_valid(slice_of("a\0b", 3)));
    assert_false(mqtt_filter_is_valid(slice_of("a\0b", 3)));
}

static void test_bounds(void **state)
{
    static uint8_t text[UINT16_MAX + 1];

    (void)state;
    memset(text, '/', sizeof(text));
    assert_true(mqtt_topic_is_valid(slice_of(text, MQTT_TOPIC_LEVEL_MAX)));
    assert_false(mqtt_topic_is_valid(slice_of(text, MQTT_TOPIC_LEVEL_MAX + 1)));
    assert_true(mqtt_filter_is_valid(slice_of(text, MQTT_TOPIC_LEVEL_MAX)));
    assert_false(mqtt_filter_is_valid(slice_of(text, MQTT_TOPIC_LEVEL_MAX + 1)));
    assert_false(mqtt_filter_is_valid(slice_of(text, UINT16_MAX)));
    memset(text, 'a', sizeof(text));
    assert_true(mqtt_topic_is_valid(slice_of(text, UINT16_MAX)));
    assert_false(mqtt_topic_is_valid(slice_of(text, UINT16_MAX + 1)));
    assert_true(mqtt_filter_is_valid(slice_of(text, UINT16_MAX)));
    assert_false(mqtt_filter_is_valid(slice_of(text, UINT16_MAX + 1)));
}

static void test_has_wildcard(void **state)
{
    (void)state;
    assert_false(ask(mqtt_filter_has_wildcard, ""));
    assert_false(ask(mqtt_filter_has_wildcard, "a/b/$c"));
    assert_true(ask(mqtt_filter_has_wildcard, "a/+"));
    assert_true(ask(mqtt_filter_has_wildcard, "#"));
}

struct match_case {
    const char *filter;
    const char *topic;
    bool matches;
};

static const struct match_case match_cases[] = {
    {"a",        "a",         true },
    {"a",        "b",         false},
    {"a",        "A",         false},
    {"a",        "a/",        false},
    {"a/",       "a",         false},
    {"a",        "aa",        false},
    {"aa",       "a",         false},
    {"#",        "a",         true },
    {"#",        "/",         true },
    {"#",        "a/b/c",     true },
    {"a/#",      "a",         true },
    {"a/#",      "a/",        true },
    {"a/#",      "a/b",       true },
    {"a/#",      "a/b/c",     true },
    {"a/#",      "ab",        false},
    {"a/#",      "b",         false},
    {"a/b/#",    "a",         false},
    {"a/#",      "",          false},
    {"+",        "a",         true },
    {"+",        "/",         false},
    {"+",        "a/b",       false},
    {"+/+",      "/",         true },
    {"/+",       "/a",        true },
    {"/+",       "/",         true },
    {"+",        "/a",        false},
    {"a/+",      "a",         false},
    {"a/+",      "a/",        true },
    {"a/+/c",    "a/b/c",     true },
    {"a/+/c",    "a//c",      true },
    {"a/+/c",    "a/b/d",     false},
    {"a/+/#",    "a/b",       true },
    {"a/+/#",    "a",         false},
    {"+/#",      "a",         true },
    {"+/b",      "a/b",       true },
    {"+/b",      "/b",        true },
    {"+/b",      "b",         false},
    {"$SYS/#",   "$SYS",      true },
    {"$SYS/#",   "$SYS/a",    true },
    {"#",        "$SYS/a",    false},
    {"+/a",      "$SYS/a",    false},
    {"+",        "$SYS",      false},
    {"$SYS/+",   "$SYS/a",    true },
    {"a/#",      "a/$b",      true },
    {"a/+",      "a/$b",      true },
    {"+/+",      "a/$b",      true },
    {"/#",       "/",         true },
    {"/#",       "a",         false},
    {"//#",      "/",         true },
    {"a//b",     "a//b",      true },
    {"a//b",     "a/b",       false},
    {"",         "a",         false},
    {"+/+/+",    "a/b/c",     true },
    {"+/+/+",    "a/b",       false},
    {"+/+/#",    "a/b",       true },
    {"\xC3\xA4", "a\xCC\x88", false},
};

/* Holds 3.1.1: MQTT-4.7.1-2 MQTT-4.7.1-3 MQTT-4.7.2-1 5.0: MQTT-4.7.1-1 MQTT-4.7.1-2
 * MQTT-4.7.2-1. */
static void test_matches(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(match_cases); i++) {
        const struct match_case *test = &match_cases[i];
        struct slice filter = bytes_copy(slice_of_text(test->filter));
        struct slice topic = bytes_copy(slice_of_text(test->topic));

        if (mqtt_filter_matches(filter, topic) != test->matches) {
            fail_msg("%s against %s", test->filter, test->topic);
        }
        bytes_free(filter);
        bytes_free(topic);
    }
}

static struct slice random_text(char *text, size_t cap, const char *alphabet)
{
    size_t len = 1 + (size_t)rand() % cap;

    for (size_t i = 0; i < len; i++) {
        text[i] = alphabet[(size_t)rand() % strlen(alphabet)];
    }
    return slice_of(text, len);
}

static void test_against_naive(void **state)
{
    unsigned compared = 0;
    unsigned matched = 0;

    (void)state;
    srand(20);
    for (unsigned i = 0; i < 2000000; i++) {
        char filter_text[9];
        char topic_text[9];
        struct slice filter = random_text(filter_text, sizeof(filter_text), "ab//++#$");
        struct slice topic = random_text(topic_text, sizeof(topic_text), "ab//$");

        if (mqtt_filter_is_valid(filter)) {
            bool expected = naive_matches(filter, topic);

            if (mqtt_filter_matches(filter, topic) != expected) {
                fail_msg("%.*s against %.*s", (int)filter.len, filter_text, (int)topic.len,
                         topic_text);
            }
            compared++;
            matched += expected;
        }
    }
    assert_true(compared > 100000 && matched > 10000 && compared - matched > 10000);
}

struct share_case {
    const char *filter;
    enum mqtt_share_verdict verdict;
    const char *group;
    const char *rest;
};

static const struct share_case share_cases[] = {
    {"a",                   MQTT_SHARE_NONE,    "",      "a"           },
    {"",                    MQTT_SHARE_NONE,    "",      ""            },
    {"$shar",               MQTT_SHARE_NONE,    "",      "$shar"       },
    {"$shared/g/a",         MQTT_SHARE_NONE,    "",      "$shared/g/a" },
    {"a/$share/g/a",        MQTT_SHARE_NONE,    "",      "a/$share/g/a"},
    {"$SHARE/g/a",          MQTT_SHARE_NONE,    "",      "$SHARE/g/a"  },
    {"$share/g/a",          MQTT_SHARE_GROUP,   "g",     "a"           },
    {"$share/group/a/+/#",  MQTT_SHARE_GROUP,   "group", "a/+/#"       },
    {"$share/g//",          MQTT_SHARE_GROUP,   "g",     "/"           },
    {"$share/g/$share/h/a", MQTT_SHARE_GROUP,   "g",     "$share/h/a"  },
    {"$share",              MQTT_SHARE_INVALID, "",      ""            },
    {"$share/",             MQTT_SHARE_INVALID, "",      ""            },
    {"$share/ab",           MQTT_SHARE_INVALID, "",      ""            },
    {"$share/g/",           MQTT_SHARE_INVALID, "",      ""            },
    {"$share//a",           MQTT_SHARE_INVALID, "",      ""            },
    {"$share//",            MQTT_SHARE_INVALID, "",      ""            },
    {"$share/+/a",          MQTT_SHARE_INVALID, "",      ""            },
    {"$share/g+/a",         MQTT_SHARE_INVALID, "",      ""            },
    {"$share/#/a",          MQTT_SHARE_INVALID, "",      ""            },
    {"$share/#",            MQTT_SHARE_INVALID, "",      ""            },
};

static void test_shares(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(share_cases); i++) {
        const struct share_case *test = &share_cases[i];
        struct slice filter = bytes_copy(slice_of_text(test->filter));
        struct slice group;
        struct slice rest;

        if (mqtt_share_parse(filter, &group, &rest) != test->verdict) {
            fail_msg("%s", test->filter);
        }
        if (test->verdict != MQTT_SHARE_INVALID) {
            assert_text(group, test->group);
            assert_text(rest, test->rest);
        }
        bytes_free(filter);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_validity),      cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_has_wildcard),  cmocka_unit_test(test_matches),
        cmocka_unit_test(test_against_naive), cmocka_unit_test(test_shares),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
