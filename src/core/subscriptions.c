#include "core/subscriptions.h"

#include "base/memory.h"

/*
 * A table of slots; of a session with more than 8,192 subscriptions, several such tables: its
 * parts. Whenever there are 8,192 for each part on average one more is made, from half of what one
 * of the others has (linear hashing), so however many there are, one SUBSCRIBE moves some sixteen
 * thousand at most: 0.1 ms. Smaller parts cost more than they save: of 256 each, loading a million
 * subscriptions on a hundred sessions took 11 % longer.
 *
 * Seven of eight slots are used before a table grows, by a quarter: a session with many
 * subscriptions pays 10.3 bytes for each, where doubling would cost 13.7 and leave a hole of that
 * size in the heap. Odd numbers of slots are what the allocator has room for.
 */
#define FIRST_CAP     3u
#define MAY_USE(cap)  ((cap) < 8 ? (cap)-1 : (cap) - (cap) / 8)
#define NEXT_CAP(cap) (((cap) + MAX((cap) / 4, 2u)) | 1u)

#define IS_PARTED 0x80000000u
#define PART_LEN  8192u

static bool is_parted(const struct subscriptions *subscriptions)
{
    return (subscriptions->cap & IS_PARTED) != 0;
}

static uint32_t part_len(const struct subscriptions *subscriptions)
{
    return is_parted(subscriptions) ? subscriptions->cap & ~IS_PARTED : 1;
}

void subscriptions_deinit(struct subscriptions *subscriptions)
{
    if (is_parted(subscriptions)) {
        for (uint32_t i = 0; i < part_len(subscriptions); i++) {
            memory_free(subscriptions->parts[i].slots);
        }
        memory_free(subscriptions->parts);
    } else {
        memory_free(subscriptions->slots);
    }
    *subscriptions = (struct subscriptions){.len = 0};
}

/* Its first bits choose the slot, its last ones the part. */
static uint32_t hash_of(uint32_t node)
{
    return (uint32_t)(node * 0x9E3779B97F4A7C15u >> 32);
}

/* With one bit less for those whose part has not been made. */
static uint32_t part_index(uint32_t len, uint32_t node)
{
    uint32_t mask = UINT32_MAX >> __builtin_clz(len);
    uint32_t index = hash_of(node) & mask;

    return index < len ? index : index & (mask >> 1);
}

static const struct subscriptions *part_of(const struct subscriptions *subscriptions, uint32_t node)
{
    return is_parted(subscriptions)
               ? &subscriptions->parts[part_index(part_len(subscriptions), node)]
               : subscriptions;
}

static struct subscriptions *own_part(struct subscriptions *subscriptions, uint32_t node)
{
    return is_parted(subscriptions)
               ? &subscriptions->parts[part_index(part_len(subscriptions), node)]
               : subscriptions;
}

static uint32_t slot_of(const struct subscriptions *part, uint32_t node)
{
    return (uint32_t)((uint64_t)hash_of(node) * part->cap >> 32);
}

static uint32_t next_slot(const struct subscriptions *part, uint32_t slot)
{
    return slot + 1 == part->cap ? 0 : slot + 1;
}

struct subscription *subscriptions_find(const struct subscriptions *subscriptions, uint32_t node)
{
    const struct subscriptions *part = part_of(subscriptions, node);
    uint32_t slot;

    if (part->len == 0) {
        return NULL;
    }
    slot = slot_of(part, node);
    while (part->slots[slot].node != 0) {
        if (part->slots[slot].node == node) {
            return &part->slots[slot];
        }
        slot = next_slot(part, slot);
    }
    return NULL;
}

void subscriptions_prefetch(const struct subscriptions *subscriptions, uint32_t node)
{
    const struct subscriptions *part = part_of(subscriptions, node);

    if (part->cap > 0) {
        PREFETCH(&part->slots[slot_of(part, node)]);
    }
}

static void put(struct subscriptions *part, struct subscription subscription)
{
    uint32_t slot = slot_of(part, subscription.node);

    while (part->slots[slot].node != 0) {
        slot = next_slot(part, slot);
    }
    part->slots[slot] = subscription;
    part->len++;
}

static int part_init(struct subscriptions *part, uint32_t cap)
{
    part->slots = memory_alloc_zero(cap, sizeof(*part->slots));
    part->cap = cap;
    part->len = 0;
    return part->slots ? 0 : -ENOMEM;
}

/* One slot always stays free: it ends the searches. */
static int grow(struct subscriptions *part)
{
    struct subscriptions grown;

    if (part->cap && part->len < MAY_USE(part->cap)) {
        return 0;
    }
    if (part_init(&grown, part->cap ? NEXT_CAP(part->cap) : FIRST_CAP) < 0) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < part->cap; i++) {
        if (part->slots[i].node != 0) {
            put(&grown, part->slots[i]);
        }
    }
    memory_free(part->slots);
    *part = grown;
    return 0;
}

static uint32_t count_of_part(const struct subscriptions *part, uint32_t len, uint32_t index)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < part->cap; i++) {
        count += part->slots[i].node != 0 && part_index(len, part->slots[i].node) == index;
    }
    return count;
}

/* What belongs to the last of `len` parts goes from `part` to `upper`, the rest to `lower`. */
static int share_out(const struct subscriptions *part, uint32_t len, struct subscriptions *lower,
                     struct subscriptions *upper)
{
    uint32_t count = count_of_part(part, len, len - 1);

    if (part_init(lower, NEXT_CAP(part->len - count)) < 0) {
        return -ENOMEM;
    }
    if (part_init(upper, NEXT_CAP(count)) < 0) {
        memory_free(lower->slots);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < part->cap; i++) {
        if (part->slots[i].node != 0) {
            put(part_index(len, part->slots[i].node) == len - 1 ? upper : lower, part->slots[i]);
        }
    }
    return 0;
}

/* Room for parts up to the next power of two. Until it has been split the table is the first one.
 */
static int reserve_part(struct subscriptions *subscriptions)
{
    uint32_t len = part_len(subscriptions);
    struct subscriptions *parts;

    if ((len & (len - 1)) != 0) {
        return 0;
    }
    parts = memory_resize(is_parted(subscriptions) ? subscriptions->parts : NULL,
                          (size_t)len * 2 * sizeof(*parts));
    if (!parts) {
        return -ENOMEM;
    }
    if (!is_parted(subscriptions)) {
        parts[0] = *subscriptions;
        subscriptions->cap = 1 | IS_PARTED;
    }
    subscriptions->parts = parts;
    return 0;
}

static int add_part(struct subscriptions *subscriptions)
{
    uint32_t len = part_len(subscriptions) + 1;
    struct subscriptions lower;
    struct subscriptions upper;
    struct subscriptions *part;

    if (reserve_part(subscriptions) < 0) {
        return -ENOMEM;
    }
    part = &subscriptions->parts[(len - 1) & (UINT32_MAX >> __builtin_clz(len - 1) >> 1)];
    if (share_out(part, len, &lower, &upper) < 0) {
        return -ENOMEM;
    }
    memory_free(part->slots);
    *part = lower;
    subscriptions->parts[len - 1] = upper;
    subscriptions->cap = len | IS_PARTED;
    return 0;
}

int subscriptions_reserve(struct subscriptions *subscriptions, uint32_t node)
{
    if (subscriptions->len / PART_LEN >= part_len(subscriptions)) {
        int r = add_part(subscriptions);

        if (r < 0) {
            return r;
        }
    }
    return grow(own_part(subscriptions, node));
}

void subscriptions_add(struct subscriptions *subscriptions, uint32_t node, uint32_t place)
{
    struct subscriptions *part = own_part(subscriptions, node);

    assert(node != 0 && part->len + 1 < part->cap);
    put(part, (struct subscription){.node = node, .place = place});
    if (part != subscriptions) {
        subscriptions->len++;
    }
}

/* How far behind, going round. */
static uint32_t distance(const struct subscriptions *part, uint32_t from, uint32_t to)
{
    return to >= from ? to - from : to + part->cap - from;
}

/* Slots behind the gap move up while that brings them nearer to where they belong. */
static void close_gap(struct subscriptions *part, uint32_t gap)
{
    for (uint32_t slot = next_slot(part, gap); part->slots[slot].node != 0;
         slot = next_slot(part, slot)) {
        uint32_t home = slot_of(part, part->slots[slot].node);

        if (distance(part, home, slot) >= distance(part, gap, slot)) {
            part->slots[gap] = part->slots[slot];
            gap = slot;
        }
    }
    part->slots[gap].node = 0;
}

void subscriptions_remove(struct subscriptions *subscriptions, uint32_t node)
{
    struct subscriptions *part = own_part(subscriptions, node);
    struct subscription *subscription = subscriptions_find(subscriptions, node);

    assert(subscription);
    close_gap(part, (uint32_t)(subscription - part->slots));
    part->len--;
    if (part != subscriptions) {
        subscriptions->len--;
    }
    if (subscriptions->len == 0) {
        subscriptions_deinit(subscriptions);
    }
}

uint32_t subscriptions_any(const struct subscriptions *subscriptions,
                           struct subscriptions_cursor *cursor)
{
    const struct subscriptions *part = subscriptions;

    if (subscriptions->len == 0) {
        return 0;
    }
    if (is_parted(subscriptions)) {
        while (subscriptions->parts[cursor->part].len == 0) {
            cursor->part = (cursor->part + 1) % part_len(subscriptions);
        }
        part = &subscriptions->parts[cursor->part];
    }
    cursor->slot %= part->cap;
    while (part->slots[cursor->slot].node == 0) {
        cursor->slot = next_slot(part, cursor->slot);
    }
    return part->slots[cursor->slot].node;
}
