#pragma once

/*
 * Style of the log
 *
 * How a line looks: Mosquitto's text, or a JSON object. Used by one thread at a time.
 */

#include "base/log_record.h"

/* With its end. Not more than what a pipe takes at once: lines of several programs do not mix. */
#define LOG_STYLE_CAP 4096

struct log_style {
    enum log_format format;
    bool timestamp;
    const char *timestamp_format;

    /* The latest second and how it is written: many lines have the same. */
    int64_t second;
    size_t prefix_len;
    char prefix[256];
};

void log_style_init(struct log_style *style, const struct log_options *options);

/* The line without its end; answers its length, below LOG_STYLE_CAP. */
size_t log_style_line(struct log_style *style, const struct log_record *record,
                      char line[LOG_STYLE_CAP]);
