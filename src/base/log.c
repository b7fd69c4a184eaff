#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * A line is put together on the stack and leaves in one write(), so lines of several workers never
 * mix and no lock is needed. Nothing is buffered: who reads the log sees a line at once.
 */

static struct log_options log_options = {
    .types = LOG_DEFAULT, .fds = {2}, .fd_len = 1, .timestamp = true};

void log_init(const struct log_options *options)
{
    assert(options->fd_len <= ARRAY_LEN(options->fds));
    log_options = *options;
}

bool log_is_on(enum log_type type)
{
    return (log_options.types & type) != 0;
}

static size_t put_time(char *line, size_t cap)
{
    time_t now = time(NULL);
    struct tm parts;
    size_t len;

    if (!log_options.timestamp) {
        return 0;
    }
    if (!log_options.timestamp_format) {
        return (size_t)snprintf(line, cap, "%lld: ", (long long)now);
    }
    localtime_r(&now, &parts);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    len = strftime(line, cap - 2, log_options.timestamp_format, &parts);
#pragma GCC diagnostic pop
    memcpy(line + len, ": ", 2);
    return len + 2;
}

/* A destination that takes no more is passed over: the log must not stop a worker. */
static void write_line(const char *line, size_t len)
{
    for (unsigned i = 0; i < log_options.fd_len; i++) {
        ssize_t written = write(log_options.fds[i], line, len);

        (void)written;
    }
}

void log_line_list(enum log_type type, const char *format, va_list arguments)
{
    char line[LOG_LINE_CAP + 2];
    size_t len;
    int added;

    if (!log_is_on(type)) {
        return;
    }
    len = put_time(line, 256);
    added = vsnprintf(line + len, LOG_LINE_CAP - len, format, arguments);
    if (added > 0) {
        len += MIN((size_t)added, LOG_LINE_CAP - len - 1);
    }
    line[len++] = '\n';
    write_line(line, len);
}

void log_line(enum log_type type, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_line_list(type, format, arguments);
    va_end(arguments);
}
