#include "sim/choice.h"

/* xoshiro256++, its state filled by splitmix64. */

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

void choice_from_seed(struct choice *choice, uint64_t seed)
{
    *choice = (struct choice){.bytes = NULL};
    for (unsigned i = 0; i < ARRAY_LEN(choice->state); i++) {
        choice->state[i] = splitmix(&seed);
    }
}

void choice_from_bytes(struct choice *choice, const uint8_t *bytes, size_t len)
{
    uint64_t seed = len;

    for (size_t i = 0; i < len; i++) {
        seed = (seed ^ bytes[i]) * 0x100000001B3u;
    }
    choice_from_seed(choice, seed);
    choice->bytes = bytes;
    choice->bytes_len = len;
}

static uint64_t rotate(uint64_t value, unsigned by)
{
    return value << by | value >> (64 - by);
}

uint64_t choice_next(struct choice *choice)
{
    uint64_t *s = choice->state;
    uint64_t result = rotate(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

/* Small decisions take one byte of a fuzzer's input, so that its mutations stay local. */
static uint64_t next_number(struct choice *choice, unsigned bound)
{
    uint64_t number = 0;
    unsigned size = bound <= 256 ? 1 : 2;

    if (choice->bytes_len - choice->bytes_at < size) {
        return choice_next(choice);
    }
    for (unsigned i = 0; i < size; i++) {
        number = number << 8 | choice->bytes[choice->bytes_at++];
    }
    return bound > 65536 ? number ^ choice_next(choice) << 16 : number;
}

unsigned choice_below(struct choice *choice, unsigned bound)
{
    return bound < 2 ? 0 : (unsigned)(next_number(choice, bound) % bound);
}

unsigned choice_between(struct choice *choice, unsigned low, unsigned high)
{
    assert(low <= high);

    return low + choice_below(choice, high - low + 1);
}

bool choice_chance(struct choice *choice, unsigned permille)
{
    return permille > 0 && choice_below(choice, 1000) < permille;
}

unsigned choice_pick(struct choice *choice, const unsigned *values, unsigned len)
{
    assert(len > 0);
    return values[choice_below(choice, len)];
}

unsigned choice_weighted(struct choice *choice, const unsigned *weights, unsigned len)
{
    unsigned sum = 0;
    unsigned at;

    for (unsigned i = 0; i < len; i++) {
        sum += weights[i];
    }
    assert(sum > 0);
    at = choice_below(choice, sum);
    for (unsigned i = 0; i < len; i++) {
        if (at < weights[i]) {
            return i;
        }
        at -= weights[i];
    }
    return len - 1;
}
