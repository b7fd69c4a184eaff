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

/* Where a walk is; zero at its beginning. Plain numbers: they may be kept anywhere. */
struct table_place {
    uint64_t at;  /* in the order of the walk */
    uint32_t met; /* links that were met just there */
    bool is_over;
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

/*
 * The next link of a walk, which may be left for any time: links come in an order that their hashes
 * alone decide, also when the table grows meanwhile. So who is a member all the time is met once,
 * and who comes and goes never twice with one hash; of links that share a hash, as long as these
 * are the same. `*budget` is lowered by each bucket and link that was looked at. NULL: the walk is
 * over, or there is no budget left.
 */
struct table_link *table_walk(const struct table *table, struct table_place *place,
                              unsigned *budget) MUST_CHECK;

/* Any link: a walk that empties the table this way costs one look at each. NULL when empty. */
struct table_link *table_any(struct table *table);
