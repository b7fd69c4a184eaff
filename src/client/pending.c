#include "client/client.h"
#include "client/hub.h"

/*
 * Connections that have not said who they are cost a descriptor each. At the limit it is the oldest
 * that goes: a client that means it sends CONNECT at once, so to push it out somebody would have to
 * open as many connections as the limit in that moment, again and again; were the newest refused,
 * it would be enough to open them once.
 *
 * The limit is for all workers together, the order is each worker's own. So who must go is a
 * worker's oldest, and a worker that holds less than its share of the limit keeps what it has:
 * others hold more, and close theirs with the next connection that they take.
 */

static void close_oldest(struct hub *hub)
{
    struct client *client = CONTAINER_OF(hub->pending.next, struct client, in_hub);

    hub_count(hub, client->listener, METRIC_PENDING_FULL, 1);
    hub->pending_closed++;
    client_set_reason(client, MQTT_SERVER_BUSY);
    client->is_cut = true; /* its descriptor is wanted */
    client_lose(client, "too many connections without CONNECT");
}

static void count(const struct client *client, int change)
{
    struct hub *hub = client->hub;

    hub->pending_len += (uint32_t)change;
    metrics_set(hub->metrics, METRIC_PENDING, hub->pending_len);
    server_listener_count(client->listener, hub->shard->worker, METRIC_PENDING, change);
}

void pending_begin(struct client *client)
{
    struct hub *hub = client->hub;
    struct door *door = server_door(hub->server);
    uint32_t limit = pending_limit(hub);
    uint32_t len = atomic_fetch_add_explicit(&door->pending_len, 1, memory_order_relaxed) + 1;

    assert(client->state == CLIENT_PROXY || client->state == CLIENT_FRESH);

    hub_unlist(hub, client);
    list_push(&hub->pending, &client->in_hub);
    count(client, 1);
    client->is_pending = true;
    if (limit > 0 && len > limit && hub->pending_len > MAX(limit / door->worker_len, 1u)) {
        close_oldest(hub);
    }
}

void pending_end(struct client *client)
{
    struct hub *hub = client->hub;

    if (!client->is_pending) {
        return;
    }
    client->is_pending = false;
    list_remove(&client->in_hub);
    list_push(&hub->clients, &client->in_hub);
    count(client, -1);
    atomic_fetch_sub_explicit(&server_door(hub->server)->pending_len, 1, memory_order_relaxed);
}

uint32_t pending_limit(const struct hub *hub)
{
    int32_t set = hub->settings->limits.max_pending_connections;

    return set >= 0 ? (uint32_t)set : server_door(hub->server)->pending_default;
}
