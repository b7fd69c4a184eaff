#include "base/memory.h"
#include "base/text.h"
#include "client/acks.h"
#include "client/client.h"
#include "client/drain.h"
#include "client/hub.h"
#include "client/login.h"
#include "client/rights.h"
#include "client/trace.h"
#include "loop/clock.h"
#include "mqtt/encode.h"

/*
 * A client whose CONNECT is good (client/connect.c) has come to the worker that its session lives
 * on: there it gets that, CONNACK goes first into the output, and only then the bytes that came
 * behind CONNECT are handled.
 */

/* How the client is welcomed */

uint32_t client_cap_expiry(const struct client *client, uint32_t asked)
{
    uint64_t max = client->listener->terms->limits.persistent_client_expiration_s;

    return max && asked > max ? (uint32_t)max : asked;
}

static struct mqtt_connack_out connack_of(const struct client *client, bool session_present)
{
    const struct settings_limits *limits = &client->listener->terms->limits;
    const struct login *login = client->facts->login;
    uint32_t expiry_interval = client_cap_expiry(client, login->expiry_interval);
    struct mqtt_connack_out connack = {
        .version = client->version,
        .reason = MQTT_SUCCESS,
        .session_present = session_present && client->version > MQTT_3_1,
        .has_maximum_qos = client->listener->settings->max_qos < 2,
        .maximum_qos = client->listener->settings->max_qos,
        .retain_unavailable = !client->listener->terms->clients.retain_available,
        .server_keep_alive = login->server_keep_alive,
        .has_session_expiry = expiry_interval != login->expiry_interval,
        .session_expiry_interval = expiry_interval,
        .topic_alias_maximum = client->listener->settings->max_topic_alias,
        .receive_maximum = limits->max_inflight_messages,
        .maximum_packet_size = limits->max_packet_size,
    };

    if (login->id_is_assigned) {
        connack.assigned_client_id = slice_of(login->id, login->id_len);
    }
    return connack;
}

/* [MQTT-3.1.2-24]. All the answers without filters are shorter than this one. */
bool client_connack_fits(const struct client *client)
{
    UNINITIALIZED struct mqtt_connack_out connack;

    if (client_packet_max(client) == UINT32_MAX) {
        return true;
    }
    connack = connack_of(client, false);
    return mqtt_connack_size(&connack) <= client_packet_max(client);
}

static void send_connack(struct client *client, bool session_present)
{
    struct mqtt_connack_out connack = connack_of(client, session_present);
    uint8_t *at = client_reserve(client, mqtt_connack_size(&connack));

    trace_sending_connack(client, session_present, MQTT_SUCCESS);
    if (at) {
        client_commit(client, at + mqtt_encode_connack(at, &connack));
    }
}

static void say_connected(const struct client *client)
{
    const struct client_facts *facts = client->facts;
    UNINITIALIZED char address[CLIENT_ADDRESS_CAP];
    UNINITIALIZED char id[256];
    UNINITIALIZED char username[256];

    if (!client_is_logged(client, LOG_NOTICE)) {
        return;
    }
    text_escape(id, sizeof(id), session_id(client->session));
    if (!facts->username) {
        client_log(client, LOG_NOTICE, LOG_EVENT_CLIENT_CONNECTED, NULL,
                   "New client connected from %s as %s (p%u, c%u, k%u).",
                   client_address(client, address), id, client->version, facts->login->clean_start,
                   facts->login->keep_alive);
        return;
    }
    text_escape(username, sizeof(username), slice_of_text(facts->username));
    client_log(client, LOG_NOTICE, LOG_EVENT_CLIENT_CONNECTED, NULL,
               "New client connected from %s as %s (p%u, c%u, k%u, u'%s').",
               client_address(client, address), id, client->version, facts->login->clean_start,
               facts->login->keep_alive, username);
}

static uint32_t window_of(const struct client *client)
{
    uint32_t ours = client->listener->terms->limits.max_inflight_messages;
    uint32_t theirs = client->facts->login->receive_maximum;

    return ours ? MIN(ours, theirs) : theirs;
}

/* A session that outlives its connection is asked for them without it, perhaps by later rules. */
static int make_rights(const struct client *client, struct session_request *request)
{
    if (request->expiry_interval == 0 && !client->hub->shard->limits.asks_rights) {
        return 0;
    }
    request->rights = rights_new(client);
    return request->rights ? 0 : -ENOMEM;
}

static int open_session(struct client *client)
{
    struct login *login = client->facts->login;
    struct session_request request = {
        .client_id = slice_of(login->id, login->id_len),
        .clean_start = login->clean_start,
        .expiry_interval = client_cap_expiry(client, login->expiry_interval),
        .window = window_of(client),
        .queue_policy = client->listener->settings->queue_policy,
        .will = login->will,
        .will_delay = login->will_delay,
        .will_expiry = login->will_expiry,
        .mount_len = (uint16_t)client->listener->mount.len,
    };
    int r = make_rights(client, &request);

    if (r == 0) {
        r = session_connect(client->hub->shard, client, &request, &client->session);
    }
    if (r == SESSION_CREATED || r == SESSION_RESUMED) {
        login->will = NULL;
    } else {
        rights_free(request.rights);
    }
    return r;
}

/* CONNACK takes its place in the output at once, and leaves when it is kept that there is this
 * session, or that there is no other any more. */
static void end_welcome(struct client *client, struct ack *ack)
{
    client->is_unwelcome = ack != NULL;
    client_cancel_ack(client, ack);
}

static void arm_keep_alive(struct client *client)
{
    const struct login *login = client->facts->login;

    wheel_disarm(&client->timer);
    client->keep_alive = login->server_keep_alive ? login->server_keep_alive : login->keep_alive;
    if (client->keep_alive) {
        wheel_arm(&client->hub->shard->wheel, &client->timer, client_silence_ends(client));
    }
}

static bool may_be_read(const struct client *client)
{
    return client->state == CLIENT_READY && !client_is_stopped(client) && !client->has_failed &&
           !client_is_put_off(client);
}

/*
 * What the earlier connection with this id sent before it was given up may still lie in its socket,
 * since another worker was quicker with the new one: who has left is not taken over, and leaves no
 * will. Reading needs the hub's buffer, in which `rest` may stand. Without memory it is not read.
 */
static void hear_out(struct client *earlier, struct slice rest)
{
    uint8_t *copy = NULL;

    if (rest.len > 0) {
        copy = memory_alloc(rest.len);
        if (!copy) {
            return;
        }
        memcpy(copy, rest.data, rest.len);
    }
    client_read(earlier);
    if (copy) {
        memcpy((uint8_t *)(uintptr_t)rest.data, copy, rest.len);
        memory_free(copy);
    }
}

/*
 * Whether the earlier connection is still to be heard out: it is read once more, and what it sent
 * may be more than the budget reaches. Without memory for `rest` nobody waits.
 */
static bool must_wait(struct client *client, struct slice rest)
{
    struct login *login = client->facts->login;
    struct slice id = slice_of(login->id, login->id_len);
    struct client *earlier = session_find_client(client->hub->shard, id);

    if (earlier && !login->has_heard_out && may_be_read(earlier)) {
        login->has_heard_out = true;
        hear_out(earlier, rest);
    }
    if (!earlier || !client_is_put_off(earlier) || login_keep_rest(login, rest) < 0) {
        return false;
    }
    /* What its stages have said goes out with the CONNACK. */
    list_remove(&client->link);
    list_push(&client->hub->arriving, &client->link);
    return true;
}

void client_arrive(struct client *client, struct slice rest)
{
    struct login *login = client->facts->login;
    struct ack *ack = NULL;
    int r = 0;

    if (drain_refuses(client)) {
        client_refuse_for_drain(client);
        return;
    }
    if (must_wait(client, rest)) {
        return;
    }
    if (!client->is_polled) {
        r = client_watch(client, client_interest(client));
    }
    if (r == 0) {
        r = client_begin_ack(client, MQTT_CONNACK, 0, 0, &ack);
    }
    if (r == 0) {
        r = open_session(client);
    }
    end_welcome(client, ack);
    if (r < 0) {
        client->is_unwelcome = false;
        client_refuse_without_memory(client);
        return;
    }
    if (r == SESSION_TOO_MANY) {
        client_refuse(client, MQTT_SERVER_BUSY);
        return;
    }
    client->last_seen = MAX(client->last_seen, shard_now(client->hub->shard));
    client->is_bridge = login->is_bridge;
    client_state_change(&client->state, CLIENT_READY);
    client->connected_at = (uint32_t)(clock_wall_ms() / 1000);
    metrics_count(client->hub->metrics, METRIC_CLIENTS_CONNECTED);
    send_connack(client, r == SESSION_RESUMED);
    arm_keep_alive(client);
    say_connected(client);
    client->facts->login = NULL;
    session_start(client->hub->shard, client->session);
    if (login->rest_len) {
        client_take(client, slice_of(login->rest, login->rest_len));
    }
    login_free(login);
    client_drop_facts(client);
}
