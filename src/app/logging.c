#include "app/logging.h"

#include "base/memory.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/*
 * A log file has one descriptor for the whole life of the process. It is opened anew by putting the
 * new file behind the same number (dup2 does that at once), so the thread that writes needs not
 * know, and no line is without a file.
 */
static int file_fd = -1;
static bool file_is_ours; /* made by us */

/* Until the end: after a reload the thread may still be at a line in this form. */
static char *first_format;

/* Owner: main. */
struct logging_change {
    int fd; /* of another file; -1: there is none */
    struct log_change *change;
};

/*
 * The name may be that of a pipe: then we don't wait for somebody to open its other end. One that
 * is there is opened without O_CREAT: in /tmp the kernel keeps even root from a file with it that
 * the last run gave to its user.
 */
static int open_file(const struct settings *settings)
{
    int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd = open(settings->log.file, flags | O_CREAT | O_EXCL, 0640);

    file_is_ours = fd >= 0;
    if (fd < 0 && errno == EEXIST) {
        fd = open(settings->log.file, flags);
    }
    if (fd < 0) {
        int r = -errno;

        log_line(LOG_ERROR, "Error: Unable to open log file %s for writing: %s.",
                 settings->log.file, strerror(-r));
        return r;
    }
    return fd;
}

static void add_fd(struct log_options *options, int fd)
{
    options->fds[options->fd_len++] = fd;
}

static unsigned facility_of(const struct settings *settings)
{
    return settings->log.facility < 0 ? LOG_FACILITY_DAEMON
                                      : LOG_FACILITY_LOCAL0 + (unsigned)settings->log.facility;
}

/* -q beats -v, and both beat the file. */
static struct log_options options_of(const struct command_line *line,
                                     const struct settings *settings)
{
    const struct settings_log *log = &settings->log;
    struct log_options options = {
        .types = line->quiet     ? 0
                 : line->verbose ? LOG_ALL
                                 : log->types,
        .facility = facility_of(settings),
        .to_topics = (log->destinations & SETTINGS_LOG_TO_TOPICS) != 0,
        .format = log->format,
        .timestamp = log->timestamp,
        .timestamp_format = log->timestamp_format,
        .repeat_limit = log->repeat_limit,
    };

    if ((log->destinations & SETTINGS_LOG_TO_STDOUT) != 0) {
        add_fd(&options, STDOUT_FILENO);
    }
    if ((log->destinations & SETTINGS_LOG_TO_STDERR) != 0 || line->verbose) {
        add_fd(&options, STDERR_FILENO);
    }
    if ((log->destinations & SETTINGS_LOG_TO_SYSLOG) != 0) {
        options.syslog_path = log->syslog_path;
    }
    return options;
}

static int say_no_memory(void)
{
    log_line(LOG_ERROR, "Error: Out of memory for the log.");
    return -ENOMEM;
}

int logging_open(const struct command_line *line, const struct settings *settings)
{
    struct log_options options = options_of(line, settings);

    if (options.timestamp_format) {
        first_format = memory_copy_text(options.timestamp_format);
        if (!first_format) {
            return say_no_memory();
        }
        options.timestamp_format = first_format;
    }
    if ((settings->log.destinations & SETTINGS_LOG_TO_FILE) != 0) {
        int fd = open_file(settings);

        if (fd < 0) {
            return fd;
        }
        file_fd = fd;
        add_fd(&options, fd);
    }
    log_init(&options);
    return 0;
}

void logging_give_file(uid_t uid, gid_t gid)
{
    if (file_is_ours && uid != geteuid() && fchown(file_fd, uid, gid) < 0) {
        log_line(LOG_WARNING, "Warning: Unable to give the log file away: %s.", strerror(errno));
    }
}

static bool has_file(const struct settings *settings)
{
    return (settings->log.destinations & SETTINGS_LOG_TO_FILE) != 0;
}

/* Puts an open file behind the number that the log writes to. */
static void replace_file(int fd)
{
    if (dup3(fd, file_fd, O_CLOEXEC) < 0) {
        log_line(LOG_ERROR, "Error: Unable to replace the log file: %s.", strerror(errno));
    }
    close(fd);
}

/* What is no destination any more may still get lines that were made before: it is closed when the
 * next signal comes. */
static int open_nothing(void)
{
    return open("/dev/null", O_WRONLY | O_CLOEXEC | O_NOCTTY);
}

/* -1: the file that is open is the right one, or there is to be none. */
static int open_next_file(const struct settings *now, const struct settings *next, int *fd_out)
{
    bool is_open = has_file(now) && file_fd >= 0;

    *fd_out = -1;
    if (!has_file(next) || (is_open && strcmp(now->log.file, next->log.file) == 0)) {
        return 0;
    }
    *fd_out = open_file(next);
    return MIN(*fd_out, 0);
}

int logging_prepare(const struct command_line *line, const struct settings *now,
                    const struct settings *next, struct logging_change **change_out)
{
    struct logging_change *change = memory_alloc_zero(1, sizeof(*change));
    struct log_options options = options_of(line, next);
    int r;

    if (!change) {
        return say_no_memory();
    }
    r = open_next_file(now, next, &change->fd);
    if (r == 0 && has_file(next)) {
        add_fd(&options, file_fd >= 0 ? file_fd : change->fd);
    }
    if (r == 0 && log_change_new(&options, &change->change) < 0) {
        r = say_no_memory();
    }
    if (r < 0) {
        logging_cancel(change);
        return r;
    }
    *change_out = change;
    return 0;
}

void logging_commit(struct logging_change *change)
{
    if (change->fd >= 0 && file_fd >= 0) {
        replace_file(change->fd);
    } else if (change->fd >= 0) {
        file_fd = change->fd;
    }
    change->fd = -1;
    log_change_make(TAKE(change->change));
    logging_cancel(change);
}

void logging_cancel(struct logging_change *change)
{
    if (change) {
        if (change->fd >= 0) {
            close(change->fd);
        }
        log_change_free(change->change);
        memory_free(change);
    }
}

void logging_reopen(const struct settings *settings)
{
    int fd = -1;

    if (file_fd >= 0) {
        fd = has_file(settings) ? open_file(settings) : open_nothing();
    }
    if (fd >= 0) {
        replace_file(fd);
    }
}

void logging_say_life(enum log_event event, const char *word)
{
    struct log_field version = log_field_text("version", slice_of_text(NIGHTJAR_VERSION));
    struct log_facts facts = {event, 1, &version};

    log_event(LOG_INFORMATION, &facts, "nightjar version " NIGHTJAR_VERSION " %s", word);
}

/*
 * The other threads go on while the handler runs: the log's has time to write. Then we end as we
 * would have without it.
 */
static void on_abort(int number)
{
    log_rescue();
    raise(number);
}

int logging_start(const struct settings *settings)
{
    struct sigaction action = {.sa_handler = on_abort, .sa_flags = (int)SA_RESETHAND};
    int r = log_start(settings->log.buffer_size);

    if (r == 0 && sigaction(SIGABRT, &action, NULL) < 0) {
        r = -errno;
    }
    if (r < 0) {
        log_line(LOG_ERROR, "Error: Unable to start the log: %s.", strerror(-r));
    }
    return r;
}
