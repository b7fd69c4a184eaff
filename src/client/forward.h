#pragma once

/*
 * Forward
 *
 * The properties of a PUBLISH or a will that go on to subscribers: all but those that are about
 * this hop, in the order in which they came (MQTT 5.0 section 3.3.2.3.7).
 */

#include "mqtt/properties.h"

struct hub;

/* Seconds of the workers' clock at which a message expires, MESSAGE_LATEST at most; MESSAGE_NEVER
 * without the property. */
uint32_t forward_expiry(const struct mqtt_properties *properties, uint64_t now_ms);

/*
 * What goes on, encoded: a part of the decoded bytes, or put together in the hub's scratch memory.
 * -ENOMEM.
 */
int forward_properties(struct hub *hub, const struct mqtt_properties *properties,
                       struct slice *forwarded_out) MUST_CHECK;
