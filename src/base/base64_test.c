#include "base/base64.h"
#include "base/random_test.h"
#include "base/test.h"

#define BYTES_CAP 64

/* RFC 4648 section 10. */
static const struct {
    const char *bytes;
    const char *text;
} examples[] = {
    {"",       ""        },
    {"f",      "Zg=="    },
    {"fo",     "Zm8="    },
    {"foo",    "Zm9v"    },
    {"foob",   "Zm9vYg=="},
    {"fooba",  "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};

static void the_examples_of_the_standard(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        char text[BASE64_LEN(BYTES_CAP)];
        uint8_t bytes[BYTES_CAP];
        size_t len;
        size_t text_len = base64_encode(text, slice_of_text(examples[i].bytes), true);

        assert_int_equal(text_len, strlen(examples[i].text));
        assert_memory_equal(text, examples[i].text, strlen(examples[i].text));
        assert_true(
            base64_decode(slice_of_text(examples[i].text), true, bytes, sizeof(bytes), &len));
        assert_true(slice_is_equal(slice_of(bytes, len), slice_of_text(examples[i].bytes)));
    }
}

static void what_nobody_writes_is_refused(void **state)
{
    static const char *const texts[] = {
        "Z",      "Zg",      "Zg=",      "Z===", "====", "=",          "Zh==", "Zm9=", "Zm 8=",
        "Zm9v\n", "Zm9vYg=", "Zg==Zg==", "Zm-8", "Zm_8", "Zm\xc3\xa4", "Z=g=", "=Zg="};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        uint8_t bytes[BYTES_CAP];
        size_t len;

        assert_false(base64_decode(slice_of_text(texts[i]), true, bytes, sizeof(bytes), &len));
    }
}

static void there_and_back(void **state)
{
    struct dice dice = {7};

    (void)state;
    for (int i = 0; i < 10000; i++) {
        bool is_padded = i % 2;
        uint8_t bytes[BYTES_CAP];
        size_t len = dice_below(&dice, sizeof(bytes) + 1);
        char text[BASE64_LEN(BYTES_CAP)];
        uint8_t back[BYTES_CAP];
        size_t back_len;
        size_t text_len;

        for (size_t j = 0; j < len; j++) {
            bytes[j] = (uint8_t)dice_throw(&dice);
        }
        text_len = base64_encode(text, slice_of(bytes, len), is_padded);
        assert_int_equal(text_len, is_padded ? BASE64_LEN(len) : (len * 4 + 2) / 3);
        assert_true(base64_decode(slice_of(text, text_len), is_padded, back, len, &back_len));
        assert_true(slice_is_equal(slice_of(bytes, len), slice_of(back, back_len)));
        assert_false(len &&
                     base64_decode(slice_of(text, text_len), is_padded, back, len - 1, &back_len));
        assert_false(len % 3 &&
                     base64_decode(slice_of(text, text_len), !is_padded, back, len, &back_len));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_standard),
        cmocka_unit_test(what_nobody_writes_is_refused),
        cmocka_unit_test(there_and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
