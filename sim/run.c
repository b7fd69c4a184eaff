#include "sim/run.h"

#include "base/log.h"
#include "client/drain.h"
#include "client/reload.h"
#include "client/server.h"
#include "config/changes.h"
#include "sim/actor.h"
#include "sim/fail.h"
#include "sim/memory_count.h"
#include "sim/network.h"
#include "sim/ports.h"
#include "sim/scheduler.h"
#include "sim/store.h"
#include "sim/tls.h"
#include "sim/tls_server.h"

#include <limits.h>

/* A run takes some ten thousand switches; more than this is no progress. */
#define STEP_MAX UINT64_C(300000)

/* Rounds of time passing at the end: longer than will delays and grace periods take. */
#define LAST_ROUNDS 14

/* Virtual time may pass within an iteration, which knows the time of its beginning. */
#define SLACK_MS 2000u

/* So often a client tries to come in, and so often it looks whether it was let in. */
#define COME_IN_STEPS 100

#define ACTOR_CAP 8

struct run {
    struct choice *choice;
    const struct run_params *params;
    struct model *model;
    struct actor_world world;
    struct actor *actors[ACTOR_CAP + 1]; /* the last one looks around at the end */
    unsigned actor_len;
    struct settings *settings;
    struct server *server;
    struct reload *reload; /* that workers take over; NULL: none */
    struct drain_step drain;
    unsigned quiet_checks;
};

static struct run *self;

/* What the network tells goes to the model. */

static struct model *model_now(void)
{
    model_set_time(self->model, scheduler_now_ms());
    return self->model;
}

static struct model *model_with_drops(void)
{
    uint64_t values[METRIC_LEN];

    server_sum(self->server, values);
    /* What is too large for its client is no limit's doing, and missed by nobody. */
    model_set_drops(self->model, values[METRIC_DROPPED_QUEUE_FULL] + values[METRIC_DROPPED_BUSY] +
                                     values[METRIC_DROPPED_NO_MEMORY]);
    return model_now();
}

static void on_read(struct connection *connection, const struct wire_packet *packet)
{
    sim_store_on_read(connection->number, packet);
    model_on_read(model_now(), connection->number, packet);
}

static void on_written(struct connection *connection, const struct wire_packet *packet)
{
    sim_store_on_written(connection->number, packet);
    model_on_written(model_now(), connection->number, packet);
}

static void on_closed(struct connection *connection)
{
    model_on_closed(model_now(), connection->number);
}

static void on_touched(struct connection *connection)
{
    model_on_touched(model_now(), connection->number);
}

static void on_full(struct connection *connection)
{
    model_on_full(model_now(), connection->number);
}

static void on_writing(struct connection *connection, bool is_late)
{
    model_on_late(model_now(), connection->number, is_late);
}

static const struct network_ops network_ops = {
    .on_read = on_read,
    .on_written = on_written,
    .on_closed = on_closed,
    .on_touched = on_touched,
    .on_full = on_full,
    .on_writing = on_writing,
};

static void complain(void *context, const char *text)
{
    (void)context;
    sim_fail("%s", text);
}

static bool is_eager(void *context, unsigned number)
{
    const struct run *run = context;
    const struct connection *connection = network_connection(number);

    return actor_is_eager(run->actors[connection->actor], connection);
}

/* Making and ending */

static void start_network(struct run *run)
{
    const struct run_params *params = run->params;

    scheduler_start(&(struct scheduler_params){
        .choice = run->choice,
        .switch_permille = params->switch_permille,
        .stall_permille = params->stall_permille,
        .hold_permille = params->hold_permille,
        .step_max = STEP_MAX,
    });
    network_start(&(struct network_params){
        .ops = &network_ops,
        .cut_permille = params->cut_permille,
        .short_permille = params->short_permille,
        .no_descriptors_permille = params->no_descriptors_permille,
        .window = params->window,
        .linger_ms = MAX(params->linger_s * 1000, SLACK_MS) - SLACK_MS,
        .linger_size = params->linger_size,
        .lingers_all = params->lingering == 0,
    });
}

static void start_tls(struct run *run)
{
    if (run->params->tls_permille > 0) {
        sim_tls_start(choice_next(run->choice));
        tls_server_start(run->params->workers);
    }
}

static unsigned draw_version(struct choice *choice)
{
    return PICK(choice, MQTT_3_1, MQTT_3_1_1, MQTT_3_1_1, MQTT_3_1_1, MQTT_5_0, MQTT_5_0, MQTT_5_0,
                MQTT_5_0);
}

static void start_clients(struct run *run)
{
    const struct run_params *params = run->params;
    const unsigned *message_len;
    const struct wire_message *messages;

    bool may_drop = params->max_queued > 0 || params->max_queued_bytes > 0;

    run->model = model_new(&(struct model_params){
        .complain = complain,
        .may_drop = may_drop,
        .may_overflow = may_drop && params->queue_policy == SETTINGS_QUEUE_DISCONNECT,
        .may_refuse = params->no_descriptors_permille > 0,
        .drains = params->drain_permille > 0,
        .has_store = params->store_permille > 0,
        .merges = params->merges,
        .upgrades_qos = params->upgrades_qos,
        .max_inflight = params->max_inflight,
        .max_inflight_bytes = params->max_inflight_bytes,
    });
    messages = model_messages(run->model, &message_len);
    wire_set_messages(messages, message_len);
    run->world = (struct actor_world){
        .choice = run->choice,
        .model = run->model,
        .retained_permille = params->retained_permille,
        .large_permille = params->large_permille,
        .expiry_permille = params->expiry_permille,
        .chaos = params->chaos,
        .churn = params->churn,
        .topic_len = params->topics,
        .filter_len = params->filters,
        .group_len = params->groups,
        .salt = choice_below(run->choice, 3),
        .has_bad_clients = params->has_bad_clients,
        .web_permille = params->web_permille,
        .tls_permille = params->tls_permille,
        .proxy_permille = params->proxy_permille,
    };
    run->actor_len = params->actors;
    for (unsigned i = 0; i <= run->actor_len; i++) {
        bool is_observer = i == 0 && params->has_observer;

        run->actors[i] = actor_new(
            &run->world,
            &(struct actor_params){
                .number = i,
                .version = i == run->actor_len ? MQTT_5_0 : draw_version(run->choice),
                .is_observer = is_observer,
                .is_member = !is_observer && choice_chance(run->choice, 500),
                .is_slow = !is_observer && !params->is_calm && choice_chance(run->choice, 300),
                .is_late = !is_observer && !params->is_calm && choice_chance(run->choice, 300),
            });
    }
}

static void set_limits(struct settings_limits *limits, const struct run_params *params)
{
    limits->max_queued_messages = params->max_queued;
    limits->max_queued_bytes = params->max_queued_bytes;
    limits->queue_qos0_messages = params->queues_plain;
    limits->upgrade_outgoing_qos = params->upgrades_qos;
    limits->max_inflight_messages = (uint16_t)params->max_inflight;
    limits->max_inflight_bytes = params->max_inflight_bytes;
    limits->linger_timeout_s = (uint16_t)params->linger_s;
    limits->max_linger_bytes = params->linger_size;
    limits->max_lingering_connections = (int32_t)params->lingering;
}

static struct settings *make_settings(const struct run_params *params)
{
    struct settings *settings;

    if (settings_new(&settings) < 0) {
        sim_fail("no settings");
    }
    set_limits(&settings->limits, params);
    settings->clients.retain_expiry_interval_min = 1;
    settings->clients.allow_duplicate_messages = !params->merges;
    settings->clients.allow_anonymous = true;
    settings->log.types = sim_is_tracing() ? LOG_ALL : 0;
    ports_make_listeners(params, settings);
    return settings;
}

static void run_worker(void *context, unsigned number)
{
    struct run *run = context;

    server_run_worker(run->server, number);
}

static struct server_budgets budgets_of(const struct run_params *params)
{
    struct server_budgets budgets = {
        .deliveries = params->deliveries,
        .search_steps = params->searches,
        .at_once = params->at_once,
        .slice = params->deliveries / 2,
        .run = params->at_once,
        .cleanups = params->cleanups,
        .worker =
            {
                     .marks =
                    {
                        .high_entries = params->mail_high,
                        .low_entries = params->mail_high / 2,
                        .high_bytes = params->mail_high_bytes,
                        .low_bytes = params->mail_high_bytes / 2,
                    }, .timer_budget = params->timers,
                     .reclaim_budget = params->reclaims,
                     .event_budget = params->events,
                     .spread_least = 1,
                     },
    };

    return budgets;
}

static void start_server(struct run *run)
{
    struct stage_source *tls[NETWORK_PORT_LEN];
    unsigned ports[NETWORK_PORT_LEN];
    unsigned port_len = ports_find(run->params, ports);
    struct server_params params = {
        .settings = run->settings,
        .worker_len = run->params->workers,
        .budgets = budgets_of(run->params),
        .tls = tls,
    };

    ports_make_tls(run->params, 0, tls);
    if (run->params->store_permille) {
        params.store = sim_store();
    }
    hash_key_make(&params.hash_key, choice_next(run->choice));
    if (server_new(&params, &run->server) < 0) {
        sim_fail("no server");
    }
    for (unsigned i = 0; i < port_len; i++) {
        if (server_add_listener(run->server, network_listener(ports[i]), i) < 0) {
            sim_fail("no listener");
        }
    }
    for (unsigned i = 0; i < run->params->workers; i++) {
        scheduler_spawn(run_worker, run);
    }
}

static void end_all(struct run *run)
{
    scheduler_end();
    run->reload = reload_free(run->reload);
    run->server = server_free(run->server);
    run->settings = settings_unref(run->settings);
    network_end();
    sim_store_end();
    tls_server_end();
    sim_tls_end();
    if (memory_live() != 0) {
        sim_fail("%zu allocations of the server are left", memory_live());
    }
    for (unsigned i = 0; i <= run->actor_len; i++) {
        run->actors[i] = actor_free(run->actors[i]);
    }
    run->model = model_free(run->model);
}

/* Reloading */

static void on_passed(void)
{
}

/*
 * Of what the model knows of limits only those may change that it allows for anyhow: whether
 * messages may be dropped, and clients with them. What there is to acknowledge in time stays what
 * it was told.
 */
static struct settings *draw_settings(struct run *run)
{
    struct run_params params = *run->params;
    struct choice *choice = run->choice;
    struct settings *settings;

    if (params.max_queued > 0) {
        params.max_queued += choice_below(choice, 20);
    }
    if (params.max_queued_bytes > 0) {
        params.max_queued_bytes += choice_below(choice, 5000);
    }
    if (params.queue_policy != SETTINGS_QUEUE_DISCONNECT) {
        params.queue_policy = PICK(choice, SETTINGS_QUEUE_DROP_NEWEST, SETTINGS_QUEUE_DROP_OLDEST);
    }
    params.queues_plain = choice_chance(choice, 500);
    params.max_topic_alias = PICK(choice, 0, 1, 10);
    settings = make_settings(&params);
    settings->clients.retain_expiry_interval_min = PICK(choice, 0, 1, 2);
    return settings;
}

/* One follows the other as soon as it may. */
static void reload(struct run *run)
{
    struct stage_source *tls[NETWORK_PORT_LEN];
    struct reload_params params = {.on_passed = on_passed, .tls = tls};
    struct changes changes;

    if (run->reload && !reload_has_passed(run->reload)) {
        return;
    }
    run->reload = reload_free(run->reload);
    params.next = draw_settings(run);
    params.changes = &changes;
    ports_make_tls(run->params, choice_below(run->choice, 2), tls);
    if (changes_settle(run->settings, params.next, &(struct report){0}, &changes) < 0 ||
        reload_new(run->server, &params, &run->reload) < 0) {
        sim_fail("no reload");
    }
    settings_unref(run->settings);
    run->settings = params.next;
    reload_publish(run->reload);
}

/* A part of the clients goes, of every worker, or all of them; the next step waits for the last. */
static void drain(struct run *run)
{
    if (!drain_step_has_passed(&run->drain)) {
        return;
    }
    run->drain.on_passed = on_passed;
    run->drain.part = PICK(run->choice, 1, 2, 5, 10) / 10.0;
    if (server_drain_step(run->server, &run->drain) < 0) {
        sim_fail("no drain");
    }
}

/* The busy part */

/* Nobody sleeps on what a client has sent, unless that client does not listen. */
static void check_read(void)
{
    for (unsigned i = 0; i < network_len(); i++) {
        const struct connection *connection = network_connection(i);

        if (connection_is_open(connection) && connection->is_accepted && !connection->is_closed &&
            !connection->is_left && network_waiting(connection) == 0 &&
            bytes_waiting(&connection->to_server) > 0) {
            sim_fail("all sleep, and connection %u is not read", i);
        }
    }
}

static void check_sleep(struct run *run)
{
    check_read();
    model_check_quiet(model_with_drops(), is_eager, run);
}

/* A worker knows the time of its iteration's beginning: little passes while one is under way. */
static void pass_time(struct run *run)
{
    bool is_long = choice_chance(run->choice, 200) && !scheduler_can_step();

    scheduler_advance(is_long ? choice_between(run->choice, 500, 4000)
                              : choice_between(run->choice, 1, 10));
}

/* Everybody sleeps: that is a good moment to look, not too often. */
static void check_quiet(struct run *run)
{
    if (run->quiet_checks < 100 && !scheduler_can_step() && !sim_store_step()) {
        run->quiet_checks++;
        check_sleep(run);
    }
}

/*
 * Who publishes as soon as somebody has heard something makes the most of what has not yet reached
 * everybody.
 */
static void step_client(struct run *run)
{
    struct actor *actor = run->actors[choice_below(run->choice, run->actor_len)];

    model_now();
    if (actor_step(actor) && choice_chance(run->choice, run->params->echo_permille)) {
        unsigned teller = choice_below(run->choice, run->actor_len);

        actor_tell(choice_chance(run->choice, 500) ? actor : run->actors[teller]);
    }
}

static void come_as_herd(struct run *run)
{
    for (unsigned i = 0; i < run->params->herd; i++) {
        step_client(run);
    }
}

static void be_busy(struct run *run)
{
    const struct run_params *params = run->params;
    unsigned death = choice_chance(run->choice, params->death_permille)
                         ? choice_below(run->choice, params->client_steps)
                         : UINT_MAX;

    for (unsigned left = params->client_steps; left > 0;) {
        if (left == death) {
            sim_store_die();
            return;
        }
        if (choice_chance(run->choice, params->store_permille)) {
            sim_store_step();
        }
        if (choice_chance(run->choice, run->params->time_permille)) {
            pass_time(run);
        }
        if (choice_chance(run->choice, run->params->reload_permille)) {
            reload(run);
        }
        if (choice_chance(run->choice, run->params->drain_permille)) {
            drain(run);
        }
        if (!choice_chance(run->choice, run->params->client_permille)) {
            if (scheduler_try()) {
                continue;
            }
            check_quiet(run);
            if (choice_chance(run->choice, 10 * run->params->time_permille)) {
                pass_time(run);
            }
        }
        step_client(run);
        left--;
    }
}

/* Finishing */

static bool work_all(struct run *run, bool settles)
{
    bool worked = false;

    model_now();
    for (unsigned i = 0; i <= run->actor_len; i++) {
        worked |= settles ? actor_settle(run->actors[i]) : actor_work(run->actors[i]);
    }
    return worked;
}

/* Until nobody can go on without time passing. */
static void finish(struct run *run, bool settles)
{
    do {
        while (scheduler_step()) {
            if (choice_chance(run->choice, 50)) {
                work_all(run, settles);
            }
        }
        /* What waits for the store is not read until then. */
        if (settles && run->params->store_permille == 0) {
            check_read();
        }
    } while (work_all(run, settles) || sim_store_step() || scheduler_can_step());
}

static void settle(struct run *run)
{
    finish(run, true);
    check_sleep(run);
    for (unsigned i = 0; i < LAST_ROUNDS; i++) {
        scheduler_advance(choice_between(run->choice, 3000, 12000));
        finish(run, true);
    }
    check_sleep(run);
}

/* A client that subscribes to everything, when it was let in. NULL: as many connections as there
 * can be; or, out of descriptors, it was closed. */
static const struct connection *come_in(struct run *run, struct actor *fresh)
{
    const struct connection *connection;

    model_now();
    if (!actor_look_around(fresh)) {
        return NULL;
    }
    finish(run, true);
    /* Accepting may be paused for want of descriptors. */
    for (unsigned i = 0; i < COME_IN_STEPS; i++) {
        connection = actor_connection(fresh);
        if (!connection || connection->is_closed) {
            break;
        }
        if (model_is_holder(run->model, connection->number)) {
            return connection;
        }
        scheduler_advance(1000);
        finish(run, true);
    }
    if (run->params->no_descriptors_permille == 0) {
        sim_fail("the fresh client is not let in");
    }
    return NULL;
}

static void look_around(struct run *run)
{
    struct actor *fresh = run->actors[run->actor_len];
    const struct connection *connection = NULL;

    for (unsigned i = 0; !connection && i < COME_IN_STEPS; i++) {
        connection = come_in(run, fresh);
    }
    if (connection) {
        model_check_end(model_with_drops(), is_eager, run, connection->number);
    }
}

/* What waits for others to move on takes some short sleeps. */
static void stop(struct run *run)
{
    model_on_stop(model_now());
    network_on_stop();
    server_stop(run->server);
    for (unsigned i = 0; !scheduler_is_over(); i++) {
        uint64_t deadline_ms;

        finish(run, false);
        deadline_ms = scheduler_deadline();
        if (scheduler_is_over()) {
            break;
        }
        if (deadline_ms == SCHEDULER_NEVER || i == 10000) {
            sim_fail("the server does not stop");
        }
        scheduler_advance(MAX(deadline_ms, scheduler_now_ms() + 1) - scheduler_now_ms());
    }
}

struct run_result run(struct choice *choice, const struct run_params *params)
{
    struct run run = {.choice = choice, .params = params};
    struct run_result result;
    const unsigned *message_len;

    self = &run;
    log_init(
        &(struct log_options){.types = LOG_ALL, .fds = {1}, .fd_len = sim_is_tracing() ? 1u : 0u});
    sim_store_start();
    start_network(&run);
    start_tls(&run);
    start_clients(&run);
    run.settings = make_settings(params);
    start_server(&run);
    come_as_herd(&run);
    be_busy(&run);
    if (!params->stops_early && !sim_store_is_dead()) {
        settle(&run);
        look_around(&run);
    }
    stop(&run);
    model_messages(run.model, &message_len);
    result = (struct run_result){
        .steps = scheduler_steps(),
        .messages = *message_len,
        .connections = network_len(),
        .digest = network_digest(),
    };
    end_all(&run);
    return result;
}
