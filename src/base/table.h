#pragma once

/*
 * Table
 *
 * A hash table whose links live inside its members. It is cut into parts that grow alone, so that
 * with a million members no single insertion has to move them all. Single-threaded: belongs to
 * whoever owns the members.
 */

#include "base/base.h"

#define TABLE_PART_LEN 64

struct table_link {
    struct table_link *next;
    uint64_t hash;
};

/* Private to base/table.c. */
struct table_part {
    struct table_link **buckets;
    uint32_t bucket_len; /* a power of two, or 0 */
    uint32_t len;
    uint32_t first; /* the buckets before it are empty */
};

struct table {
    size_t len;
    struct table_part parts[TABLE_PART_LEN];
};

void table_init(struct table *table);

/* The members are the caller's: the table must be empty. */
void table_deinit(struct table *table);

/* -ENOMEM: the link is not in the table. */
int table_add(struct table *table, struct table_link *link, uint64_t hash) MUST_CHECK;
void table_remove(struct table *table, struct table_link *link);

/* The first link with this hash, and the next one behind a link; NULL when there is none. */
struct table_link *table_find(const struct table *table, uint64_t hash);
struct table_link *table_find_next(const struct table_link *link);

/* Any link: a walk that empties the table this way costs one look at each. NULL when empty. */
struct table_link *table_any(struct table *table);
