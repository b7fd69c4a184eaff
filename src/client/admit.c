#include "client/addresses.h"
#include "client/client.h"
#include "client/hub.h"

struct refusal {
    const char *reason;
    unsigned metric;
    enum log_event event;
};

/* What fail2ban looks for: the words are those of packaging/fail2ban. */
/* clang-format off */
static const struct refusal refusals[] = {
    [ADDRESSES_TOO_FAST] = {"connect rate exceeded",  METRIC_ADDRESS_RATE,   LOG_EVENT_ADDRESS_REFUSED},
    [ADDRESSES_TOO_MANY] = {"too many connections",   METRIC_ADDRESS_FULL,   LOG_EVENT_ADDRESS_REFUSED},
    [ADDRESSES_BANNED]   = {"too many failed logins", METRIC_ADDRESS_BANNED, LOG_EVENT_ADDRESS_REFUSED},
};

/* Of a proxy, which nobody shall ban. */
static const struct refusal header_refusal = {
    "too many have not sent their PROXY header yet", METRIC_HEADERS_FULL, LOG_EVENT_HEADERS_REFUSED
};
/* clang-format on */

/* Before CONNECT, since a version is not known yet that an answer could be in: it is just closed.
 */
static void refuse(struct client *client, const struct refusal *refusal)
{
    char address[CLIENT_ADDRESS_CAP];
    char via[CLIENT_ADDRESS_CAP];

    hub_count(client->hub, client->listener, refusal->metric, 1);
    client_log(client, LOG_NOTICE, refusal->event, refusal->reason,
               "Connection from %s on port %u%s refused: %s.", client_address(client, address),
               client->listener->settings->port, client_via(client, via), refusal->reason);
    client_set_reason(client, MQTT_BANNED);
    client->is_cut = true;
    client_close(client);
}

/* PROXY headers */

/*
 * A proxy sends its header at once, so what is at it is few, however many clients come. One that
 * does not get on, or whoever may speak from its address, holds its own part of the connections
 * without a CONNECT and not that of others. But it is no part so small that a worker may not take
 * what waits at two listening sockets before it reads from them.
 */
#define HEADERS_PART       4
#define HEADERS_PER_WORKER 128

static uint32_t header_limit(const struct hub *hub)
{
    int32_t set = hub->settings->limits.max_pending_headers_per_proxy;
    uint32_t pending = pending_limit(hub);

    if (set >= 0) {
        return (uint32_t)set;
    }
    return pending == 0 ? 0
                        : MAX(pending / HEADERS_PART,
                              HEADERS_PER_WORKER * server_door(hub->server)->worker_len);
}

static void count_header(const struct client *client, int64_t change)
{
    struct hub *hub = client->hub;

    metrics_add(hub->metrics, METRIC_HEADERS, (uint64_t)change);
    server_listener_count(client->listener, hub->shard->worker, METRIC_HEADERS, change);
}

bool admit_header(struct client *client)
{
    struct hub *hub = client->hub;
    const struct addresses_limits limits = {.connections = header_limit(hub)};
    struct address socket = client_socket(client);
    int r =
        addresses_enter(server_door(hub->server)->proxies, &socket, &limits, hub->shard->now_ms);

    if (r < 0) {
        client_lose(client, CLIENT_OUT_OF_MEMORY);
    } else if (r != ADDRESSES_OK) {
        refuse(client, &header_refusal);
    } else {
        count_header(client, 1);
    }
    return r == ADDRESSES_OK;
}

void admit_header_end(const struct client *client)
{
    struct address socket;

    if (client->state == CLIENT_PROXY && client->is_pending) {
        socket = client_socket(client);
        count_header(client, -1);
        addresses_leave(server_door(client->hub->server)->proxies, &socket,
                        client->hub->shard->now_ms);
    }
}

/* Addresses of clients */

/* Whether it is the client's own, and one that is told from others. */
static bool has_address(const struct address *peer)
{
    return peer->family == ADDRESS_IPV4 || peer->family == ADDRESS_IPV6;
}

static struct addresses_limits limits_of(const struct client *client)
{
    const struct settings_limits *settings = &client->hub->settings->limits;

    return (struct addresses_limits){
        .rate = settings->connect_rate_per_address,
        .connections = settings->max_connections_per_address,
        .failures = settings->max_failed_logins_per_address,
        .window_s = settings->failed_login_window_s,
        .ban_s = settings->failed_login_ban_s,
    };
}

bool admit_client(struct client *client)
{
    struct addresses_limits limits = limits_of(client);
    struct address peer;
    int r;

    if (limits.rate == 0 && limits.connections == 0 && limits.failures == 0) {
        return true;
    }
    peer = client_peer(client);
    if (!has_address(&peer)) {
        return true;
    }
    r = addresses_enter(server_door(client->hub->server)->addresses, &peer, &limits,
                        client->hub->shard->now_ms);
    if (r < 0) {
        client_lose(client, CLIENT_OUT_OF_MEMORY);
    } else if (r != ADDRESSES_OK) {
        refuse(client, &refusals[r]);
    } else {
        client->is_counted = true;
    }
    return r == ADDRESSES_OK;
}

bool admit_login(struct client *client)
{
    struct address peer = client_peer(client);

    if (client->hub->settings->limits.max_failed_logins_per_address == 0 || !has_address(&peer) ||
        !addresses_is_banned(server_door(client->hub->server)->addresses, &peer,
                             client->hub->shard->now_ms)) {
        return true;
    }
    refuse(client, &refusals[ADDRESSES_BANNED]);
    return false;
}

/* One line for each ban, and the address alone in it: who is behind it does not matter. */
void admit_failed(struct client *client)
{
    struct addresses_limits limits = limits_of(client);
    struct address peer = client_peer(client);
    char address[CLIENT_ADDRESS_CAP];
    char via[CLIENT_ADDRESS_CAP];

    if (limits.failures == 0 || !has_address(&peer) ||
        addresses_fail(server_door(client->hub->server)->addresses, &peer, &limits,
                       client->hub->shard->now_ms) != ADDRESSES_BANNED) {
        return;
    }
    hub_count(client->hub, client->listener, METRIC_BANS, 1);
    client_log(client, LOG_NOTICE, LOG_EVENT_ADDRESS_BANNED, "too many failed logins",
               "Connections from %s on port %u%s are refused for %u seconds: too many failed "
               "logins.",
               client_address(client, address), client->listener->settings->port,
               client_via(client, via), limits.ban_s);
}

void admit_end(const struct client *client)
{
    struct address peer;

    if (client->is_counted) {
        peer = client_peer(client);
        addresses_leave(server_door(client->hub->server)->addresses, &peer,
                        client->hub->shard->now_ms);
    }
}
