#include "client/image.h"

#include "mqtt/encode.h"

/* The number tells which publication an image is of: a delivery may be all that one gets in this
 * slice of a long fan-out, and others come between. */
void image_keep(struct image *image, struct publication *publication, uint8_t kind,
                struct slice packet, uint16_t packet_id_at)
{
    if (packet.len > sizeof(image->bytes)) {
        return;
    }
    publication->image = ++image->number;
    image->size = (uint32_t)packet.len;
    image->packet_id_at = packet_id_at;
    image->kind = kind;
    memcpy(image->bytes, packet.data, packet.len);
}

uint8_t *image_put(const struct image *image, uint8_t *at, uint16_t packet_id)
{
    memcpy(at, image->bytes, image->size);
    if (image->packet_id_at) {
        mqtt_put_two(at + image->packet_id_at, packet_id);
    }
    return at + image->size;
}
