#include "app/dump.h"

#include "app/signals.h"
#include "base/log.h"
#include "base/memory.h"
#include "client/server.h"
#include "client/survey.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

/* Whoever reads so slowly gets no more. */
#define PATIENCE_MS 1000

/* Owner: main. */
struct dump {
    struct server *server;
    bool is_running;
    struct survey survey;
};

struct dump *dump_new(struct server *server, unsigned worker_len)
{
    struct dump *dump = memory_must_alloc_zero(1, sizeof(*dump));

    dump->server = server;
    dump->survey.worker_len = worker_len;
    dump->survey.on_answer = signals_answer;
    return dump;
}

struct dump *dump_free(struct dump *dump)
{
    return memory_free(dump);
}

/* A pipe that takes some takes this much without blocking. */
static bool write_some(const char *text, size_t *len)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    ssize_t written;

    if (poll(&out, 1, PATIENCE_MS) <= 0) {
        return false;
    }
    written = write(STDOUT_FILENO, text, MIN(*len, (size_t)4096));
    if (written < 0 && errno != EINTR && errno != EAGAIN) {
        return false;
    }
    *len = (size_t)MAX(written, (ssize_t)0);
    return true;
}

static bool print(const char *text, size_t len)
{
    while (len > 0) {
        size_t some = len;

        if (!write_some(text, &some)) {
            log_line(LOG_WARNING, "Warning: Nobody takes what SIGUSR2 prints.");
            return false;
        }
        text += some;
        len -= some;
    }
    return true;
}

static void print_head(enum survey_kind kind)
{
    static const char *const heads[] = {"Clients:\n", "Subscriptions:\n", "Retained:\n"};

    print(heads[kind], strlen(heads[kind]));
}

static void ask(struct dump *dump)
{
    int r = server_survey(dump->server, &dump->survey);

    dump->is_running = r == 0;
    if (r < 0) {
        log_line(LOG_ERROR, "Error: Unable to print clients and trees: %s.", strerror(-r));
    }
}

void dump_start(struct dump *dump)
{
    if (dump->is_running) {
        return;
    }
    dump->survey.kind = SURVEY_CLIENTS;
    dump->survey.worker = 0;
    print_head(SURVEY_CLIENTS);
    ask(dump);
}

/* Whose turn it is behind a piece; false: that was the last one. */
static bool next_piece(struct survey *survey)
{
    if (!survey->is_over) {
        return true;
    }
    if (survey->kind == SURVEY_CLIENTS && ++survey->worker < survey->worker_len) {
        return true;
    }
    if (survey->kind == SURVEY_RETAINED) {
        return false;
    }
    survey->kind++;
    print_head(survey->kind);
    return true;
}

void dump_go_on(struct dump *dump)
{
    struct survey *survey = &dump->survey;

    if (!dump->is_running || !atomic_load_explicit(&survey->is_answered, memory_order_acquire)) {
        return;
    }
    dump->is_running = false;
    if (survey->is_cut) {
        log_line(LOG_WARNING, "Warning: Out of memory: what SIGUSR2 prints is not complete.");
    }
    if (!print(survey->text, survey->len)) {
        return;
    }
    if (next_piece(survey)) {
        ask(dump);
    } else {
        print("End.\n", 5);
    }
}
