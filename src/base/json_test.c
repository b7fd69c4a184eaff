#include "base/json.h"
#include "base/memory.h"
#include "base/test.h"

static void check(struct json *json, const char *expected)
{
    char *text = json_take(json);

    assert_non_null(text);
    assert_string_equal(text, expected);
    memory_free(text);
    json_deinit(json);
}

static void write_all(struct json *json)
{
    json_open(json, NULL, '{');
    json_add_text(json, "a", slice_of_text("x"));
    json_add_number(json, "b", UINT64_MAX);
    json_open(json, "c", '[');
    json_add_bool(json, NULL, true);
    json_add_bool(json, NULL, false);
    json_open(json, NULL, '{');
    json_close(json, '}');
    json_open(json, NULL, '[');
    json_close(json, ']');
    json_add_null(json, NULL);
    json_add_text(json, NULL, slice_of_text("["));
    json_add_number(json, NULL, 0);
    json_close(json, ']');
    json_add_null(json, "d");
    json_close(json, '}');
}

static void what_was_added_is_there(void **state)
{
    struct json json = {0};

    (void)state;
    write_all(&json);
    check(&json, "{\"a\":\"x\",\"b\":18446744073709551615,"
                 "\"c\":[true,false,{},[],null,\"[\",0],\"d\":null}");
}

static void nothing_is_a_text(void **state)
{
    struct json json = {0};

    (void)state;
    check(&json, "");
}

static void any_bytes_make_valid_text(void **state)
{
    static const struct {
        const char *bytes;
        const char *expected;
    } rows[] = {
        {"",                         "\"\""                        },
        {"\"\\/",                    "\"\\\"\\\\/\""               },
        {"\x01\n\x7F",               "\"\\u0001\\u000a\\u007f\""   },
        {"\xC3\xA4\xF0\x9F\x98\x80", "\"\xC3\xA4\xF0\x9F\x98\x80\""},
        {"\xE2\x80\xAE",             "\"\\u202e\""                 },
        {"a\xFF\xC3",                "\"a\\ufffd\\ufffd\""         },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct json json = {0};

        json_add_text(&json, NULL, slice_of_text(rows[i].bytes));
        check(&json, rows[i].expected);
    }
}

static void it_grows(void **state)
{
    struct json json = {0};
    uint8_t bytes[5000];
    char *text;

    (void)state;
    memset(bytes, 1, sizeof(bytes));
    json_open(&json, NULL, '[');
    for (unsigned i = 0; i < 20; i++) {
        json_add_text(&json, NULL, slice_of(bytes, sizeof(bytes)));
    }
    json_close(&json, ']');
    text = json_take(&json);
    assert_non_null(text);
    assert_int_equal(strlen(text), 2 + 20 * (sizeof(bytes) * 6 + 2) + 19);
    memory_free(text);
}

static void without_memory_there_is_none(void **state)
{
    struct json json = {0};

    (void)state;
    memory_fail_after(1);
    write_all(&json);
    assert_true(json.has_failed);
    assert_null(json_take(&json));
    write_all(&json);
    memory_fail_after(1);
    for (unsigned i = 0; i < 100; i++) {
        json_add_text(&json, NULL, slice_of_text("a text of some length"));
    }
    memory_fail_after(0);
    assert_true(json.has_failed);
    json_deinit(&json);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_added_is_there),      cmocka_unit_test(nothing_is_a_text),
        cmocka_unit_test(any_bytes_make_valid_text),    cmocka_unit_test(it_grows),
        cmocka_unit_test(without_memory_there_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
