#pragma once

/*
 * Inbound
 *
 * The packet identifiers of QoS 2 messages that a client has published and not yet released. The
 * message itself was passed on when it came (MQTT 5.0 section 4.3.3, method B); the identifier is
 * kept so that a repeat is recognised. Belongs to its session.
 */

#include "base/base.h"

struct inbound_set {
    uint64_t *bits; /* one bit per identifier, in place of the list when that gets long; or NULL */
    uint16_t len;
    uint16_t cap; /* of the list */
    uint16_t list[];
};

struct inbound {
    struct inbound_set *set; /* NULL: empty, and it always was, or was long */
};

void inbound_deinit(struct inbound *inbound);

static inline unsigned inbound_len(const struct inbound *inbound)
{
    return inbound->set ? inbound->set->len : 0;
}

bool inbound_has(const struct inbound *inbound, uint16_t packet_id);

/* The identifier is not in yet. -ENOMEM. */
int inbound_add(struct inbound *inbound, uint16_t packet_id) MUST_CHECK;

/* Whether it was in. */
bool inbound_remove(struct inbound *inbound, uint16_t packet_id);
