#include "client/addresses.h"
#include "client/client.h"
#include "client/hub.h"

/*
 * Refused before CONNECT, since a version is not known yet that an answer could be in: it is just
 * closed. The line is for people and for programs that ban addresses, so its words are those of
 * packaging/fail2ban.
 */
static void refuse(struct client *client, enum addresses_verdict verdict)
{
    static const struct {
        const char *reason;
        unsigned metric;
    } rows[] = {
        [ADDRESSES_TOO_FAST] = {"connect rate exceeded",  METRIC_ADDRESS_RATE  },
        [ADDRESSES_TOO_MANY] = {"too many connections",   METRIC_ADDRESS_FULL  },
        [ADDRESSES_BANNED] = {"too many failed logins", METRIC_ADDRESS_BANNED},
    };
    const char *reason = rows[verdict].reason;
    char address[CLIENT_ADDRESS_CAP];
    char via[CLIENT_ADDRESS_CAP];

    hub_count(client->hub, client->listener, rows[verdict].metric, 1);
    client_log(client, LOG_NOTICE, LOG_EVENT_ADDRESS_REFUSED, reason,
               "Connection from %s on port %u%s refused: %s.", client_address(client, address),
               client->listener->settings->port, client_via(client, via), reason);
    client_set_reason(client, MQTT_BANNED);
    client->is_cut = true;
    client_close(client);
}

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
    struct address peer = client_peer(client);
    int r;

    if ((limits.rate == 0 && limits.connections == 0 && limits.failures == 0) ||
        !has_address(&peer)) {
        return true;
    }
    r = addresses_enter(server_door(client->hub->server)->addresses, &peer, &limits,
                        client->hub->shard->now_ms);
    if (r < 0) {
        client_lose(client, "out of memory");
    } else if (r != ADDRESSES_OK) {
        refuse(client, (enum addresses_verdict)r);
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
    refuse(client, ADDRESSES_BANNED);
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
    struct address peer = client_peer(client);

    if (client->is_counted) {
        addresses_leave(server_door(client->hub->server)->addresses, &peer,
                        client->hub->shard->now_ms);
    }
}
