#include "base/utf8.h"
#include "fuzz.h"
#include "mqtt/topics.h"
#include "mqtt/topics_naive.h"

/* A filter, a line feed (which neither may hold), a topic. */

/* The rules of 5.0 section 4.7.1, level by level. */
static bool is_filter_naive(struct slice filter)
{
    bool is_last = false;
    size_t levels = 0;

    if (filter.len == 0 || !utf8_is_valid(filter)) {
        return false;
    }
    while (!is_last) {
        struct slice level = naive_level(&filter, &is_last);
        bool is_alone = level.len == 1;

        for (size_t i = 0; i < level.len; i++) {
            bool is_wildcard = level.data[i] == '+' || level.data[i] == '#';

            if (is_wildcard && (!is_alone || (level.data[i] == '#' && !is_last))) {
                return false;
            }
        }
        levels++;
    }
    return levels <= MQTT_TOPIC_LEVEL_MAX + 1;
}

static void check_text(struct slice text)
{
    bool is_filter = mqtt_filter_is_valid(text);
    bool has_wildcard = mqtt_filter_has_wildcard(text);
    enum mqtt_share_verdict verdict;
    struct slice group;
    struct slice filter;

    assert(is_filter == (is_filter_naive(text) && text.len <= UINT16_MAX));
    assert(mqtt_topic_is_valid(text) == (is_filter && !has_wildcard));
    verdict = mqtt_share_parse(text, &group, &filter);
    fuzz_assert_inside(group, text);
    fuzz_assert_inside(filter, text);
    if (verdict == MQTT_SHARE_GROUP) {
        assert(text.len == strlen("$share//") + group.len + filter.len);
        assert(group.len > 0 && filter.len > 0 && !mqtt_filter_has_wildcard(group));
        assert(memchr(group.data, '/', group.len) == NULL);
    } else if (verdict == MQTT_SHARE_NONE) {
        assert(slice_is_equal(filter, text));
    }
}

static void check_match(struct slice filter, struct slice topic)
{
    if (mqtt_filter_is_valid(filter) && mqtt_topic_is_valid(topic)) {
        assert(mqtt_filter_matches(filter, topic) == naive_matches(filter, topic));
        assert(mqtt_filter_matches(topic, topic));
    } else {
        (void)mqtt_filter_matches(filter, topic);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *feed = size ? memchr(data, '\n', size) : NULL;
    size_t len = feed ? (size_t)(feed - data) : size;
    struct slice filter = fuzz_copy(slice_of(data, len));
    struct slice topic = fuzz_copy(slice_of(feed ? feed + 1 : NULL, feed ? size - len - 1 : 0));

    check_text(filter);
    check_text(topic);
    check_match(filter, topic);
    check_match(topic, filter);
    fuzz_free(filter);
    fuzz_free(topic);
    return 0;
}
