#pragma once

/*
 * Aliases
 *
 * The topic aliases that one client is sent (MQTT 5.0 section 3.3.2.3.4): given first come first
 * served up to a maximum, and then never given anew, as Mosquitto does. Takes memory only for the
 * topics that have one. Belongs to its client, and ends with the connection.
 */

#include "base/slice.h"

struct aliases;

/* An alias costs three bytes in every packet: topics up to this long are cheaper written out. */
#define ALIASES_TOPIC_MIN 4u

/* The alias of the topic; 0: it has none. `hash` is one that no client can choose. */
uint16_t aliases_find(const struct aliases *aliases, struct slice topic, uint32_t hash);

/* Gives the next alias to a topic that has none. 0: `max` have one, or no memory. `*aliases` may be
 * NULL, and is made. */
uint16_t aliases_add(struct aliases **aliases, uint16_t max, struct slice topic, uint32_t hash);

struct aliases *aliases_free(struct aliases *aliases);
