#include "base/log_sink.h"
#include "base/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A sink with options that each test fills; files live in a folder of the test's. */
struct fixture {
    struct log_options options;
    struct log_sink sink;
    char folder[64];
    char path[100];
    char text[20000];
};

static int setup(void **state)
{
    struct fixture *f = memory_must_alloc_zero(1, sizeof(*f));

    strcpy(f->folder, "/tmp/nightjar-log-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof(f->path), "%s/log", f->folder);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    log_sink_deinit(&f->sink);
    unlink(f->path);
    rmdir(f->folder);
    memory_free(f);
    return 0;
}

static void begin(struct fixture *f)
{
    log_sink_init(&f->sink, &f->options);
}

static void say(struct fixture *f, enum log_type type, const char *text)
{
    struct log_record record;

    log_record_init(&record, type, LOG_EVENT_MESSAGE);
    log_record_format(&record, "%s", text);
    log_sink_write(&f->sink, &record);
}

/* Pipes */

static int add_pipe(struct fixture *f)
{
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    f->options.fds[f->options.fd_len++] = fds[1];
    return fds[0];
}

static const char *got(struct fixture *f, int fd)
{
    ssize_t len = read(fd, f->text, sizeof(f->text) - 1);

    f->text[MAX(len, (ssize_t)0)] = '\0';
    return f->text;
}

static void close_pipes(struct fixture *f, int *read_fds)
{
    for (unsigned i = 0; i < f->options.fd_len; i++) {
        close(read_fds[i]);
        close(f->options.fds[i]);
    }
}

/* The descriptor is a blocking one, as stderr is. */
static void fill(int fd)
{
    char block[4096] = {0};

    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    while (write(fd, block, sizeof(block)) > 0) {
    }
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
}

static void drain(struct fixture *f, int fd)
{
    while (read(fd, f->text, sizeof(f->text)) > 0) {
    }
}

static void a_full_pipe_is_passed_over_and_told(void **state)
{
    struct fixture *f = *state;
    int fds[] = {add_pipe(f), add_pipe(f)};

    begin(f);
    fill(f->options.fds[0]);
    say(f, LOG_NOTICE, "one");
    say(f, LOG_NOTICE, "two");
    assert_string_equal(got(f, fds[1]), "one\ntwo\n");
    drain(f, fds[0]);
    say(f, LOG_NOTICE, "three");
    assert_string_equal(got(f, fds[0]), "Warning: 2 log lines were lost.\nthree\n");
    assert_string_equal(got(f, fds[1]), "three\n");
    close_pipes(f, fds);
}

static unsigned patience;

static bool may_wait(void)
{
    return patience > 0 && --patience > 0;
}

/* The only one is waited for as long as the log's thread wants. */
static void the_only_pipe_is_waited_for(void **state)
{
    struct fixture *f = *state;
    int fd = add_pipe(f);

    begin(f);
    f->sink.may_wait = may_wait;
    fill(f->options.fds[0]);
    patience = 3;
    say(f, LOG_NOTICE, "one");
    assert_int_equal(patience, 0);
    drain(f, fd);
    say(f, LOG_NOTICE, "two");
    assert_string_equal(got(f, fd), "Warning: 1 log lines were lost.\ntwo\n");
    close_pipes(f, &fd);
}

/* A disk that is full takes nothing; what did not get there is counted. */
static void a_full_device_loses_lines(void **state)
{
    struct fixture *f = *state;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    int pipe_fd;

    f->options.fds[f->options.fd_len++] = fd;
    pipe_fd = add_pipe(f);
    begin(f);
    say(f, LOG_NOTICE, "one");
    say(f, LOG_NOTICE, "two");
    assert_int_equal(f->sink.destinations[0].lost, 2);
    assert_string_equal(got(f, pipe_fd), "one\ntwo\n");
    close(f->options.fds[1]);
    close(pipe_fd);
    close(fd);
}

/* Syslog */

static int listen_syslog(struct fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    unlink(f->path);
    memcpy(address.sun_path, f->path, strlen(f->path) + 1);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void syslog_gets_the_facility_and_the_severity(void **state)
{
    static const struct {
        enum log_type type;
        unsigned severity;
    } cases[] = {
        {LOG_ERROR,       3},
        {LOG_WARNING,     4},
        {LOG_NOTICE,      5},
        {LOG_SUBSCRIBE,   5},
        {LOG_UNSUBSCRIBE, 5},
        {LOG_INFORMATION, 6},
        {LOG_DEBUG,       7},
        {LOG_WEBSOCKETS,  7},
        {LOG_INTERNAL,    7},
    };
    struct fixture *f = *state;
    int fd = listen_syslog(f);

    f->options.syslog_path = f->path;
    f->options.facility = LOG_FACILITY_LOCAL0 + 3;
    begin(f);
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        char expected[20];
        char end[40];

        say(f, cases[i].type, "hello");
        got(f, fd);
        snprintf(expected, sizeof(expected), "<%u>", (16 + 3) * 8 + cases[i].severity);
        assert_memory_equal(f->text, expected, strlen(expected));
        snprintf(end, sizeof(end), " nightjar[%d]: hello", (int)getpid());
        assert_int_equal(strlen(f->text), strlen(expected) + 15 + strlen(end));
        assert_string_equal(f->text + strlen(expected) + 15, end);
    }
    close(fd);
}

static void expect_syslog(struct fixture *f, int fd, const char *text)
{
    const char *colon = strstr(got(f, fd), "]: ");

    assert_non_null(colon);
    assert_string_equal(colon + 3, text);
}

static void syslog_is_found_again(void **state)
{
    struct fixture *f = *state;
    int fd;

    f->options.syslog_path = f->path;
    begin(f);
    say(f, LOG_NOTICE, "nobody hears");
    fd = listen_syslog(f);
    say(f, LOG_NOTICE, "one");
    expect_syslog(f, fd, "Warning: 1 log lines were lost.");
    expect_syslog(f, fd, "one");
    close(fd);
    fd = listen_syslog(f);
    say(f, LOG_NOTICE, "two");
    expect_syslog(f, fd, "two");
    close(fd);
}

/* A daemon that is stopped: its queue is full at some time. */
static void a_stopped_syslog_is_passed_over(void **state)
{
    struct fixture *f = *state;
    int fd = listen_syslog(f);
    int pipe_fd = add_pipe(f);
    unsigned len = 0;

    f->options.syslog_path = f->path;
    begin(f);
    while (f->sink.destinations[1].lost == 0 && len < 100000) {
        say(f, LOG_NOTICE, "x");
        got(f, pipe_fd);
        len++;
    }
    assert_true(len < 100000);
    say(f, LOG_NOTICE, "x");
    assert_int_equal(f->sink.destinations[1].lost, 2);
    assert_string_equal(got(f, pipe_fd), "x\n");
    drain(f, fd);
    say(f, LOG_NOTICE, "y");
    expect_syslog(f, fd, "Warning: 2 log lines were lost.");
    expect_syslog(f, fd, "y");
    close(f->options.fds[0]);
    close(pipe_fd);
    close(fd);
}

/* Topics */

static void on_publish(void *context, const char *topic, struct slice line)
{
    char *all = context;

    sprintf(all + strlen(all), "%s=%.*s ", topic, (int)line.len, (const char *)line.data);
}

static void some_types_have_topics(void **state)
{
    struct fixture *f = *state;

    f->options.to_topics = true;
    begin(f);
    f->sink.publish = on_publish;
    f->sink.publish_context = f->text;
    for (unsigned type = LOG_DEBUG; type < LOG_ALL; type <<= 1) {
        say(f, (enum log_type)type, "a");
    }
    assert_string_equal(f->text, "$SYS/broker/log/E=a $SYS/broker/log/W=a $SYS/broker/log/N=a "
                                 "$SYS/broker/log/I=a $SYS/broker/log/M/subscribe=a "
                                 "$SYS/broker/log/M/unsubscribe=a ");
}

static void a_muted_line_goes_to_no_topic(void **state)
{
    struct fixture *f = *state;
    struct log_record record;

    f->options.to_topics = true;
    begin(f);
    f->sink.publish = on_publish;
    f->sink.publish_context = f->text;
    log_record_init(&record, LOG_ERROR, LOG_EVENT_MESSAGE);
    record.is_muted = true;
    log_sink_write(&f->sink, &record);
    assert_string_equal(f->text, "");
}

static void one_on_the_heap_owns_its_texts(void **state)
{
    struct fixture *f = *state;
    char format[] = "at";
    struct log_sink *sink;
    int fd = add_pipe(f);
    struct log_record record;

    f->options.timestamp = true;
    f->options.timestamp_format = format;
    for (unsigned n = 1; n <= 2; n++) {
        memory_fail_after(n);
        assert_int_equal(log_sink_new(&f->options, &sink), -ENOMEM);
    }
    memory_fail_after(0);
    assert_int_equal(log_sink_new(&f->options, &sink), 0);
    format[0] = 'b';
    log_record_init(&record, LOG_ERROR, LOG_EVENT_MESSAGE);
    log_sink_write(sink, &record);
    assert_string_equal(got(f, fd), "at: \n");
    assert_null(log_sink_free(sink));
    close_pipes(f, &fd);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_full_pipe_is_passed_over_and_told, setup, teardown),
        cmocka_unit_test_setup_teardown(the_only_pipe_is_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_device_loses_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(syslog_gets_the_facility_and_the_severity, setup, teardown),
        cmocka_unit_test_setup_teardown(syslog_is_found_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stopped_syslog_is_passed_over, setup, teardown),
        cmocka_unit_test_setup_teardown(some_types_have_topics, setup, teardown),
        cmocka_unit_test_setup_teardown(a_muted_line_goes_to_no_topic, setup, teardown),
        cmocka_unit_test_setup_teardown(one_on_the_heap_owns_its_texts, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
