#pragma once

/*
 * Log
 *
 * The front end of the log: one call, one line. Where lines go, which kinds of them, and how they
 * look is set by the program. Any thread may call, and none is ever held up: while the log's thread
 * runs, a line goes into a bounded ring and that thread writes it (docs/log.md). Before and after,
 * lines are written by who makes them, at once.
 *
 * Control characters and bytes that are no UTF-8 never reach a destination, wherever they come
 * from. What a client sent is to be given to text_escape() all the same: only there is a backslash
 * of the client's told from ours.
 */

#include "base/log_events.h"
#include "base/slice.h"

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

#define LOG_FD_CAP 4

enum log_format { LOG_TEXT, LOG_JSON };

/* As syslog(3) numbers them. */
enum log_facility { LOG_FACILITY_DAEMON = 3, LOG_FACILITY_LOCAL0 = 16 };

struct log_options {
    unsigned types;      /* bits of enum log_type */
    int fds[LOG_FD_CAP]; /* open descriptors; the log does not own them */
    unsigned fd_len;
    const char *syslog_path; /* of a datagram socket; NULL: no syslog */
    unsigned facility;       /* enum log_facility */
    bool to_topics;          /* as far as log_set_publish() was called */
    enum log_format format;
    bool timestamp;               /* begin with a time; of LOG_TEXT */
    const char *timestamp_format; /* strftime; NULL: seconds since 1970. Must outlive the log. */
    unsigned repeat_limit;        /* lines in a second of an event that is limited; 0: all */
};

/* While the log's thread does not run. */
void log_init(const struct log_options *options);

/* Other options, with all the memory that they take; texts are copied. -ENOMEM. */
struct log_change;

int log_change_new(const struct log_options *options, struct log_change **change_out) MUST_CHECK;
struct log_change *log_change_free(struct log_change *change);

/* They hold from now on, and the change is freed. At any time, by the thread that called
 * log_init(). */
void log_change_make(struct log_change *change);

/*
 * Takes a line, without its end, that is to be published to a topic. Called by whoever writes the
 * log; must not wait, and what it logs itself should be muted. Set while the log's thread does not
 * run.
 */
typedef void log_publish_fn(void *context, const char *topic, struct slice line);
void log_set_publish(log_publish_fn *publish, void *context);

/* Lines that this thread makes while it is muted do not go to topics: or one could beget another.
 */
void log_mute_topics(bool is_muted);

/* Starts the thread, with a ring of that many bytes. It has all signals blocked. -errno. */
int log_start(size_t ring_size) MUST_CHECK;

/*
 * Writes what is left and ends the thread; destinations that take nothing are waited for a second
 * at most. No other thread logs any more.
 */
void log_stop(void);

/* For a handler of SIGABRT: gives the log's thread a second to write what stands in the ring. */
void log_rescue(void);

/* Whether the form of the log shows fields: for facts that are costly to make. */
bool log_has_fields(void);

/* Whether a line of this type would be written: for lines that are costly to make. */
bool log_is_on(enum log_type type);

void log_line(enum log_type type, const char *format, ...) PRINTF_LIKE(2, 3);

/* One thing that programs may want to know about a line: a key of the JSON form. */
struct log_field {
    const char *name;  /* static */
    struct slice text; /* raw bytes, cut if they are long; data NULL: `number` counts */
    uint64_t number;
};

/* A line that programs may rely on. A field without a name is left out. */
struct log_facts {
    enum log_event event;
    unsigned len;
    const struct log_field *fields;
};

void log_event(enum log_type type, const struct log_facts *facts, const char *format, ...)
    PRINTF_LIKE(3, 4);
void log_event_list(enum log_type type, const struct log_facts *facts, const char *format,
                    va_list arguments) PRINTF_LIKE(3, 0);

static inline struct log_field log_field_text(const char *name, struct slice text)
{
    return (struct log_field){.name = name, .text = text.data ? text : slice_of("", 0)};
}

static inline struct log_field log_field_number(const char *name, uint64_t number)
{
    return (struct log_field){.name = name, .number = number};
}
