#include "client/client.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/spares.h"
#include "base/text.h"
#include "client/aliases.h"
#include "client/hub.h"
#include "client/linger.h"
#include "client/login.h"
#include "client/roster.h"
#include "client/trust.h"
#include "client/web.h"
#include "net/socket.h"

#include <stdio.h>

/* Names in the log */

static void put_address(const struct client *client, const struct address *from,
                        char text[CLIENT_ADDRESS_CAP])
{
    char ip[ADDRESS_TEXT_CAP];

    if (from->family == ADDRESS_UNIX || from->family == ADDRESS_NONE) {
        const char *path = client->listener->settings->unix_path;

        snprintf(text, CLIENT_ADDRESS_CAP, "%s:0", path ? path : "");
        return;
    }
    address_format(from, ip);
    snprintf(text, CLIENT_ADDRESS_CAP, "%s:%u", ip, from->port);
}

const char *client_address(const struct client *client, char text[CLIENT_ADDRESS_CAP])
{
    struct address peer = client_peer(client);

    put_address(client, &peer, text);
    return text;
}

const char *client_via(const struct client *client, char text[CLIENT_ADDRESS_CAP])
{
    struct address peer = client_peer(client);
    struct address socket = client_socket(client);
    char proxy[CLIENT_ADDRESS_CAP];

    if (address_is_equal(&peer, &socket)) {
        return "";
    }
    put_address(client, &socket, proxy);
    snprintf(text, CLIENT_ADDRESS_CAP, " via %.*s", CLIENT_ADDRESS_CAP - 8, proxy);
    return text;
}

struct slice client_id(const struct client *client)
{
    if (client->session) {
        return session_id(client->session);
    }
    if (client->facts && client->facts->login) {
        return slice_of(client->facts->login->id, client->facts->login->id_len);
    }
    return slice_of(NULL, 0);
}

/* Before CONNECT the address alone stands for the id. */
static void put_id(const struct client *client, const char *address, char id[256])
{
    struct slice name = client_id(client);
    const char *colon = strrchr(address, ':');

    if (name.len) {
        text_escape(id, 256, name);
    } else {
        text_escape(id, 256, slice_of(address, (size_t)(colon - address)));
    }
}

const char *client_label(const struct client *client, char label[CLIENT_LABEL_CAP])
{
    char address[CLIENT_ADDRESS_CAP];
    char id[256];

    client_address(client, address);
    put_id(client, address, id);
    snprintf(label, CLIENT_LABEL_CAP, "%s [%s]", id, address);
    return label;
}

/* Life */

/* The PROXY header has a time of its own; CONNECT must come by the deadline, both from accept on.
 */
static void arm_deadline(struct client *client)
{
    const struct listener_settings *listener = client->listener->settings;
    struct shard *shard = client->hub->shard;
    uint64_t due_ms = client->facts->deadline_ms;

    if (client->state == CLIENT_PROXY) {
        due_ms = MIN(due_ms, shard->now_ms + (uint64_t)listener->proxy.timeout_s * 1000);
    }
    wheel_arm(&shard->wheel, &client->timer, wheel_deadline(due_ms, 0));
}

int client_watch(struct client *client, unsigned bits)
{
    struct poller *poller = worker_poller(client->hub->worker);
    int r;

    if (client->is_polled) {
        return poller_change(poller, client->fd, bits, client);
    }
    r = poller_add(poller, client->fd, bits, client);
    client->is_polled = r == 0;
    return r;
}

struct client_facts *client_need_facts(struct client *client)
{
    if (!client->facts) {
        client->facts = spares_alloc_zero(sizeof(*client->facts));
        if (client->facts) {
            client->facts->max_packet_size = UINT32_MAX;
        }
    }
    return client->facts;
}

/* The parser shares its place with the turn and the roster: none of the three is there. */
static bool is_empty(const struct client_facts *facts)
{
    bool has_part = facts->input || facts->pause || facts->parser || facts->stream ||
                    facts->login || facts->acks || facts->username || facts->aliases ||
                    facts->sent_aliases;

    return !has_part && facts->max_packet_size == UINT32_MAX && facts->credential == 0 &&
           facts->alias_max == 0 && facts->told.family == ADDRESS_NONE;
}

void client_drop_facts(struct client *client)
{
    if (client->facts && is_empty(client->facts)) {
        client->facts = spares_free(client->facts, sizeof(*client->facts));
    }
}

struct client_pause *client_pause_new(struct client *client)
{
    struct client_facts *facts = client_need_facts(client);
    struct client_pause *pause = facts ? memory_alloc(sizeof(*pause)) : NULL;

    if (!pause) {
        return NULL;
    }
    assert(!facts->pause);
    pause->client = client;
    list_init(&pause->link);
    facts->pause = pause;
    client->is_paused = true;
    return pause;
}

void client_pause_end(struct client_pause *pause)
{
    struct client *client = pause->client;

    list_remove(&pause->link);
    client->facts->pause = memory_free(pause);
    client->is_paused = false;
}

/* Addresses */

struct address client_socket(const struct client *client)
{
    switch (client->from) {
    case CLIENT_FROM_IPV4: return address_of_ipv4(client->ipv4.ip, client->ipv4.port);
    case CLIENT_FROM_PROXY: return client->proxy->via;
    default: return *client->other;
    }
}

struct address client_peer(const struct client *client)
{
    if (client->facts && client->facts->told.family != ADDRESS_NONE) {
        return client->facts->told;
    }
    if (client->from == CLIENT_FROM_PROXY && client->proxy->has_address &&
        client->proxy->source.family != ADDRESS_UNIX) {
        return client->proxy->source;
    }
    return client_socket(client);
}

static int set_socket(struct client *client, const struct address *socket)
{
    if (socket->family == ADDRESS_IPV4) {
        client->from = CLIENT_FROM_IPV4;
        memcpy(client->ipv4.ip, socket->ip, sizeof(client->ipv4.ip));
        client->ipv4.port = socket->port;
        return 0;
    }
    client->from = CLIENT_FROM_OTHER;
    client->other = memory_alloc(sizeof(*client->other));
    if (!client->other) {
        return -ENOMEM;
    }
    *client->other = *socket;
    return 0;
}

static void forget_socket(struct client *client)
{
    if (client->from == CLIENT_FROM_OTHER) {
        memory_free(client->other);
    } else if (client->from == CLIENT_FROM_PROXY) {
        proxy_info_free(client->proxy);
    }
}

void client_set_proxy(struct client *client, struct proxy_info *proxy)
{
    proxy->via = client_socket(client);
    forget_socket(client);
    client->from = CLIENT_FROM_PROXY;
    client->proxy = proxy;
}

/* Coming */

static struct client *client_new(struct hub *hub, struct server_listener *listener, int fd,
                                 const struct address *peer)
{
    struct client *client = spares_alloc_zero(sizeof(*client));

    if (!client) {
        return NULL;
    }
    if (set_socket(client, peer) < 0 || !client_need_facts(client)) {
        forget_socket(client);
        spares_free(client, sizeof(*client));
        return NULL;
    }
    client->listener = server_listener_ref(listener);
    client->source = SOURCE_CLIENT;
    client->state = CLIENT_FRESH;
    client->fd = fd;
    client->hub = hub;
    client->is_staged =
        listener->tls || listener->settings->protocol == SETTINGS_PROTOCOL_WEBSOCKETS;
    client->is_web = listener->settings->protocol == SETTINGS_PROTOCOL_HTTP_API;
    client->is_known = client->is_web;
    list_init(&client->link);
    wheel_timer_init(&client->timer, HUB_TIMER_CLIENT);
    list_init(&client->in_hub);
    list_push(&hub->clients, &client->in_hub);
    return client;
}

/* Where a PROXY header must come first, it is CLIENT_PROXY then. False: it is closed. */
static bool begin_proxy(struct client *client)
{
    const struct listener_settings *listener = client->listener->settings;
    struct address socket = client_socket(client);
    struct proxy_demands demands = {
        .accept = listener->proxy.version == SETTINGS_PROXY_V1   ? PROXY_V1
                  : listener->proxy.version == SETTINGS_PROXY_V2 ? PROXY_V2
                                                                 : PROXY_ANY,
        .requires_crc = listener->proxy.requires_crc,
        .subject_type = (uint8_t)listener->proxy.subject_tlv,
        .wants_certificate =
            listener->certificates.gives_subject_username && !listener->proxy.subject_tlv,
    };

    if (listener->proxy.version == SETTINGS_PROXY_OFF) {
        return true;
    }
    if (!server_listener_trusts(client->listener, &socket)) {
        if (listener->proxy.untrusted == SETTINGS_PROXY_DIRECT) {
            return true;
        }
        client_refuse_header(client, PROXY_REFUSAL_UNTRUSTED);
        return false;
    }
    client->state = CLIENT_PROXY;
    if (proxy_parser_new(&demands, &client->facts->parser) < 0) {
        client_lose(client, CLIENT_OUT_OF_MEMORY);
        return false;
    }
    return true;
}

void client_say_new(struct client *client)
{
    UNINITIALIZED char address[CLIENT_ADDRESS_CAP];
    UNINITIALIZED char via[CLIENT_ADDRESS_CAP];
    UNINITIALIZED char told[TRUST_TOLD_CAP];

    if (client->is_known) {
        return;
    }
    client->is_known = true;
    if (!client_is_logged(client, LOG_NOTICE)) {
        return;
    }
    client_log(client, LOG_NOTICE, LOG_EVENT_CONNECTION_OPENED, NULL,
               "New connection from %s on port %u%s%s.", client_address(client, address),
               client->listener->settings->port, client_via(client, via), trust_told(client, told));
}

/* Whether who it is comes with its request, and not before. */
static bool is_forwarder(const struct client *client)
{
    struct forwarded_trust trust = client_forwarders(client);
    struct address peer;

    if (trust.len == 0) {
        return false;
    }
    peer = client_peer(client);
    return forwarded_trusts(&trust, &peer);
}

/* False: it may not come in. */
static bool meet(struct client *client)
{
    if (!admit_client(client)) {
        return false;
    }
    client_say_new(client);
    return true;
}

/* Its address is known; a proxy's that will tell another one is not. */
static bool meet_unless_forwarder(struct client *client)
{
    return is_forwarder(client) || meet(client);
}

bool client_on_upgrade(struct client *client, const struct stage_io *io)
{
    hub_count(client->hub, client->listener,
              io->upgrade == STAGE_UPGRADED ? METRIC_WEBSOCKET_UPGRADED : METRIC_WEBSOCKET_REFUSED,
              1);
    if (!is_forwarder(client)) {
        return true;
    }
    if (io->has_peer) {
        client->facts->told = io->peer;
    }
    return meet(client);
}

/* Nothing of it has said who it is. */
static bool is_awaited(const struct client *client)
{
    return client->state == CLIENT_PROXY || client->state == CLIENT_FRESH;
}

static void await(struct client *client)
{
    if (client_watch(client, POLLER_READ) < 0) {
        client_lose(client, CLIENT_OUT_OF_MEMORY);
    } else if (client->state != CLIENT_PROXY || admit_header(client)) {
        pending_begin(client);
    }
}

/*
 * Connections that are not read at once after one that had sent nothing yet: one, and twice as many
 * and one more after each other such, up to this. Where most have sent something, one that has not
 * says little of the next.
 */
#define UNREAD_MAX 7u

static bool may_be_read(struct hub_listener *listener, const struct client *client)
{
    if (client->is_staged || client->is_web) {
        return false;
    }
    if (listener->shared->settings->defer_accept || listener->unread_len == 0) {
        return true;
    }
    listener->unread_len--;
    return false;
}

/* Whether one that was read at once had sent anything. */
static void note_heard(struct hub_listener *listener, bool has_sent)
{
    listener->unread_next = has_sent ? 0 : (uint8_t)MIN(2u * listener->unread_next + 1, UNREAD_MAX);
    listener->unread_len = listener->unread_next;
}

/*
 * What a connection has sent already is read before anything watches it: so it moves home without
 * having been watched here, and nobody has to tell of what it brought. A receive in vain is the
 * price, which is paid seldom where peers take their time. Whoever is moved is another worker's
 * then, and only looked at.
 */
static void hear(struct hub_listener *listener, struct client *client)
{
    if (may_be_read(listener, client)) {
        client_read(client);
        if (!is_awaited(client)) {
            note_heard(listener, true);
            return;
        }
        note_heard(listener, client->last_seen != 0);
        await(client);
        return;
    }
    await(client);
    if (listener->shared->settings->defer_accept && is_awaited(client)) {
        client_on_readable(client);
    }
}

bool client_accept(struct hub_listener *listener, int fd, const struct address *peer)
{
    struct hub *hub = listener->hub;
    struct client *client = client_new(hub, listener->shared, fd, peer);

    if (!client) {
        socket_close(fd);
        hub_give_place(hub, listener->shared);
        return false;
    }
    client->facts->deadline_ms =
        hub->shard->now_ms + (uint64_t)hub->settings->limits.connect_timeout_s * 1000;
    if (begin_proxy(client) && (client->state == CLIENT_PROXY || meet_unless_forwarder(client))) {
        arm_deadline(client);
        hear(listener, client);
    }
    return true;
}

/* The address is needed once more, when its place is given back. */
void client_strip(struct client *client)
{
    struct client_facts *facts = client->facts;
    struct output_pool *pool = &client->hub->pool;

    output_deinit(&client->output, pool);
    if (!facts) {
        return;
    }
    if (facts->pause) {
        client_pause_end(facts->pause);
    }
    client_leave_turn(client);
    roster_leave(client);
    client_input_free(client);
    facts->stream = stream_free(facts->stream, pool);
    facts->parser = proxy_parser_free(facts->parser);
    facts->login = login_free(facts->login);
    client_aliases_free(client);
    facts->sent_aliases = aliases_free(facts->sent_aliases);
    facts->username = memory_free(facts->username);
    if (facts->told.family == ADDRESS_NONE) {
        client->facts = spares_free(facts, sizeof(*facts));
    }
}

void client_give_place(struct client *client)
{
    admit_end(client);
    hub_give_place(client->hub, client->listener);
}

void client_free(struct client *client)
{
    struct hub *hub = client->hub;

    assert(!client->session);
    worker_forget(hub->worker, client);
    if (client->state != CLIENT_LINGERING) {
        client_give_place(client);
    }
    /* The poller forgets it with that. */
    socket_close(client->fd);
    list_remove(&client->link);
    hub_unlist(hub, client);
    wheel_disarm(&client->timer);
    client_strip(client);
    spares_free(client->facts, sizeof(*client->facts));
    forget_socket(client);
    server_listener_unref(client->listener);
    spares_free(client, sizeof(*client));
    hub_on_descriptor(hub);
}

void client_on_header(struct client *client)
{
    const struct proxy_info *proxy = client_proxy(client);
    bool has_peer = proxy->has_address && proxy->source.family != ADDRESS_UNIX;

    if (!trust_header(client)) {
        client_refuse_header(client, PROXY_REFUSAL_POLICY);
        return;
    }
    admit_header_end(client);
    client_state_change(&client->state, CLIENT_FRESH);
    arm_deadline(client);
    /* Without an address it may be a health check: told of only when CONNECT comes. */
    if (has_peer) {
        (void)meet_unless_forwarder(client);
    } else if (proxy->has_address) {
        client_say_new(client);
    }
}

/* Events */

void client_on_event(struct client *client, unsigned bits)
{
    /* What one that waits to arrive has to tell is told again. */
    if (client->state == CLIENT_CLOSING || client->state == CLIENT_MOVING) {
        return;
    }
    if (client->state == CLIENT_LINGERING) {
        linger_on_event(client);
        return;
    }
    /* Written at the end of the iteration: what it waits for may not be posted before. */
    if ((bits & POLLER_WRITE) != 0 && !list_is_linked(&client->link)) {
        list_push(&client->hub->dirty, &client->link);
    }
    if (client_is_put_off(client)) {
        /* What was read before comes first; the poller tells this again. */
        return;
    }
    if ((bits & (POLLER_READ | POLLER_HANGUP)) != 0 && !client_is_stopped(client)) {
        client_on_readable(client);
    } else if ((bits & POLLER_HANGUP) != 0) {
        client->is_cut = true;
        client_lose(client, "connection closed by client");
    }
}

uint32_t client_silence_ends(const struct client *client)
{
    return client->last_seen + 1 + ((uint32_t)client->keep_alive * 3 + 1) / 2;
}

static void check_keep_alive(struct client *client)
{
    struct wheel *wheel = &client->hub->shard->wheel;

    if (client->is_paused || client->is_unkept || client->is_searching ||
        client_is_put_off(client)) {
        client->last_seen = wheel->now;
    }
    /* After a long stop of this process what the peer has sent may still lie in the socket. */
    if (client_silence_ends(client) <= wheel->now) {
        client_read(client);
    }
    if (client->state != CLIENT_READY) {
        return;
    }
    if (client_silence_ends(client) <= wheel->now) {
        client_fail(client, MQTT_KEEP_ALIVE_TIMEOUT);
    } else {
        client_drop_facts(client);
        wheel_arm(wheel, &client->timer, client_silence_ends(client));
    }
}

/* Here as well what was sent may still lie in the socket. A header that comes so late leaves to
 * CONNECT what there is of its own time. */
static void check_deadline(struct client *client)
{
    uint64_t deadline_ms = client->facts->deadline_ms;
    enum client_state before = (enum client_state)client->state;

    if (client->is_queued) {
        client_take_turn(client->facts->pause);
    } else {
        client_read(client);
    }
    if (client->state != before || client->facts->deadline_ms != deadline_ms) {
        return;
    }
    if (before == CLIENT_PROXY) {
        client_refuse_header(client, PROXY_REFUSAL_TIMEOUT);
    } else if (client->is_web) {
        web_on_timer(client);
    } else {
        client_set_reason(client, MQTT_KEEP_ALIVE_TIMEOUT);
        client_lose(client, "no CONNECT in time");
    }
}

void client_on_timer(struct client *client)
{
    switch (client->state) {
    case CLIENT_READY: check_keep_alive(client); break;
    case CLIENT_PROXY:
    case CLIENT_FRESH: check_deadline(client); break;
    case CLIENT_LEAVING: client_close(client); break;
    case CLIENT_LINGERING: linger_end(client); break;
    case CLIENT_LOGIN:
        client_set_reason(client, MQTT_SERVER_BUSY);
        client_lose(client, "its password was not looked at in time");
        break;
    default: break;
    }
}

void client_resume(struct client_pause *pause)
{
    struct client *client = pause->client;
    struct hub *hub = client->hub;

    client_pause_end(pause);
    client->last_seen = shard_now(hub->shard);
    if (client->state != CLIENT_CLOSING && poller_change(worker_poller(hub->worker), client->fd,
                                                         client_interest(client), client) < 0) {
        client_lose(client, CLIENT_OUT_OF_MEMORY);
    }
}
