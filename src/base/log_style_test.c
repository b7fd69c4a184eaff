#include "base/log_style.h"
#include "base/test.h"

#include <stdlib.h>
#include <time.h>

/* 2009-02-13 23:31:30.123 UTC */
#define TIME_MS UINT64_C(1234567890123)

static struct log_record record;
static char line[LOG_STYLE_CAP];

static void make(const char *text)
{
    log_record_init(&record, LOG_NOTICE, LOG_EVENT_CLIENT_CONNECTED);
    log_record_format(&record, "%s", text);
    record.time_ms = TIME_MS;
}

static void check(const struct log_options *options, const char *expected)
{
    struct log_style style;

    log_style_init(&style, options);
    assert_int_equal(log_style_line(&style, &record, line), strlen(expected));
    assert_string_equal(line, expected);
}

static void text_begins_with_the_time_of_the_record(void **state)
{
    (void)state;
    make("hello");
    check(&(struct log_options){.timestamp = true}, "1234567890: hello");
    check(&(struct log_options){.timestamp = true, .timestamp_format = "%Y-%m-%d %H:%M:%S"},
          "2009-02-13 23:31:30: hello");
    check(&(struct log_options){.timestamp = false}, "hello");
}

/* The second is made into text once, and again when it has changed. */
static void each_second_has_its_own_time(void **state)
{
    struct log_style style;

    (void)state;
    make("hello");
    log_style_init(&style, &(struct log_options){.timestamp = true});
    log_style_line(&style, &record, line);
    assert_string_equal(line, "1234567890: hello");
    record.time_ms += 876;
    log_style_line(&style, &record, line);
    assert_string_equal(line, "1234567890: hello");
    record.time_ms += 1;
    log_style_line(&style, &record, line);
    assert_string_equal(line, "1234567891: hello");
    record.time_ms -= 1000;
    log_style_line(&style, &record, line);
    assert_string_equal(line, "1234567890: hello");
}

static void nothing_gets_out_that_is_no_text(void **state)
{
    (void)state;
    make("a\nb\x1b[2J\xff\t\\x0a");
    check(&(struct log_options){0}, "a\\x0ab\\x1b[2J\\xff\t\\x0a");
    check(&(struct log_options){.format = LOG_JSON},
          "{\"time\":\"2009-02-13T23:31:30.123Z\",\"type\":\"notice\",\"event\":"
          "\"client_connected\",\"message\":\"a\\\\x0ab\\\\x1b[2J\\\\xff\\u0009\\\\x0a\"}");
}

static void json_has_the_fields(void **state)
{
    struct log_field fields[] = {
        log_field_text("client", slice_of_text("a\"\n\xe2\x80\xae\xff")),
        log_field_number("port", 1883),
        log_field_text("username", slice_of(NULL, 0)),
        {.name = NULL, .number = 5},
    };

    (void)state;
    make("hello");
    for (unsigned i = 0; i < ARRAY_LEN(fields); i++) {
        log_record_add(&record, &fields[i]);
    }
    check(&(struct log_options){.format = LOG_JSON},
          "{\"time\":\"2009-02-13T23:31:30.123Z\",\"type\":\"notice\",\"event\":"
          "\"client_connected\",\"message\":\"hello\",\"client\":\"a\\\"\\u000a\\u202e\\ufffd\","
          "\"port\":1883,\"username\":\"\"}");
    check(&(struct log_options){.timestamp = true}, "1234567890: hello");
}

static void every_type_has_a_name(void **state)
{
    static const char *const names[] = {"debug",       "error",       "warning",
                                        "notice",      "information", "subscribe",
                                        "unsubscribe", "websockets",  "internal"};
    struct log_style style;

    (void)state;
    make("");
    log_style_init(&style, &(struct log_options){.format = LOG_JSON});
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        char expected[40];

        record.type = (uint16_t)(1u << i);
        log_style_line(&style, &record, line);
        snprintf(expected, sizeof(expected), "\"type\":\"%s\"", names[i]);
        assert_non_null(strstr(line, expected));
    }
}

/* An object whatever is in it: quotes are even, it ends, and it is not too long for a pipe. */
static void check_object(void)
{
    struct log_style style;
    size_t len;
    unsigned quotes = 0;

    log_style_init(&style, &(struct log_options){.format = LOG_JSON});
    len = log_style_line(&style, &record, line);
    assert_true(len < LOG_STYLE_CAP && line[len - 1] == '}' && line[len] == '\0');
    for (size_t i = 0; i < len; i++) {
        assert_true((uint8_t)line[i] >= 0x20);
        if (line[i] == '\\') {
            i++;
        } else {
            quotes += line[i] == '"';
        }
    }
    assert_int_equal(quotes % 2, 0);
}

static void the_largest_record_fits(void **state)
{
    static const uint8_t fillings[] = {'x', '\\', '"', '\n', 0xff, 0xc3};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(fillings); i++) {
        char text[2 * LOG_LINE_CAP];
        struct log_field field;

        memset(text, fillings[i], sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        make(text);
        field = log_field_text("client", slice_of_text(text));
        for (unsigned n = 0; n < 20; n++) {
            log_record_add(&record, &field);
            check_object();
        }
        assert_true(log_record_size(&record) <= sizeof(record));
    }
}

/* A character that stands across the end of a line goes as a whole. */
static void a_cut_leaves_no_half_character(void **state)
{
    char text[1200];

    (void)state;
    for (unsigned shift = 0; shift < 8; shift++) {
        memset(text, 'x', sizeof(text));
        for (unsigned i = LOG_LINE_CAP - 12 + shift; i + 3 < sizeof(text); i += 3) {
            memcpy(text + i, "\xe2\x82\xac", 4);
        }
        make(text);
        check_object();
        assert_null(strstr(line, "\\\\x"));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_begins_with_the_time_of_the_record),
        cmocka_unit_test(each_second_has_its_own_time),
        cmocka_unit_test(nothing_gets_out_that_is_no_text),
        cmocka_unit_test(json_has_the_fields),
        cmocka_unit_test(every_type_has_a_name),
        cmocka_unit_test(the_largest_record_fits),
        cmocka_unit_test(a_cut_leaves_no_half_character),
    };

    setenv("TZ", "UTC", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
