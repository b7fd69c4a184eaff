#include "client/server.h"

#include "base/memory.h"
#include "client/bulletin.h"
#include "client/drain.h"
#include "client/hub.h"
#include "client/lines.h"
#include "client/survey.h"
#include "client/web.h"
#include "loop/clock.h"

/* Immutable while workers run, but for the counts of connections. Owner: main. */
struct server {
    struct settings *settings;
    struct server_budgets budgets;
    struct worker_group *group;
    struct core *core;
    struct hub **hubs;
    unsigned worker_len;
    struct server_listener **listeners; /* one for each of the settings' */
    unsigned listener_len;
    struct door door;
    struct lines *lines;       /* of the log; NULL: not published */
    _Atomic uint8_t drain;     /* enum drain_state */
    struct verifier *verifier; /* NULL: none */
    bool asks_rights;          /* a listener has, or had, rules for topics */
    uint64_t start_ms;
    /* Of all listeners. Each connection writes it: apart from what all workers read. */
    _Atomic uint32_t connection_len CACHE_ALIGNED;
};

/* For six thousand messages of 64 bytes. */
#define SPARE_BYTES ((size_t)1024 * 1024)

const struct server_budgets server_budgets_default = {
    .deliveries = 16000,
    .search_steps = 1024,
    .at_once = 64,
    .slice = 4000,
    .run = 16,
    .cleanups = 1000,
    .worker =
        {
                 .marks =
                {
                    .high_entries = 8192,
                    .low_entries = 4096,
                    .high_bytes = UINT64_C(32) * 1024 * 1024,
                    .low_bytes = UINT64_C(16) * 1024 * 1024,
                }, .timer_budget = 2000,
                 .reclaim_budget = 1000,
                 .event_budget = 256,
                 .spread_least = 16,
                 .spare_bytes = SPARE_BYTES,
                 },
};

struct worker_group *server_group(const struct server *server)
{
    return server->group;
}

struct core *server_core(const struct server *server)
{
    return server->core;
}

_Atomic uint32_t *server_connection_len(struct server *server)
{
    return &server->connection_len;
}

struct verifier *server_verifier(const struct server *server)
{
    return server->verifier;
}

struct door *server_door(struct server *server)
{
    return &server->door;
}

const struct settings *server_settings(const struct server *server)
{
    return server->settings;
}

struct hub *server_hub(const struct server *server, unsigned worker)
{
    assert(worker < server->worker_len);
    return server->hubs[worker];
}

unsigned server_worker_len(const struct server *server)
{
    return server->worker_len;
}

struct server_listener *server_get_listener(const struct server *server, unsigned index)
{
    assert(index < server->listener_len);
    return server->listeners[index];
}

static bool has_rules(const struct settings *settings)
{
    bool has_any = false;

    for (unsigned i = 0; i < settings->listener_len; i++) {
        has_any |= settings->listeners[i].acl_file != NULL;
    }
    return has_any;
}

struct core_limits server_core_limits(const struct server *server, const struct settings *settings)
{
    const struct settings_limits *limits = &settings->limits;

    return (struct core_limits){
        .max_queued = limits->max_queued_messages,
        .max_queued_bytes = limits->max_queued_bytes,
        .max_inflight_bytes = limits->max_inflight_bytes,
        .queue_plain = limits->queue_qos0_messages,
        .merges = !settings->clients.allow_duplicate_messages,
        .upgrade_qos = limits->upgrade_outgoing_qos,
        .checks_authors = settings->clients.check_retain_source,
        .asks_rights = server->asks_rights || has_rules(settings),
        .delivery_budget = server->budgets.deliveries,
        .search_steps = server->budgets.search_steps,
        .at_once = server->budgets.at_once,
        .slice = server->budgets.slice,
        .run = server->budgets.run,
        .cleanup_budget = server->budgets.cleanups,
        .max_sessions = (uint32_t)MAX(limits->global_max_clients, 0),
        .sweep_interval_s = settings->clients.retain_expiry_interval_min * 60,
    };
}

void server_swap(struct server *server, struct server_snapshot *snapshot)
{
    struct server_snapshot before = {
        .settings = server->settings,
        .listeners = server->listeners,
        .listener_len = server->listener_len,
    };

    /* Clients of a listener that closes keep its rules. */
    server->asks_rights |= snapshot->settings && has_rules(snapshot->settings);
    server->settings = snapshot->settings;
    server->listeners = snapshot->listeners;
    server->listener_len = snapshot->listener_len;
    *snapshot = before;
}

void server_snapshot_deinit(struct server_snapshot *snapshot)
{
    for (unsigned i = 0; i < snapshot->listener_len; i++) {
        server_listener_unref(snapshot->listeners[i]);
    }
    memory_free(snapshot->listeners);
    settings_unref(snapshot->settings);
    *snapshot = (struct server_snapshot){0};
}

/* Before the workers are there. */
static int make_listeners(struct server *server, const struct server_params *params)
{
    unsigned len = server->settings->listener_len;
    int r = 0;

    server->listeners = memory_alloc_zero(MAX(len, 1u), sizeof(struct server_listener *));
    if (!server->listeners) {
        return -ENOMEM;
    }
    server->listener_len = len;
    for (unsigned i = 0; i < len && r == 0; i++) {
        r = server_listener_new(
            &(struct server_listener_params){
                .terms = server->settings,
                .settings = &server->settings->listeners[i],
                .access = params->access ? params->access->accesses[i] : NULL,
                .worker_len = params->worker_len,
                .tls = params->tls ? params->tls[i] : NULL,
            },
            &server->listeners[i]);
    }
    return r;
}

static int make_parts(struct server *server, const struct server_params *params)
{
    struct core_limits core_limits = server_core_limits(server, server->settings);
    int r = worker_group_new(params->worker_len, &params->budgets.worker, &server->group);

    if (r == 0) {
        r = core_new(&params->hash_key, params->worker_len, &core_limits, &server->core);
    }
    if (r == 0) {
        r = door_init(&server->door, &params->hash_key, params->worker_len, params->file_limit);
    }
    if (r < 0) {
        return r;
    }
    server->hubs = memory_alloc_zero(params->worker_len, sizeof(struct hub *));
    if (!server->hubs) {
        return -ENOMEM;
    }
    r = make_listeners(server, params);
    for (unsigned i = 0; i < params->worker_len && r == 0; i++) {
        r = hub_new(server, server->group, server->core, i, &server->hubs[i]);
        if (server->hubs[i]) {
            shard_set_store(server->hubs[i]->shard, &params->store);
            server->worker_len++;
        }
    }
    return r;
}

int server_new(const struct server_params *params, struct server **server_out)
{
    struct server *server = memory_alloc_aligned(sizeof(*server));
    int r;

    if (!server) {
        return -ENOMEM;
    }
    web_api_init();
    server->start_ms = clock_now_ms();
    server->settings = settings_ref(params->settings);
    server->asks_rights = has_rules(params->settings);
    server->budgets = params->budgets;
    server->verifier = params->verifier;
    r = make_parts(server, params);
    if (r < 0) {
        server_free(server);
        return r;
    }
    *server_out = server;
    return 0;
}

/* Each step for all workers before the next: see shard_clear(). */
static void clear_workers(struct server *server)
{
    for (unsigned i = 0; i < server->worker_len; i++) {
        owner_self = &server->hubs[i]->shard->owner;
        shard_clear(server->hubs[i]->shard);
    }
    if (server->worker_len > 0) {
        core_clear(server->core);
    }
    for (unsigned i = 0; i < server->worker_len; i++) {
        owner_self = &server->hubs[i]->shard->owner;
        shard_flush(server->hubs[i]->shard);
    }
}

struct server *server_free(struct server *server)
{
    struct server_snapshot last = {0};
    struct owner *owner = owner_self;

    if (!server) {
        return NULL;
    }
    server->lines = lines_free(server->lines);
    clear_workers(server);
    for (unsigned i = 0; i < server->worker_len; i++) {
        owner_self = &server->hubs[i]->shard->owner;
        hub_free_worker(server->hubs[i]);
    }
    for (unsigned i = 0; i < server->worker_len; i++) {
        owner_self = &server->hubs[i]->shard->owner;
        hub_free(server->hubs[i]);
    }
    assert(server->connection_len == 0);
    owner_self = owner;
    door_deinit(&server->door);
    core_free(server->core);
    worker_group_free(server->group);
    server_swap(server, &last);
    server_snapshot_deinit(&last);
    memory_free(server->hubs);
    memory_free(server);
    return NULL;
}

int server_open_lines(struct server *server)
{
    return lines_new(server->hubs[0], &server->lines);
}

void server_publish_line(void *server, const char *topic, struct slice line)
{
    lines_push(((struct server *)server)->lines, topic, line);
}

int server_add_listener(struct server *server, int fd, unsigned listener)
{
    int r = 0;

    for (unsigned i = 0; i < server->worker_len && r == 0; i++) {
        r = hub_listen(server->hubs[i], fd, server_get_listener(server, listener));
    }
    return r;
}

void server_run_worker(struct server *server, unsigned worker)
{
    assert(worker < server->worker_len);
    worker_run(server->hubs[worker]->worker);
}

bool server_has_passed(struct server *server)
{
    return worker_group_has_passed(server->group);
}

void server_set_drain(struct server *server, enum drain_state state)
{
    atomic_store_explicit(&server->drain, (uint8_t)state, memory_order_release);
}

enum drain_state server_drain(const struct server *server)
{
    return (enum drain_state)atomic_load_explicit(&server->drain, memory_order_acquire);
}

uint32_t server_arrived_len(struct server *server)
{
    uint32_t all = atomic_load_explicit(&server->connection_len, memory_order_relaxed);
    uint32_t pending = atomic_load_explicit(&server->door.pending_len, memory_order_relaxed);

    return all - MIN(pending, all);
}

int server_survey(struct server *server, struct survey *survey)
{
    return survey_ask(server->group, survey);
}

int server_publish(struct server *server, struct bulletin *bulletin)
{
    return bulletin_publish(server->group, bulletin);
}

uint64_t server_uptime_s(const struct server *server)
{
    return (clock_now_ms() - server->start_ms) / 1000;
}

void server_sum(const struct server *server, uint64_t values_out[METRIC_LEN])
{
    core_sum(server->core, values_out);
    values_out[METRIC_CONNECTIONS] =
        atomic_load_explicit(&server->connection_len, memory_order_relaxed);
    values_out[METRIC_DRAIN] = server_drain(server);
    metrics_derive(values_out);
}

void server_sum_listener(const struct server *server, unsigned listener,
                         uint64_t values_out[METRIC_LISTENER_LEN])
{
    server_listener_sum(server_get_listener(server, listener), values_out);
}

void server_stop(struct server *server)
{
    worker_group_stop(server->group);
}
