#include "base/log_events.h"
#include "base/test.h"

#include <stdlib.h>

/* The folder of the sources, from the name of this file. */
static void path_of(char *path, size_t size, const char *name)
{
    const char *end = strstr(__FILE__, "src/base/log_events_test.c");

    assert_non_null(end);
    snprintf(path, size, "%.*s%s", (int)(end - __FILE__), __FILE__, name);
}

static char *describe(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);

    assert(file);
    assert_int_equal(log_events_describe(file), 0);
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

/* docs/events.md is what the table says. UPDATE_DESCRIPTIONS=1 writes it anew. */
static void the_page_agrees_with_the_table(void **state)
{
    char *text = describe();
    size_t len = strlen(text);
    char *content = memory_must_alloc_zero(1, len + 2);
    char path[4096];
    FILE *file;

    (void)state;
    path_of(path, sizeof(path), "docs/events.md");
    if (getenv("UPDATE_DESCRIPTIONS")) {
        write_file(path, text);
    }
    file = fopen(path, "r");
    assert(file);
    assert_int_equal(fread(content, 1, len + 1, file), len);
    assert_string_equal(content, text);
    fclose(file);
    memory_free(content);
    free(text);
}

static void names_are_words_of_their_own(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LOG_EVENT_LEN; i++) {
        const char *name = log_events[i].name;

        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
        assert_true(strlen(name) <= 40 && strlen(log_events[i].text) > 0);
        for (unsigned j = 0; j < i; j++) {
            assert_string_not_equal(name, log_events[j].name);
        }
    }
}

static void a_full_device_is_an_error(void **state)
{
    FILE *file = fopen("/dev/full", "w");

    (void)state;
    assert(file);
    assert_int_equal(log_events_describe(file), -EIO);
    fclose(file);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_agrees_with_the_table),
        cmocka_unit_test(names_are_words_of_their_own),
        cmocka_unit_test(a_full_device_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
