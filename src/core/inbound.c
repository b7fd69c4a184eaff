#include "core/inbound.h"

#include "base/memory.h"

#include <string.h>

/* A list is searched from end to end: beyond this a bitmap of all 65,536 is cheaper. */
#define LIST_CAP     64
#define BITMAP_WORDS 1024

/* A list that is no longer stays when it is empty: who publishes with QoS 2 will do so again. */
#define KEEP_CAP 32

void inbound_deinit(struct inbound *inbound)
{
    inbound->bits = memory_free(inbound->bits);
    inbound->ids = memory_free(inbound->ids);
    inbound->len = 0;
    inbound->cap = 0;
}

static uint16_t *list_find(const struct inbound *inbound, uint16_t packet_id)
{
    for (unsigned i = 0; i < inbound->len; i++) {
        if (inbound->ids[i] == packet_id) {
            return &inbound->ids[i];
        }
    }
    return NULL;
}

bool inbound_has(const struct inbound *inbound, uint16_t packet_id)
{
    if (inbound->bits) {
        return (inbound->bits[packet_id / 64] >> packet_id % 64 & 1) != 0;
    }
    return list_find(inbound, packet_id) != NULL;
}

static int become_bitmap(struct inbound *inbound)
{
    uint64_t *bits = memory_alloc_zero(BITMAP_WORDS, sizeof(*bits));

    if (!bits) {
        return -ENOMEM;
    }
    for (unsigned i = 0; i < inbound->len; i++) {
        bits[inbound->ids[i] / 64] |= UINT64_C(1) << inbound->ids[i] % 64;
    }
    inbound->bits = bits;
    inbound->ids = memory_free(inbound->ids);
    inbound->cap = 0;
    return 0;
}

static int list_grow(struct inbound *inbound)
{
    uint16_t cap = inbound->cap ? (uint16_t)(inbound->cap * 2) : 4;
    uint16_t *ids = memory_resize(inbound->ids, cap * sizeof(*ids));

    if (!ids) {
        return -ENOMEM;
    }
    inbound->ids = ids;
    inbound->cap = cap;
    return 0;
}

int inbound_add(struct inbound *inbound, uint16_t packet_id)
{
    int r = 0;

    assert(packet_id != 0 && !inbound_has(inbound, packet_id));
    if (!inbound->bits && inbound->len == LIST_CAP) {
        r = become_bitmap(inbound);
    } else if (!inbound->bits && inbound->len == inbound->cap) {
        r = list_grow(inbound);
    }
    if (r < 0) {
        return r;
    }
    if (inbound->bits) {
        inbound->bits[packet_id / 64] |= UINT64_C(1) << packet_id % 64;
    } else {
        inbound->ids[inbound->len] = packet_id;
    }
    inbound->len++;
    return 0;
}

bool inbound_remove(struct inbound *inbound, uint16_t packet_id)
{
    if (!inbound_has(inbound, packet_id)) {
        return false;
    }
    if (inbound->bits) {
        inbound->bits[packet_id / 64] &= ~(UINT64_C(1) << packet_id % 64);
    } else {
        *list_find(inbound, packet_id) = inbound->ids[inbound->len - 1];
    }
    inbound->len--;
    if (inbound->len == 0 && (inbound->bits || inbound->cap > KEEP_CAP)) {
        inbound_deinit(inbound);
    }
    return true;
}
