#include "client/linger.h"

#include "client/client.h"
#include "client/hub.h"
#include "net/socket.h"

/*
 * close() with bytes unread, or that come later, answers with a reset. A peer that gets one may
 * lose what it had not read yet: the DISCONNECT that tells why, a CONNACK, the answer to a request
 * of HTTP, the close frame of WebSocket, an alert of TLS. So our side is closed first, behind the
 * last words, and the peer has time to read them and to close. It need not be a friend: it has so
 * much time (linger_timeout), so many bytes (max_linger_bytes) and so many companions
 * (max_lingering_connections), of which the oldest goes first.
 *
 * Who has closed already, or said that it has no more to say, is not waited for, nor who was never
 * told anything, nor who takes no more. What lingers is a descriptor with its place among the
 * connections of its listener and its address; session, buffers and stages are gone. It is in no
 * list but that of its kind. Whoever wants a place or a descriptor that only lingers gets it, on
 * the worker that both are on.
 */

/* That are looked at for a place of one listener. */
#define YIELD_LOOKS 16u

/* That end in one go for descriptors: as many as are accepted then. */
#define YIELD_AT_ONCE 64u

/* Reads of one that is not waited for, since the broker stops. */
#define STOP_READS 4u

/* Of stages that lie on each other only the lowest can tell that nothing more comes. */
static bool has_peer_ended(const struct client *client)
{
    const struct stream *stream = client->is_staged ? client_stream(client) : NULL;

    return client->is_cut || (stream && stream->len == 1 && stream->verdict == STAGE_END);
}

/* The peer will have time for what it was sent, and needs it. */
static bool is_worthwhile(const struct client *client)
{
    return client->is_told && !has_peer_ended(client) && !client_has_output(client) &&
           client->hub->settings->limits.linger_timeout_s > 0;
}

static struct client *oldest(const struct hub *hub)
{
    return CONTAINER_OF(hub->lingering.next, struct client, in_hub);
}

static uint32_t limit_of(const struct hub *hub)
{
    int32_t set = hub->settings->limits.max_lingering_connections;

    return set >= 0 ? (uint32_t)set : server_door(hub->server)->lingering_default;
}

static void count(const struct client *client, int change)
{
    struct hub *hub = client->hub;

    hub->lingering_len += (uint32_t)change;
    metrics_set(hub->metrics, METRIC_LINGERING, hub->lingering_len);
    server_listener_count(client->listener, hub->shard->worker, METRIC_LINGERING, change);
}

/* As with those without a CONNECT, a worker keeps its share of the limit. */
static void keep_limit(struct hub *hub, uint32_t len)
{
    uint32_t limit = limit_of(hub);

    if (limit > 0 && len > limit &&
        hub->lingering_len > MAX(limit / server_door(hub->server)->worker_len, 1u)) {
        linger_end(oldest(hub));
    }
}

/* What has come by now is read, so that at least that does not make a reset of the end. */
static void read_last(struct client *client)
{
    struct hub *hub = client->hub;

    for (unsigned i = 0; i < STOP_READS; i++) {
        if (socket_receive(client->fd, hub->buffer, sizeof(hub->buffer)) <= 0) {
            return;
        }
    }
}

bool linger_begin(struct client *client)
{
    struct hub *hub = client->hub;
    struct shard *shard = hub->shard;
    uint64_t timeout_ms = (uint64_t)hub->settings->limits.linger_timeout_s * 1000;

    if (!is_worthwhile(client)) {
        return false;
    }
    socket_finish(client->fd);
    if (worker_group_is_stopping(server_group(hub->server))) {
        read_last(client);
        return false;
    }
    client_strip(client);
    if (client_watch(client, POLLER_READ) < 0) {
        return false;
    }
    /* Without memory for the last words of its stages it has failed once more. */
    list_remove(&client->link);
    client_state_change(&client->state, CLIENT_LINGERING);
    client->lingered_size = 0;
    hub_unlist(hub, client);
    list_push(&hub->lingering, &client->in_hub);
    wheel_arm(&shard->wheel, &client->timer, wheel_deadline(shard->now_ms, timeout_ms));
    count(client, 1);
    keep_limit(hub, atomic_fetch_add_explicit(&server_door(hub->server)->lingering_len, 1,
                                              memory_order_relaxed) +
                        1);
    return true;
}

/* Waits to be freed. */
static bool has_ended(const struct client *client)
{
    return list_is_linked(&client->link);
}

void linger_end(struct client *client)
{
    struct hub *hub = client->hub;

    assert(client->state == CLIENT_LINGERING);
    if (has_ended(client)) {
        return;
    }
    wheel_disarm(&client->timer);
    list_remove(&client->in_hub);
    list_push(&hub->closing, &client->link);
    count(client, -1);
    atomic_fetch_sub_explicit(&server_door(hub->server)->lingering_len, 1, memory_order_relaxed);
    client_give_place(client);
}

/* One read for each event, as of everybody. */
void linger_on_event(struct client *client)
{
    struct hub *hub = client->hub;
    ssize_t size;

    if (has_ended(client)) {
        return;
    }
    shard_charge(hub->shard);
    size = socket_receive(client->fd, hub->buffer, sizeof(hub->buffer));
    if (size == -EAGAIN || size == -EINTR) {
        return;
    }
    if (size <= 0) {
        linger_end(client);
        return;
    }
    metrics_add(hub->metrics, METRIC_BYTES_RECEIVED, (uint64_t)size);
    client->lingered_size += (uint32_t)size;
    if (client->lingered_size > hub->settings->limits.max_linger_bytes) {
        linger_end(client);
    }
}

bool linger_make_way(struct hub *hub, const struct server_listener *listener)
{
    struct list_link *link = hub->lingering.next;

    for (unsigned i = 0; i < YIELD_LOOKS && link != &hub->lingering; i++) {
        struct client *client = CONTAINER_OF(link, struct client, in_hub);

        if (!listener || client->listener->places == listener->places) {
            hub->pending_closed++;
            linger_end(client);
            return true;
        }
        link = link->next;
    }
    return false;
}

bool linger_give_descriptors(struct hub *hub)
{
    bool has_any = !list_is_empty(&hub->lingering);

    for (unsigned i = 0; i < YIELD_AT_ONCE && !list_is_empty(&hub->lingering); i++) {
        linger_end(oldest(hub));
    }
    return has_any;
}

void linger_stop(struct hub *hub)
{
    while (!list_is_empty(&hub->lingering)) {
        linger_end(oldest(hub));
    }
}
