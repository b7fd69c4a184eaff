#include "core/subscriptions.h"

#include "base/memory.h"

#define FIRST_CAP 2

void subscriptions_deinit(struct subscriptions *subscriptions)
{
    subscriptions->slots = memory_free(subscriptions->slots);
    subscriptions->cap = 0;
    subscriptions->len = 0;
}

static uint32_t slot_of(const struct subscriptions *subscriptions, uint32_t node)
{
    return (node * 0x9E3779B1u) >> 7 & (subscriptions->cap - 1);
}

static uint32_t next_slot(const struct subscriptions *subscriptions, uint32_t slot)
{
    return (slot + 1) & (subscriptions->cap - 1);
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

    if (subscriptions->len + 1 <= subscriptions->cap / 8 * 7 ||
        (subscriptions->cap < 8 && subscriptions->len + 1 < subscriptions->cap)) {
        return 0;
    }
    grown.cap = subscriptions->cap ? subscriptions->cap * 2 : FIRST_CAP;
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

/* Slots behind the gap move up while that brings them nearer to where they belong. */
static void close_gap(struct subscriptions *subscriptions, uint32_t gap)
{
    uint32_t mask = subscriptions->cap - 1;

    for (uint32_t slot = next_slot(subscriptions, gap); subscriptions->slots[slot].node != 0;
         slot = next_slot(subscriptions, slot)) {
        uint32_t home = slot_of(subscriptions, subscriptions->slots[slot].node);

        if (((slot - home) & mask) >= ((slot - gap) & mask)) {
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
    while (subscriptions->slots[*cursor & (subscriptions->cap - 1)].node == 0) {
        (*cursor)++;
    }
    return subscriptions->slots[*cursor & (subscriptions->cap - 1)].node;
}
