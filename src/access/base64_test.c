#include "access/base64.h"
#include "base/random_test.h"
#include "base/test.h"

static void test_known(void **state)
{
    static const struct {
        const char *bytes;
        const char *padded;
        const char *bare;
    } rows[] = {
  /* RFC 4648 section 10 */
        {"",       "",         ""        },
        {"f",      "Zg==",     "Zg"      },
        {"fo",     "Zm8=",     "Zm8"     },
        {"foo",    "Zm9v",     "Zm9v"    },
        {"foob",   "Zm9vYg==", "Zm9vYg"  },
        {"fooba",  "Zm9vYmE=", "Zm9vYmE" },
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice bytes = slice_of_text(rows[i].bytes);
        const char *texts[] = {rows[i].bare, rows[i].padded};

        for (unsigned padded = 0; padded < 2; padded++) {
            struct slice text = bytes_copy(slice_of_text(texts[padded]));
            uint8_t out[8];
            char again[16];
            size_t len;

            assert_true(base64_decode(text, padded, out, sizeof(out), &len));
            assert_true(slice_is_equal(slice_of(out, len), bytes));
            len = base64_encode(again, bytes, padded);
            assert_true(slice_is_equal(slice_of(again, len), text));
            bytes_free(text);
        }
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *text;
        bool padded;
    } rows[] = {
        {"Z",            false},
        {"Zg==",         false},
        {"Zg",           true },
        {"Zg=",          true },
        {"Z===",         true },
        {"====",         true },
        {"Zg==Zg==",     true },
        {"Zh==",         true }, /* bits that are dropped */
        {"Zm9",          false},
        {"Zm9=",         true },
        {"Zm 9",         false},
        {"Zm9v\n",       false},
        {"Zm-_",         false},
        {"Zm\xc3\xa4",   false},
        {"=Zm9",         true },
        {"Zm9vZm9vZg==", true }, /* more than there is room for */
    };
    uint8_t out[6];
    size_t len;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice text = bytes_copy(slice_of_text(rows[i].text));

        if (base64_decode(text, rows[i].padded, out, sizeof(out), &len)) {
            fail_msg("row %zu was taken", i);
        }
        bytes_free(text);
    }
    assert_false(base64_decode(slice_of("Zg\0=", 4), true, out, sizeof(out), &len));
}

/* What was written is read as it was. */
static void test_round(void **state)
{
    struct dice dice = {7};

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        uint8_t bytes[70];
        uint8_t out[70];
        char text[BASE64_LEN(70)];
        size_t size = dice_below(&dice, sizeof(bytes));
        bool padded = dice_below(&dice, 2);
        size_t len;

        for (size_t j = 0; j < size; j++) {
            bytes[j] = (uint8_t)dice_throw(&dice);
        }
        len = base64_encode(text, slice_of(bytes, size), padded);
        assert_true(len <= BASE64_LEN(size));
        assert_true(base64_decode(slice_of(text, len), padded, out, size, &len));
        assert_true(slice_is_equal(slice_of(out, len), slice_of(bytes, size)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_round),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
