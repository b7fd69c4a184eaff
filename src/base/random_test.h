#pragma once

/*
 * Random numbers for tests
 *
 * The same sequence for the same seed, everywhere.
 */

#include "base/base.h"

struct dice {
    uint64_t state;
};

static inline UNUSED uint64_t dice_throw(struct dice *dice)
{
    dice->state += 0x9E3779B97F4A7C15u;
    uint64_t z = dice->state;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* 0 to `sides` - 1. */
static inline UNUSED uint32_t dice_below(struct dice *dice, uint32_t sides)
{
    return (uint32_t)(dice_throw(dice) % sides);
}
