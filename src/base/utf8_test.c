#include "base/test.h"
#include "base/utf8.h"

static bool is_valid(const void *bytes, size_t len)
{
    struct slice copy = bytes_copy(slice_of(bytes, len));
    bool answer = utf8_is_valid(copy);

    bytes_free(copy);
    return answer;
}

struct text_case {
    const char *text;
    bool valid;
};

/* clang-format off */
static const struct text_case text_cases[] = {
    {"", true}, {"a", true}, {" ~", true}, {"sensors/kitchen/temperature", true},
    {"$SYS/#+", true}, {"\xC3\xA4", true}, {"\xE2\x82\xAC", true}, {"\xF0\x9F\x90\xA6", true},
    {"abcdefgh\xC3\xA4ijklmnop", true}, {"abcdefg\xC3\xA4", true}, {"\xEF\xBB\xBF" "a", true},
    /* cut characters, stray continuations, bytes that never stand in UTF-8 */
    {"\xC3", false}, {"a\xE2\x82", false}, {"\xF0\x9F\x90", false}, {"\x80", false},
    {"a\xBF", false}, {"\xC3" "a", false}, {"\xE2\x82" "a", false}, {"\xF0\x9F\x90" "a", false},
    {"\xF8\x88\x80\x80\x80", false}, {"\xFE", false}, {"\xFF", false}, {"abcdefgh\xFF", false},
    /* over-long */
    {"\xC0\x80", false}, {"\xC0\xAF", false}, {"\xC1\xBF", false}, {"\xE0\x80\xAF", false},
    {"\xE0\x9F\xBF", false}, {"\xF0\x80\x80\xAF", false}, {"\xF0\x8F\xBF\xBD", false},
    /* surrogates and beyond the last code point */
    {"\xED\x9F\xBF", true}, {"\xED\xA0\x80", false}, {"\xED\xBF\xBF", false},
    {"\xEE\x80\x80", true}, {"\xF4\x8F\xBF\xBD", true}, {"\xF4\x90\x80\x80", false},
    {"\xF5\x80\x80\x80", false}, {"\xF7\xBF\xBF\xBF", false},
    /* control characters */
    {"\x01", false}, {"\x1F", false}, {"\x7F", false}, {"\xC2\x80", false}, {"\xC2\x9F", false},
    {"\xC2\xA0", true}, {"abcdefg\x7F", false}, {"abcdefg\n", false}, {"a\tbcdefghi", false},
    /* non-characters */
    {"\xEF\xB7\x8F", true}, {"\xEF\xB7\x90", false}, {"\xEF\xB7\xAF", false},
    {"\xEF\xB7\xB0", true}, {"\xEF\xBF\xBD", true}, {"\xEF\xBF\xBE", false},
    {"\xEF\xBF\xBF", false}, {"\xF0\x9F\xBF\xBE", false}, {"\xF4\x8F\xBF\xBF", false},
};
/* clang-format on */

static void test_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(text_cases); i++) {
        const struct text_case *test = &text_cases[i];

        if (is_valid(test->text, strlen(test->text)) != test->valid) {
            fail_msg("text %zu should be %s", i, test->valid ? "valid" : "refused");
        }
    }
}

/* Of a payload only the form counts: every character passes. */
static void test_payloads(void **state)
{
    static const struct text_case cases[] = {
        {"",                                 true },
        {"a\tb\r\nc\x7F",                    true },
        {"\xC2\x80\xEF\xB7\x90\xEF\xBF\xBF", true },
        {"\xF0\x9F\x90\xA6",                 true },
        {"\xF4\x8F\xBF\xBF",                 true },
        {"\xC3",                             false},
        {"abcdefgh\xFF",                     false},
        {"\xC0\x80",                         false},
        {"\xED\xA0\x80",                     false},
        {"\xF4\x90\x80\x80",                 false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice copy = bytes_copy(slice_of_text(cases[i].text));

        assert_int_equal(utf8_is_well_formed(copy), cases[i].valid);
        bytes_free(copy);
    }
    assert_true(utf8_is_well_formed(slice_of("\0", 1)));
}

/* Every byte at every place of words that are otherwise plain. */
static void test_each_byte_in_words(void **state)
{
    (void)state;
    for (size_t len = 1; len <= 17; len++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            for (size_t place = 0; place < len; place++) {
                uint8_t text[17];

                memset(text, 'a', sizeof(text));
                text[place] = (uint8_t)byte;
                assert_int_equal(is_valid(text, len), byte >= 0x20 && byte < 0x7F);
            }
        }
    }
}

static size_t encode(uint32_t point, uint8_t *at)
{
    if (point < 0x80) {
        at[0] = (uint8_t)point;
        return 1;
    }
    if (point < 0x800) {
        at[0] = (uint8_t)(0xC0 | point >> 6);
        at[1] = (uint8_t)(0x80 | (point & 0x3F));
        return 2;
    }
    if (point < 0x10000) {
        at[0] = (uint8_t)(0xE0 | point >> 12);
        at[1] = (uint8_t)(0x80 | (point >> 6 & 0x3F));
        at[2] = (uint8_t)(0x80 | (point & 0x3F));
        return 3;
    }
    at[0] = (uint8_t)(0xF0 | point >> 18);
    at[1] = (uint8_t)(0x80 | (point >> 12 & 0x3F));
    at[2] = (uint8_t)(0x80 | (point >> 6 & 0x3F));
    at[3] = (uint8_t)(0x80 | (point & 0x3F));
    return 4;
}

/* Counts are from the standard: 65 controls with U+0000, 2048 surrogates, 66 non-characters. */
static void test_each_code_point(void **state)
{
    unsigned refused = 0;

    (void)state;
    for (uint32_t point = 0; point <= 0x10FFFF; point++) {
        uint8_t text[4];
        size_t len = encode(point, text);

        refused += utf8_is_valid(slice_of(text, len)) ? 0 : 1;
        assert_false(len > 1 && utf8_is_valid(slice_of(text, len - 1)));
    }
    assert_int_equal(refused, 65 + 2048 + 66);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_payloads),
        cmocka_unit_test(test_each_byte_in_words),
        cmocka_unit_test(test_each_code_point),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
