#pragma once

/*
 * Fixture of the configuration's tests
 *
 * Reads a configuration from a text or a file and keeps what was reported, a line each, as `E`,
 * `W`, `N` or `I`, a space, and the line.
 */

#include "base/test.h"
#include "config/reader.h"

#include <stdio.h>
#include <stdlib.h>

struct fixture {
    struct config_request request;
    struct settings *settings;
    int r;
    size_t len;
    char said[32768];
};

static inline UNUSED void fixture_on_line(void *context, enum log_type type, const char *text)
{
    struct fixture *fixture = context;
    char letter = type == LOG_ERROR     ? 'E'
                  : type == LOG_WARNING ? 'W'
                  : type == LOG_NOTICE  ? 'N'
                                        : 'I';
    size_t size = sizeof(fixture->said) - fixture->len;
    int len = snprintf(fixture->said + fixture->len, size, "%c %s\n", letter, text);

    assert_true(len > 0 && (size_t)len < size);
    assert_null(strchr(text, '\n'));
    fixture->len += (size_t)len;
}

static inline UNUSED struct fixture *fixture_new(void)
{
    struct fixture *fixture = memory_must_alloc_zero(1, sizeof(*fixture));

    fixture->request.report = (struct report){.on_line = fixture_on_line, .context = fixture};
    return fixture;
}

static inline UNUSED void fixture_read(struct fixture *fixture)
{
    settings_unref(fixture->settings);
    fixture->settings = NULL;
    fixture->len = 0;
    fixture->said[0] = '\0';
    fixture->r = config_read(&fixture->request, &fixture->settings);
    assert_true((fixture->r == 0) == (fixture->settings != NULL));
}

/* Reads a text named `x.conf`, from a copy whose end the address sanitizer guards. */
static inline UNUSED void fixture_read_text(struct fixture *fixture, struct slice text)
{
    fixture->request.path = "x.conf";
    fixture->request.text = bytes_copy(text);
    fixture_read(fixture);
    bytes_free(fixture->request.text);
}

static inline UNUSED PRINTF_LIKE(2, 3) void fixture_readf(struct fixture *fixture,
                                                          const char *format, ...)
{
    char *text;
    va_list values;
    int len;

    va_start(values, format);
    len = vasprintf(&text, format, values);
    va_end(values);
    assert_true(len >= 0);
    fixture_read_text(fixture, slice_of(text, (size_t)len));
    free(text);
}

static inline UNUSED struct fixture *fixture_free(struct fixture *fixture)
{
    settings_unref(fixture->settings);
    return memory_free(fixture);
}

static inline UNUSED void fixture_expect_ok(const struct fixture *fixture)
{
    if (fixture->r != 0) {
        fail_msg("refused: %s", fixture->said);
    }
    assert(fixture->settings);
}

/* Refused, and this was said. */
static inline UNUSED void fixture_expect_error(const struct fixture *fixture, const char *text)
{
    if (fixture->r != CONFIG_INVALID || !strstr(fixture->said, text)) {
        fail_msg("answer %d without '%s' in: %s", fixture->r, text, fixture->said);
    }
}
