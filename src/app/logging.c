#include "app/logging.h"

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

/* The name may be that of a pipe: then we don't wait for somebody to open its other end. */
static int open_file(const struct settings *settings)
{
    int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd = open(settings->log.file, flags | O_CREAT | O_EXCL, 0640);

    file_is_ours = fd >= 0;
    if (fd < 0 && errno == EEXIST) {
        fd = open(settings->log.file, flags | O_CREAT, 0640);
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

int logging_open(const struct command_line *line, const struct settings *settings)
{
    struct log_options options = options_of(line, settings);

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

void logging_reopen(const struct settings *settings)
{
    int fd = file_fd >= 0 ? open_file(settings) : -1;

    if (fd < 0) {
        return;
    }
    if (dup3(fd, file_fd, O_CLOEXEC) < 0) {
        log_line(LOG_ERROR, "Error: Unable to open log file %s for writing: %s.",
                 settings->log.file, strerror(errno));
    }
    close(fd);
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
