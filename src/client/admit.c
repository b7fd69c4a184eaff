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
    bool is_rate = verdict == ADDRESSES_TOO_FAST;
    const char *reason = is_rate ? "connect rate exceeded" : "too many connections";
    char address[CLIENT_ADDRESS_CAP];
    char via[CLIENT_ADDRESS_CAP];

    hub_count(client->hub, client->facts->listener,
              is_rate ? METRIC_ADDRESS_RATE : METRIC_ADDRESS_FULL, 1);
    client_log(client, LOG_NOTICE, LOG_EVENT_ADDRESS_REFUSED, reason,
               "Connection from %s on port %u%s refused: %s.", client_address(client, address),
               client->facts->listener->settings->port, client_via(client, via), reason);
    client_close(client);
}

bool admit_client(struct client *client)
{
    const struct settings_limits *settings = &client->hub->settings->limits;
    const struct address *peer = &client->facts->peer;
    struct addresses_limits limits = {
        .rate = settings->connect_rate_per_address,
        .connections = settings->max_connections_per_address,
    };
    int r;

    if ((limits.rate == 0 && limits.connections == 0) ||
        (peer->family != ADDRESS_IPV4 && peer->family != ADDRESS_IPV6)) {
        return true;
    }
    r = addresses_enter(server_door(client->hub->server)->addresses, peer, &limits,
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

void admit_end(const struct client *client)
{
    if (client->is_counted) {
        addresses_leave(server_door(client->hub->server)->addresses, &client->facts->peer,
                        client->hub->shard->now_ms);
    }
}
