#pragma once

/*
 * Inbound
 *
 * The packet identifiers of QoS 2 messages that a client has published and not yet released. The
 * message itself was passed on when it came (MQTT 5.0 section 4.3.3, method B); the identifier is
 * kept so that a repeat is recognised. Belongs to its session.
 */

#include "base/base.h"

struct inbound {
    uint64_t *bits; /* one bit per identifier, in place of the list when it gets long */
    uint16_t *ids;
    uint16_t len;
    uint16_t cap;
};

void inbound_deinit(struct inbound *inbound);

bool inbound_has(const struct inbound *inbound, uint16_t packet_id);

/* The identifier is not in yet. -ENOMEM. */
int inbound_add(struct inbound *inbound, uint16_t packet_id) MUST_CHECK;

/* Whether it was in. */
bool inbound_remove(struct inbound *inbound, uint16_t packet_id);
