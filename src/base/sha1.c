#include "base/sha1.h"

#define BLOCK_SIZE  64
#define LENGTH_SIZE 8 /* of the number of bits at the end of the last block */
#define WORDS       80
#define STATE_WORDS 5

static uint32_t rotate(uint32_t word, unsigned bits)
{
    return word << bits | word >> (32 - bits);
}

static uint32_t load(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void store(uint8_t *at, uint32_t word)
{
    at[0] = (uint8_t)(word >> 24);
    at[1] = (uint8_t)(word >> 16);
    at[2] = (uint8_t)(word >> 8);
    at[3] = (uint8_t)word;
}

static uint32_t mix(unsigned round, uint32_t b, uint32_t c, uint32_t d)
{
    switch (round / 20) {
    case 0: return (b & c) | (~b & d);
    case 2: return (b & c) | (b & d) | (c & d);
    default: return b ^ c ^ d;
    }
}

static void add_block(uint32_t state[STATE_WORDS], const uint8_t block[BLOCK_SIZE])
{
    static const uint32_t constants[] = {0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6};
    uint32_t words[WORDS];
    uint32_t v[STATE_WORDS];

    for (unsigned i = 0; i < BLOCK_SIZE / 4; i++) {
        words[i] = load(block + 4 * (size_t)i);
    }
    for (unsigned i = BLOCK_SIZE / 4; i < WORDS; i++) {
        words[i] = rotate(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
    }
    memcpy(v, state, sizeof(v));
    for (unsigned i = 0; i < WORDS; i++) {
        uint32_t next =
            rotate(v[0], 5) + mix(i, v[1], v[2], v[3]) + v[4] + constants[i / 20] + words[i];

        v[4] = v[3];
        v[3] = v[2];
        v[2] = rotate(v[1], 30);
        v[1] = v[0];
        v[0] = next;
    }
    for (unsigned i = 0; i < STATE_WORDS; i++) {
        state[i] += v[i];
    }
}

/* The last bytes, the mark behind them and the number of all bits: one block, or two. */
static void add_end(uint32_t state[STATE_WORDS], struct slice tail, uint64_t bits)
{
    uint8_t blocks[2 * BLOCK_SIZE] = {0};
    size_t size = tail.len + 1 + LENGTH_SIZE <= BLOCK_SIZE ? BLOCK_SIZE : 2 * BLOCK_SIZE;

    assert(tail.len < BLOCK_SIZE);
    if (tail.len) {
        memcpy(blocks, tail.data, tail.len);
    }
    blocks[tail.len] = 0x80;
    store(blocks + size - 8, (uint32_t)(bits >> 32));
    store(blocks + size - 4, (uint32_t)bits);
    for (size_t at = 0; at < size; at += BLOCK_SIZE) {
        add_block(state, blocks + at);
    }
}

void sha1(struct slice bytes, uint8_t digest[SHA1_SIZE])
{
    uint32_t state[STATE_WORDS] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    uint64_t bits = (uint64_t)bytes.len * 8;

    while (bytes.len >= BLOCK_SIZE) {
        add_block(state, bytes.data);
        bytes = slice_skip(bytes, BLOCK_SIZE);
    }
    add_end(state, bytes, bits);
    for (size_t i = 0; i < STATE_WORDS; i++) {
        store(digest + 4 * i, state[i]);
    }
}
