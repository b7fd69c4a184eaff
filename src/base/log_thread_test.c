#include "base/log.h"
#include "base/stress_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define RING_SIZE 16384

/* The log with a pipe as its only destination. */
struct fixture {
    int read_fd;
    struct log_options options;
    char text[1 << 20];
    size_t len;
};

static int setup(void **state)
{
    struct fixture *f = memory_must_alloc_zero(1, sizeof(*f));
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    f->read_fd = fds[0];
    f->options.fds[0] = fds[1];
    f->options.fd_len = 1;
    f->options.types = LOG_ALL;
    log_init(&f->options);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    log_init(&(struct log_options){.types = LOG_ALL});
    close(f->read_fd);
    close(f->options.fds[0]);
    memory_free(f);
    return 0;
}

/* Reads for so long until nothing has come for a while. */
static void read_more(struct fixture *f, int quiet_ms)
{
    struct pollfd look = {.fd = f->read_fd, .events = POLLIN};

    while (poll(&look, 1, quiet_ms) > 0) {
        ssize_t len = read(f->read_fd, f->text + f->len, sizeof(f->text) - 1 - f->len);

        assert_true(len > 0);
        f->len += (size_t)len;
        f->text[f->len] = '\0';
    }
}

/* Reads until the text is there. */
static void expect(struct fixture *f, const char *text)
{
    uint64_t end_ms = stress_now_ms() + 20000;

    while (!strstr(f->text, text)) {
        if (stress_now_ms() > end_ms) {
            fail_msg("no '%s' in '%.2000s'", text, f->text);
        }
        read_more(f, 10);
    }
}

static void lines_are_written_in_order(void **state)
{
    struct fixture *f = *state;

    for (unsigned round = 0; round < 3; round++) {
        f->len = 0;
        log_line(LOG_NOTICE, "before");
        assert_int_equal(log_start(RING_SIZE), 0);
        for (unsigned i = 0; i < 20; i++) {
            log_line(LOG_NOTICE, "%u", i);
        }
        log_stop();
        log_line(LOG_NOTICE, "after");
        read_more(f, 0);
        assert_string_equal(f->text,
                            "before\n0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n"
                            "17\n18\n19\nafter\n");
    }
}

/* One line after the other, each seen before the next: the thread falls asleep in between. */
static void a_sleeping_thread_is_woken(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(log_start(RING_SIZE), 0);
    for (unsigned i = 0; i < 200; i++) {
        char text[20];

        snprintf(text, sizeof(text), "line %u.\n", i);
        log_line(LOG_NOTICE, "line %u.", i);
        expect(f, text);
    }
    log_stop();
}

/* Far more than pipe and ring hold: nobody waits, and the number is told when there is room. */
static void an_unread_pipe_stops_nobody(void **state)
{
    struct fixture *f = *state;
    unsigned written = 0;
    unsigned lost = 0;
    const char *at;

    assert_int_equal(log_start(RING_SIZE), 0);
    for (unsigned i = 0; i < 5000; i++) {
        log_line(LOG_NOTICE, "line %u %0100d", i, 0);
    }
    expect(f, "log lines were lost.");
    log_stop();
    read_more(f, 0);
    for (at = f->text; (at = strstr(at, "line ")) != NULL; at++) {
        written++;
    }
    for (at = f->text; (at = strstr(at, "Warning: ")) != NULL; at++) {
        lost += (unsigned)atoi(at + strlen("Warning: "));
    }
    assert_true(lost > 0);
    assert_int_equal(written + lost, 5000);
}

static void an_unread_pipe_does_not_keep_it_from_ending(void **state)
{
    uint64_t begin_ms = stress_now_ms();

    (void)state;
    alarm(STRESS_LIMIT_S);
    assert_int_equal(log_start(1 << 20), 0);
    for (unsigned i = 0; i < 5000; i++) {
        log_line(LOG_NOTICE, "line %u %0100d", i, 0);
    }
    log_stop();
    log_line(LOG_NOTICE, "nobody waits for this one");
    alarm(0);
    print_message("ended after %u ms\n", (unsigned)(stress_now_ms() - begin_ms));
}

static void change_log(const struct log_options *options)
{
    struct log_change *change;

    assert_int_equal(log_change_new(options, &change), 0);
    log_change_make(change);
}

/* Even while the thread waits for the destination that there was. */
static void other_options_hold_at_once(void **state)
{
    struct fixture *f = *state;
    struct log_options options = f->options;
    char format[] = "at";
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(log_start(1 << 20), 0);
    for (unsigned i = 0; i < 1000; i++) {
        log_line(LOG_NOTICE, "line %u %0100d", i, 0);
    }
    options.fds[0] = fds[1];
    options.timestamp = true;
    options.timestamp_format = format;
    options.types = LOG_ERROR;
    change_log(&options);
    memset(format, 'b', 2);
    close(f->read_fd);
    f->read_fd = fds[0];
    log_line(LOG_NOTICE, "not this type");
    log_line(LOG_ERROR, "the last");
    expect(f, "at: the last\n");
    assert_null(strstr(f->text, "not this"));
    log_stop();
    log_line(LOG_ERROR, "direct");
    expect(f, "at: direct\n");
    close(fds[1]);
}

static unsigned count_descriptors(void)
{
    DIR *fds = opendir("/proc/self/fd");
    unsigned len = 0;

    assert(fds);
    while (readdir(fds)) {
        len++;
    }
    closedir(fds);
    return len;
}

static void the_first_syslog_is_closed_with_its_options(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct log_options options = f->options;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char line[100];
    unsigned before;
    unsigned after;

    snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/log-thread-test-%d", (int)getpid());
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    options.syslog_path = address.sun_path;
    log_init(&options);
    assert_int_equal(log_start(RING_SIZE), 0);
    before = count_descriptors();
    log_line(LOG_NOTICE, "one");
    assert_true(recv(fd, line, sizeof(line), 0) > 0);
    change_log(&f->options);
    log_line(LOG_NOTICE, "two");
    expect(f, "two\n");
    after = count_descriptors();
    log_stop();
    assert_int_equal(after, before);
    unlink(address.sun_path);
    close(fd);
}

/* Also what nobody comes after. */
static void repeated_lines_are_counted(void **state)
{
    struct fixture *f = *state;
    struct log_facts facts = {.event = LOG_EVENT_ACCEPT_PAUSED};
    unsigned written = 0;
    unsigned left_out = 0;

    f->options.repeat_limit = 5;
    log_init(&f->options);
    assert_int_equal(log_start(RING_SIZE), 0);
    for (unsigned i = 0; i < 50; i++) {
        log_event(LOG_WARNING, &facts, "line %u.", i);
        log_line(LOG_WARNING, "other");
    }
    expect(f, " more lines of accept_paused within a second were left out.\n");
    log_stop();
    read_more(f, 0);
    for (const char *at = f->text; (at = strstr(at, "line ")) != NULL; at++) {
        written++;
    }
    for (const char *at = f->text; (at = strstr(at, "Warning: ")) != NULL; at++) {
        left_out += (unsigned)atoi(at + strlen("Warning: "));
    }
    /* The second may have changed in between. */
    assert_true(written == 5 || written == 10);
    assert_int_equal(written + left_out, 50);
}

static void the_end_tells_what_was_left_out(void **state)
{
    struct fixture *f = *state;
    struct log_facts facts = {.event = LOG_EVENT_ACCEPT_PAUSED};

    f->options.repeat_limit = 1;
    log_init(&f->options);
    assert_int_equal(log_start(RING_SIZE), 0);
    for (unsigned i = 0; i < 3; i++) {
        log_event(LOG_WARNING, &facts, "line.");
    }
    log_stop();
    read_more(f, 0);
    assert_non_null(strstr(f->text, " more lines of accept_paused"));
}

/* Several threads at once, while options change. */
static void many_log(unsigned number)
{
    for (unsigned i = 0; i < 2000; i++) {
        log_line(LOG_NOTICE, "%u", number);
        log_event(LOG_NOTICE, &(struct log_facts){.event = LOG_EVENT_OUT_OF_MEMORY}, "%u", number);
    }
}

static void one_changes(unsigned number)
{
    struct log_options options = {.types = LOG_ALL, .repeat_limit = 10};

    (void)number;
    for (unsigned i = 0; i < 200; i++) {
        options.format = i % 2 ? LOG_JSON : LOG_TEXT;
        change_log(&options);
    }
}

static void threads_do_not_disturb_each_other(void **state)
{
    struct stress_task tasks[] = {
        {.run = many_log},
        {.run = many_log, .number = 1},
        {.run = many_log,               .number = 2},
        {.run = one_changes}
    };

    (void)state;
    assert_int_equal(log_start(RING_SIZE), 0);
    stress_run(tasks, ARRAY_LEN(tasks));
    log_stop();
}

static unsigned long long blocked_of(int tid)
{
    unsigned long long blocked = 0;
    char text[200];
    FILE *file;

    snprintf(text, sizeof(text), "/proc/self/task/%d/status", tid);
    file = fopen(text, "re");
    assert(file);
    while (fgets(text, sizeof(text), file)) {
        if (strncmp(text, "SigBlk:", 7) == 0) {
            blocked = strtoull(text + 7, NULL, 16);
        }
    }
    fclose(file);
    return blocked;
}

/* A sanitizer may have a thread of its own; that one blocks them, too. */
static void signals_are_not_for_the_thread(void **state)
{
    static const int numbers[] = {SIGTERM, SIGHUP, SIGPIPE, SIGUSR1};
    unsigned len = 0;
    DIR *tasks;

    (void)state;
    assert_int_equal(log_start(RING_SIZE), 0);
    tasks = opendir("/proc/self/task");
    assert(tasks);
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        int tid = atoi(entry->d_name);

        for (unsigned i = 0; tid != 0 && tid != getpid() && i < ARRAY_LEN(numbers); i++) {
            assert_true(blocked_of(tid) >> (numbers[i] - 1) & 1);
            len++;
        }
    }
    closedir(tasks);
    assert_true(len > 0);
    log_stop();
}

/* What stands in the ring when an assertion fails is still written. */
static void on_abort(int number)
{
    (void)number;
    log_rescue();
}

static void crash(struct fixture *f)
{
    struct sigaction action = {.sa_handler = on_abort};

    sigaction(SIGABRT, &action, NULL);
    alarm(STRESS_LIMIT_S);
    close(f->read_fd);
    if (log_start(1 << 20) == 0) {
        for (unsigned i = 0; i < 1500; i++) {
            log_line(LOG_NOTICE, "line %u %0100d", i, 0);
        }
    }
    abort();
}

static void a_crash_loses_nothing(void **state)
{
    struct fixture *f = *state;
    unsigned written = 0;
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        crash(f);
    }
    close(f->options.fds[0]);
    f->options.fds[0] = -1;
    for (ssize_t len; (len = read(f->read_fd, f->text + f->len, 65536)) > 0;) {
        f->len += (size_t)len;
        assert_true(f->len < sizeof(f->text) - 65536);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    for (const char *at = f->text; (at = strstr(at, "line ")) != NULL; at++) {
        written++;
    }
    assert_int_equal(written, 1500);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_are_written_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sleeping_thread_is_woken, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unread_pipe_stops_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unread_pipe_does_not_keep_it_from_ending, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(other_options_hold_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(the_first_syslog_is_closed_with_its_options, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(repeated_lines_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_tells_what_was_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(threads_do_not_disturb_each_other, setup, teardown),
        cmocka_unit_test_setup_teardown(a_crash_loses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(signals_are_not_for_the_thread, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
