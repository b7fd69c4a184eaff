#include "base/table.h"

#include "base/memory.h"

#include <string.h>

#define FIRST_BUCKETS 4

/* The part comes from the high bits of the hash, the bucket from the low ones. */
static struct table_part *part_of(const struct table *table, uint64_t hash)
{
    return (struct table_part *)(uintptr_t)&table->parts[hash >> 58];
}

static struct table_link **bucket_of(const struct table_part *part, uint64_t hash)
{
    return &part->buckets[hash & (part->bucket_len - 1)];
}

void table_init(struct table *table)
{
    static_assert(TABLE_PART_LEN == 64, "the part is the upper six bits of the hash");
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

    if (part->len >= part->bucket_len) {
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
