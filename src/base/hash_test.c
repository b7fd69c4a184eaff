#include "base/hash.h"
#include "base/test.h"

#define LEN_MAX 70

static struct hash_key make_key(uint64_t seed)
{
    struct hash_key key;

    hash_key_make(&key, seed);
    return key;
}

/* The copy is exactly as long as the bytes: the address sanitizer sees a read beside them. */
static uint64_t hash_exactly(const struct hash_key *key, const uint8_t *bytes, size_t len)
{
    struct slice copy = bytes_copy(slice_of(bytes, len));
    uint64_t hash = hash_bytes(key, copy);

    bytes_free(copy);
    return hash;
}

static unsigned bits_apart(uint64_t a, uint64_t b)
{
    return (unsigned)__builtin_popcountll(a ^ b);
}

static void every_bit_of_every_length_counts(void **state)
{
    struct hash_key key = make_key(1);
    uint8_t bytes[LEN_MAX];

    (void)state;
    memset(bytes, 0x5A, sizeof(bytes));
    for (size_t len = 0; len <= LEN_MAX; len++) {
        uint64_t hash = hash_exactly(&key, bytes, len);

        assert_true(hash == hash_bytes(&key, slice_of(bytes, len)));
        for (size_t bit = 0; bit < len * 8; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_in_range(bits_apart(hash, hash_exactly(&key, bytes, len)), 8, 56);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

static void alignment_does_not_count(void **state)
{
    struct hash_key key = make_key(2);
    uint8_t room[LEN_MAX + 8];

    (void)state;
    for (size_t len = 0; len <= LEN_MAX; len++) {
        uint64_t hash = 0;

        for (size_t at = 0; at < 8; at++) {
            memset(room, (int)at, sizeof(room));
            memset(room + at, 'x', len);
            assert_true(at == 0 || hash == hash_bytes(&key, slice_of(room + at, len)));
            hash = hash_bytes(&key, slice_of(room + at, len));
        }
    }
}

static void the_length_counts(void **state)
{
    static const uint8_t zeros[LEN_MAX];
    struct hash_key key = make_key(3);
    uint64_t hashes[LEN_MAX + 1];

    (void)state;
    for (size_t len = 0; len <= LEN_MAX; len++) {
        hashes[len] = hash_bytes(&key, slice_of(zeros, len));
        for (size_t i = 0; i < len; i++) {
            assert_in_range(bits_apart(hashes[i], hashes[len]), 8, 56);
        }
    }
}

static void both_words_of_the_key_count(void **state)
{
    static const uint8_t bytes[LEN_MAX] = "a client's identifier";
    struct hash_key key = make_key(4);

    (void)state;
    for (size_t len = 0; len <= LEN_MAX; len++) {
        uint64_t hash = hash_bytes(&key, slice_of(bytes, len));

        for (unsigned bit = 0; bit < 128; bit++) {
            struct hash_key other = key;

            other.words[bit / 64] ^= UINT64_C(1) << bit % 64;
            assert_in_range(bits_apart(hash, hash_bytes(&other, slice_of(bytes, len))), 8, 56);
        }
    }
}

static void keys_differ(void **state)
{
    struct hash_key one;
    struct hash_key two;

    (void)state;
    hash_key_draw(&one);
    hash_key_draw(&two);
    assert_memory_not_equal(&one, &two, sizeof(one));
    one = make_key(1);
    two = make_key(2);
    assert_true(one.words[0] != two.words[0] && one.words[1] != two.words[1]);
    two = make_key(1);
    assert_memory_equal(&one, &two, sizeof(one));
}

#define BUCKET_LEN 1024
#define DRAW_LEN   (64 * BUCKET_LEN)

/* Chi squared with 1,023 degrees of freedom: 800 to 1,270 in all but one of 10,000,000 cases. */
static void assert_even(const uint32_t *buckets)
{
    double sum = 0;

    for (unsigned i = 0; i < BUCKET_LEN; i++) {
        double off = buckets[i] - (double)DRAW_LEN / BUCKET_LEN;

        sum += off * off;
    }
    sum /= (double)DRAW_LEN / BUCKET_LEN;
    assert_true(sum > 800 && sum < 1270);
}

static void names_in_a_row_are_spread(void **state)
{
    static const char *const forms[] = {"%u", "client-%u", "sensors/%08u/temperature",
                                        "a long common beginning, longer than thirty-two/%u"};
    struct hash_key key = make_key(5);

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(forms); i++) {
        static uint32_t low[BUCKET_LEN];
        static uint32_t middle[BUCKET_LEN];
        static uint32_t high[BUCKET_LEN];

        memset(low, 0, sizeof(low));
        memset(middle, 0, sizeof(middle));
        memset(high, 0, sizeof(high));
        for (unsigned j = 0; j < DRAW_LEN; j++) {
            char name[80];
            uint64_t hash;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(name, sizeof(name), forms[i], j);
#pragma GCC diagnostic pop
            hash = hash_bytes(&key, slice_of_text(name));
            low[hash % BUCKET_LEN]++;
            middle[hash >> 27 & (BUCKET_LEN - 1)]++;
            high[hash >> 54]++;
        }
        assert_even(low);
        assert_even(middle);
        assert_even(high);
    }
}

/* Words as hash_bytes() would give them, and the small ones that it would not. */
static void a_chain_knows_its_order(void **state)
{
    struct hash_key key = make_key(6);

    (void)state;
    for (uint64_t i = 0; i < 200; i++) {
        uint64_t a = i % 2 ? i : hash_bytes(&key, slice_of(&i, sizeof(i)));

        for (uint64_t b = i + 1; b < 200; b++) {
            assert_true(hash_chain(a, b) != hash_chain(b, a));
            assert_true(hash_chain(a, b) != hash_chain(a, b + 1));
            assert_true(hash_chain(hash_chain(1, a), b) != hash_chain(hash_chain(1, b), a));
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bit_of_every_length_counts),
        cmocka_unit_test(alignment_does_not_count),
        cmocka_unit_test(the_length_counts),
        cmocka_unit_test(both_words_of_the_key_count),
        cmocka_unit_test(keys_differ),
        cmocka_unit_test(names_in_a_row_are_spread),
        cmocka_unit_test(a_chain_knows_its_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
