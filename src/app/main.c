#include "access/access.h"
#include "app/broker.h"
#include "app/certificates.h"
#include "app/check.h"
#include "app/command_line.h"
#include "app/decode_proxy.h"
#include "app/logging.h"
#include "app/privileges.h"
#include "app/process.h"
#include "base/log.h"
#include "config/describe.h"
#include "config/reader.h"
#include "net/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_config_line(void *context, enum log_type type, const char *text)
{
    (void)context;
    log_line(type, "%s", text);
}

/* The words of an option of the command line, or why they are none. */
static bool find_format(const char *name, enum describe_format *format_out)
{
    static const struct {
        const char *name;
        enum describe_format format;
    } formats[] = {
        {"md",   DESCRIBE_MARKDOWN},
        {"man",  DESCRIBE_MAN     },
        {"json", DESCRIBE_JSON    }
    };

    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        if (strcmp(formats[i].name, name) == 0) {
            *format_out = formats[i].format;
            return true;
        }
    }
    fprintf(stderr, "Error: --format %s: md, man or json.\n", name);
    return false;
}

static const struct describe_subject *find_subject(const char *name)
{
    const struct describe_subject *subject = describe_subjects;

    while (subject->name && strcmp(subject->name, name) != 0) {
        subject++;
    }
    if (subject->name) {
        return subject;
    }
    fprintf(stderr, "Error: --describe %s: there is", name);
    for (subject = describe_subjects; subject->name; subject++) {
        fprintf(stderr, " %s", subject->name);
    }
    fputs(".\n", stderr);
    return NULL;
}

static int describe(const struct command_line *line)
{
    const struct describe_subject *subject = find_subject(line->describe);
    enum describe_format format;
    int r;

    if (!subject || !find_format(line->format, &format)) {
        return EXIT_CONFIG;
    }
    r = subject->print(stdout, format);
    if (r < 0) {
        fprintf(stderr, "Error: Unable to print: %s.\n", strerror(-r));
    }
    return r == 0 ? EXIT_OK : EXIT_START;
}

static int decode(const struct command_line *line)
{
    int r = decode_proxy(line->proxy_header, stdout);

    if (r < 0) {
        fprintf(stderr, "Error: --decode-proxy: %s.\n",
                r == -EINVAL ? "not whole bytes in hex" : strerror(-r));
        return EXIT_CONFIG;
    }
    return r == 0 ? EXIT_OK : EXIT_START;
}

static void say_start(const struct command_line *line, const struct settings *settings)
{
    logging_say_life(LOG_EVENT_BROKER_STARTING, "starting");
    if (line->config_path) {
        log_line(LOG_INFORMATION, "Config loaded from %s.", line->config_path);
    } else {
        log_line(LOG_INFORMATION, "Using default config.");
    }
    if (settings->is_local_only) {
        log_line(LOG_INFORMATION, "Starting in local only mode. Connections will only be possible "
                                  "from clients running on this machine.");
        log_line(LOG_INFORMATION, "Create a configuration file which defines a listener to allow "
                                  "remote access.");
    }
}

/* Before any file is made and any thread. */
static int prepare(void)
{
    if (process_set_umask() != PROCESS_OK) {
        log_line(LOG_ERROR, "Error: Invalid UMASK_SET value (%s).", getenv("UMASK_SET"));
        return EXIT_CONFIG;
    }
    if (privileges_forbid_new() < 0) {
        log_line(LOG_ERROR, "Error: Unable to give up new privileges: %s.", strerror(errno));
        return EXIT_START;
    }
    return EXIT_OK;
}

/* From here on everything is done by the process in the background, if there is to be one. */
static int go_on(const struct command_line *line, struct settings **taken,
                 struct access_set *access)
{
    struct settings *settings = *taken;
    struct daemon daemon = DAEMON_NONE;
    int r = line->is_daemon ? daemon_fork(&daemon) : 0;

    if (r < 0) {
        log_line(LOG_ERROR, "Error: Unable to go into the background: %s.", strerror(-r));
        return EXIT_START;
    }
    daemon.keeps_stdout = (settings->log.destinations & SETTINGS_LOG_TO_STDOUT) != 0;
    daemon.keeps_stderr =
        (settings->log.destinations & SETTINGS_LOG_TO_STDERR) != 0 || line->verbose;
    if (logging_open(line, settings) < 0) {
        return EXIT_START;
    }
    say_start(line, settings);
    *taken = NULL;
    return broker_run(line, settings, access, &daemon);
}

static int read_all(const struct config_request *request, struct settings **settings_out,
                    struct access_set *access_out)
{
    int r = config_read(request, settings_out);

    if (r < 0) {
        log_line(LOG_ERROR, "Error: %s.", strerror(-r));
    }
    return r == 0 ? access_load(*settings_out, &request->report, access_out) : r;
}

/* And what only a start would find out. */
static int check(const struct settings *settings, const struct report *report)
{
    int r;

    if (check_settings(settings, report) != CHECK_OK) {
        return EXIT_CONFIG;
    }
    r = certificates_check(settings, report);
    if (r != CERTIFICATES_OK) {
        if (r < 0) {
            log_line(LOG_ERROR, "Error: Unable to load certificates: %s.", strerror(-r));
        }
        return r < 0 ? EXIT_START : EXIT_CONFIG;
    }
    log_line(LOG_INFORMATION, "Configuration file is OK.");
    return EXIT_OK;
}

static int run(const struct command_line *line)
{
    struct config_request request;
    CLEANUP(settings_unref) struct settings *settings = NULL;
    struct access_set access = {0};
    int r = prepare();

    if (r != EXIT_OK) {
        return r;
    }
    command_line_request(line, &request);
    request.report = (struct report){.on_line = on_config_line};
    r = read_all(&request, &settings, &access);
    if (r != 0) {
        if (line->command == COMMAND_RUN) {
            logging_say_life(LOG_EVENT_BROKER_TERMINATING, "terminating");
        }
        return r < 0 ? EXIT_START : EXIT_CONFIG;
    }
    r = line->command == COMMAND_TEST_CONFIG ? check(settings, &request.report)
                                             : go_on(line, &settings, &access);
    access_set_deinit(&access);
    return r;
}

int main(int count, char **arguments)
{
    struct command_line line;
    int r;

    tls_count_memory();
    if (process_open_standard() < 0) {
        fprintf(stderr, "Error: Unable to open /dev/null: %s.\n", strerror(errno));
        return EXIT_START;
    }
    r = command_line_parse(count, arguments, &line);
    if (r == COMMAND_LINE_UNKNOWN) {
        command_line_usage(stderr, arguments[0]);
    }
    if (r != COMMAND_LINE_OK) {
        return EXIT_CONFIG;
    }
    switch (line.command) {
    case COMMAND_HELP: command_line_usage(stdout, arguments[0]); return EXIT_OK;
    case COMMAND_VERSION: puts("nightjar version " NIGHTJAR_VERSION); return EXIT_OK;
    case COMMAND_DESCRIBE: return describe(&line);
    case COMMAND_DECODE_PROXY: return decode(&line);
    case COMMAND_RUN:
    case COMMAND_TEST_CONFIG: return run(&line);
    }
    return EXIT_CONFIG;
}
