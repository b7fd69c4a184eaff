#pragma once

/*
 * Reading
 *
 * Of the tests of files of users: what is said of a file, and files that are refused.
 */

#include "base/test.h"
#include "config/report.h"

/* Forms of a password that are whole. */
#define ZEROS                                     \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="
#define STORED "$6$c2FsdA==$" ZEROS
#define OTHER  "$6$b3RoZXI=$" ZEROS

/* The lines of one reading. */
static char said[4096];

static inline void say_line(void *context, enum log_type type, const char *text)
{
    size_t len = strlen(said);

    (void)context;
    (void)type;
    snprintf(said + len, sizeof(said) - len, "%s\n", text);
}

static const struct report report = {.on_line = say_line};

struct refused_row {
    const char *text;
    size_t len;
    const char *says;
    unsigned line;
};

/* The text is a literal, which may hold a zero byte. */
#define ROW(text, says, line)                    \
    {                                            \
        (text), sizeof(text) - 1, (says), (line) \
    }

/* Each text is refused with that line. `parse` reads what is called `path`, and frees what it made
 * of it; its verdict. */
static inline void expect_refused(const struct refused_row *rows, size_t len, const char *path,
                                  int (*parse)(struct slice text), int verdict)
{
    for (size_t i = 0; i < len; i++) {
        char expected[512];

        snprintf(expected, sizeof(expected), "Error: %s\nError found at %s:%u.\n", rows[i].says,
                 path, rows[i].line);
        assert_int_equal(parse(slice_of(rows[i].text, rows[i].len)), verdict);
        assert_string_equal(said, expected);
    }
}

/* Each allocation but the first, which is the test's own, fails once. */
static inline void expect_no_memory(const char *text, int (*parse)(struct slice text),
                                    unsigned allocations)
{
    unsigned failed = 0;
    int r;

    do {
        memory_fail_after(2 + failed);
        r = parse(slice_of_text(text));
        memory_fail_after(0);
        failed += r != 0;
        assert_true(r == 0 || r == -ENOMEM);
    } while (r != 0);
    assert_true(failed >= allocations);
}
