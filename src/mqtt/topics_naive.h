#pragma once

/*
 * A naive matcher
 *
 * What tests and fuzzers compare mqtt_filter_matches() with: both sides are split into levels, and
 * the rules of 5.0 section 4.7 are written down one by one. Slow, recursive, obvious.
 */

#include "base/slice.h"

/* Takes the first level off; `*is_last_out` when no separator followed it. */
static inline struct slice naive_level(struct slice *rest, bool *is_last_out)
{
    size_t len = 0;
    struct slice level;

    while (len < rest->len && rest->data[len] != '/') {
        len++;
    }
    level = slice_of(rest->data, len);
    *is_last_out = len == rest->len;
    *rest = slice_of(rest->data + len + !*is_last_out, rest->len - len - !*is_last_out);
    return level;
}

static inline bool naive_level_is(struct slice level, char wildcard)
{
    return level.len == 1 && level.data[0] == (uint8_t)wildcard;
}

static inline bool naive_levels_match(struct slice filter, struct slice topic)
{
    bool is_filter_last;
    bool is_topic_last;
    struct slice filter_level = naive_level(&filter, &is_filter_last);
    struct slice topic_level = naive_level(&topic, &is_topic_last);

    if (naive_level_is(filter_level, '#')) {
        return true;
    }
    if (!naive_level_is(filter_level, '+') && !slice_is_equal(filter_level, topic_level)) {
        return false;
    }
    if (is_topic_last && !is_filter_last) {
        return naive_level_is(filter, '#');
    }
    if (is_filter_last || is_topic_last) {
        return is_filter_last && is_topic_last;
    }
    return naive_levels_match(filter, topic);
}

/* Both must be valid. */
static inline bool naive_matches(struct slice filter, struct slice topic)
{
    bool is_wild = filter.data[0] == '+' || filter.data[0] == '#';

    return !(is_wild && topic.data[0] == '$') && naive_levels_match(filter, topic);
}
