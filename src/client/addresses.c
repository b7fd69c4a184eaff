#include "client/addresses.h"

#include "base/list.h"
#include "base/lock.h"
#include "base/memory.h"
#include "base/table.h"

/*
 * The rate is a bucket of tokens in one number: `full_ns` is when the bucket will be full again.
 * Each connection moves that by a minute divided by the rate, and may not move it more than a
 * minute ahead. An address whose bucket is full and that has no connection is as good as unknown,
 * so its entry can go. Those that only wait for their bucket stand in a list, oldest first; each
 * new connection takes up to two of its stripe off that list, so entries expire without a walk.
 * More than IDLE_CAP are never kept: then the oldest is forgotten early. What stands in the list no
 * longer than a minute and what is connected is all the memory there is.
 *
 * Workers meet under the lock of one stripe of the addresses, for a moment, once at the beginning
 * and once at the end of a connection.
 */

#define STRIPE_LEN  16
#define IDLE_CAP    4096 /* of a stripe */
#define EXPIRE_LEN  2
#define MINUTE_NS   UINT64_C(60000000000)
#define NS_OF_MS    UINT64_C(1000000)
#define SECOND_NS   UINT64_C(1000000000)
#define PREFIX_SIZE 8

/* Owner: its stripe, under the lock. */
struct entry {
    struct table_link link;
    struct list_link idle; /* in the stripe's list while nothing is connected */
    uint64_t prefix;
    uint64_t full_ns;   /* when a minute's worth may come again */
    uint64_t window_ns; /* when the failures below are forgotten */
    uint64_t ban_ns;    /* until when it is banned */
    uint32_t failures;
    uint32_t len; /* connections */
    uint8_t family;
};

struct stripe {
    struct lock lock CACHE_ALIGNED;
    struct table entries;
    struct list_link idle; /* in the order in which they became so */
    uint32_t idle_len;
};

/* Any worker. */
struct addresses {
    struct stripe stripes[STRIPE_LEN];
    struct hash_key key;
};

/* What of an address counts. */
struct place {
    uint64_t prefix;
    uint64_t hash;
    uint8_t family;
};

int addresses_new(const struct hash_key *key, struct addresses **addresses_out)
{
    struct addresses *addresses = memory_alloc_aligned(sizeof(*addresses));

    if (!addresses) {
        return -ENOMEM;
    }
    addresses->key = *key;
    for (unsigned i = 0; i < STRIPE_LEN; i++) {
        struct stripe *stripe = &addresses->stripes[i];

        lock_init(&stripe->lock, LOCK_ADDRESSES);
        table_init(&stripe->entries);
        list_init(&stripe->idle);
    }
    *addresses_out = addresses;
    return 0;
}

static void forget(struct stripe *stripe, struct entry *entry)
{
    assert(entry->len == 0);

    if (list_is_linked(&entry->idle)) {
        list_remove(&entry->idle);
        stripe->idle_len--;
    }
    table_remove(&stripe->entries, &entry->link);
    memory_free(entry);
}

static void forget_oldest(struct stripe *stripe)
{
    forget(stripe, CONTAINER_OF(stripe->idle.next, struct entry, idle));
}

struct addresses *addresses_free(struct addresses *addresses)
{
    if (!addresses) {
        return NULL;
    }
    for (unsigned i = 0; i < STRIPE_LEN; i++) {
        struct stripe *stripe = &addresses->stripes[i];

        while (stripe->idle_len > 0) {
            forget_oldest(stripe);
        }
        table_deinit(&stripe->entries);
        lock_deinit(&stripe->lock);
    }
    return memory_free(addresses);
}

static struct place place_of(const struct addresses *addresses, const struct address *address)
{
    struct place place = {.family = address->family};
    size_t size = address->family == ADDRESS_IPV4   ? 4
                  : address->family == ADDRESS_IPV6 ? PREFIX_SIZE
                                                    : 0;

    memcpy(&place.prefix, address->ip, size);
    place.hash = hash_chain(hash_bytes(&addresses->key, slice_of(address->ip, size)), place.family);
    return place;
}

static struct stripe *stripe_of(struct addresses *addresses, const struct place *place)
{
    return &addresses->stripes[place->hash % STRIPE_LEN];
}

/* The table has its own use of the low bits. */
static uint64_t table_hash(const struct place *place)
{
    return place->hash / STRIPE_LEN;
}

static struct entry *find(const struct stripe *stripe, const struct place *place)
{
    struct table_link *link = table_find(&stripe->entries, table_hash(place));

    for (; link; link = table_find_next(link)) {
        struct entry *entry = CONTAINER_OF(link, struct entry, link);

        if (entry->prefix == place->prefix && entry->family == place->family) {
            return entry;
        }
    }
    return NULL;
}

/* Whether all that is known of it is over. */
static bool is_blank(const struct entry *entry, uint64_t now_ns)
{
    return entry->full_ns <= now_ns && entry->window_ns <= now_ns && entry->ban_ns <= now_ns;
}

static void expire(struct stripe *stripe, uint64_t now_ns)
{
    for (unsigned i = 0; i < EXPIRE_LEN && stripe->idle_len > 0; i++) {
        if (!is_blank(CONTAINER_OF(stripe->idle.next, struct entry, idle), now_ns)) {
            return;
        }
        forget_oldest(stripe);
    }
}

static struct entry *find_or_add(struct stripe *stripe, const struct place *place)
{
    struct entry *entry = find(stripe, place);

    if (entry) {
        return entry;
    }
    entry = memory_alloc_zero(1, sizeof(*entry));
    if (!entry) {
        return NULL;
    }
    list_init(&entry->idle);
    entry->prefix = place->prefix;
    entry->family = place->family;
    if (table_add(&stripe->entries, &entry->link, table_hash(place)) < 0) {
        return memory_free(entry);
    }
    return entry;
}

static bool take_token(struct entry *entry, uint32_t rate, uint64_t now_ns)
{
    uint64_t step_ns = MINUTE_NS / rate;
    uint64_t full_ns = MAX(entry->full_ns, now_ns) + step_ns;

    if (full_ns > now_ns + MINUTE_NS) {
        return false;
    }
    entry->full_ns = full_ns;
    return true;
}

static int enter(struct entry *entry, const struct addresses_limits *limits, uint64_t now_ns)
{
    if (limits->failures > 0 && entry->ban_ns > now_ns) {
        return ADDRESSES_BANNED;
    }
    if (limits->connections > 0 && entry->len >= limits->connections) {
        return ADDRESSES_TOO_MANY;
    }
    if (limits->rate > 0 && !take_token(entry, limits->rate, now_ns)) {
        return ADDRESSES_TOO_FAST;
    }
    entry->len++;
    return ADDRESSES_OK;
}

/* Failures are counted from the first one on; a ban forgets them. */
static int fail(struct entry *entry, const struct addresses_limits *limits, uint64_t now_ns)
{
    if (entry->window_ns <= now_ns) {
        entry->failures = 0;
        entry->window_ns = now_ns + limits->window_s * SECOND_NS;
    }
    if (++entry->failures < limits->failures || entry->ban_ns > now_ns) {
        return ADDRESSES_OK;
    }
    entry->window_ns = 0;
    entry->ban_ns = now_ns + limits->ban_s * SECOND_NS;
    return ADDRESSES_BANNED;
}

/* Where it belongs by what it has become: in the list or not, or forgotten. */
static void settle(struct stripe *stripe, struct entry *entry, uint64_t now_ns)
{
    bool is_idle = list_is_linked(&entry->idle);

    if (entry->len > 0 && is_idle) {
        list_remove(&entry->idle);
        stripe->idle_len--;
    } else if (entry->len == 0 && is_blank(entry, now_ns)) {
        forget(stripe, entry);
    } else if (entry->len == 0 && !is_idle) {
        list_push(&stripe->idle, &entry->idle);
        if (++stripe->idle_len > IDLE_CAP) {
            forget_oldest(stripe);
        }
    }
}

typedef int (*change_fn)(struct entry *entry, const struct addresses_limits *limits,
                         uint64_t now_ns);

static int change(struct addresses *addresses, const struct address *address, change_fn function,
                  const struct addresses_limits *limits, uint64_t now_ms)
{
    struct place place = place_of(addresses, address);
    struct stripe *stripe = stripe_of(addresses, &place);
    uint64_t now_ns = now_ms * NS_OF_MS;
    struct entry *entry;
    int r = -ENOMEM;

    lock_take(&stripe->lock);
    expire(stripe, now_ns);
    entry = find_or_add(stripe, &place);
    if (entry) {
        r = function(entry, limits, now_ns);
        settle(stripe, entry, now_ns);
    }
    lock_release(&stripe->lock);
    return r;
}

int addresses_enter(struct addresses *addresses, const struct address *address,
                    const struct addresses_limits *limits, uint64_t now_ms)
{
    return change(addresses, address, enter, limits, now_ms);
}

void addresses_leave(struct addresses *addresses, const struct address *address, uint64_t now_ms)
{
    struct place place = place_of(addresses, address);
    struct stripe *stripe = stripe_of(addresses, &place);
    struct entry *entry;

    lock_take(&stripe->lock);
    entry = find(stripe, &place);
    assert(entry && entry->len > 0);
    entry->len--;
    settle(stripe, entry, now_ms * NS_OF_MS);
    lock_release(&stripe->lock);
}

int addresses_fail(struct addresses *addresses, const struct address *address,
                   const struct addresses_limits *limits, uint64_t now_ms)
{
    return change(addresses, address, fail, limits, now_ms);
}

bool addresses_is_banned(struct addresses *addresses, const struct address *address,
                         uint64_t now_ms)
{
    struct place place = place_of(addresses, address);
    struct stripe *stripe = stripe_of(addresses, &place);
    const struct entry *entry;
    bool is_banned;

    lock_take(&stripe->lock);
    entry = find(stripe, &place);
    is_banned = entry && entry->ban_ns > now_ms * NS_OF_MS;
    lock_release(&stripe->lock);
    return is_banned;
}

size_t addresses_len(const struct addresses *addresses)
{
    size_t len = 0;

    for (unsigned i = 0; i < STRIPE_LEN; i++) {
        len += addresses->stripes[i].entries.len;
    }
    return len;
}
