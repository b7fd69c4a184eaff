#include "client/reload.h"

#include "access/access.h"
#include "base/memory.h"
#include "client/hub.h"
#include "config/changes.h"

/*
 * Workers don't take over at the same moment, so nothing that travels between them may depend on
 * which settings the other one has. What holds for a connection goes with it (struct
 * server_listener); everything else is asked for where it is used.
 */

/* What becomes of a listener that was there before. */
struct step {
    const struct server_listener *before;
    struct server_listener *now; /* NULL: it closes */
};

/* Owner: main; read by workers from reload_publish() until it has passed. */
struct reload {
    struct post_call call;
    struct server *server;
    struct server_snapshot snapshot; /* the next one; once it is published, the last one */
    const struct settings *next;
    struct core_limits limits;
    struct step *steps;
    unsigned step_len;
    struct list_link *opened; /* for each worker, listeners that it is to watch */
    bool rechecks;            /* somebody may not be welcome any more */
    struct worker_calls *calls;
    void (*on_passed)(void);
    _Atomic unsigned waiting; /* workers that have not taken it over */
};

/* Making */

static struct step *find_step(const struct reload *reload, const struct server_listener *before)
{
    for (unsigned i = 0; i < reload->step_len; i++) {
        if (reload->steps[i].before == before) {
            return &reload->steps[i];
        }
    }
    return NULL;
}

/* What its files hold may have changed although their names did not: with TLS it is a new one. */
static int make_listener(struct reload *reload, const struct reload_params *params, unsigned index)
{
    const struct changes *changes = params->changes;
    struct stage_source *tls = params->tls ? params->tls[index] : NULL;
    struct server_snapshot *next = &reload->snapshot;
    const struct listener_settings *settings = &next->settings->listeners[index];
    struct server_listener *before =
        changes->listeners[index] == CHANGES_NONE
            ? NULL
            : server_get_listener(reload->server, changes->listeners[index]);
    struct access *access = params->access ? params->access->accesses[index] : NULL;
    int r = 0;

    if (before && !changes->renews[index] && !tls && before->access == access) {
        next->listeners[index] = server_listener_ref(before);
    } else {
        r = server_listener_new(
            &(struct server_listener_params){
                .terms = next->settings,
                .settings = settings,
                .before = before,
                .access = access,
                .worker_len = server_worker_len(reload->server),
                .tls = tls,
            },
            &next->listeners[index]);
    }
    if (r == 0 && before) {
        find_step(reload, before)->now = next->listeners[index];
        reload->rechecks |=
            before->access != access || access_may_refuse(before->settings, settings);
    }
    return r;
}

static int make_listeners(struct reload *reload, const struct reload_params *params)
{
    unsigned before_len = server_settings(reload->server)->listener_len;
    unsigned len = reload->snapshot.settings->listener_len;
    int r = 0;

    reload->steps = memory_alloc_zero(MAX(before_len, 1u), sizeof(*reload->steps));
    reload->snapshot.listeners = memory_alloc_zero(MAX(len, 1u), sizeof(struct server_listener *));
    if (!reload->steps || !reload->snapshot.listeners) {
        return -ENOMEM;
    }
    reload->step_len = before_len;
    for (unsigned i = 0; i < before_len; i++) {
        reload->steps[i].before = server_get_listener(reload->server, i);
    }
    reload->snapshot.listener_len = len;
    for (unsigned i = 0; i < len && r == 0; i++) {
        r = make_listener(reload, params, i);
    }
    return r;
}

static int make_opened(struct reload *reload, unsigned worker, const struct reload_params *params)
{
    for (unsigned i = 0; i < params->socket_len; i++) {
        const struct reload_socket *socket = &params->sockets[i];
        struct hub_listener *listener;
        int r = hub_listener_new(server_hub(reload->server, worker), socket->fd,
                                 reload->snapshot.listeners[socket->listener], &listener);

        if (r < 0) {
            return r;
        }
        list_push(&reload->opened[worker], &listener->in_hub);
    }
    return 0;
}

static int make_all_opened(struct reload *reload, const struct reload_params *params)
{
    unsigned worker_len = server_worker_len(reload->server);
    int r = 0;

    reload->opened = memory_alloc(worker_len * sizeof(*reload->opened));
    if (!reload->opened) {
        return -ENOMEM;
    }
    for (unsigned i = 0; i < worker_len; i++) {
        list_init(&reload->opened[i]);
    }
    for (unsigned i = 0; i < worker_len && r == 0; i++) {
        r = make_opened(reload, i, params);
    }
    return r;
}

/* On a worker */

static void change_listeners(struct hub *hub, const struct reload *reload)
{
    struct list_link *link = hub->listeners.next;

    while (link != &hub->listeners) {
        struct hub_listener *listener = CONTAINER_OF(link, struct hub_listener, in_hub);
        const struct step *step = find_step(reload, listener->shared);

        assert(step);
        link = link->next;
        if (step->now) {
            listener->shared = step->now;
            server_places_turn(step->now->places, hub->shard->worker, step->now->access);
        } else {
            hub_remove_listener(listener);
        }
    }
}

static void take_over(void *context, struct post_call *call)
{
    struct reload *reload = CONTAINER_OF(call, struct reload, call);
    void (*on_passed)(void) = reload->on_passed;
    struct hub *hub = context;
    struct list_link *link;

    hub->settings = reload->next;
    shard_change_limits(hub->shard, &reload->limits);
    change_listeners(hub, reload);
    while ((link = list_pop(&reload->opened[hub->shard->worker])) != NULL) {
        hub_add_listener(hub, CONTAINER_OF(link, struct hub_listener, in_hub));
    }
    if (reload->rechecks) {
        hub_recheck(hub);
    }
    if (atomic_fetch_sub_explicit(&reload->waiting, 1, memory_order_acq_rel) == 1) {
        on_passed();
    }
}

/* Life */

int reload_new(struct server *server, const struct reload_params *params,
               struct reload **reload_out)
{
    CLEANUP(reload_free) struct reload *reload = memory_alloc_zero(1, sizeof(*reload));
    int r;

    if (!reload) {
        return -ENOMEM;
    }
    reload->call.function = take_over;
    reload->server = server;
    reload->next = params->next;
    reload->snapshot.settings = settings_ref(params->next);
    reload->limits = server_core_limits(server, params->next);
    reload->on_passed = params->on_passed;
    r = make_listeners(reload, params);
    if (r == 0) {
        r = make_all_opened(reload, params);
    }
    if (r == 0) {
        r = worker_calls_new(server_group(server), &reload->calls);
    }
    if (r < 0) {
        return r;
    }
    *reload_out = TAKE(reload);
    return 0;
}

static void free_opened(struct list_link *opened)
{
    struct list_link *link;

    while ((link = list_pop(opened)) != NULL) {
        hub_listener_free(CONTAINER_OF(link, struct hub_listener, in_hub));
    }
}

struct reload *reload_free(struct reload *reload)
{
    if (reload) {
        for (unsigned i = 0; reload->opened && i < server_worker_len(reload->server); i++) {
            free_opened(&reload->opened[i]);
        }
        worker_calls_free(reload->calls);
        server_snapshot_deinit(&reload->snapshot);
        memory_free(reload->opened);
        memory_free(reload->steps);
        memory_free(reload);
    }
    return NULL;
}

void reload_publish(struct reload *reload)
{
    atomic_store_explicit(&reload->waiting, server_worker_len(reload->server),
                          memory_order_relaxed);
    server_swap(reload->server, &reload->snapshot);
    worker_calls_make(TAKE(reload->calls), &reload->call);
}

bool reload_has_passed(const struct reload *reload)
{
    return atomic_load_explicit(&reload->waiting, memory_order_acquire) == 0;
}
