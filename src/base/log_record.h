#pragma once

/*
 * Record of the log
 *
 * A line as it stands in the ring: what was to be said, when, and its fields; not yet how it looks.
 */

#include "base/log.h"

#define LOG_RECORD_CAP 2600

struct log_record {
    uint64_t time_ms; /* since 1970 */
    uint16_t type;    /* enum log_type */
    uint8_t event;    /* enum log_event */
    bool is_muted;    /* not for topics */
    uint16_t text_len;
    uint16_t fields_size;
    uint8_t bytes[LOG_RECORD_CAP]; /* the text, then the fields */
};

void log_record_init(struct log_record *record, enum log_type type, enum log_event event);

/* Once, before the fields. */
void log_record_set_text(struct log_record *record, const char *format, va_list arguments)
    PRINTF_LIKE(2, 0);

void log_record_format(struct log_record *record, const char *format, ...) PRINTF_LIKE(2, 3);

/* One that finds no room is left out. */
void log_record_add(struct log_record *record, const struct log_field *field);

/* The bytes that count. */
size_t log_record_size(const struct log_record *record);

struct slice log_record_text(const struct log_record *record);

/* `*at` is 0 at first. False: that was the last one. The text points into the record. */
bool log_record_next(const struct log_record *record, size_t *at, struct log_field *field_out);
