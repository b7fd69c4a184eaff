#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/*
 * Two words at a time are xored with the key and folded through one 64 x 64 -> 128 bit
 * multiplication; the tail is read as two overlapping words. The key enters every multiplication,
 * and the length the last one. All bits of the result depend on all bits of the input.
 */

#define MIX_A 0xA0761D6478BD642Fu
#define MIX_B 0xE7037ED1A0B428DBu

void hash_key_draw(struct hash_key *key)
{
    if (getrandom(key->words, sizeof(key->words), 0) != (ssize_t)sizeof(key->words)) {
        fprintf(stderr, "Error: Unable to draw a key: %s.\n", strerror(errno));
        exit(1);
    }
}

void hash_key_make(struct hash_key *key, uint64_t seed)
{
    key->words[0] = hash_fold(seed ^ MIX_A, MIX_B);
    key->words[1] = hash_fold(seed ^ MIX_B, MIX_A);
}

static uint64_t load_eight(const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return word;
}

static uint64_t load_four(const uint8_t *at)
{
    uint32_t word;

    memcpy(&word, at, sizeof(word));
    return word;
}

/* Up to 16 bytes as two words that between them hold every byte. */
static void load_tail(const uint8_t *at, size_t len, uint64_t *a_out, uint64_t *b_out)
{
    if (len >= 8) {
        *a_out = load_eight(at);
        *b_out = load_eight(at + len - 8);
    } else if (len >= 4) {
        *a_out = load_four(at);
        *b_out = load_four(at + len - 4);
    } else if (len > 0) {
        *a_out = (uint64_t)at[0] << 16 | (uint64_t)at[len / 2] << 8 | at[len - 1];
        *b_out = 0;
    } else {
        *a_out = 0;
        *b_out = 0;
    }
}

uint64_t hash_bytes(const struct hash_key *key, struct slice bytes)
{
    const uint8_t *at = bytes.data;
    size_t left = bytes.len;
    uint64_t state = key->words[0];
    uint64_t a;
    uint64_t b;

    for (; left > 16; at += 16, left -= 16) {
        state = hash_fold(load_eight(at) ^ key->words[1] ^ MIX_A, load_eight(at + 8) ^ state);
    }
    load_tail(at, left, &a, &b);
    state = hash_fold(a ^ key->words[1] ^ MIX_A, b ^ state ^ MIX_B);
    return hash_fold(state ^ key->words[0], bytes.len ^ MIX_B);
}
