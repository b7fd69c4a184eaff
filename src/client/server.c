#include "client/server.h"

#include "base/memory.h"
#include "client/hub.h"
#include "client/lines.h"
#include "client/survey.h"

/* Immutable while workers run, but for the counts of connections. Owner: main. */
struct server {
    struct settings *settings;
    struct worker_group *group;
    struct core *core;
    struct hub **hubs;
    unsigned worker_len;
    struct server_listener *listeners;
    unsigned listener_len;
    _Atomic uint32_t *connection_lens; /* one for each of the settings' listeners */
    _Atomic uint32_t connection_len;   /* of all listeners */
    struct door door;
    bool is_listening;
    struct lines *lines; /* of the log; NULL: not published */
};

const struct server_budgets server_budgets_default = {
    .deliveries = 16000,
    .at_once = 64,
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

struct door *server_door(struct server *server)
{
    return &server->door;
}

const struct settings *server_settings(const struct server *server)
{
    return server->settings;
}

bool server_trusts(const struct server *server, unsigned listener, const struct address *peer)
{
    const struct settings_proxy *proxy = &server->settings->listeners[listener].proxy;

    for (unsigned i = 0; i < proxy->trusted_len; i++) {
        if (address_range_contains(&proxy->trusted[i], peer)) {
            return true;
        }
    }
    return proxy->trusted_len == 0;
}

static int make_parts(struct server *server, const struct server_params *params)
{
    const struct settings_limits *limits = &server->settings->limits;
    struct core_limits core_limits = {
        .max_queued = limits->max_queued_messages,
        .max_queued_bytes = limits->max_queued_bytes,
        .max_inflight_bytes = limits->max_inflight_bytes,
        .queue_plain = limits->queue_qos0_messages,
        .merges = !server->settings->clients.allow_duplicate_messages,
        .upgrade_qos = limits->upgrade_outgoing_qos,
        .delivery_budget = params->budgets.deliveries,
        .at_once = params->budgets.at_once,
        .cleanup_budget = params->budgets.cleanups,
        .max_sessions = (uint32_t)MAX(limits->global_max_clients, 0),
        .sweep_interval_s = server->settings->clients.retain_expiry_interval_min * 60,
    };
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
    server->connection_lens = memory_alloc_zero(MAX(server->settings->listener_len, 1u),
                                                sizeof(*server->connection_lens));
    if (!server->hubs || !server->connection_lens) {
        return -ENOMEM;
    }
    for (unsigned i = 0; i < params->worker_len && r == 0; i++) {
        r = hub_new(server, server->group, server->core, i, &server->hubs[i]);
        if (r == 0) {
            shard_set_store(server->hubs[i]->shard, &params->store);
            server->worker_len++;
        }
    }
    return r;
}

int server_new(const struct server_params *params, struct server **server_out)
{
    struct server *server = memory_alloc_zero(1, sizeof(*server));
    int r;

    if (!server) {
        return -ENOMEM;
    }
    server->settings = settings_ref(params->settings);
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
    for (unsigned i = 0; server->connection_lens && i < server->settings->listener_len; i++) {
        assert(server->connection_lens[i] == 0);
    }
    assert(server->connection_len == 0);
    owner_self = owner;
    door_deinit(&server->door);
    core_free(server->core);
    worker_group_free(server->group);
    settings_unref(server->settings);
    memory_free(server->hubs);
    memory_free(server->listeners);
    memory_free(server->connection_lens);
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
    struct server_listener *listeners =
        memory_resize(server->listeners, (server->listener_len + 1) * sizeof(*server->listeners));

    assert(!server->is_listening && listener < server->settings->listener_len);
    if (!listeners) {
        return -ENOMEM;
    }
    server->listeners = listeners;
    listeners[server->listener_len++] = (struct server_listener){
        .fd = fd,
        .index = listener,
        .connection_len = &server->connection_lens[listener],
    };
    return 0;
}

int server_listen(struct server *server)
{
    int r = 0;

    server->is_listening = true;
    for (unsigned i = 0; i < server->worker_len && r == 0; i++) {
        r = hub_listen(server->hubs[i], server->listeners, server->listener_len);
    }
    return r;
}

void server_run_worker(struct server *server, unsigned worker)
{
    assert(server->is_listening && worker < server->worker_len);
    worker_run(server->hubs[worker]->worker);
}

bool server_has_passed(struct server *server)
{
    return worker_group_has_passed(server->group);
}

int server_survey(struct server *server, struct survey *survey)
{
    return survey_ask(server->group, survey);
}

/* Counts are numbers of one size, and nothing else. */
/* Counts are structs of nothing but 64-bit numbers. */
static void add_counts(void *sums, const void *counts, size_t size)
{
    uint64_t *sum = sums;
    const uint64_t *count = counts;

    assert(size % sizeof(*sum) == 0);
    for (size_t i = 0; i < size / sizeof(*sum); i++) {
        sum[i] += count[i];
    }
}

void server_sum_counts(const struct server *server, struct shard_counts *counts_out)
{
    memset(counts_out, 0, sizeof(*counts_out));
    for (unsigned i = 0; i < server->worker_len; i++) {
        add_counts(counts_out, &server->hubs[i]->shard->counts, sizeof(*counts_out));
    }
}

void server_sum_refusals(const struct server *server, struct hub_counts *counts_out)
{
    memset(counts_out, 0, sizeof(*counts_out));
    for (unsigned i = 0; i < server->worker_len; i++) {
        add_counts(counts_out, &server->hubs[i]->counts, sizeof(*counts_out));
    }
}

void server_stop(struct server *server)
{
    worker_group_stop(server->group);
}
