#include "client/hub.h"

#include "base/memory.h"
#include "client/agent.h"
#include "client/client.h"
#include "client/lines.h"
#include "client/linger.h"
#include "net/socket.h"

/* Connections accepted per iteration and listening socket. */
#define ACCEPT_BUDGET 64u

/* Of these, such as another one makes way for: that one has its descriptor until the end. */
#define CLOSE_BUDGET 16

/* Clients that are looked at again per iteration. */
#define RECHECK_BUDGET 1000

/* Connections that wait for earlier ones, looked at again per iteration. */
#define ARRIVING_BUDGET 64

/* More new chunks than this in outputs, and they are written before the iteration's end. */
#define POOL_HIGH 8192

/* Accepting */

static int watch_listener(struct hub_listener *listener)
{
    int r = poller_add(worker_poller(listener->hub->worker), listener->fd,
                       POLLER_READ | POLLER_SHARED, listener);

    listener->is_polled = r == 0;
    return r;
}

static void unwatch_listener(struct hub_listener *listener)
{
    if (listener->is_polled) {
        poller_remove(worker_poller(listener->hub->worker), listener->fd);
        worker_forget(listener->hub->worker, listener);
        listener->is_polled = false;
    }
}

/* Nobody more can be taken or refused: who is connected is served, and we look again when a
 * descriptor is closed here, or in a second. */
static void pause_accept(struct hub_listener *listener)
{
    struct wheel *wheel = &listener->hub->shard->wheel;

    unwatch_listener(listener);
    wheel_arm(wheel, &listener->timer, wheel->now + 1);
}

static void resume_accept(struct hub_listener *listener)
{
    wheel_disarm(&listener->timer);
    if (!listener->is_polled && watch_listener(listener) < 0) {
        wheel_arm(&listener->hub->shard->wheel, &listener->timer,
                  listener->hub->shard->wheel.now + 1);
    }
}

void hub_on_descriptor(struct hub *hub)
{
    bool is_full = reserve_fill(server_door(hub->server)->reserve);

    for (struct list_link *link = hub->listeners.next; link != &hub->listeners; link = link->next) {
        struct hub_listener *listener = CONTAINER_OF(link, struct hub_listener, in_hub);

        if (is_full && wheel_timer_is_armed(&listener->timer)) {
            resume_accept(listener);
        }
    }
}

/* Taken first and looked at then, since all workers take. */
static bool take_one(_Atomic uint32_t *len, int32_t max)
{
    uint32_t before = atomic_fetch_add_explicit(len, 1, memory_order_relaxed);

    if (max >= 0 && before >= (uint32_t)max) {
        atomic_fetch_sub_explicit(len, 1, memory_order_relaxed);
        return false;
    }
    return true;
}

static void give_one(_Atomic uint32_t *len)
{
    atomic_fetch_sub_explicit(len, 1, memory_order_relaxed);
}

void hub_count(struct hub *hub, const struct server_listener *listener, unsigned metric,
               uint32_t len)
{
    metrics_add(hub->metrics, metric, len);
    server_listener_count(listener, hub->shard->worker, metric, len);
}

/* Who only lingers makes way. */
static bool take_of_all(struct hub *hub)
{
    _Atomic uint32_t *len = server_connection_len(hub->server);
    int32_t max = hub->settings->limits.global_max_connections;

    return take_one(len, max) || (linger_make_way(hub, NULL) && take_one(len, max));
}

static bool take_of_listener(const struct hub_listener *listener)
{
    const struct server_listener *shared = listener->shared;
    int32_t max = shared->settings->max_connections;

    return take_one(&shared->places->len, max) ||
           (linger_make_way(listener->hub, shared) && take_one(&shared->places->len, max));
}

/* One of max_connections and of global_max_connections. */
static bool take_place(const struct hub_listener *listener)
{
    struct hub *hub = listener->hub;

    if (!take_of_all(hub)) {
        hub_count(hub, listener->shared, METRIC_BROKER_FULL, 1);
        return false;
    }
    if (!take_of_listener(listener)) {
        give_one(server_connection_len(hub->server));
        hub_count(hub, listener->shared, METRIC_LISTENER_FULL, 1);
        return false;
    }
    return true;
}

void hub_unlist(struct hub *hub, struct client *client)
{
    if (hub->listed == &client->in_hub) {
        hub->listed = client->in_hub.next;
    }
    if (hub->rechecked == &client->in_hub) {
        hub->rechecked = client->in_hub.next;
    }
    if (hub->drained == &client->in_hub) {
        hub->drained = client->in_hub.next;
    }
    list_remove(&client->in_hub);
}

void hub_give_place(struct hub *hub, const struct server_listener *listener)
{
    give_one(&listener->places->len);
    give_one(server_connection_len(hub->server));
}

/* There was nothing left for the next connection. Descriptors that only linger are free at the end
 * of the iteration, and the poller tells again who waits. */
static void on_shortage(struct hub_listener *listener, enum shortage_kind kind)
{
    if (kind == SHORTAGE_DESCRIPTORS && linger_give_descriptors(listener->hub)) {
        return;
    }
    if (!reserve_refuse(listener, kind)) {
        pause_accept(listener);
    }
}

/* False: nobody more for now. */
static bool accept_one(struct hub_listener *listener)
{
    struct address peer;
    int fd;
    int r = socket_accept(listener->fd, &fd, &peer);

    if (r == SOCKET_NO_DESCRIPTORS || r == SOCKET_NO_MEMORY) {
        on_shortage(listener, r == SOCKET_NO_MEMORY ? SHORTAGE_MEMORY : SHORTAGE_DESCRIPTORS);
    }
    if (r != SOCKET_OK) {
        return false;
    }
    hub_count(listener->hub, listener->shared, METRIC_SOCKETS, 1);
    if (agent_is_asked(listener)) {
        agent_answer(listener, fd);
        return true;
    }
    if (!take_place(listener)) {
        socket_close(fd);
        return true;
    }
    if (!client_accept(listener, fd, &peer) && !reserve_on_refused(listener, SHORTAGE_MEMORY)) {
        pause_accept(listener);
        return false;
    }
    return true;
}

/*
 * An accept in vain is dear: the kernel makes a socket and a file before it looks whether anybody
 * waits, 1.8 us where asking for the number is 0.3. One at least, since the poller told of it.
 */
static unsigned acceptable_len(const struct hub_listener *listener)
{
    return MAX(MIN(socket_waiting_len(listener->fd), ACCEPT_BUDGET), 1u);
}

static void accept_some(struct hub_listener *listener)
{
    struct hub *hub = listener->hub;
    unsigned len;

    if (memory_is_spent() && !agent_is_asked(listener)) {
        on_shortage(listener, SHORTAGE_MEMORY);
        return;
    }
    if (!reserve_fill(server_door(hub->server)->reserve)) {
        on_shortage(listener, SHORTAGE_DESCRIPTORS);
        return;
    }
    hub->pending_closed = 0;
    len = acceptable_len(listener);
    for (unsigned i = 0; i < len && hub->pending_closed < CLOSE_BUDGET; i++) {
        /* What they have sent is handled at once, and may cost all of the iteration. */
        if (!accept_one(listener) || hub->shard->budget == 0) {
            return;
        }
    }
}

/* What the worker calls */

static void on_event(void *context, void *source, unsigned bits)
{
    (void)context;
    switch (*(uint8_t *)source) {
    case SOURCE_LISTENER: accept_some(source); break;
    case SOURCE_CLIENT: client_on_event(source, bits); break;
    case SOURCE_LINES: lines_publish(source); break;
    default: assert(false);
    }
}

/* A reload may have passed it on its way. */
static void let_in(struct client *client)
{
    if (!client_is_allowed(client)) {
        client_refuse(client, MQTT_NOT_AUTHORIZED);
    } else {
        client_arrive(client, slice_of(NULL, 0));
        if (client->is_staged && client->state == CLIENT_READY) {
            /* Its stream may have ended behind what it brought along. */
            client_check_stream(client);
        }
    }
}

static void on_client(void *context, struct client *client)
{
    struct hub *hub = context;

    client->hub = hub;
    list_push(&hub->clients, &client->in_hub);
    if (client->is_staged) {
        stream_enter(client_stream(client), &hub->pool);
    }
    if (worker_group_is_stopping(server_group(hub->server))) {
        client_stop(client);
    } else {
        let_in(client);
    }
}

static void on_timer(void *context, struct wheel_timer *timer)
{
    switch (timer->kind) {
    case HUB_TIMER_LISTENER: resume_accept(CONTAINER_OF(timer, struct hub_listener, timer)); break;
    case HUB_TIMER_RESERVE: reserve_on_timer(context); break;
    default: client_on_timer(CONTAINER_OF(timer, struct client, timer)); break;
    }
}

/* In their order, of which those that go on waiting keep theirs. */
static void go_on_arriving(struct hub *hub)
{
    struct list_link waiting;
    struct list_link *link;

    list_init(&waiting);
    list_splice(&waiting, &hub->arriving);
    for (unsigned i = 0; i < ARRIVING_BUDGET && (link = list_pop(&waiting)) != NULL; i++) {
        let_in(CONTAINER_OF(link, struct client, link));
    }
    list_splice(&hub->arriving, &waiting);
}

/* At least one; the others next time. Who has a long search under way keeps its place. */
static void go_on_put_off(struct hub *hub)
{
    struct list_link waiting;
    struct list_link *link;

    list_init(&waiting);
    list_splice(&waiting, &hub->put_off);
    while (hub->shard->budget > 0 && (link = list_pop(&waiting)) != NULL) {
        struct client *client = CONTAINER_OF(link, struct client_input, put_off)->client;

        if (client->is_searching) {
            list_push(&hub->put_off, link);
        } else {
            client_go_on(client);
        }
    }
    /* Who was put off again comes behind those. */
    list_splice(&waiting, &hub->put_off);
    list_splice(&hub->put_off, &waiting);
}

/* One, where the events of this iteration brought none. */
static void go_on_handshakes(struct hub *hub)
{
    struct list_link *link = hub->has_shaken_hands ? NULL : list_pop(&hub->handshakes);

    if (link) {
        client_take_turn(CONTAINER_OF(link, struct client_pause, link));
    }
    hub->has_shaken_hands = false;
}

static void go_on(void *context)
{
    struct hub *hub = context;

    verify_collect(hub);
    roster_go_on(hub);
    go_on_put_off(hub);
    go_on_handshakes(hub);
    go_on_arriving(hub);
}

static void on_resume(void *context, struct list_link *paused)
{
    struct list_link *link;

    (void)context;
    while ((link = list_pop(paused)) != NULL) {
        client_resume(CONTAINER_OF(link, struct client_pause, link));
    }
}

static void write_dirty(struct hub *hub)
{
    struct list_link again;
    struct list_link *link;

    list_init(&again);
    while ((link = list_pop(&hub->dirty)) != NULL) {
        struct client *client = CONTAINER_OF(link, struct client, link);

        if (client->has_failed) {
            list_push(&again, link);
        } else {
            client_flush(client);
        }
    }
    list_splice(&hub->dirty, &again);
    hub->chunk_mark = hub->pool.used_len;
}

/* What no connection has taken when all were written. */
static void count_waiting(struct hub *hub)
{
    metrics_set(hub->metrics, METRIC_SOCKET_PACKETS, hub->pool.packet_len);
    metrics_set(hub->metrics, METRIC_SOCKET_BYTES, hub->pool.size);
}

/* Who has lost its client id to a newer connection hears of it before that one is welcomed. */
static void write_closing(struct hub *hub)
{
    for (struct list_link *link = hub->closing.next; link != &hub->closing; link = link->next) {
        struct client *client = CONTAINER_OF(link, struct client, link);

        if (client_has_output(client) && !client->is_blocked) {
            client_flush(client);
        }
    }
}

void hub_recheck(struct hub *hub)
{
    hub->rechecked = hub->clients.next;
}

/* Who comes meanwhile is asked by what holds now. */
static void recheck_some(struct hub *hub)
{
    struct list_link *link = hub->rechecked;

    for (unsigned i = 0; i < RECHECK_BUDGET && link && link != &hub->clients; i++) {
        struct client *client = CONTAINER_OF(link, struct client, in_hub);

        link = link->next;
        if (client->state == CLIENT_READY && !client_is_allowed(client)) {
            client_fail(client, MQTT_NOT_AUTHORIZED);
        }
    }
    hub->rechecked = link == &hub->clients ? NULL : link;
}

/* The end of an iteration: nobody walks a list, so here a client may be closed. */
static void flush(void *context)
{
    struct hub *hub = context;
    struct list_link failed;
    struct list_link *link;

    recheck_some(hub);
    write_closing(hub);
    write_dirty(hub);
    /* Apart: a will that is sent now makes others dirty, who have not failed. */
    list_init(&failed);
    list_splice(&failed, &hub->dirty);
    while ((link = list_pop(&failed)) != NULL) {
        struct client *client = CONTAINER_OF(link, struct client, link);

        if (client->is_finishing) {
            client_close(client);
        } else if (client->is_over_quota && client->state == CLIENT_READY) {
            client_fail(client, MQTT_QUOTA_EXCEEDED);
        } else {
            client_lose(client, CLIENT_OUT_OF_MEMORY);
        }
    }
}

/* The last words. Whether it lingers now. */
static bool end_connection(struct client *client)
{
    if (client_has_output(client) && !client->is_blocked) {
        client_flush(client);
    }
    if (client->is_staged) {
        client_end_stream(client);
    }
    return linger_begin(client);
}

static void bury(void *context)
{
    struct hub *hub = context;
    struct list_link *link;

    while ((link = list_pop(&hub->closing)) != NULL) {
        struct client *client = CONTAINER_OF(link, struct client, link);

        if (client->state == CLIENT_LINGERING || !end_connection(client)) {
            client_free(client);
        }
    }
    count_waiting(hub);
}

/* Also what the flush itself has left: it may have let replays go on, or closed someone. */
static bool has_work(void *context)
{
    struct hub *hub = context;

    return !list_is_empty(&hub->dirty) || !list_is_empty(&hub->closing) || hub->rechecked ||
           !mpsc_is_empty(&hub->answered) || rosters_wait(&hub->rosters) ||
           !list_is_empty(&hub->put_off) || !list_is_empty(&hub->arriving) ||
           !list_is_empty(&hub->handshakes);
}

static void on_stop(void *context)
{
    struct hub *hub = context;
    struct list_link *link;

    for (link = hub->listeners.next; link != &hub->listeners; link = link->next) {
        struct hub_listener *listener = CONTAINER_OF(link, struct hub_listener, in_hub);

        unwatch_listener(listener);
        wheel_disarm(&listener->timer);
    }
    wheel_disarm(&hub->refusing.timer);
    linger_stop(hub);
    /* Each goes over to those that have ended. */
    while (!list_is_empty(&hub->pending)) {
        client_stop(CONTAINER_OF(hub->pending.next, struct client, in_hub));
    }
    for (link = hub->clients.next; link != &hub->clients; link = link->next) {
        client_stop(CONTAINER_OF(link, struct client, in_hub));
    }
}

static bool is_empty(void *context)
{
    struct hub *hub = context;

    return list_is_empty(&hub->clients) && list_is_empty(&hub->pending) &&
           list_is_empty(&hub->lingering);
}

static const struct worker_ops worker_ops = {
    .on_event = on_event,
    .on_client = on_client,
    .on_timer = on_timer,
    .on_resume = on_resume,
    .go_on = go_on,
    .flush = flush,
    .bury = bury,
    .has_work = has_work,
    .on_stop = on_stop,
    .is_empty = is_empty,
};

/*
 * What peers that do not read hold is not new: counted as well, it would have every single packet
 * for anybody else written by itself.
 */
void hub_flush(struct hub *hub)
{
    if (hub->pool.used_len > hub->chunk_mark + POOL_HIGH) {
        worker_push(hub->worker);
        write_dirty(hub);
    }
}

static uint8_t *reserve_scratch(struct scratch *scratch, size_t size)
{
    if (scratch->cap < size || !scratch->bytes) {
        size_t cap = MAX(size, (size_t)256);
        uint8_t *bytes = memory_alloc(cap);

        if (!bytes) {
            return NULL;
        }
        memory_free(scratch->bytes);
        *scratch = (struct scratch){bytes, cap};
    }
    return scratch->bytes;
}

uint8_t *hub_scratch(struct hub *hub, size_t size)
{
    return reserve_scratch(&hub->scratch, size);
}

uint8_t *hub_name(struct hub *hub, size_t size)
{
    return reserve_scratch(&hub->name, size);
}

/* One after the other: what lies in front of a tail, the tail's room, and a record. */
bool hub_stage_io(struct hub *hub, struct stage_io *io_out)
{
    if (!hub->stage_room) {
        hub->stage_room = memory_alloc(HUB_TAIL_MAX + STREAM_PLAIN_CAP + STREAM_GATHER_CAP);
    }
    *io_out = (struct stage_io){
        .pool = &hub->pool,
        .plain = hub->stage_room ? hub->stage_room + HUB_TAIL_MAX : NULL,
        .gather = hub->stage_room ? hub->stage_room + HUB_TAIL_MAX + STREAM_PLAIN_CAP : NULL,
        .now_ms = hub->shard->now_ms,
    };
    return hub->stage_room != NULL;
}

uint64_t hub_draw(struct hub *hub)
{
    hub->drawn++;
    return hash_bytes(&hub->shard->core->key, slice_of(&hub->drawn, sizeof(hub->drawn)));
}

/* Life */

int hub_new(struct server *server, struct worker_group *group, struct core *core, unsigned number,
            struct hub **hub_out)
{
    struct hub *hub = memory_alloc_zero(1, sizeof(*hub));

    *hub_out = hub;
    if (!hub) {
        return -ENOMEM;
    }
    hub->server = server;
    hub->settings = server_settings(server);
    hub->shard = shard_new(core, number, &client_peer_ops);
    hub->shard->peer_context = hub;
    hub->metrics = hub->shard->metrics;
    hub->drawn = (uint64_t)number << 48;
    hub->owed = (number + 0.5) / core->worker_len;
    list_init(&hub->clients);
    list_init(&hub->pending);
    list_init(&hub->lingering);
    wheel_timer_init(&hub->refusing.timer, HUB_TIMER_RESERVE);
    list_init(&hub->listeners);
    list_init(&hub->put_off);
    list_init(&hub->arriving);
    list_init(&hub->handshakes);
    list_init(&hub->dirty);
    list_init(&hub->closing);
    mpsc_init(&hub->answered);
    rosters_init(&hub->rosters);
    table_init(&hub->open_pubrecs);
    output_pool_init(&hub->pool);
    return worker_new(group, hub->shard, &worker_ops, hub, &hub->worker);
}

void hub_free_worker(struct hub *hub)
{
    hub->worker = worker_free(hub->worker);
}

static void free_listeners(struct hub *hub)
{
    struct list_link *link;

    while ((link = list_pop(&hub->listeners)) != NULL) {
        hub_listener_free(CONTAINER_OF(link, struct hub_listener, in_hub));
    }
}

struct hub *hub_free(struct hub *hub)
{
    if (hub) {
        hub_free_worker(hub);
        verify_collect(hub);
        rosters_deinit(&hub->rosters);
        if (hub->shard) {
            store_collect(hub->shard);
        }
        hub->shard = shard_free(hub->shard);
        table_deinit(&hub->open_pubrecs);
        output_pool_deinit(&hub->pool);
        free_listeners(hub);
        memory_free(hub->scratch.bytes);
        memory_free(hub->name.bytes);
        memory_free(hub->stage_room);
        memory_free(hub);
    }
    return NULL;
}

/* Listeners */

int hub_listener_new(struct hub *hub, int fd, struct server_listener *shared,
                     struct hub_listener **listener_out)
{
    struct hub_listener *listener = memory_alloc_zero(1, sizeof(*listener));

    if (!listener) {
        return -ENOMEM;
    }
    listener->source = SOURCE_LISTENER;
    listener->fd = fd;
    listener->shared = shared;
    listener->hub = hub;
    list_init(&listener->in_hub);
    wheel_timer_init(&listener->timer, HUB_TIMER_LISTENER);
    *listener_out = listener;
    return 0;
}

struct hub_listener *hub_listener_free(struct hub_listener *listener)
{
    return memory_free(listener);
}

int hub_listen(struct hub *hub, int fd, struct server_listener *shared)
{
    struct hub_listener *listener;
    int r = hub_listener_new(hub, fd, shared, &listener);

    if (r < 0) {
        return r;
    }
    list_push(&hub->listeners, &listener->in_hub);
    return watch_listener(listener);
}

void hub_add_listener(struct hub *hub, struct hub_listener *listener)
{
    list_push(&hub->listeners, &listener->in_hub);
    if (!worker_group_is_stopping(server_group(hub->server))) {
        resume_accept(listener);
    }
}

void hub_remove_listener(struct hub_listener *listener)
{
    unwatch_listener(listener);
    wheel_disarm(&listener->timer);
    list_remove(&listener->in_hub);
    hub_listener_free(listener);
}

struct server_listener *hub_find_listener(const struct hub *hub,
                                          const struct server_listener *listener)
{
    for (struct list_link *link = hub->listeners.next; link != &hub->listeners; link = link->next) {
        struct server_listener *now = CONTAINER_OF(link, struct hub_listener, in_hub)->shared;

        if (now->places == listener->places) {
            return now;
        }
    }
    return NULL;
}
