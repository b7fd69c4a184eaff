#include "base/sha1.h"
#include "base/test.h"

#include <stdlib.h>

/* FIPS 180-4's own examples, and lengths about the end of a block (checked against OpenSSL). */
static const struct {
    const char *text;
    size_t times;
    const char *digest;
} cases[] = {
    {"",                                                         1,       "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
    {"abc",                                                      1,       "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
     "84983e441c3bd26ebaae4aa1f95129e5e54670f1"                                                                     },
    {"a",                                                        1000000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"},
    {"0",                                                        55,      "8fffd3df3d041baf53b27f42ec802cfb362710bd"},
    {"0",                                                        56,      "2a04b5125ba4030ef13232ecf1b72849f6ec9e97"},
    {"0",                                                        63,      "70bc07198e6bcb86643b20d7fe3a75d6d19b8439"},
    {"0",                                                        64,      "0114498021cb8c4f1519f96bdf58dd806f3adb63"},
    {"0",                                                        119,     "deecef95667a268528b9eb517734898fecf8c81b"},
    {"0",                                                        120,     "f7f7d687d0c005ad24b07e7a80649f2d43aaef0a"},
};

static void digests(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t len = strlen(cases[i].text);
        uint8_t *bytes = memory_must_alloc(len * cases[i].times + 1);
        uint8_t digest[SHA1_SIZE];
        char text[2 * SHA1_SIZE + 1];

        for (size_t j = 0; j < cases[i].times; j++) {
            memcpy(bytes + j * len, cases[i].text, len);
        }
        sha1(slice_of(bytes, len * cases[i].times), digest);
        for (size_t j = 0; j < SHA1_SIZE; j++) {
            snprintf(text + 2 * j, 3, "%02x", digest[j]);
        }
        assert_string_equal(text, cases[i].digest);
        memory_free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
