#include "mqtt/topics.h"

#include "base/utf8.h"

/*
 * Passes over the bytes, level by level, never recursive: a name of 65,535 separators costs no
 * stack. UTF-8 keeps '/', '+', '#' and '$' to themselves, so bytes are compared, as received
 * [MQTT-4.7.3-4].
 */

static bool is_text_valid(struct slice text)
{
    return text.len > 0 && text.len <= UINT16_MAX && utf8_is_valid(text);
}

static bool has_too_many_levels(struct slice topic)
{
    size_t separators = 0;

    if (topic.len <= MQTT_TOPIC_LEVEL_MAX) {
        return false;
    }
    for (size_t i = 0; i < topic.len; i++) {
        separators += topic.data[i] == '/';
    }
    return separators > MQTT_TOPIC_LEVEL_MAX;
}

/* Of every PUBLISH: three quick passes take a fifth of the instructions of one byte by byte. */
bool mqtt_topic_is_valid(struct slice topic)
{
    return is_text_valid(topic) && !mqtt_filter_has_wildcard(topic) && /* [MQTT-4.7.0-1] */
           !has_too_many_levels(topic);
}

/* Whether what stands before and behind byte `i` leaves it a level of its own. */
static bool is_whole_level(struct slice filter, size_t i)
{
    return (i == 0 || filter.data[i - 1] == '/') &&
           (i + 1 == filter.len || filter.data[i + 1] == '/');
}

static bool has_whole_wildcards(struct slice filter)
{
    for (size_t i = 0; i < filter.len; i++) {
        uint8_t byte = filter.data[i];

        if ((byte == '+' || byte == '#') && !is_whole_level(filter, i)) {
            return false; /* [MQTT-4.7.1-2] */
        }
        if (byte == '#' && i + 1 < filter.len) {
            return false; /* [MQTT-4.7.1-1] */
        }
    }
    return true;
}

/* Most filters have no wildcard, which two quick passes tell: 200 instructions for each filter of a
 * SUBSCRIBE. */
bool mqtt_filter_is_valid(struct slice filter)
{
    return is_text_valid(filter) &&
           (!mqtt_filter_has_wildcard(filter) || has_whole_wildcards(filter)) &&
           !has_too_many_levels(filter);
}

bool mqtt_filter_has_wildcard(struct slice filter)
{
    return filter.len > 0 &&
           (memchr(filter.data, '+', filter.len) || memchr(filter.data, '#', filter.len));
}

/* The place of the next separator at or behind `i`, or the end. */
static size_t level_end(struct slice topic, size_t i)
{
    while (i < topic.len && topic.data[i] != '/') {
        i++;
    }
    return i;
}

/* "/#" at the end also matches the level above it. */
static bool is_parent_wildcard(struct slice filter, size_t i)
{
    return filter.len - i == 2 && filter.data[i] == '/' && filter.data[i + 1] == '#';
}

bool mqtt_filter_matches(struct slice filter, struct slice topic)
{
    size_t at = 0;

    if (filter.len == 0 || topic.len == 0) {
        return false;
    }
    if (topic.data[0] == '$' && (filter.data[0] == '+' || filter.data[0] == '#')) {
        return false; /* [MQTT-4.7.2-1] */
    }
    for (size_t i = 0; i < filter.len; i++) {
        uint8_t byte = filter.data[i];

        if (byte == '#') {
            return true;
        }
        if (byte == '+') {
            at = level_end(topic, at);
        } else if (at < topic.len && topic.data[at] == byte) {
            at++;
        } else {
            return at == topic.len && is_parent_wildcard(filter, i);
        }
    }
    return at == topic.len;
}

#define SHARE "$share"

enum mqtt_share_verdict mqtt_share_parse(struct slice filter, struct slice *group_out,
                                         struct slice *filter_out)
{
    const size_t prefix = strlen(SHARE);
    struct slice group;
    size_t end;

    *group_out = slice_of(NULL, 0);
    *filter_out = filter;
    if (filter.len < prefix || memcmp(filter.data, SHARE, prefix) != 0 ||
        level_end(filter, prefix) != prefix) {
        return MQTT_SHARE_NONE;
    }
    if (filter.len == prefix) {
        return MQTT_SHARE_INVALID;
    }
    end = level_end(filter, prefix + 1);
    group = slice_of(filter.data + prefix + 1, end - prefix - 1);
    /* [MQTT-4.8.2-1], [MQTT-4.8.2-2] */
    if (group.len == 0 || mqtt_filter_has_wildcard(group) || filter.len - end < 2) {
        return MQTT_SHARE_INVALID;
    }
    *group_out = group;
    *filter_out = slice_skip(filter, end + 1);
    return MQTT_SHARE_GROUP;
}
