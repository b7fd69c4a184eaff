#include "access/psk.h"
#include "access/reading_test.h"

static int parse(struct slice text, struct psk **psk_out)
{
    struct slice copy = bytes_copy(text);
    struct psk_request request = {.text = copy, .path = "keys", .report = &report};
    int r;

    said[0] = '\0';
    r = psk_parse(&request, psk_out);
    bytes_free(copy);
    return r;
}

static int parse_and_free(struct slice text)
{
    struct psk *psk = NULL;
    int r = parse(text, &psk);

    assert_true((r == 0) == (psk != NULL));
    psk_free(psk);
    return r;
}

static bool is_key(const struct psk *psk, const char *identity, struct slice key)
{
    struct slice found;

    return psk_find(psk, slice_of_text(identity), &found) && slice_is_equal(found, key);
}

static void test_keys(void **state)
{
    struct psk *psk = NULL;
    struct slice key;

    (void)state;
    assert_int_equal(
        parse(slice_of_text("# keys\n\nanna:00fF10\r\nb c:deadbeef  \n\xc3\xa4:01"), &psk), PSK_OK);
    assert_string_equal(said, "");
    assert_true(is_key(psk, "anna", slice_of("\0\xff\x10", 3)));
    assert_true(is_key(psk, "b c", slice_of("\xde\xad\xbe\xef", 4)));
    assert_true(is_key(psk, "\xc3\xa4", slice_of("\1", 1)));
    assert_false(psk_find(psk, slice_of_text("Anna"), &key));
    assert_false(psk_find(psk, slice_of_text(""), &key));
    assert_false(psk_find(psk, slice_of("anna\0", 5), &key));
    psk_free(psk);
}

static void test_nobody(void **state)
{
    struct psk *psk = NULL;
    struct slice key;

    (void)state;
    assert_int_equal(parse(slice_of_text("# nobody\nanna\n"), &psk), PSK_OK);
    assert_string_equal(
        said, "Warning: A line without a colon in the PSK file: it is nobody's key. (keys:2)\n");
    assert_false(psk_find(psk, slice_of_text("anna"), &key));
    psk_free(psk);
}

#define KEY "A key must be 1 to 256 bytes, two hexadecimal digits each."
#define WHO "An identity that no client can have: it is empty, longer than 256 bytes, or not UTF-8."

static void test_refused(void **state)
{
    /* clang-format off */
    char long_key[600] = "anna:";
    char long_name[300];
    const struct refused_row rows[] = {
        ROW("anna:", KEY, 1),
        ROW("anna:0", KEY, 1),
        ROW("anna:0g", KEY, 1),
        ROW("anna:0 ", KEY, 1),
        ROW("anna:0x01", KEY, 1),
        ROW("\nanna:01:02", KEY, 2),
        ROW(":01", WHO, 1),
        ROW("\xff:01", WHO, 1),
        ROW("a:01\na:02", "The identity stands in line 1 already.", 2),
        ROW("a\0:01", "A zero byte in the PSK file: this is no text file.", 1),
        {long_key, 5 + 2 * 256 + 2, KEY, 1},
        {long_name, 260, WHO, 1},
    };

    /* clang-format on */

    (void)state;
    memset(long_key + 5, 'a', sizeof(long_key) - 5);
    memset(long_name, 'a', sizeof(long_name));
    memcpy(long_name + 257, ":01", 3);
    expect_refused(rows, ARRAY_LEN(rows), "keys", parse_and_free, PSK_WRONG);
}

static void test_no_memory(void **state)
{
    (void)state;
    expect_no_memory("anna:01\nbob:02", parse_and_free, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
