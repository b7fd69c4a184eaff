#include "core/inbound.h"

#include "base/memory.h"

#include <string.h>

/* A list is searched from end to end: beyond this a bitmap of all 65,536 is cheaper. */
#define LIST_CAP     64
#define FIRST_CAP    4
#define BITMAP_WORDS 1024

/* A list that is no longer stays when it is empty: who publishes with QoS 2 will do so again. */
#define KEEP_CAP 32

void inbound_deinit(struct inbound *inbound)
{
    if (inbound->set) {
        memory_free(inbound->set->bits);
        inbound->set = memory_free(inbound->set);
    }
}

static uint16_t *list_find(struct inbound_set *set, uint16_t packet_id)
{
    for (unsigned i = 0; i < set->len; i++) {
        if (set->list[i] == packet_id) {
            return &set->list[i];
        }
    }
    return NULL;
}

bool inbound_has(const struct inbound *inbound, uint16_t packet_id)
{
    struct inbound_set *set = inbound->set;

    if (set && set->bits) {
        return (set->bits[packet_id / 64] >> packet_id % 64 & 1) != 0;
    }
    return set && list_find(set, packet_id) != NULL;
}

static int become_bitmap(struct inbound_set *set)
{
    uint64_t *bits = memory_alloc_zero(BITMAP_WORDS, sizeof(*bits));

    if (!bits) {
        return -ENOMEM;
    }
    for (unsigned i = 0; i < set->len; i++) {
        bits[set->list[i] / 64] |= UINT64_C(1) << set->list[i] % 64;
    }
    set->bits = bits;
    return 0;
}

static int list_grow(struct inbound *inbound)
{
    struct inbound_set *set = inbound->set;
    uint16_t cap = set ? (uint16_t)(set->cap * 2) : FIRST_CAP;

    set = memory_resize(set, sizeof(*set) + cap * sizeof(set->list[0]));
    if (!set) {
        return -ENOMEM;
    }
    if (!inbound->set) {
        *set = (struct inbound_set){0};
    }
    set->cap = cap;
    inbound->set = set;
    return 0;
}

static int make_room(struct inbound *inbound)
{
    struct inbound_set *set = inbound->set;

    if (!set || (!set->bits && set->len == set->cap && set->cap < LIST_CAP)) {
        return list_grow(inbound);
    }
    return !set->bits && set->len == LIST_CAP ? become_bitmap(set) : 0;
}

int inbound_add(struct inbound *inbound, uint16_t packet_id)
{
    struct inbound_set *set;
    int r;

    assert(packet_id != 0 && !inbound_has(inbound, packet_id));
    r = make_room(inbound);
    if (r < 0) {
        return r;
    }
    set = inbound->set;
    if (set->bits) {
        set->bits[packet_id / 64] |= UINT64_C(1) << packet_id % 64;
    } else {
        set->list[set->len] = packet_id;
    }
    set->len++;
    return 0;
}

bool inbound_remove(struct inbound *inbound, uint16_t packet_id)
{
    struct inbound_set *set = inbound->set;

    if (!inbound_has(inbound, packet_id)) {
        return false;
    }
    if (set->bits) {
        set->bits[packet_id / 64] &= ~(UINT64_C(1) << packet_id % 64);
    } else {
        *list_find(set, packet_id) = set->list[set->len - 1];
    }
    set->len--;
    if (set->len == 0 && (set->bits || set->cap > KEEP_CAP)) {
        inbound_deinit(inbound);
    }
    return true;
}
