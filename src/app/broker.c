#include "app/broker.h"

#include "access/verifier.h"
#include "app/certificates.h"
#include "app/drainer.h"
#include "app/dump.h"
#include "app/listening.h"
#include "app/logging.h"
#include "app/privileges.h"
#include "app/process.h"
#include "app/reloader.h"
#include "app/signals.h"
#include "app/sys.h"
#include "app/systemd.h"
#include "base/log.h"
#include "base/memory.h"
#include "client/server.h"
#include "loop/clock.h"
#include "store/memory.h"

#include <pthread.h>
#include <string.h>

#define WORKER_STACK ((size_t)1024 * 1024)

/* So often in the time that the service manager's watchdog gives us, it is fed. */
#define FEEDS 4

/* Owner: main. */
struct broker {
    struct settings *settings;
    struct access_set access; /* until the server has it */
    struct verifier *verifier;
    struct server *server;
    struct listening listening;
    struct certificates certificates;
    pthread_t *threads;
    unsigned worker_len;
    unsigned thread_len;
    unsigned long file_limit;
    struct privileges privileges;
    bool has_pid_file;
    pthread_mutex_t gate; /* held while threads are made */
    bool may_run;         /* all of them are there; under the gate */
    struct drainer *drainer;
    struct dump *dump;
    struct reloader *reloader;
    struct sys *sys;
    uint64_t feed_ms; /* between two looks whether the watchdog may be fed; 0: there is none */
    uint64_t next_feed_ms;
};

struct worker_start {
    struct broker *broker;
    unsigned worker;
};

static int say_failed(const char *what, int r)
{
    if (r < 0) {
        log_line(LOG_ERROR, "Error: Unable to %s: %s.", what, strerror(-r));
    }
    return r;
}

/* Listeners */

static int watch_listener(struct broker *broker, unsigned index)
{
    const struct listener *listener = &broker->listening.listeners[index];
    int r = 0;

    for (unsigned i = 0; i < listener->len && r == 0; i++) {
        r = server_add_listener(broker->server, listener->sockets[i].fd, index);
    }
    return r;
}

static int open_listeners(struct broker *broker)
{
    struct activation passed = {0};
    int r = activation_take(&passed);

    if (r == 0) {
        r = listening_open(broker->settings, &passed, &broker->listening);
    }
    activation_deinit(&passed);
    if (r < 0) {
        return r;
    }
    for (unsigned i = 0; i < broker->listening.len && r == 0; i++) {
        r = watch_listener(broker, i);
    }
    return say_failed("watch listeners", r);
}

/* Threads */

/* Workers end together, so they also begin together or not at all. */
static bool pass_gate(struct broker *broker)
{
    bool may_run;

    pthread_mutex_lock(&broker->gate);
    may_run = broker->may_run;
    pthread_mutex_unlock(&broker->gate);
    return may_run;
}

static void *run_worker(void *argument)
{
    struct worker_start *start = argument;

    if (pass_gate(start->broker)) {
        server_run_worker(start->broker->server, start->worker);
    }
    memory_free(start);
    return NULL;
}

/* There are files by now, so the process must not just end. */
static int start_worker(struct broker *broker, unsigned index, const pthread_attr_t *attributes)
{
    struct worker_start *start = memory_alloc(sizeof(*start));
    int r;

    if (!start) {
        return -ENOMEM;
    }
    *start = (struct worker_start){broker, index};
    r = pthread_create(&broker->threads[index], attributes, run_worker, start);
    if (r != 0) {
        memory_free(start);
        return -r;
    }
    broker->thread_len++;
    return 0;
}

static int start_workers(struct broker *broker)
{
    pthread_attr_t attributes;
    int r = pthread_attr_init(&attributes);

    assert(r == 0);
    pthread_attr_setstacksize(&attributes, WORKER_STACK);
    pthread_mutex_lock(&broker->gate);
    for (unsigned i = 0; i < broker->worker_len && r == 0; i++) {
        r = start_worker(broker, i, &attributes);
    }
    broker->may_run = r == 0;
    pthread_mutex_unlock(&broker->gate);
    pthread_attr_destroy(&attributes);
    return r;
}

static void stop_workers(struct broker *broker)
{
    server_stop(broker->server);
    for (unsigned i = 0; i < broker->thread_len; i++) {
        pthread_join(broker->threads[i], NULL);
    }
}

/* Life */

static void say(void *context, enum log_type type, const char *text)
{
    (void)context;
    log_line(type, "%s", text);
}

/* While files that only root may read can be read. Logged, unless it is a verdict: then that was.
 */
static int load_certificates(struct broker *broker, const struct command_line *line,
                             struct stage_source ***sources_out)
{
    struct report report = {.on_line = say};
    int r = certificates_open_keylog(&broker->certificates, line->keylog_path);

    if (r < 0) {
        return r;
    }
    broker->certificates.worker_len = broker->worker_len;
    return say_failed("load certificates",
                      certificates_load(&broker->certificates, broker->settings, &broker->access,
                                        &report, sources_out));
}

static int open_server(struct broker *broker, const struct command_line *line)
{
    struct server_params params = {
        .settings = broker->settings,
        .access = &broker->access,
        .worker_len = broker->worker_len,
        .file_limit = broker->file_limit,
        .budgets = server_budgets_default,
        .store = store_memory(),
    };

    int r = load_certificates(broker, line, &params.tls);

    if (r != CERTIFICATES_OK) {
        return -EINVAL;
    }
    hash_key_draw(&params.hash_key);
    r = verifier_new(&broker->verifier);
    if (r == 0) {
        params.verifier = broker->verifier;
        r = server_new(&params, &broker->server);
    }
    access_set_deinit(&broker->access);
    certificates_unload(params.tls, broker->settings->listener_len);
    return say_failed("make workers", r);
}

static int find_user(struct broker *broker)
{
    char error[PRIVILEGES_ERROR_CAP];
    int r = privileges_find(broker->settings->process.user, &broker->privileges, error);

    if (r != PRIVILEGES_OK) {
        log_line(LOG_ERROR, "Error: %s", error);
    }
    return r;
}

static int drop_privileges(const struct broker *broker)
{
    char error[PRIVILEGES_ERROR_CAP];
    int r = privileges_drop(&broker->privileges, error);

    if (r < 0) {
        log_line(LOG_ERROR, "Error: %s", error);
    }
    return r;
}

static int write_pid(struct broker *broker)
{
    const char *path = broker->settings->process.pid_file;
    int r = path ? process_write_pid(path, broker->privileges.uid, broker->privileges.gid) : 0;

    if (r < 0) {
        log_line(LOG_ERROR, "Error: Unable to write pid file '%s': %s.", path, strerror(-r));
    }
    broker->has_pid_file = path && r == 0;
    return r;
}

static void make_room(struct broker *broker)
{
    unsigned workers = broker->settings->process.workers;

    broker->worker_len = workers ? workers : MIN(process_core_len(), (unsigned)WORKER_CAP);
    broker->threads = memory_must_alloc_zero(broker->worker_len, sizeof(pthread_t));
    broker->file_limit = process_raise_file_limit();
    log_line(LOG_INFORMATION, "Using %u workers and up to %lu open files.", broker->worker_len,
             broker->file_limit);
}

/* What main does beside the workers; its memory is taken before anybody is served. */
static void make_main(struct broker *broker, const struct command_line *line)
{
    broker->drainer = drainer_new(broker->server, &broker->settings);
    broker->dump = dump_new(broker->server, broker->worker_len);
    broker->sys = sys_new(broker->server, broker->settings);
    broker->reloader = reloader_new(&(struct reloader_params){
        .line = line,
        .server = broker->server,
        .settings = &broker->settings,
        .listening = &broker->listening,
        .certificates = &broker->certificates,
        .sys = broker->sys,
        .on_passed = signals_answer,
    });
}

static int start(struct broker *broker, const struct command_line *line)
{
    int r = find_user(broker);

    if (r != PRIVILEGES_OK) {
        return r;
    }
    make_room(broker);
    r = open_server(broker, line);
    if (r == 0) {
        make_main(broker, line);
        r = say_failed("publish the log", server_open_lines(broker->server));
    }
    if (r == 0) {
        log_set_publish(server_publish_line, broker->server);
        r = open_listeners(broker);
    }
    /* Not before the listeners: a second broker must leave the file of the first alone. */
    if (r == 0) {
        r = write_pid(broker);
    }
    if (r == 0) {
        logging_give_file(broker->privileges.uid, broker->privileges.gid);
        r = drop_privileges(broker);
    }
    if (r < 0) {
        return r;
    }
    r = logging_start(broker->settings);
    if (r == 0) {
        r = say_failed("start the threads for passwords",
                       verifier_start(broker->verifier, broker->settings->access.password_threads));
    }
    if (r == 0) {
        r = say_failed("start workers", start_workers(broker));
    }
    if (r < 0) {
        stop_workers(broker);
    }
    return r;
}

static void finish(struct broker *broker)
{
    log_stop();
    log_set_publish(NULL, NULL);
    reloader_free(broker->reloader);
    drainer_free(broker->drainer);
    dump_free(broker->dump);
    sys_free(broker->sys);
    verifier_free(broker->verifier);
    server_free(broker->server);
    listening_close(&broker->listening);
    certificates_deinit(&broker->certificates);
    if (broker->has_pid_file) {
        process_remove_pid(broker->settings->process.pid_file);
    }
    access_set_deinit(&broker->access);
    memory_free(broker->threads);
    settings_unref(broker->settings);
}

/* A worker that hangs is not covered up: then the manager starts us anew. */
static void feed_watchdog(struct broker *broker)
{
    if (broker->feed_ms > 0 && clock_now_ms() >= broker->next_feed_ms) {
        if (server_has_passed(broker->server)) {
            systemd_feed();
        }
        broker->next_feed_ms = clock_now_ms() + broker->feed_ms;
    }
}

static void handle_signal(struct broker *broker, int number)
{
    if (number == SIGHUP || number == SIGRTMIN) {
        logging_reopen(broker->settings);
    }
    if (number == SIGNALS_ANSWER) {
        reloader_go_on(broker->reloader);
        dump_go_on(broker->dump);
    } else if (number == SIGUSR2) {
        dump_start(broker->dump);
    } else if (number == SIGUSR1) {
        log_line(LOG_WARNING, "Warning: SIGUSR1 saves nothing: persistence is not built in.");
    } else if (number == SIGRTMIN) {
        log_line(LOG_NOTICE, "The log was asked to be opened again.");
    } else if (number == SIGNALS_DRAIN) {
        drainer_switch(broker->drainer);
    } else if (number == SIGHUP) {
        reloader_start(broker->reloader);
    }
}

static uint64_t next_ms(const struct broker *broker)
{
    uint64_t due_ms = broker->feed_ms > 0 ? broker->next_feed_ms : UINT64_MAX;

    due_ms = MIN(due_ms, drainer_due_ms(broker->drainer));
    return MIN(due_ms, sys_due_ms(broker->sys));
}

static void serve(struct broker *broker)
{
    struct signals signals = {0};
    int number = 0;

    while (number != SIGTERM && number != SIGINT) {
        handle_signal(broker, number);
        feed_watchdog(broker);
        drainer_go_on(broker->drainer);
        sys_go_on(broker->sys);
        number = signals_wait(&signals, next_ms(broker));
    }
}

static void run(struct broker *broker, struct daemon *daemon)
{
    logging_say_life(LOG_EVENT_BROKER_RUNNING, "running");
    daemon_detach(daemon);
    systemd_notify(SYSTEMD_READY);
    broker->feed_ms = (systemd_watchdog_ms() + FEEDS - 1) / FEEDS;
    sys_set_interval(broker->sys, broker->settings->process.sys_interval_s);
    serve(broker);
    systemd_notify(SYSTEMD_STOPPING);
    logging_say_life(LOG_EVENT_BROKER_TERMINATING, "terminating");
    stop_workers(broker);
}

int broker_run(const struct command_line *line, struct settings *settings,
               struct access_set *access, struct daemon *daemon)
{
    struct broker broker = {
        .settings = settings,
        .access = *access,
        .gate = PTHREAD_MUTEX_INITIALIZER,
        .certificates = CERTIFICATES_NONE,
    };
    int r;

    *access = (struct access_set){0};

    signals_block();
    process_tune_memory();
    memory_set_limit(settings->limits.memory_limit);
    r = start(&broker, line);
    if (r == 0) {
        run(&broker, daemon);
    }
    finish(&broker);
    if (r == PRIVILEGES_ENVIRONMENT) {
        return EXIT_CONFIG;
    }
    return r == 0 ? EXIT_OK : EXIT_START;
}
