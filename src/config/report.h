#pragma once

/*
 * Report
 *
 * What the reader of the configuration tells the user, line by line, in Mosquitto's words. The
 * caller of the reader decides where it goes.
 */

#include "base/log.h"

/*
 * Takes one line, without its end: an error, warning, notice or information. The text lives as long
 * as the call.
 */
typedef void report_fn(void *context, enum log_type type, const char *text);

/* A line of a configuration file. Line 0: nowhere. The name outlives the reading. */
struct report_place {
    const char *file;
    unsigned line;
};

struct report {
    report_fn *on_line; /* NULL: nobody listens */
    void *context;
};

void report_line(const struct report *report, enum log_type type, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* `Error: TEXT`, and a second line that tells the place, if there is one. */
void report_error(const struct report *report, const struct report_place *place, const char *format,
                  ...) PRINTF_LIKE(3, 4);

/* The second line alone. */
void report_error_place(const struct report *report, const struct report_place *place);

/* `Warning: TEXT (FILE:LINE)` */
void report_warning(const struct report *report, const struct report_place *place,
                    const char *format, ...) PRINTF_LIKE(3, 4);

/* Text out of a file, fit to be shown: not too long, and escaped when it is not proper UTF-8. */
struct report_excerpt {
    char text[256];
};

struct report_excerpt report_excerpt(const char *text);
