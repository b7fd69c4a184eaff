#include "app/reloader.h"

#include "access/access.h"
#include "app/check.h"
#include "app/logging.h"
#include "app/sys.h"
#include "app/systemd.h"
#include "base/memory.h"
#include "client/reload.h"
#include "config/reader.h"

#include <string.h>

/*
 * In three steps. All that can fail comes first: reading, checking, opening sockets and files, and
 * memory for every worker's part. Then it is published, here and to the workers. When all of them
 * have passed, what nobody looks at any more is closed and freed.
 */

/* A line that says what changes: kept until it is true. In the arena of the next settings. */
struct line {
    struct line *next;
    enum log_type type;
    char text[];
};

/* What was made ahead. */
struct attempt {
    struct settings *next;
    struct access_set access; /* of these */
    struct changes changes;
    struct listening listening;
    struct stage_source **tls; /* one or NULL for each listener */
    struct logging_change *logging;
    struct reload *reload;
    struct line *lines;
    struct line **lines_end;
    bool is_out_of_memory; /* a line is missing */
};

/* Owner: main. */
struct reloader {
    struct reloader_params params;
    struct reload *reload;    /* that workers are taking over; NULL: none */
    struct listening closing; /* what they looked at before */
    bool is_wanted;           /* again, when that is over */
};

/* Lines */

static void say(void *context, enum log_type type, const char *text)
{
    (void)context;
    log_line(type, "%s", text);
}

static void keep_line(void *context, enum log_type type, const char *text)
{
    struct attempt *attempt = context;
    size_t len = strlen(text);
    struct line *line = arena_alloc(&attempt->next->arena, sizeof(*line) + len + 1);

    if (!line) {
        attempt->is_out_of_memory = true;
        return;
    }
    line->next = NULL;
    line->type = type;
    memcpy(line->text, text, len + 1);
    *attempt->lines_end = line;
    attempt->lines_end = &line->next;
}

static void say_changes(const struct attempt *attempt)
{
    for (const struct line *line = attempt->lines; line; line = line->next) {
        log_line(line->type, "%s", line->text);
    }
}

/* Logged, unless it is a verdict: then that was. */
static int say_failed(int r)
{
    if (r == -ENOMEM) {
        log_line(LOG_ERROR, "Error: Out of memory for the new configuration.");
    }
    return r;
}

/* Ahead */

static int read_next(const struct reloader *reloader, struct attempt *attempt)
{
    struct config_request request;
    int r;

    command_line_request(reloader->params.line, &request);
    request.report = (struct report){.on_line = say};
    r = config_read(&request, &attempt->next);
    if (r == 0) {
        r = check_reload(attempt->next, &request.report);
    }
    if (r == 0) {
        /* Says by itself that there is no memory. */
        return access_load(attempt->next, &request.report, &attempt->access);
    }
    return say_failed(r);
}

static int settle(const struct reloader *reloader, struct attempt *attempt)
{
    struct report report = {.on_line = keep_line, .context = attempt};
    int r = changes_settle(*reloader->params.settings, attempt->next, &report, &attempt->changes);

    return say_failed(r == 0 && attempt->is_out_of_memory ? -ENOMEM : r);
}

static int load_certificates(const struct reloader *reloader, struct attempt *attempt)
{
    struct report report = {.on_line = say};

    return say_failed(certificates_load(reloader->params.certificates, attempt->next,
                                        &attempt->access, &report, &attempt->tls));
}

static unsigned count_opened(const struct attempt *attempt)
{
    unsigned len = 0;

    for (unsigned i = 0; i < attempt->listening.len; i++) {
        len += attempt->listening.listeners[i].len;
    }
    return len;
}

static void fill_sockets(const struct attempt *attempt, struct reload_socket *sockets)
{
    for (unsigned i = 0; i < attempt->listening.len; i++) {
        const struct listener *listener = &attempt->listening.listeners[i];

        for (unsigned j = 0; j < listener->len; j++) {
            *sockets++ = (struct reload_socket){listener->sockets[j].fd, i};
        }
    }
}

static int make_reload(const struct reloader *reloader, struct attempt *attempt)
{
    struct reload_params params = {
        .next = attempt->next,
        .access = &attempt->access,
        .changes = &attempt->changes,
        .socket_len = count_opened(attempt),
        .tls = attempt->tls,
        .on_passed = reloader->params.on_passed,
    };
    struct reload_socket *sockets =
        arena_alloc_array(&attempt->next->arena, params.socket_len, sizeof(*sockets));

    if (!sockets) {
        return say_failed(-ENOMEM);
    }
    fill_sockets(attempt, sockets);
    params.sockets = sockets;
    return say_failed(reload_new(reloader->params.server, &params, &attempt->reload));
}

/* 0: nothing that follows can fail. Else it was logged. */
static int prepare(const struct reloader *reloader, struct attempt *attempt)
{
    int r = settle(reloader, attempt);

    if (r == 0) {
        r = listening_prepare(attempt->next, &attempt->changes, reloader->params.listening,
                              &attempt->listening);
    }
    if (r == 0) {
        r = load_certificates(reloader, attempt);
    }
    if (r == 0) {
        r = logging_prepare(reloader->params.line, *reloader->params.settings, attempt->next,
                            &attempt->logging);
    }
    return r == 0 ? make_reload(reloader, attempt) : r;
}

static void attempt_deinit(struct attempt *attempt)
{
    reload_free(attempt->reload);
    if (attempt->next) {
        certificates_unload(attempt->tls, attempt->next->listener_len);
    }
    logging_cancel(attempt->logging);
    listening_close(&attempt->listening);
    access_set_deinit(&attempt->access);
    settings_unref(attempt->next);
}

/* From here on nothing fails. */
static void publish(struct reloader *reloader, struct attempt *attempt)
{
    logging_commit(TAKE(attempt->logging));
    say_changes(attempt);
    memory_set_limit(attempt->next->limits.memory_limit);
    sys_set_interval(reloader->params.sys, attempt->next->process.sys_interval_s);
    listening_take_over(attempt->next, &attempt->changes, reloader->params.listening,
                        &attempt->listening);
    reloader->closing = *reloader->params.listening;
    *reloader->params.listening = attempt->listening;
    attempt->listening = (struct listening){0};
    certificates_unload(TAKE(attempt->tls), attempt->next->listener_len);
    settings_unref(*reloader->params.settings);
    *reloader->params.settings = TAKE(attempt->next);
    reloader->reload = TAKE(attempt->reload);
    reload_publish(reloader->reload);
    sys_take_over(reloader->params.sys, *reloader->params.settings);
}

/* Life */

struct reloader *reloader_new(const struct reloader_params *params)
{
    struct reloader *reloader = memory_must_alloc_zero(1, sizeof(*reloader));

    reloader->params = *params;
    return reloader;
}

static void finish(struct reloader *reloader)
{
    reloader->reload = reload_free(reloader->reload);
    listening_close(&reloader->closing);
}

struct reloader *reloader_free(struct reloader *reloader)
{
    if (reloader) {
        finish(reloader);
        memory_free(reloader);
    }
    return NULL;
}

static void say_done(const struct reloader *reloader)
{
    const char *path = reloader->params.line->config_path;
    struct log_facts facts = {.event = LOG_EVENT_CONFIG_LOADED};

    if (path) {
        log_event(LOG_INFORMATION, &facts, "Config loaded from %s.", path);
    } else {
        log_event(LOG_INFORMATION, &facts, "Using default config.");
    }
    systemd_notify(SYSTEMD_READY);
}

static void say_refused(void)
{
    struct log_facts facts = {.event = LOG_EVENT_CONFIG_REFUSED};

    log_event(LOG_ERROR, &facts, "Error: The configuration stays as it was.");
    systemd_notify(SYSTEMD_READY);
}

void reloader_start(struct reloader *reloader)
{
    struct attempt attempt = {0};
    int r;

    reloader->is_wanted = reloader->reload != NULL;
    if (reloader->is_wanted) {
        return;
    }
    attempt.lines_end = &attempt.lines;
    systemd_notify(SYSTEMD_RELOADING);
    log_line(LOG_INFORMATION, "Reloading config.");
    memory_exempt(true); /* the next memory_limit may be what helps */
    r = read_next(reloader, &attempt);
    if (r == 0) {
        r = prepare(reloader, &attempt);
    }
    if (r == 0) {
        publish(reloader, &attempt);
    }
    /* Sockets and files are gone when it is said that all is as it was. */
    attempt_deinit(&attempt);
    if (r != 0) {
        say_refused();
    }
    memory_exempt(false);
}

void reloader_go_on(struct reloader *reloader)
{
    if (reloader->reload && reload_has_passed(reloader->reload)) {
        finish(reloader);
        say_done(reloader);
        if (reloader->is_wanted) {
            reloader_start(reloader);
        }
    }
}
