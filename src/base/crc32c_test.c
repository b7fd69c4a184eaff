#include "base/crc32c.h"
#include "base/test.h"

/* Values that are published with the polynomial (RFC 3720, B.4), and the usual check string. */
static void answers_published_values(void **state)
{
    uint8_t bytes[32] = {0};

    (void)state;
    assert_int_equal(crc32c_add(0, slice_of(NULL, 0)), 0);
    assert_int_equal(crc32c_add(0, slice_of_text("123456789")), 0xE3069283);
    assert_int_equal(crc32c_add(0, slice_of(bytes, sizeof(bytes))), 0x8A9136AA);
    memset(bytes, 0xFF, sizeof(bytes));
    assert_int_equal(crc32c_add(0, slice_of(bytes, sizeof(bytes))), 0x62A8AB43);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)i;
    }
    assert_int_equal(crc32c_add(0, slice_of(bytes, sizeof(bytes))), 0x46DD794E);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(31 - i);
    }
    assert_int_equal(crc32c_add(0, slice_of(bytes, sizeof(bytes))), 0x113FDB5C);
}

static void does_not_care_about_pieces(void **state)
{
    struct slice whole = slice_of_text("the quick brown fox jumps over the lazy dog");
    uint32_t expected = crc32c_add(0, whole);

    (void)state;
    for (size_t i = 0; i <= whole.len; i++) {
        uint32_t crc = crc32c_add(0, slice_of(whole.data, i));

        assert_int_equal(crc32c_add(crc, slice_skip(whole, i)), expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_published_values),
        cmocka_unit_test(does_not_care_about_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
