#include "base/log.h"
#include "base/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Two destinations, read back after each line. */
struct fixture {
    int read_fds[2];
    struct log_options options;
};

static int setup(void **state)
{
    struct fixture *f = memory_must_alloc_zero(1, sizeof(*f));

    for (unsigned i = 0; i < 2; i++) {
        int fds[2];

        assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
        f->read_fds[i] = fds[0];
        f->options.fds[i] = fds[1];
    }
    f->options.types = LOG_ALL;
    f->options.fd_len = 2;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 2; i++) {
        close(f->read_fds[i]);
        close(f->options.fds[i]);
    }
    memory_free(f);
    return 0;
}

/* What one destination got, as text. */
static const char *got(const struct fixture *f, unsigned fd)
{
    static char text[3 * LOG_LINE_CAP];
    ssize_t len = read(f->read_fds[fd], text, sizeof(text) - 1);

    text[MAX(len, (ssize_t)0)] = '\0';
    return text;
}

static void only_chosen_types_are_written(void **state)
{
    struct fixture *f = *state;

    for (unsigned chosen = LOG_DEBUG; chosen < LOG_ALL; chosen <<= 1) {
        f->options.types = chosen;
        log_init(&f->options);
        for (unsigned type = LOG_DEBUG; type < LOG_ALL; type <<= 1) {
            assert_int_equal(log_is_on((enum log_type)type), type == chosen);
            log_line((enum log_type)type, "%u", type);
            if (type == chosen) {
                char expected[20];

                snprintf(expected, sizeof(expected), "%u\n", type);
                assert_string_equal(got(f, 0), expected);
                assert_string_equal(got(f, 1), expected);
            } else {
                assert_string_equal(got(f, 0), "");
            }
        }
    }
}

/* By the clock that the log reads: time() is behind it for a moment at the start of a second. */
static long long now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec;
}

static void lines_begin_with_seconds(void **state)
{
    struct fixture *f = *state;
    long long before = now_s();
    long long seconds;
    char *end;

    f->options.timestamp = true;
    log_init(&f->options);
    log_line(LOG_NOTICE, "hello %s", "world");
    seconds = strtoll(got(f, 0), &end, 10);
    assert_string_equal(end, ": hello world\n");
    assert_true(seconds >= before && seconds <= now_s());
}

static void lines_begin_as_the_format_says(void **state)
{
    static const struct {
        const char *format;
        const char *line;
    } cases[] = {
        {"at",   "at: hello\n"},
        {"",     ": hello\n"  },
        {"%%%%", "%%: hello\n"},
    };
    struct fixture *f = *state;

    f->options.timestamp = true;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        f->options.timestamp_format = cases[i].format;
        log_init(&f->options);
        log_line(LOG_NOTICE, "hello");
        assert_string_equal(got(f, 1), cases[i].line);
    }
    f->options.timestamp_format = "%Y-%m-%dT%H:%M:%S";
    log_init(&f->options);
    log_line(LOG_NOTICE, "hello");
    assert_int_equal(strlen(got(f, 1)), 19 + 8);
}

/* Nothing but the text, when the time does not fit. */
static void a_format_too_long_is_harmless(void **state)
{
    struct fixture *f = *state;
    char format[400];

    memset(format, 'x', sizeof(format) - 1);
    format[sizeof(format) - 1] = '\0';
    f->options.timestamp = true;
    f->options.timestamp_format = format;
    log_init(&f->options);
    log_line(LOG_NOTICE, "hello");
    assert_string_equal(got(f, 0), ": hello\n");
}

static void long_lines_are_cut(void **state)
{
    struct fixture *f = *state;

    for (int timestamp = 0; timestamp < 2; timestamp++) {
        f->options.timestamp = timestamp;
        f->options.timestamp_format = "at";
        log_init(&f->options);
        for (int len = LOG_LINE_CAP - 10; len < LOG_LINE_CAP + 10; len++) {
            int front = timestamp ? 4 : 0;
            int expected = MIN(front + len + 1, LOG_LINE_CAP);
            const char *line;

            log_line(LOG_NOTICE, "%*s", len, "y");
            line = got(f, 0);
            assert_int_equal(strlen(line), expected);
            assert_int_equal(line[expected - 1], '\n');
            assert_int_equal(strcspn(line, "\n"), expected - 1);
        }
    }
}

static void a_full_destination_is_passed_over(void **state)
{
    struct fixture *f = *state;
    char block[4096] = {0};

    log_init(&f->options);
    while (write(f->options.fds[0], block, sizeof(block)) > 0) {
    }
    log_line(LOG_NOTICE, "hello");
    assert_string_equal(got(f, 1), "hello\n");
}

static void without_destinations_nothing_happens(void **state)
{
    struct fixture *f = *state;

    f->options.fd_len = 0;
    log_init(&f->options);
    log_line(LOG_NOTICE, "hello");
    assert_string_equal(got(f, 0), "");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_chosen_types_are_written, setup, teardown),
        cmocka_unit_test_setup_teardown(lines_begin_with_seconds, setup, teardown),
        cmocka_unit_test_setup_teardown(lines_begin_as_the_format_says, setup, teardown),
        cmocka_unit_test_setup_teardown(a_format_too_long_is_harmless, setup, teardown),
        cmocka_unit_test_setup_teardown(long_lines_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_destination_is_passed_over, setup, teardown),
        cmocka_unit_test_setup_teardown(without_destinations_nothing_happens, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
