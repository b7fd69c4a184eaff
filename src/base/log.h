#pragma once

/*
 * Log
 *
 * The front end of the log: one call, one line. Where lines go, which kinds of them, and how they
 * begin is set once by the program. Any thread may call; a line is written whole, at once.
 */

#include "base/base.h"

#include <stdarg.h>

/* Mosquitto's kinds: a set, not a scale. */
enum log_type {
    LOG_DEBUG = 1 << 0,
    LOG_ERROR = 1 << 1,
    LOG_WARNING = 1 << 2,
    LOG_NOTICE = 1 << 3,
    LOG_INFORMATION = 1 << 4,
    LOG_SUBSCRIBE = 1 << 5,
    LOG_UNSUBSCRIBE = 1 << 6,
    LOG_WEBSOCKETS = 1 << 7,
    LOG_INTERNAL = 1 << 8,
    LOG_ALL = (1 << 9) - 1
};

#define LOG_DEFAULT (LOG_ERROR | LOG_WARNING | LOG_NOTICE | LOG_INFORMATION)

/* Longer lines are cut. */
#define LOG_LINE_CAP 1000

/* Before any thread: which types are written, and to which descriptors. */
struct log_options {
    unsigned types; /* bits of enum log_type */
    int fds[4];     /* open descriptors; the log does not own them */
    unsigned fd_len;
    bool timestamp;               /* begin with a time */
    const char *timestamp_format; /* strftime; NULL: seconds since 1970. Must outlive the log. */
};

void log_init(const struct log_options *options);

/* Whether a line of this type would be written: for lines that are costly to make. */
bool log_is_on(enum log_type type);

void log_line(enum log_type type, const char *format, ...) PRINTF_LIKE(2, 3);
void log_line_list(enum log_type type, const char *format, va_list arguments) PRINTF_LIKE(2, 0);
