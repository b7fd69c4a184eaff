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

static int describe_named(FILE *file, const char *name, enum describe_format format)
{
    for (const struct describe_subject *s = describe_subjects; s->name; s++) {
        if (strcmp(s->name, name) == 0) {
            return s->print(file, format);
        }
    }
    fail_msg("there is no subject %s", name);
    return -1;
}

static char *describe(const char *name, enum describe_format format)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);

    assert(file);
    assert_int_equal(describe_named(file, name, format), 0);
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

static size_t count(const char *text, const char *part)
{
    size_t len = 0;

    for (; (text = strstr(text, part)) != NULL; text++) {
        len++;
    }
    return len;
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = memory_must_alloc_zero(1, 1u << 20);

    assert_non_null(file);
    assert_true(fread(text, 1, (1u << 20) - 1, file) > 0);
    fclose(file);
    return text;
}

/* Puts a text between two lines of a file. */
static void write_between(const char *path, const char *first, const char *last, const char *text)
{
    char *old = read_file(path);
    char *begin = strstr(old, first);
    char *end = strstr(old, last);
    char *whole = NULL;

    assert_true(begin && end);
    assert_true(asprintf(&whole, "%.*s%s%s", (int)(begin + strlen(first) - old), old, text, end) >
                0);
    write_file(path, whole);
    free(whole);
    memory_free(old);
}

/* What a file says between two of its lines. */
static char *read_between(const char *path, const char *first, const char *last)
{
    char *text = read_file(path);
    char *begin = strstr(text, first);
    char *end = strstr(text, last);

    assert_true(begin && end);
    *end = '\0';
    begin += strlen(first);
    memmove(text, begin, strlen(begin) + 1);
    return text;
}

/* The table in the page about Mosquitto: all 141 names, each once. */
static void test_the_comparison_agrees_with_the_table(void **state)
{
    static const char first[] = "<!-- made from src/config/options.c -->\n";
    static const char last[] = "<!-- end of options -->";
    char *page = describe("mosquitto", DESCRIBE_MARKDOWN);
    char *table = strstr(page, "| Option |");
    char path[4096];
    char *kept;
    size_t names = 0;

    (void)state;
    assert_non_null(table);
    path_of(path, sizeof(path), "docs/mosquitto.md");
    if (getenv("UPDATE_DESCRIPTIONS")) {
        write_between(path, first, last, table);
    }
    kept = read_between(path, first, last);
    assert_string_equal(kept, table);
    for (size_t i = 0; i < option_len; i++) {
        char text[128];

        snprintf(text, sizeof(text), "\n| `%s%s` | ", options[i].name,
                 options[i].is_prefix ? "..." : "");
        assert_int_equal(count(kept, text), options[i].is_ours ? 0 : 1);
        names += count(kept, text);
    }
    assert_int_equal(names, 141);
    assert_int_equal(count(kept, "\n| `"), 141);
    memory_free(kept);
    free(page);
}

/* The kept files are what the table says. UPDATE_DESCRIPTIONS=1 writes them anew. */
static void test_kept_files_agree_with_the_table(void **state)
{
    static const struct {
        const char *name;
        const char *subject;
        enum describe_format format;
    } files[] = {
        {"docs/metrics.md",    "metrics",    DESCRIBE_MARKDOWN  },
        {"docs/options.md",    "options",    DESCRIBE_MARKDOWN  },
        {"docs/packets.md",    "packets",    DESCRIBE_MARKDOWN  },
        {"docs/properties.md", "properties", DESCRIBE_MARKDOWN  },
        {"docs/reasons.md",    "reasons",    DESCRIBE_MARKDOWN  },
        {"fuzz/config.dict",   "options",    DESCRIBE_DICTIONARY},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char *text = describe(files[i].subject, files[i].format);
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
    char *page = describe("options", DESCRIBE_MARKDOWN);
    char *man = describe("options", DESCRIBE_MAN);
    char *json = describe("options", DESCRIBE_JSON);

    (void)state;
    for (size_t i = 0; i < option_len; i++) {
        char text[128];

        snprintf(text, sizeof(text), "\n| `%s%s`", options[i].name,
                 options[i].is_prefix ? "..." : "");
        assert_non_null(strstr(page, text));
        snprintf(text, sizeof(text), "\n.TP\n.B %s%s", options[i].name,
                 options[i].is_prefix ? "..." : "");
        assert_non_null(strstr(man, text));
        snprintf(text, sizeof(text), "{\"name\": \"%s\", ", options[i].name);
        assert_non_null(strstr(json, text));
    }
    free(page);
    free(man);
    free(json);
}

/* As many as the standard has, in each format. */
static void test_every_row_of_the_standard_is_described(void **state)
{
    static const struct {
        const char *subject;
        size_t len;
    } subjects[] = {
        {"packets",    15},
        {"properties", 27},
        {"reasons",    43}
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
        char *page = describe(subjects[i].subject, DESCRIBE_MARKDOWN);
        char *man = describe(subjects[i].subject, DESCRIBE_MAN);
        char *json = describe(subjects[i].subject, DESCRIBE_JSON);

        assert_int_equal(count(page, "\n| "), subjects[i].len + 1);
        assert_int_equal(count(man, "\n.TP\n.B "), subjects[i].len);
        assert_int_equal(count(json, "\n  {\""), subjects[i].len);
        free(page);
        free(man);
        free(json);
    }
}

/* A row of each, as somebody would look it up. */
static void test_what_a_row_says(void **state)
{
    static const struct {
        const char *subject;
        enum describe_format format;
        const char *says;
    } rows[] = {
        {"metrics",    DESCRIBE_MARKDOWN,
         "\n| mosquitto_mqtt_publish_received | counter | packets | `publish/messages/received`, "
         "`mqtt/publish/received`, `load/publish/received/...` |"                                 },
        {"metrics",    DESCRIBE_MARKDOWN, "\n| mosquitto_out_packets | gauge | packets |"         },
        {"metrics",    DESCRIBE_JSON,     "{\"name\": \"mosquitto_disconnects_total{code}\", "    },
        {"packets",    DESCRIBE_MARKDOWN, "\n| SUBSCRIBE | 8 | client | 2 | yes | yes | 6 | 7 |\n"},
        {"packets",    DESCRIBE_MARKDOWN, "\n| PUBLISH | 3 | both | its own | QoS 1 and 2 |"      },
        {"packets",    DESCRIBE_MARKDOWN, "\n| AUTH | 15 | both | 0 | no | yes | | 0 |\n"         },
        {"properties", DESCRIBE_MARKDOWN,
         "\n| Will Delay Interval | 0x18 | four bytes | will | | | | 0..4294967295 |\n"           },
        {"properties", DESCRIBE_JSON,     "{\"name\": \"Topic Alias\", \"id\": \"0x23\", "        },
        {"reasons",    DESCRIBE_MARKDOWN,
         "\n| 0x86 | Bad User Name or Password | CONNACK | 4 | 1008 |\n"                          },
        {"reasons",    DESCRIBE_MARKDOWN,
         "\n| 0x89 | Server busy | CONNACK, DISCONNECT | close | 1013 |\n"                        },
        {"reasons",    DESCRIBE_MAN,
         "\n.TP\n.B 0x95\nName: Packet too large.\n.br\nPackets: CONNACK, DISCONNECT.\n"          },
        {"options",    DESCRIBE_MAN,      "\n.TP\n.B maximum_qos\nThe same as max_qos.\n"         },
        {"options",    DESCRIBE_MAN,
         "\nThe longest keep\\-alive that a client may ask for; 0 means no "
         "limit.\n.br\nType: seconds.\n"                                                          },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *text = describe(rows[i].subject, rows[i].format);

        if (!strstr(text, rows[i].says)) {
            fail_msg("no '%s' in: %s", rows[i].says, text);
        }
        free(text);
    }
}

static void test_special_characters(void **state)
{
    char text[256] = "";
    FILE *file = fmemopen(text, sizeof(text), "w");

    (void)state;
    assert(file);
    page_print_man(file, ".a `b` \\ c-d");
    fputc('\n', file);
    page_print_json(file, "a \"b\" \\");
    fclose(file);
    assert_string_equal(text, "\\&.a b \\e c\\-d\n\"a \\\"b\\\" \\\\\"");
}

static void test_a_full_device_is_an_error(void **state)
{
    FILE *file = fopen("/dev/full", "w");

    (void)state;
    assert(file);
    assert_int_equal(describe_options(file, DESCRIBE_JSON), -EIO);
    assert_int_equal(describe_named(file, "reasons", DESCRIBE_MARKDOWN), -EIO);
    fclose(file);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept_files_agree_with_the_table),
        cmocka_unit_test(test_the_comparison_agrees_with_the_table),
        cmocka_unit_test(test_every_option_is_described),
        cmocka_unit_test(test_every_row_of_the_standard_is_described),
        cmocka_unit_test(test_what_a_row_says),
        cmocka_unit_test(test_special_characters),
        cmocka_unit_test(test_a_full_device_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
