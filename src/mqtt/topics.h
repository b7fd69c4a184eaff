#pragma once

/*
 * Topic names and filters
 *
 * The rules of MQTT 5.0 section 4.7 (3.1.1 the same): well-formed names and filters, `$share`
 * (section 4.8.2), and whether one matches the other.
 */

#include "base/slice.h"

/* Mosquitto's bound on the depth of a topic or filter: more separators than this are refused. */
#define MQTT_TOPIC_LEVEL_MAX 200

/* A name to publish to: not empty, no wildcard, no NUL, well-formed UTF-8, not too deep. */
bool mqtt_topic_is_valid(struct slice topic);

/* A filter: wildcards only as whole levels, '#' only last. Without any `$share/GROUP/` in front. */
bool mqtt_filter_is_valid(struct slice filter);

bool mqtt_filter_has_wildcard(struct slice filter);

/* Whether the filter matches the topic; '#' and '+' at the front match no topic with '$' first. */
bool mqtt_filter_matches(struct slice filter, struct slice topic);

enum mqtt_share_verdict {
    MQTT_SHARE_NONE,   /* an ordinary filter; `filter_out` is all of it */
    MQTT_SHARE_GROUP,  /* `$share/GROUP/FILTER`: both parts are set and the group name is valid */
    MQTT_SHARE_INVALID /* begins with `$share` as a level, but is no shared subscription */
};

/* Whether FILTER is valid is for the caller to ask. Without a group, `filter_out` is all of it. */
enum mqtt_share_verdict mqtt_share_parse(struct slice filter, struct slice *group_out,
                                         struct slice *filter_out);
