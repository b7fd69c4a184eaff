#include "base/table.h"

#include "base/memory.h"

#include <string.h>

/*
 * A walk follows the bits of hashes in the order in which growth looks at them: the part's, which
 * are the highest, then the others from the lowest on. In that order the two buckets that one
 * becomes stand where it stood, so a place between two hashes stays what it is.
 */

#define FIRST_BUCKETS 4

/* Members for each bucket before there are more of these: to look at another link now and then
 * costs less than a million buckets of which half are empty. */
#define MEMBERS_PER_BUCKET 2u
#define PART_BITS          6
#define BUCKET_BITS        (64 - PART_BITS)
#define BUCKET_MASK        (UINT64_MAX >> PART_BITS)

/* The part comes from the high bits of the hash, the bucket from the low ones. */
static struct table_part *part_of(const struct table *table, uint64_t hash)
{
    return (struct table_part *)(uintptr_t)&table->parts[hash >> BUCKET_BITS];
}

static struct table_link **bucket_of(const struct table_part *part, uint64_t hash)
{
    return &part->buckets[hash & (part->bucket_len - 1)];
}

void table_init(struct table *table)
{
    static_assert(TABLE_PART_LEN == 1 << PART_BITS, "the part is the upper bits of the hash");
    memset(table, 0, sizeof(*table));
}

void table_deinit(struct table *table)
{
    assert(table->len == 0);
    for (unsigned i = 0; i < TABLE_PART_LEN; i++) {
        table->parts[i].buckets = memory_free(table->parts[i].buckets);
    }
}

/* Doubles a part. A part that can't grow just gets longer chains, unless it has no bucket yet. */
static int part_grow(struct table_part *part)
{
    uint32_t bucket_len = part->bucket_len ? part->bucket_len * 2 : FIRST_BUCKETS;
    struct table_link **buckets = memory_alloc_zero(bucket_len, sizeof(struct table_link *));
    struct table_part grown = {.buckets = buckets, .bucket_len = bucket_len, .len = part->len};

    if (!buckets) {
        return part->bucket_len ? 0 : -ENOMEM;
    }
    for (uint32_t i = 0; i < part->bucket_len; i++) {
        struct table_link *link = part->buckets[i];

        while (link) {
            struct table_link *next = link->next;
            struct table_link **bucket = bucket_of(&grown, link->hash);

            link->next = *bucket;
            *bucket = link;
            link = next;
        }
    }
    memory_free(part->buckets);
    *part = grown;
    return 0;
}

int table_add(struct table *table, struct table_link *link, uint64_t hash)
{
    struct table_part *part = part_of(table, hash);
    struct table_link **bucket;

    if (part->len >= part->bucket_len * MEMBERS_PER_BUCKET) {
        int r = part_grow(part);

        if (r < 0) {
            return r;
        }
    }
    bucket = bucket_of(part, hash);
    part->first = MIN(part->first, (uint32_t)(bucket - part->buckets));
    link->hash = hash;
    link->next = *bucket;
    *bucket = link;
    part->len++;
    table->len++;
    return 0;
}

void table_remove(struct table *table, struct table_link *link)
{
    struct table_part *part = part_of(table, link->hash);
    struct table_link **at = bucket_of(part, link->hash);

    while (*at != link) {
        assert(*at);
        at = &(*at)->next;
    }
    *at = link->next;
    link->next = NULL;
    part->len--;
    table->len--;
}

static struct table_link *first_with(struct table_link *link, uint64_t hash)
{
    while (link && link->hash != hash) {
        link = link->next;
    }
    return link;
}

struct table_link *table_find(const struct table *table, uint64_t hash)
{
    const struct table_part *part = part_of(table, hash);

    return part->bucket_len ? first_with(*bucket_of(part, hash), hash) : NULL;
}

struct table_link *table_find_next(const struct table_link *link)
{
    return first_with(link->next, link->hash);
}

struct table_link *table_any(struct table *table)
{
    for (unsigned i = 0; table->len > 0 && i < TABLE_PART_LEN; i++) {
        struct table_part *part = &table->parts[i];

        if (part->len > 0) {
            while (!part->buckets[part->first]) {
                part->first++;
            }
            return part->buckets[part->first];
        }
    }
    return NULL;
}

/* Walks */

static uint64_t mirror(uint64_t bits)
{
    bits = (bits >> 1 & UINT64_C(0x5555555555555555)) | (bits & UINT64_C(0x5555555555555555)) << 1;
    bits = (bits >> 2 & UINT64_C(0x3333333333333333)) | (bits & UINT64_C(0x3333333333333333)) << 2;
    bits = (bits >> 4 & UINT64_C(0x0F0F0F0F0F0F0F0F)) | (bits & UINT64_C(0x0F0F0F0F0F0F0F0F)) << 4;
    return __builtin_bswap64(bits);
}

/* Where a hash stands in the order of walks; and which hash stands there. */
static uint64_t turn(uint64_t hash)
{
    return (hash & ~BUCKET_MASK) | mirror(hash & BUCKET_MASK) >> PART_BITS;
}

/* The link of a bucket that comes first at or behind the place. */
static struct table_link *find_at(struct table_link *link, const struct table_place *place,
                                  unsigned *budget)
{
    struct table_link *first = NULL;
    unsigned met = 0;

    for (; link; link = link->next) {
        uint64_t at = turn(link->hash);

        *budget -= *budget > 0;
        if (at < place->at || (at == place->at && met++ < place->met)) {
            continue;
        }
        if (!first || at < turn(first->hash)) {
            first = link;
        }
    }
    return first;
}

/* Behind so many of the places that differ in the lowest bits alone. */
static void skip(struct table_place *place, uint64_t len)
{
    uint64_t next = (place->at | (len - 1)) + 1;

    *place = (struct table_place){.at = next, .is_over = next == 0};
}

struct table_link *table_walk(const struct table *table, struct table_place *place,
                              unsigned *budget)
{
    while (!place->is_over && *budget > 0) {
        const struct table_part *part = part_of(table, place->at);
        struct table_link *link;

        --*budget;
        if (part->len == 0) {
            skip(place, UINT64_C(1) << BUCKET_BITS);
            continue;
        }
        link = find_at(*bucket_of(part, turn(place->at)), place, budget);
        if (link) {
            uint64_t at = turn(link->hash);

            place->met = at == place->at ? place->met + 1 : 1;
            place->at = at;
            return link;
        }
        skip(place, (UINT64_C(1) << BUCKET_BITS) / part->bucket_len);
    }
    return NULL;
}
