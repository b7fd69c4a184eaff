#include "base/log_sink.h"

#include "base/memory.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/*
 * Descriptors 1 and 2 are shared with other processes, so they can't be made non-blocking: whether
 * a pipe has room is asked with poll() first. Room then means room for LOG_STYLE_CAP bytes at
 * least, which is never more than what a pipe writes at once.
 *
 * glibc's syslog() takes a lock and may block; so the datagram is made here.
 */

#define PATIENCE_MS 1000
#define LOOK_MS     20

enum attempt { TAKEN, FULL, BROKEN };

/* A line that is ready: `text` ends with a line feed behind `len` bytes. */
struct ready {
    const struct log_record *record;
    char *text;
    size_t len;
};

/* Life */

static bool is_regular(int fd)
{
    struct stat info;

    return fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

void log_sink_init(struct log_sink *sink, const struct log_options *options)
{
    assert(options->fd_len <= LOG_FD_CAP);
    *sink = (struct log_sink){.facility = options->facility, .to_topics = options->to_topics};
    for (unsigned i = 0; i < options->fd_len; i++) {
        sink->destinations[sink->len++] = (struct log_destination){
            .fd = options->fds[i],
            .is_regular = is_regular(options->fds[i]),
        };
    }
    if (options->syslog_path) {
        sink->syslog.sun_family = AF_UNIX;
        snprintf(sink->syslog.sun_path, sizeof(sink->syslog.sun_path), "%s", options->syslog_path);
        sink->destinations[sink->len++] = (struct log_destination){.fd = -1, .is_syslog = true};
    }
    log_style_init(&sink->style, options);
}

int log_sink_new(const struct log_options *options, struct log_sink **sink_out)
{
    struct log_sink *sink = memory_alloc(sizeof(*sink));

    if (!sink) {
        return -ENOMEM;
    }
    log_sink_init(sink, options);
    if (options->timestamp_format) {
        sink->own_format = memory_copy_text(options->timestamp_format);
        sink->style.timestamp_format = sink->own_format;
        if (!sink->own_format) {
            memory_free(sink);
            return -ENOMEM;
        }
    }
    *sink_out = sink;
    return 0;
}

static void close_syslog(struct log_destination *destination)
{
    if (destination->is_syslog && destination->fd >= 0) {
        close(destination->fd);
        destination->fd = -1;
    }
}

void log_sink_deinit(struct log_sink *sink)
{
    for (unsigned i = 0; i < sink->len; i++) {
        close_syslog(&sink->destinations[i]);
    }
    sink->own_format = memory_free(sink->own_format);
}

struct log_sink *log_sink_free(struct log_sink *sink)
{
    if (sink) {
        log_sink_deinit(sink);
        memory_free(sink);
    }
    return NULL;
}

/* Descriptors */

static enum attempt write_fd(const struct log_destination *destination, const char *line,
                             size_t len)
{
    struct pollfd look = {.fd = destination->fd, .events = POLLOUT};

    if (!destination->is_regular && poll(&look, 1, 0) == 0) {
        return FULL;
    }
    while (len > 0) {
        ssize_t written = write(destination->fd, line, len);

        if (written < 0) {
            return errno == EAGAIN ? FULL : BROKEN;
        }
        line += written;
        len -= (size_t)written;
    }
    return TAKEN;
}

/* Syslog */

static unsigned severity_of(uint16_t type)
{
    switch (type) {
    case LOG_ERROR: return 3;
    case LOG_WARNING: return 4;
    case LOG_NOTICE:
    case LOG_SUBSCRIBE:
    case LOG_UNSUBSCRIBE: return 5;
    case LOG_INFORMATION: return 6;
    default: return 7;
    }
}

static size_t format_head(const struct log_sink *sink, const struct log_record *record, char *head,
                          size_t cap)
{
    time_t now = (time_t)(record->time_ms / 1000);
    struct tm parts;
    char date[32];

    localtime_r(&now, &parts);
    strftime(date, sizeof(date), "%b %e %H:%M:%S", &parts);
    return (size_t)snprintf(head, cap, "<%u>%s nightjar[%d]: ",
                            sink->facility << 3 | severity_of(record->type), date, (int)getpid());
}

static bool connect_syslog(const struct log_sink *sink, struct log_destination *destination)
{
    destination->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (destination->fd >= 0 && connect(destination->fd, (const struct sockaddr *)&sink->syslog,
                                        sizeof(sink->syslog)) == 0) {
        return true;
    }
    close_syslog(destination);
    return false;
}

static enum attempt send_syslog(const struct log_destination *destination,
                                const struct msghdr *message)
{
    if (sendmsg(destination->fd, message, MSG_NOSIGNAL) >= 0) {
        return TAKEN;
    }
    return errno == EAGAIN ? FULL : BROKEN;
}

/* A daemon that was started anew has another socket: so once more after a failure. */
static enum attempt write_syslog(struct log_sink *sink, struct log_destination *destination,
                                 const struct ready *ready)
{
    char head[80];
    struct iovec parts[2] = {
        {head,  format_head(sink, ready->record, head, sizeof(head))},
        {ready->text, ready->len   },
    };
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    enum attempt attempt = BROKEN;

    if (destination->fd >= 0) {
        attempt = send_syslog(destination, &message);
    }
    if (attempt == BROKEN) {
        close_syslog(destination);
        if (connect_syslog(sink, destination)) {
            attempt = send_syslog(destination, &message);
        }
    }
    return attempt;
}

/* All of them */

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Waits a moment for a destination that is full. False: that was long enough. */
static bool wait_for(const struct log_sink *sink, const struct log_destination *destination,
                     uint64_t since_ms)
{
    bool is_alone = sink->len == 1 && !sink->to_topics && sink->may_wait;
    struct pollfd look = {.fd = destination->fd, .events = POLLOUT};

    if (sink->may_wait && !sink->may_wait()) {
        return false;
    }
    if (!is_alone && (destination->lost > 0 || now_ms() - since_ms >= PATIENCE_MS)) {
        return false;
    }
    poll(&look, 1, LOOK_MS);
    return true;
}

static enum attempt attempt_line(struct log_sink *sink, struct log_destination *destination,
                                 const struct ready *ready)
{
    return destination->is_syslog ? write_syslog(sink, destination, ready)
                                  : write_fd(destination, ready->text, ready->len + 1);
}

static bool write_line(struct log_sink *sink, struct log_destination *destination,
                       const struct ready *ready)
{
    uint64_t since_ms = 0;
    enum attempt attempt;

    while ((attempt = attempt_line(sink, destination, ready)) == FULL) {
        since_ms = since_ms ? since_ms : now_ms();
        if (!wait_for(sink, destination, since_ms)) {
            break;
        }
    }
    return attempt == TAKEN;
}

static struct ready make_ready(struct log_sink *sink, const struct log_record *record,
                               char text[LOG_STYLE_CAP])
{
    size_t len = log_style_line(&sink->style, record, text);

    text[len] = '\n';
    return (struct ready){record, text, len};
}

/* False: it still takes nothing. */
static bool tell_lost(struct log_sink *sink, struct log_destination *destination)
{
    struct log_field lines = log_field_number("lines", destination->lost);
    char text[LOG_STYLE_CAP];
    struct log_record record;
    struct ready ready;

    log_record_init(&record, LOG_WARNING, LOG_EVENT_LINES_LOST);
    log_record_format(&record, "Warning: %llu log lines were lost.",
                      (unsigned long long)destination->lost);
    log_record_add(&record, &lines);
    ready = make_ready(sink, &record, text);
    if (!write_line(sink, destination, &ready)) {
        return false;
    }
    destination->lost = 0;
    return true;
}

static const char *topic_of(uint16_t type)
{
    switch (type) {
    case LOG_ERROR: return "$SYS/broker/log/E";
    case LOG_WARNING: return "$SYS/broker/log/W";
    case LOG_NOTICE: return "$SYS/broker/log/N";
    case LOG_INFORMATION: return "$SYS/broker/log/I";
    case LOG_SUBSCRIBE: return "$SYS/broker/log/M/subscribe";
    case LOG_UNSUBSCRIBE: return "$SYS/broker/log/M/unsubscribe";
    default: return NULL;
    }
}

static void publish_line(const struct log_sink *sink, const struct ready *ready)
{
    const char *topic = topic_of(ready->record->type);

    if (topic && sink->to_topics && sink->publish && !ready->record->is_muted) {
        sink->publish(sink->publish_context, topic, slice_of(ready->text, ready->len));
    }
}

void log_sink_write(struct log_sink *sink, const struct log_record *record)
{
    struct ready ready = make_ready(sink, record, sink->line);

    publish_line(sink, &ready);
    for (unsigned i = 0; i < sink->len; i++) {
        struct log_destination *destination = &sink->destinations[i];
        bool is_behind = destination->lost > 0 && !tell_lost(sink, destination);

        if (is_behind || !write_line(sink, destination, &ready)) {
            destination->lost++;
        }
    }
}
