#include "client/server_listener.h"

#include "base/memory.h"

#include <string.h>

struct server_places *server_places_ref(struct server_places *places)
{
    atomic_fetch_add_explicit(&places->refs, 1, memory_order_relaxed);
    return places;
}

static struct server_places *places_free(struct server_places *places)
{
    for (unsigned i = 0; places->rules && i < places->worker_len; i++) {
        access_unref(places->rules[i].access);
        decisions_forget(&places->rules[i].decisions);
    }
    memory_free(places->rules);
    memory_free(places->metrics);
    return memory_free(places);
}

void server_places_unref(struct server_places *places)
{
    if (places && atomic_fetch_sub_explicit(&places->refs, 1, memory_order_acq_rel) == 1) {
        assert(places->len == 0);
        places_free(places);
    }
}

static struct server_places *places_new(unsigned worker_len, struct access *access)
{
    struct server_places *places = memory_alloc_aligned(sizeof(*places));
    size_t size = worker_len * sizeof(*places->metrics);

    if (!places) {
        return NULL;
    }
    places->worker_len = worker_len;
    places->metrics = memory_alloc_aligned(size);
    places->rules = memory_alloc_zero(worker_len, sizeof(*places->rules));
    if (!places->metrics || !places->rules) {
        return places_free(places);
    }
    memset(places->metrics, 0, size);
    for (unsigned i = 0; i < worker_len; i++) {
        places->rules[i] =
            (struct server_rules){.access = access_ref(access), .group_min = UINT64_MAX};
    }
    atomic_init(&places->len, 0);
    atomic_init(&places->refs, 1);
    return places;
}

void server_places_turn(struct server_places *places, unsigned worker, struct access *access)
{
    struct server_rules *rules = &places->rules[worker];
    struct access *before = rules->access;

    assert(worker < places->worker_len);
    rules->access = access_ref(access);
    rules->group_min = UINT64_MAX;
    rules->drawn = 0;
    decisions_forget(&rules->decisions);
    access_unref(before);
}

int server_listener_new(const struct server_listener_params *params,
                        struct server_listener **listener_out)
{
    const struct server_listener *before = params->before;
    const char *mount = params->settings->mount_point;
    struct server_listener *listener = memory_alloc_aligned(sizeof(*listener));

    if (!listener) {
        return -ENOMEM;
    }
    listener->places =
        before ? server_places_ref(before->places) : places_new(params->worker_len, params->access);
    if (!listener->places) {
        memory_free(listener);
        return -ENOMEM;
    }
    listener->settings = params->settings;
    listener->terms = settings_ref(params->terms);
    listener->mount = slice_of_text(mount ? mount : "");
    listener->access = access_ref(params->access);
    listener->tls = stage_source_ref(params->tls);
    atomic_init(&listener->refs, 1);
    *listener_out = listener;
    return 0;
}

struct server_listener *server_listener_ref(struct server_listener *listener)
{
    uint32_t refs = atomic_fetch_add_explicit(&listener->refs, 1, memory_order_relaxed);

    assert(refs > 0 && refs < UINT32_MAX);
    return listener;
}

struct server_listener *server_listener_unref(struct server_listener *listener)
{
    if (listener && atomic_fetch_sub_explicit(&listener->refs, 1, memory_order_acq_rel) == 1) {
        server_places_unref(listener->places);
        access_unref(listener->access);
        settings_unref(listener->terms);
        stage_source_unref(listener->tls);
        memory_free(listener);
    }
    return NULL;
}

void server_listener_count(const struct server_listener *listener, unsigned worker, unsigned metric,
                           int64_t change)
{
    assert(worker < listener->places->worker_len);
    metrics_count_of_listener(&listener->places->metrics[worker], metric, change);
}

void server_listener_sum(const struct server_listener *listener,
                         uint64_t values_out[METRIC_LISTENER_LEN])
{
    const struct server_places *places = listener->places;

    metrics_sum_listener(places->metrics, places->worker_len, values_out);
    values_out[METRIC_CONNECTIONS - METRIC_LISTENER_FIRST] =
        atomic_load_explicit(&places->len, memory_order_relaxed);
}

bool server_listener_trusts(const struct server_listener *listener, const struct address *peer)
{
    const struct settings_proxy *proxy = &listener->settings->proxy;

    for (unsigned i = 0; i < proxy->trusted_len; i++) {
        if (address_range_contains(&proxy->trusted[i], peer)) {
            return true;
        }
    }
    return proxy->trusted_len == 0;
}
