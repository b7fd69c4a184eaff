#pragma once

/*
 * Addresses
 *
 * How many connections each address has, how fast it opens new ones, and how many of its logins
 * have failed. For all workers together; touched when a connection begins and when it ends, never
 * for a packet. An IPv6 address stands for its /64, since that is what one subscriber has; the
 * other ends of Unix sockets, which can't be told from each other, are one.
 */

#include "base/address.h"
#include "base/hash.h"

struct addresses;

/* As configured at this moment; 0: no limit. */
struct addresses_limits {
    uint32_t rate;        /* new connections a minute; a minute's worth may come at once */
    uint32_t connections; /* at the same time */
    uint32_t failures;    /* logins that may fail within the window */
    uint32_t window_s;
    uint32_t ban_s; /* for how long who is over that is banned */
};

enum addresses_verdict {
    ADDRESSES_OK,       /* counted, until addresses_leave() */
    ADDRESSES_TOO_FAST, /* not counted */
    ADDRESSES_TOO_MANY, /* not counted */
    ADDRESSES_BANNED    /* not counted: too many logins from there have failed */
};

/* -ENOMEM. */
int addresses_new(const struct hash_key *key, struct addresses **addresses_out) MUST_CHECK;

/* Every connection that was counted has left. */
struct addresses *addresses_free(struct addresses *addresses);

DEFINE_CLEANUP(struct addresses *, addresses_free)

/* The verdict; -ENOMEM, and it is not counted. Any worker. */
int addresses_enter(struct addresses *addresses, const struct address *address,
                    const struct addresses_limits *limits, uint64_t now_ms) MUST_CHECK;

/* A connection that was counted has ended; the address is that of addresses_enter(). Any worker. */
void addresses_leave(struct addresses *addresses, const struct address *address, uint64_t now_ms);

/* A login has failed. ADDRESSES_BANNED: this one was the last that may, and from now on the address
 * is banned. -ENOMEM: it is not counted. Any worker. */
int addresses_fail(struct addresses *addresses, const struct address *address,
                   const struct addresses_limits *limits, uint64_t now_ms) MUST_CHECK;

/* Whether it is banned now. Any worker. */
bool addresses_is_banned(struct addresses *addresses, const struct address *address,
                         uint64_t now_ms);

/* Those in memory: connected, or remembered for the rate. When no worker runs. */
size_t addresses_len(const struct addresses *addresses);
