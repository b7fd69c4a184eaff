#pragma once

/*
 * Image
 *
 * The bytes of a PUBLISH that many clients get alike: what the second one got is kept, and from the
 * third on it is copied. One for each worker, of the publication that is being delivered.
 */

#include "core/publication.h"

/* A packet that is longer is put together for each client. */
#define IMAGE_CAP 1280u

/* Belongs to a hub. */
struct image {
    uint64_t number; /* of the publication's `image`; the first is 1 */
    uint32_t size;
    uint16_t packet_id_at; /* 0: it has none */
    uint8_t kind;
    uint8_t bytes[IMAGE_CAP];
};

/* Whether these are the bytes for this publication and this kind of packet, which the caller
 * numbers. */
static inline bool image_is_of(const struct image *image, const struct publication *publication,
                               uint8_t kind)
{
    return publication->image == image->number && image->kind == kind;
}

/* To be kept from now on, where they fit. The packet identifier stands at `packet_id_at`, if there
 * is one. */
void image_keep(struct image *image, struct publication *publication, uint8_t kind,
                struct slice packet, uint16_t packet_id_at);

/* Puts a copy, with a packet identifier of its own; answers the end. */
uint8_t *image_put(const struct image *image, uint8_t *at, uint16_t packet_id);
