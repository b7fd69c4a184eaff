#pragma once

/*
 * Sink of the log
 *
 * All destinations of one set of options. Used by one thread at a time: the log's while it runs.
 */

#include "base/log_style.h"

#include <sys/un.h>

/* Private. */
struct log_destination {
    int fd; /* -1: the socket of syslog is not connected */
    bool is_syslog;
    bool is_regular; /* a file: takes everything, as fast as it can */
    uint64_t lost;   /* lines that it did not take, and has not been told of */
};

struct log_sink {
    struct log_destination destinations[LOG_FD_CAP + 1];
    unsigned len;
    unsigned facility;
    struct sockaddr_un syslog;
    bool to_topics;
    log_publish_fn *publish; /* NULL: nobody does */
    void *publish_context;

    /*
     * Whether to go on waiting for the only destination there is. NULL: no longer than for one of
     * several.
     */
    bool (*may_wait)(void);
    struct log_style style;
    char *own_format; /* to be freed */
    char line[LOG_STYLE_CAP];
};

/* The texts of the options must outlive the sink. */
void log_sink_init(struct log_sink *sink, const struct log_options *options);

/* On the heap, with copies of the texts. -ENOMEM. */
int log_sink_new(const struct log_options *options, struct log_sink **sink_out) MUST_CHECK;

/* Closes what the sink has opened itself. */
void log_sink_deinit(struct log_sink *sink);
struct log_sink *log_sink_free(struct log_sink *sink);

/*
 * Writes a line to all destinations. One that takes nothing for a second is passed over until it
 * takes something again, and is then told how many lines it has missed. If it is the only one, it
 * is waited for, as long as may_wait() says.
 */
void log_sink_write(struct log_sink *sink, const struct log_record *record);
