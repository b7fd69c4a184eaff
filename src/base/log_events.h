#pragma once

/*
 * Events of the log
 *
 * The names by which programs know the lines of the log, from the one table base/log_events.def.
 */

#include "base/base.h"

#include <stdio.h>

enum log_event {
#define LOG_EVENT(NAME, name, limited, fields, text) LOG_EVENT_##NAME,
#include "base/log_events.def"
#undef LOG_EVENT
    LOG_EVENT_LEN
};

struct log_event_row {
    const char *name;
    bool is_limited;    /* log_repeat_limit applies */
    const char *fields; /* with spaces in between */
    const char *text;
};

extern const struct log_event_row log_events[LOG_EVENT_LEN];

/* docs/events.md. 0, or -EIO. */
int log_events_describe(FILE *file) MUST_CHECK;
