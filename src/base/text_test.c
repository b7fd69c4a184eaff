#include "base/test.h"
#include "base/text.h"

struct text_case {
    const char *bytes;
    const char *escaped;
};

/* clang-format off */
static const struct text_case cases[] = {
    {"", ""},
    {"sensor-0042", "sensor-0042"},
    {" ~'\"", " ~'\""},
    {"a\nb", "a\\x0ab"},
    {"a\r\tb\x1b[2J", "a\\x0d\\x09b\\x1b[2J"},
    {"\x01\x7f", "\\x01\\x7f"},
    {"a\\x0ab", "a\\\\x0ab"},
    {"\\", "\\\\"},
    {"Ger\xc3\xa4t-\xce\xa9 \xe2\x82\xac \xf0\x9f\x90\xa6", "Ger\xc3\xa4t-\xce\xa9 \xe2\x82\xac \xf0\x9f\x90\xa6"},
    {"\xc2\x85", "\\xc2\\x85"},                         /* C1 control */
    {"\xe2\x80\xa8", "\\xe2\\x80\\xa8"},                /* line separator */
    {"\xe2\x80\xae", "\\xe2\\x80\\xae"},                /* right-to-left override */
    {"\xef\xbb\xbf" "a", "\\xef\\xbb\\xbfa"},           /* byte order mark */
    {"\xf3\xa0\x80\x81", "\\xf3\\xa0\\x80\\x81"},       /* tag */
    {"\xc3", "\\xc3"},
    {"\xc3(", "\\xc3("},
    {"\xe2\x82", "\\xe2\\x82"},
    {"\xc0\xaf", "\\xc0\\xaf"},                         /* over-long */
    {"\xed\xa0\x80", "\\xed\\xa0\\x80"},                /* surrogate */
    {"\xff\xfe", "\\xff\\xfe"},
    {"\x80z", "\\x80z"},
};
/* clang-format on */

static void escapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice copy = bytes_copy(slice_of_text(cases[i].bytes));
        size_t cap = MAX(strlen(cases[i].escaped) + 1, (size_t)8);
        char *buf = memory_must_alloc(cap);

        assert_int_equal(text_escape(buf, cap, copy), strlen(cases[i].escaped));
        assert_string_equal(buf, cases[i].escaped);
        memory_free(buf);
        bytes_free(copy);
    }
}

static void escapes_zero_bytes(void **state)
{
    char buf[32];

    (void)state;
    assert_int_equal(text_escape(buf, sizeof(buf), slice_of("a\0b", 3)), 6);
    assert_string_equal(buf, "a\\x00b");
}

struct cut_case {
    const char *bytes;
    size_t cap;
    const char *escaped;
};

static void cuts_between_characters(void **state)
{
    static const struct cut_case cut_cases[] = {
        {"1234567",                           8,  "1234567"            },
        {"12345678",                          8,  "1234..."            },
        {"\n\n",                              9,  "\\x0a\\x0a"         },
        {"\n\n\n",                            12, "\\x0a\\x0a..."      },
        {"\n\n\n",                            11, "\\x0a..."           },
        {"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4",  8,  "\xc3\xa4\xc3\xa4..."},
        {"\xf0\x9f\x90\xa6\xf0\x9f\x90\xa6",  8,  "\xf0\x9f\x90\xa6..."},
        {"1\xf0\x9f\x90\xa6\xf0\x9f\x90\xa6", 8,  "1..."               },
        {"\\\\\\\\\\",                        10, "\\\\\\\\\\\\..."    },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cut_cases); i++) {
        char *buf = memory_must_alloc(cut_cases[i].cap);

        assert_int_equal(text_escape(buf, cut_cases[i].cap, slice_of_text(cut_cases[i].bytes)),
                         strlen(cut_cases[i].escaped));
        assert_string_equal(buf, cut_cases[i].escaped);
        memory_free(buf);
    }
}

/* Whatever comes in, nothing that could end a line or steer a terminal comes out. */
static void leaves_no_control_byte(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            uint8_t bytes[] = {(uint8_t)first, (uint8_t)second};
            char buf[16];
            size_t len = text_escape(buf, sizeof(buf), slice_of(bytes, sizeof(bytes)));

            for (size_t i = 0; i < len; i++) {
                assert_true((uint8_t)buf[i] >= 0x20 && buf[i] != 0x7f);
            }
        }
    }
}

static void cleans_a_line(void **state)
{
    static const struct cut_case clean_cases[] = {
        {"\ta\\x0a b\n\x1b",  40, "\ta\\x0a b\\x0a\\x1b"},
        {"Ger\xc3\xa4t \xff", 40, "Ger\xc3\xa4t \\xff"  },
        {"\xe2\x80\xae",      40, "\\xe2\\x80\\xae"     },
        {"abc",               3,  "ab"                  },
        {"a\xc3\xa4",         3,  "a"                   },
        {"a\n",               5,  "a"                   },
        {"a",                 1,  ""                    },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(clean_cases); i++) {
        char *buf = memory_must_alloc(clean_cases[i].cap);

        assert_int_equal(text_clean(buf, clean_cases[i].cap, slice_of_text(clean_cases[i].bytes)),
                         strlen(clean_cases[i].escaped));
        assert_string_equal(buf, clean_cases[i].escaped);
        memory_free(buf);
    }
}

static void escapes_for_json(void **state)
{
    static const struct cut_case json_cases[] = {
        {"",                 8,  ""                       },
        {"say \"\\\"",       40, "say \\\"\\\\\\\""       },
        {"a\tb\n\x7f",       40, "a\\u0009b\\u000a\\u007f"},
        {"Ger\xc3\xa4t",     40, "Ger\xc3\xa4t"           },
        {"\xe2\x80\xae",     40, "\\u202e"                },
        {"\xf3\xa0\x80\x81", 40, "\\udb40\\udc01"         },
        {"\xf0\x9f\x90\xa6", 40, "\xf0\x9f\x90\xa6"       },
        {"\xff.",            40, "\\ufffd."               },
        {"\n\n\n",           18, "\\u000a\\u000a..."      },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(json_cases); i++) {
        char *buf = memory_must_alloc(json_cases[i].cap);
        struct slice bytes = slice_of_text(json_cases[i].bytes);

        assert_int_equal(text_escape_json(buf, json_cases[i].cap, bytes),
                         strlen(json_cases[i].escaped));
        assert_string_equal(buf, json_cases[i].escaped);
        memory_free(buf);
    }
}

static void hex_digits(void **state)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";

    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        const char *at = byte ? strchr(digits + (byte >= 'A' && byte <= 'F' ? 16 : 0), byte) : NULL;

        assert_int_equal(text_hex_digit((uint8_t)byte), at ? (at - digits) % 16 : -1);
    }
}

static void same_texts(void **state)
{
    char copy[] = "a";

    (void)state;
    assert_true(text_is_same("a", copy));
    assert_true(text_is_same(NULL, NULL));
    assert_false(text_is_same("a", "b"));
    assert_false(text_is_same(NULL, ""));
    assert_false(text_is_same("", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes),
        cmocka_unit_test(escapes_zero_bytes),
        cmocka_unit_test(cuts_between_characters),
        cmocka_unit_test(leaves_no_control_byte),
        cmocka_unit_test(cleans_a_line),
        cmocka_unit_test(escapes_for_json),
        cmocka_unit_test(hex_digits),
        cmocka_unit_test(same_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
