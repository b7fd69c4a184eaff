#pragma once

/*
 * UTF-8
 *
 * The rule for every string of MQTT (3.1.1 section 1.5.3, 5.0 section 1.5.4).
 */

#include "base/slice.h"

/*
 * Whether `text` is well-formed UTF-8 without code points that MQTT forbids: U+0000, surrogates
 * [MQTT-1.5.4-1, MQTT-1.5.4-2], and those on which the standard lets a receiver choose, which are
 * refused as Mosquitto refuses them: control characters (U+0001..U+001F, U+007F..U+009F) and
 * non-characters (U+FDD0..U+FDEF, U+xxFFFE, U+xxFFFF). U+FEFF is a character like any other. An
 * empty text is valid. Pure: any thread.
 */
bool utf8_is_valid(struct slice text);

/* Whether a payload is text: well-formed UTF-8 (RFC 3629), whatever its characters. */
bool utf8_is_well_formed(struct slice text);
