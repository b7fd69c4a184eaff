#pragma once

/*
 * Hash
 *
 * A keyed 64-bit hash for tables whose keys clients choose. The key is drawn at start, so that
 * nobody outside can make keys collide. Not cryptographic; never leaves the process.
 */

#include "base/slice.h"

struct hash_key {
    uint64_t words[2];
};

/* Draws a key from the kernel; ends the process when it can't. */
void hash_key_draw(struct hash_key *key);

/* A fixed key made from a number, for simulations and tests. */
void hash_key_make(struct hash_key *key, uint64_t seed);

static inline uint64_t hash_fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Mixes a hash of a part into that of the whole before it: order matters. */
static inline uint64_t hash_chain(uint64_t whole, uint64_t part)
{
    return hash_fold(whole ^ 0x9E3779B97F4A7C15u, part ^ 0xD6E8FEB86659FD93u);
}

uint64_t hash_bytes(const struct hash_key *key, struct slice bytes);
