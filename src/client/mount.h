#pragma once

/*
 * Mount
 *
 * The mount_point of a listener: a prefix that the topics and filters of its clients have inside
 * the broker, and that they never see. All of the client's worker.
 */

#include "base/slice.h"
#include "mqtt/reasons.h"

struct client;

/*
 * Puts the mount point in front of a valid topic. What comes of it lasts until the next call for
 * any client of this worker. MQTT_TOPIC_NAME_INVALID: too long or too deep that way.
 * MQTT_QUOTA_EXCEEDED: no memory.
 */
enum mqtt_reason mount_topic(const struct client *client, struct slice *topic);

/* The same for a valid filter: of a shared one, in front of what follows `$share/GROUP/`.
 * MQTT_TOPIC_FILTER_INVALID, MQTT_QUOTA_EXCEEDED. */
enum mqtt_reason mount_filter(const struct client *client, struct slice *filter);

/*
 * Whether a filter, of a shared one what follows `$share/GROUP/`, is the mount point and a
 * wildcard: it does not match what begins with '$' to the client, though the tree of filters thinks
 * so.
 */
bool mount_is_before_wildcard(const struct client *client, struct slice filter);

/* Takes the mount point off a topic again. False: the topic is none of the client's. */
bool mount_strip(const struct client *client, struct slice *topic);
