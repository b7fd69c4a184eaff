#pragma once

/*
 * Server
 *
 * The whole broker but for the process around it: workers, core, clients. `app` runs each worker on
 * a thread; the simulator runs the same workers as coroutines of one thread.
 */

#include "base/hash.h"
#include "config/settings.h"
#include "loop/worker.h"
#include "metrics/metrics.h"

struct access_set;
struct server;
struct verifier;

/* What an iteration may do at most, and where back pressure begins. */
struct server_budgets {
    unsigned deliveries;   /* per iteration, and packets, entries, writes: core/shard.h */
    unsigned search_steps; /* of one search that is not left to the receivers; groups it may find */
    unsigned at_once;      /* subscribers of one message, even beyond that */
    unsigned slice;        /* the part of the deliveries that one with too many may use */
    unsigned run;          /* subscribers of one filter that it serves in turn */
    unsigned cleanups; /* per iteration: subscriptions of ended sessions, retained topics swept */
    struct worker_limits worker;
};

/* The values for production. */
extern const struct server_budgets server_budgets_default;

struct server_params {
    struct settings *settings; /* a reference is taken */
    unsigned worker_len;
    unsigned long file_limit; /* files that the process may open; 0: unknown */
    struct hash_key hash_key;
    struct server_budgets budgets;
    struct store store;              /* of all workers */
    const struct access_set *access; /* references are taken; NULL: no listener has files */
    struct verifier *verifier;       /* borrowed; NULL: passwords are looked at on the workers */
    struct stage_source **tls;       /* one or NULL for each listener, of which references are
                                        taken; NULL: none at all */
};

int server_new(const struct server_params *params, struct server **server_out) MUST_CHECK;

/* After all workers have returned, and when the store has ended every wait. Frees every session and
 * message. */
struct server *server_free(struct server *server);

/* Before workers run: server_publish_line() may be called from now on. -errno. */
int server_open_lines(struct server *server) MUST_CHECK;

/*
 * Publishes a line of the log, as log_publish_fn wants it. Any thread, until server_free(); before
 * the workers run and after, it waits.
 */
void server_publish_line(void *server, const char *topic, struct slice line);

/*
 * Gives a listening descriptor to all workers, before they run: they will accept as soon as they
 * do. The descriptor stays the caller's. `listener` is the index into the settings' listeners.
 * -errno.
 */
int server_add_listener(struct server *server, int fd, unsigned listener) MUST_CHECK;

/* The life of one worker: returns after server_stop(), when all workers have finished. */
void server_run_worker(struct server *server, unsigned worker);

/* Whether every worker has passed an iteration since this last answered true. Main. */
bool server_has_passed(struct server *server);

struct bulletin;
struct survey;

/* Has the workers take the next piece of a survey (client/survey.h). Main. */
int server_survey(struct server *server, struct survey *survey) MUST_CHECK;

/* Has a worker publish a bulletin (client/bulletin.h). -ENOMEM. Main. */
int server_publish(struct server *server, struct bulletin *bulletin) MUST_CHECK;

/* All metrics, the derived ones as well, but for those of the process. Any thread, at any time. */
void server_sum(const struct server *server, uint64_t values_out[METRIC_LEN]);

/* Seconds since it was made. Any thread. */
uint64_t server_uptime_s(const struct server *server);

/* What one listener has counted since it was opened: METRIC_LISTENER_FIRST is the first. Main. */
void server_sum_listener(const struct server *server, unsigned listener,
                         uint64_t values_out[METRIC_LISTENER_LEN]);

/* Asks all workers to end: clients are told, wills are sent. Any thread. */
void server_stop(struct server *server);
