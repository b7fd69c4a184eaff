#include "core/subscriptions.h"

#include "base/memory.h"

/*
 * Seven of eight slots are used before the table grows, by a quarter: a session with many
 * subscriptions pays 10.3 bytes for each, where doubling would cost 13.7 and leave a hole of that
 * size in the heap. Odd numbers of slots are what the allocator has room for.
 */
#define FIRST_CAP     3u
#define MAY_USE(cap)  ((cap) < 8 ? (cap)-1 : (cap) - (cap) / 8)
#define NEXT_CAP(cap) (((cap) + MAX((cap) / 4, 2u)) | 1u)

void subscriptions_deinit(struct subscriptions *subscriptions)
{
    subscriptions->slots = memory_free(subscriptions->slots);
    subscriptions->cap = 0;
    subscriptions->len = 0;
}

static uint32_t slot_of(const struct subscriptions *subscriptions, uint32_t node)
{
    return (uint32_t)((uint64_t)(node * 0x9E3779B1u) * subscriptions->cap >> 32);
}

static uint32_t next_slot(const struct subscriptions *subscriptions, uint32_t slot)
{
    return slot + 1 == subscriptions->cap ? 0 : slot + 1;
}

struct subscription *subscriptions_find(const struct subscriptions *subscriptions, uint32_t node)
{
    uint32_t slot;

    if (subscriptions->len == 0) {
        return NULL;
    }
    slot = slot_of(subscriptions, node);
    while (subscriptions->slots[slot].node != 0) {
        if (subscriptions->slots[slot].node == node) {
            return &subscriptions->slots[slot];
        }
        slot = next_slot(subscriptions, slot);
    }
    return NULL;
}

void subscriptions_prefetch(const struct subscriptions *subscriptions, uint32_t node)
{
    if (subscriptions->cap > 0) {
        PREFETCH(&subscriptions->slots[slot_of(subscriptions, node)]);
    }
}

static void put(struct subscriptions *subscriptions, struct subscription subscription)
{
    uint32_t slot = slot_of(subscriptions, subscription.node);

    while (subscriptions->slots[slot].node != 0) {
        slot = next_slot(subscriptions, slot);
    }
    subscriptions->slots[slot] = subscription;
}

/* One slot always stays free: it ends the searches. */
int subscriptions_reserve(struct subscriptions *subscriptions)
{
    struct subscriptions grown = {.len = subscriptions->len};

    if (subscriptions->cap && subscriptions->len < MAY_USE(subscriptions->cap)) {
        return 0;
    }
    grown.cap = subscriptions->cap ? NEXT_CAP(subscriptions->cap) : FIRST_CAP;
    grown.slots = memory_alloc_zero(grown.cap, sizeof(*grown.slots));
    if (!grown.slots) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < subscriptions->cap; i++) {
        if (subscriptions->slots[i].node != 0) {
            put(&grown, subscriptions->slots[i]);
        }
    }
    memory_free(subscriptions->slots);
    *subscriptions = grown;
    return 0;
}

void subscriptions_add(struct subscriptions *subscriptions, uint32_t node, uint32_t place)
{
    assert(node != 0 && subscriptions->len + 1 < subscriptions->cap);
    put(subscriptions, (struct subscription){.node = node, .place = place});
    subscriptions->len++;
}

/* How far behind, going round. */
static uint32_t distance(const struct subscriptions *subscriptions, uint32_t from, uint32_t to)
{
    return to >= from ? to - from : to + subscriptions->cap - from;
}

/* Slots behind the gap move up while that brings them nearer to where they belong. */
static void close_gap(struct subscriptions *subscriptions, uint32_t gap)
{
    for (uint32_t slot = next_slot(subscriptions, gap); subscriptions->slots[slot].node != 0;
         slot = next_slot(subscriptions, slot)) {
        uint32_t home = slot_of(subscriptions, subscriptions->slots[slot].node);

        if (distance(subscriptions, home, slot) >= distance(subscriptions, gap, slot)) {
            subscriptions->slots[gap] = subscriptions->slots[slot];
            gap = slot;
        }
    }
    subscriptions->slots[gap].node = 0;
}

void subscriptions_remove(struct subscriptions *subscriptions, uint32_t node)
{
    struct subscription *subscription = subscriptions_find(subscriptions, node);

    assert(subscription);
    close_gap(subscriptions, (uint32_t)(subscription - subscriptions->slots));
    subscriptions->len--;
    if (subscriptions->len == 0) {
        subscriptions_deinit(subscriptions);
    }
}

uint32_t subscriptions_any(const struct subscriptions *subscriptions, uint32_t *cursor)
{
    if (subscriptions->len == 0) {
        return 0;
    }
    *cursor %= subscriptions->cap;
    while (subscriptions->slots[*cursor].node == 0) {
        *cursor = next_slot(subscriptions, *cursor);
    }
    return subscriptions->slots[*cursor].node;
}
