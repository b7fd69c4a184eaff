#pragma once

/*
 * Lines
 *
 * The lines of a file of users, for the readers of all its kinds. Owner: the reader, while it
 * reads.
 */

#include "base/slice.h"
#include "config/report.h"

struct access_lines {
    const char *name; /* of the kind: "password file" */
    const struct report *report;
    struct report_place place; /* of the line that was taken last; its file is set before */
    struct slice rest;
};

enum access_lines_verdict {
    ACCESS_LINES_END,
    ACCESS_LINES_TAKEN,
    ACCESS_LINES_WRONG /* reported */
};

/* The next line that is neither empty nor a comment, without the white space at its end. */
enum access_lines_verdict access_lines_take(struct access_lines *lines, struct slice *line_out);

/*
 * NAME:VALUE. As Mosquitto: what has no colon is nobody's, and nobody is let in by it. False, with
 * a warning that calls the value what `value_name` says.
 */
bool access_lines_split(const struct access_lines *lines, struct slice line, const char *value_name,
                        struct slice *name_out, struct slice *value_out);

/* An error at the line that was taken last. Answers `verdict`. */
int access_lines_complain(const struct access_lines *lines, int verdict, const char *format, ...)
    PRINTF_LIKE(3, 4);
