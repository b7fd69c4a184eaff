#pragma once

/*
 * Choice
 *
 * The one source of everything that happens by chance in a run: a stream of numbers that follows
 * from a seed, or that is read from bytes a fuzzer made (and follows from them when they end). The
 * same seed or bytes give the same run.
 */

#include "base/base.h"

struct choice {
    uint64_t state[4];
    const uint8_t *bytes; /* borrowed; NULL with a seed */
    size_t bytes_len;
    size_t bytes_at;
};

void choice_from_seed(struct choice *choice, uint64_t seed);
void choice_from_bytes(struct choice *choice, const uint8_t *bytes, size_t len);

uint64_t choice_next(struct choice *choice);

/* 0 up to `bound` - 1; 0 when the bound is 0 or 1. */
unsigned choice_below(struct choice *choice, unsigned bound);

/* `low` up to `high`, both included. */
unsigned choice_between(struct choice *choice, unsigned low, unsigned high);

/* True `permille` times of 1,000. */
bool choice_chance(struct choice *choice, unsigned permille);

/* One of `values`. */
unsigned choice_pick(struct choice *choice, const unsigned *values, unsigned len);

#define PICK(choice, ...)                                  \
    choice_pick((choice), (const unsigned[]){__VA_ARGS__}, \
                (unsigned)(sizeof((const unsigned[]){__VA_ARGS__}) / sizeof(unsigned)))

/* An index of `weights`, each as often as its weight says; one must be above 0. */
unsigned choice_weighted(struct choice *choice, const unsigned *weights, unsigned len);
