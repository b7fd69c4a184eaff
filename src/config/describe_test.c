#include "base/test.h"
#include "config/describe.h"
#include "config/options.h"

#include <stdlib.h>

/* The folder of the sources, from the name of this file. */
static void path_of(char *path, size_t size, const char *name)
{
    const char *end = strstr(__FILE__, "src/config/describe_test.c");

    assert_non_null(end);
    snprintf(path, size, "%.*s%s", (int)(end - __FILE__), __FILE__, name);
}

static char *describe(enum describe_format format)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);

    assert(file);
    assert_int_equal(describe_options(file, format), 0);
    fclose(file);
    return text;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void compare_file(const char *path, const char *text)
{
    size_t len = strlen(text);
    FILE *file = fopen(path, "r");
    char *content;

    if (!file) {
        fail_msg("%s is missing", path);
        return;
    }
    content = memory_must_alloc_zero(1, len + 2);
    assert_int_equal(fread(content, 1, len + 1, file), len);
    assert_string_equal(content, text);
    fclose(file);
    memory_free(content);
}

/* The kept files are what the table says. UPDATE_DESCRIPTIONS=1 writes them anew. */
static void test_kept_files_agree_with_the_table(void **state)
{
    static const struct {
        const char *name;
        enum describe_format format;
    } files[] = {
        {"docs/options.md",  DESCRIBE_MARKDOWN  },
        {"fuzz/config.dict", DESCRIBE_DICTIONARY},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char *text = describe(files[i].format);
        char path[4096];

        path_of(path, sizeof(path), files[i].name);
        if (getenv("UPDATE_DESCRIPTIONS")) {
            write_file(path, text);
        }
        compare_file(path, text);
        free(text);
    }
}

static void test_every_option_is_described(void **state)
{
    char *page = describe(DESCRIBE_MARKDOWN);
    char *json = describe(DESCRIBE_JSON);

    (void)state;
    for (size_t i = 0; i < option_len; i++) {
        char text[128];

        snprintf(text, sizeof(text), "\n| `%s%s`", options[i].name,
                 options[i].is_prefix ? "..." : "");
        assert_non_null(strstr(page, text));
        snprintf(text, sizeof(text), "{\"name\": \"%s\", ", options[i].name);
        assert_non_null(strstr(json, text));
    }
    free(page);
    free(json);
}

static void test_a_full_device_is_an_error(void **state)
{
    FILE *file = fopen("/dev/full", "w");

    (void)state;
    assert(file);
    assert_int_equal(describe_options(file, DESCRIBE_JSON), -EIO);
    fclose(file);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept_files_agree_with_the_table),
        cmocka_unit_test(test_every_option_is_described),
        cmocka_unit_test(test_a_full_device_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
