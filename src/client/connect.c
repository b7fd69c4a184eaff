#include "access/verifier.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "client/client.h"
#include "client/drain.h"
#include "client/forward.h"
#include "client/hub.h"
#include "client/login.h"
#include "client/mount.h"
#include "client/rights.h"
#include "client/trace.h"
#include "client/trust.h"
#include "client/web.h"
#include "mqtt/topics.h"

/*
 * CONNECT is decoded and checked where the connection was accepted. Then the client id is known,
 * and with it the worker that the session lives on: the client moves there, or stays if this is it
 * already. What follows at home is in client/arrive.c.
 */

#define ASSIGNED_LEN   36
#define ASSIGNED_TRIES 8192
#define PREFIX_CAP     65

#define TOO_MANY_LOGINS "too many wait to be let in"

/* Client ids that we assign */

/* Groups of hex digits as in a UUID. */
static void put_digits(char *at, uint64_t high, uint64_t low)
{
    static const char digits[] = "0123456789ABCDEF";

    for (unsigned i = 0; i < ASSIGNED_LEN; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            at[i] = '-';
        } else {
            at[i] = digits[high & 15];
            high = high >> 4 | low << 60;
            low >>= 4;
        }
    }
}

/* Drawn until it lives here: an id that we assign need not move. */
static struct slice assign_id(struct client *client, char id[PREFIX_CAP + ASSIGNED_LEN])
{
    struct hub *hub = client->hub;
    const char *prefix = client->listener->settings->auto_id_prefix;
    size_t prefix_len = prefix ? MIN(strlen(prefix), (size_t)PREFIX_CAP) : 0;
    struct slice drawn = slice_of(id, prefix_len + ASSIGNED_LEN);

    if (prefix_len) {
        memcpy(id, prefix, prefix_len);
    }
    for (unsigned i = 0; i < ASSIGNED_TRIES; i++) {
        put_digits(id + prefix_len, hub_draw(hub), hub_draw(hub));
        if (core_home(hub->shard->core, drawn) == hub->shard->worker) {
            break;
        }
    }
    return drawn;
}

/* Checks */

static enum mqtt_reason check_version(const struct client *client,
                                      const struct mqtt_connect *connect)
{
    unsigned accepted = client->listener->settings->accept_versions;

    return (accepted >> connect->version & 1) != 0 ? MQTT_SUCCESS
                                                   : MQTT_UNSUPPORTED_PROTOCOL_VERSION;
}

static bool has_prefix(struct slice id, const char *prefix)
{
    size_t len = strlen(prefix);

    return id.len >= len && memcmp(id.data, prefix, len) == 0;
}

/* As Mosquitto: the prefixes are for the id that was sent or assigned, whatever the user name makes
 * of it. */
static enum mqtt_reason check_id(const struct client *client, const struct mqtt_connect *connect)
{
    const struct settings_clients *clients = &client->listener->terms->clients;
    struct slice id = connect->client_id;

    if (id.len == 0 && (connect->version == MQTT_3_1 ||
                        (connect->version == MQTT_3_1_1 && !connect->clean_start) ||
                        !client->listener->settings->allow_zero_length_clientid)) {
        return MQTT_CLIENT_ID_NOT_VALID;
    }
    if (id.len == 0) {
        id = slice_of(client->facts->login->id, client->facts->login->id_len);
    }
    if (clients->clientid_prefixes && !has_prefix(id, clients->clientid_prefixes)) {
        return MQTT_NOT_AUTHORIZED;
    }
    if (client->listener->settings->use_username_as_clientid && connect->username.len == 0) {
        return MQTT_NOT_AUTHORIZED;
    }
    return MQTT_SUCCESS;
}

static bool is_text_wrong(const struct client *client, const struct mqtt_will *will)
{
    return client->hub->settings->clients.check_payload_format &&
           mqtt_properties_has(&will->properties, MQTT_PAYLOAD_FORMAT_INDICATOR) &&
           will->properties.payload_format_indicator == 1 && !utf8_is_well_formed(will->payload);
}

/* Its form: whether the topic may be published to is asked when it is known who wants it. */
static enum mqtt_reason check_will(const struct client *client, const struct mqtt_connect *connect)
{
    uint32_t size_max = client->hub->settings->limits.message_size_limit;
    struct slice topic = connect->will.topic;

    if (!connect->has_will) {
        return MQTT_SUCCESS;
    }
    if (!mqtt_topic_is_valid(topic)) {
        return MQTT_TOPIC_NAME_INVALID;
    }
    if (size_max && connect->will.payload.len > size_max) {
        return MQTT_PACKET_TOO_LARGE;
    }
    if (connect->will.qos > client->listener->settings->max_qos) {
        return MQTT_QOS_NOT_SUPPORTED;
    }
    if (connect->will.retain && !client->listener->terms->clients.retain_available) {
        return MQTT_RETAIN_NOT_SUPPORTED;
    }
    if (is_text_wrong(client, &connect->will)) {
        return MQTT_PAYLOAD_FORMAT_INVALID;
    }
    return mount_topic(client, &topic);
}

/* Above the bound, or none at all where there is one. */
static bool is_over(uint16_t keep_alive, uint16_t max)
{
    return max != 0 && (keep_alive == 0 || keep_alive > max);
}

/* The operator's bound; 0: none. */
static uint16_t max_keep_alive(const struct client *client)
{
    return client->listener->terms->limits.max_keepalive_s;
}

/* What the proxy in front bears: three quarters of its patience, for a packet may be late. 0: it
 * bears everything, or this client came without one. */
static uint16_t max_keep_alive_of_proxy(const struct client *client)
{
    const struct listener_settings *listener = client->listener->settings;
    unsigned idle_s = listener->proxy_idle_timeout_s;
    bool is_direct = listener->proxy.version != SETTINGS_PROXY_OFF && !client_proxy(client);

    return idle_s == 0 || is_direct ? 0 : (uint16_t)MAX(idle_s * 3 / 4, 1u);
}

/* What a client of version 5 is told to use instead; 0: its own is short enough. */
static uint16_t shorter_keep_alive(const struct client *client, uint16_t asked)
{
    uint16_t shorter = is_over(asked, max_keep_alive(client)) ? max_keep_alive(client) : 0;
    uint16_t max = max_keep_alive_of_proxy(client);

    return is_over(shorter ? shorter : asked, max) ? max : shorter;
}

/* Version 3 can't be told: it will be cut off when it is silent, and nobody would know why. */
static void warn_of_keep_alive(const struct client *client, uint16_t keep_alive)
{
    UNINITIALIZED char label[CLIENT_LABEL_CAP];
    UNINITIALIZED char via[CLIENT_ADDRESS_CAP];

    if (client->version < MQTT_5_0 && is_over(keep_alive, max_keep_alive_of_proxy(client))) {
        client_log(
            client, LOG_WARNING, LOG_EVENT_KEEP_ALIVE_TOO_LONG, NULL,
            "Warning: Client %s%s has a keep-alive of %u seconds, and the proxy ends what is "
            "silent for %u (proxy_idle_timeout).",
            client_label(client, label), client_via(client, via), keep_alive,
            client->listener->settings->proxy_idle_timeout_s);
    }
}

bool client_is_allowed(const struct client *client)
{
    const struct server_listener *listener = client->listener;
    const struct server_listener *now = hub_find_listener(client->hub, listener);
    const char *username = client_username(client);
    struct access_request request = {
        .username = slice_of_text(username ? username : ""),
        .has_username = username != NULL,
        .is_vouched_for = client->is_vouched,
    };

    if (!now || now == listener) {
        return true;
    }
    request.access = now->access;
    request.listener = now->settings;
    return access_still_may(&request, client->facts ? client->facts->credential : 0);
}

/* Who gives no name is no login. */
static void count_login(const struct client *client, bool has_username, bool is_let_in)
{
    if (has_username) {
        metrics_count(client->hub->metrics,
                      is_let_in ? METRIC_BASIC_AUTH_SUCCESS : METRIC_BASIC_AUTH_FAIL);
    }
}

static enum mqtt_reason check_connect(const struct client *client,
                                      const struct mqtt_connect *connect)
{
    enum mqtt_reason reason = check_id(client, connect);

    if (reason == MQTT_SUCCESS &&
        mqtt_properties_has(&connect->properties, MQTT_AUTHENTICATION_METHOD)) {
        reason = MQTT_BAD_AUTHENTICATION_METHOD;
    }
    if (reason == MQTT_SUCCESS && connect->version < MQTT_5_0 &&
        is_over(connect->keep_alive, max_keep_alive(client))) {
        /* Version 3 can't be told another keep alive; the code is Mosquitto's. */
        hub_count(client->hub, client->listener, METRIC_KEEP_ALIVE_REFUSED, 1);
        reason = MQTT_CLIENT_ID_NOT_VALID;
    }
    return reason == MQTT_SUCCESS ? check_will(client, connect) : reason;
}

/* Taking it over into memory of our own */

static int take_will(struct client *client, const struct mqtt_connect *connect)
{
    struct hub *hub = client->hub;
    struct login *login = client->facts->login;
    const struct mqtt_will *will = &connect->will;
    struct message_parts parts = {
        .topic = will->topic,
        .payload = will->payload,
        .expires_at = MESSAGE_NEVER,
        .qos = will->qos,
        .retain = will->retain,
    };
    int r;

    if (!connect->has_will) {
        return 0;
    }
    /* What could be wrong with it was seen by check_will(). */
    if (mount_topic(client, &parts.topic) != MQTT_SUCCESS) {
        return -ENOMEM;
    }
    parts.topic_hash = (uint32_t)shard_topic_hash(hub->shard, parts.topic);
    if (mqtt_properties_has(&will->properties, MQTT_WILL_DELAY_INTERVAL)) {
        login->will_delay = will->properties.will_delay_interval;
    }
    login->will_expiry = mqtt_properties_has(&will->properties, MQTT_MESSAGE_EXPIRY_INTERVAL)
                             ? MIN(will->properties.message_expiry_interval, SESSION_NEVER - 1)
                             : SESSION_NEVER;
    r = forward_properties(hub, &will->properties, &parts.properties);
    if (r == 0 && will->retain && hub->settings->clients.check_retain_source) {
        parts.author = rights_new_author(client);
        r = parts.author.len > 0 ? 0 : -ENOMEM;
    }
    if (r == 0) {
        r = message_new(&parts, &login->will);
    }
    memory_free((void *)(uintptr_t)parts.author.data);
    return r;
}

static int take_username(struct client *client, const struct mqtt_connect *connect)
{
    struct client_facts *facts = client->facts;

    if (!connect->has_username || facts->username) {
        return 0;
    }
    facts->username = memory_copy_slice(connect->username);
    return facts->username ? 0 : -ENOMEM;
}

static struct slice choose_id(struct client *client, const struct mqtt_connect *connect,
                              char assigned[PREFIX_CAP + ASSIGNED_LEN])
{
    if (client->listener->settings->use_username_as_clientid && connect->username.len > 0) {
        return connect->username;
    }
    return connect->client_id.len > 0 ? connect->client_id : assign_id(client, assigned);
}

/* The name of the client is known from here on, also to the log. */
static int take_id(struct client *client, const struct mqtt_connect *connect)
{
    UNINITIALIZED char assigned[PREFIX_CAP + ASSIGNED_LEN];
    struct slice id = choose_id(client, connect, assigned);
    int r = login_new(connect, id, &client->facts->login);

    if (r == 0) {
        client->facts->login->id_is_assigned = connect->client_id.len == 0;
    }
    return r;
}

/* What the peer bears and wants: known before it is refused, and told why. */
static void take_peer(struct client *client, const struct mqtt_connect *connect)
{
    const struct mqtt_properties *properties = &connect->properties;

    client->version = connect->version;
    if (mqtt_properties_has(properties, MQTT_MAXIMUM_PACKET_SIZE)) {
        client->facts->max_packet_size = properties->maximum_packet_size;
    }
    if (mqtt_properties_has(properties, MQTT_TOPIC_ALIAS_MAXIMUM)) {
        client->facts->alias_max = (uint16_t)MIN(
            properties->topic_alias_maximum, client->listener->settings->max_topic_alias_broker);
    }
    client->wants_reasons = mqtt_properties_has(properties, MQTT_REQUEST_PROBLEM_INFORMATION) &&
                            properties->request_problem_information == 1;
}

static int take_connect(struct client *client, const struct mqtt_connect *connect)
{
    struct login *login = client->facts->login;
    int r;

    warn_of_keep_alive(client, connect->keep_alive);
    if (client->version >= MQTT_5_0) {
        login->server_keep_alive = shorter_keep_alive(client, connect->keep_alive);
    }
    /* The name first: it may be kept with the will. */
    r = take_username(client, connect);
    return r < 0 ? r : take_will(client, connect);
}

/* Moving */

/* Version 3 has no code for a quota. */
void client_refuse_without_memory(struct client *client)
{
    client_refuse(client,
                  client->version < MQTT_5_0 ? MQTT_SERVER_UNAVAILABLE : MQTT_QUOTA_EXCEEDED);
}

/* Version 3 has no code for that either. */
void client_refuse_for_drain(struct client *client)
{
    client_set_reason(client, drain_reason(client));
    client_refuse(client,
                  client->version < MQTT_5_0 ? MQTT_SERVER_UNAVAILABLE : drain_reason(client));
}

/* Nothing of the client may be touched once it is posted. */
static int move(struct client *client, unsigned home)
{
    struct hub *hub = client->hub;
    struct list_link *in_hub = &client->in_hub;
    struct stream *stream = client_stream(client);
    int r;

    if (client->is_polled) {
        poller_remove(worker_poller(hub->worker), client->fd);
        client->is_polled = false;
    }
    wheel_disarm(&client->timer);
    list_remove(&client->link);
    hub_unlist(hub, client);
    worker_forget(hub->worker, client);
    if (stream) {
        stream_leave(stream, &hub->pool);
    }
    r = worker_move(hub->worker, home, client, sizeof(*client) + client->facts->login->rest_len);
    if (r < 0) {
        list_push(&hub->clients, in_hub);
        if (stream) {
            stream_enter(stream, &hub->pool);
        }
    }
    return r;
}

static void go_home(struct client *client, struct slice rest)
{
    struct hub *hub = client->hub;
    struct login *login = client->facts->login;
    unsigned home = core_home(hub->shard->core, slice_of(login->id, login->id_len));
    int r;

    pending_end(client);
    client_state_change(&client->state, CLIENT_MOVING);
    if (home == hub->shard->worker) {
        client_arrive(client, rest);
        return;
    }
    r = login_keep_rest(login, rest);
    if (r == 0) {
        r = move(client, home);
    }
    if (r < 0) {
        client_refuse_without_memory(client);
    }
}

/* In the form of 3.1.1, which all versions know [MQTT-3.1.2-2]. */
static void refuse_version(struct client *client)
{
    client->version = MQTT_3_1_1;
    client_refuse(client, MQTT_UNSUPPORTED_PROTOCOL_VERSION);
}

/* A reload may have come while there was only a connection. */
static void renew_terms(struct client *client)
{
    struct server_listener *now = hub_find_listener(client->hub, client->listener);

    if (now && now != client->listener) {
        server_listener_ref(now);
        server_listener_unref(client->listener);
        client->listener = now;
    }
}

/* Who it is */

static enum access_verdict ask(const struct client *client, const struct mqtt_connect *connect)
{
    const struct server_listener *listener = client->listener;
    struct access_request request = {
        .access = listener->access,
        .listener = listener->settings,
        .username = connect->username,
        .has_username = connect->has_username,
        .has_password = connect->has_password,
        .is_vouched_for = client->is_vouched,
    };

    return access_connect(&request);
}

static void turn_away(struct client *client, bool has_username)
{
    count_login(client, has_username, false);
    if (has_username) {
        admit_failed(client);
    }
    client_refuse(client, MQTT_NOT_AUTHORIZED);
}

/* It is who it says; but its will must be one that somebody may publish. Whether it may is asked
 * when the will is sent, as Mosquitto does. */
static void let_in(struct client *client, struct slice rest)
{
    const struct message *will = client->facts->login->will;

    count_login(client, client_username(client) != NULL, true);
    if (will && access_publish(message_topic(will)) != MQTT_SUCCESS) {
        client_refuse(client, MQTT_NOT_AUTHORIZED);
        return;
    }
    go_home(client, rest);
}

/* What is behind CONNECT waits with it: nothing more is read. */
static void have_verified(struct client *client, const struct mqtt_connect *connect,
                          struct slice rest)
{
    int r = login_keep_rest(client->facts->login, rest);

    if (r == 0) {
        r = verify_begin(client, client->listener->access, connect->password);
    }
    if (r < 0) {
        client_refuse_without_memory(client);
    } else if (r == VERIFY_FULL) {
        client_refuse_busy(client, TOO_MANY_LOGINS);
    }
}

void client_on_connect(struct client *client, struct slice body, struct slice rest)
{
    UNINITIALIZED struct mqtt_connect connect;
    enum access_verdict verdict;
    enum mqtt_reason reason = mqtt_decode_connect(body, &connect);

    renew_terms(client);
    if (reason == MQTT_UNSUPPORTED_PROTOCOL_VERSION) {
        refuse_version(client);
        return;
    }
    if (reason != MQTT_SUCCESS) {
        client_fail(client, reason);
        return;
    }
    take_peer(client, &connect);
    client_say_new(client);
    trace_will(&connect);
    if (check_version(client, &connect) != MQTT_SUCCESS) {
        client_refuse(client, MQTT_UNSUPPORTED_PROTOCOL_VERSION);
        return;
    }
    reason = trust_connect(client, &connect);
    if (memory_is_short() || take_id(client, &connect) < 0) {
        client_refuse_without_memory(client);
        return;
    }
    if (drain_refuses(client)) {
        client_refuse_for_drain(client);
        return;
    }
    if (reason == MQTT_SUCCESS) {
        reason = check_connect(client, &connect);
    }
    if (reason != MQTT_SUCCESS) {
        client_refuse(client, reason);
        return;
    }
    if (connect.has_username && !client->is_vouched && !admit_login(client)) {
        return;
    }
    verdict = ask(client, &connect);
    if (verdict == ACCESS_NO) {
        turn_away(client, connect.has_username);
    } else if (take_connect(client, &connect) < 0) {
        client_refuse_without_memory(client);
    } else if (!client_connack_fits(client)) {
        client_fail(client, MQTT_PACKET_TOO_LARGE);
    } else if (verdict == ACCESS_ASK) {
        have_verified(client, &connect, rest);
    } else {
        let_in(client, rest);
    }
}

/* Back from the verifier */

/* What holds of its listener now; of one that has closed, what held. */
static const struct server_listener *listener_now(const struct client *client)
{
    const struct server_listener *now = hub_find_listener(client->hub, client->listener);

    return now ? now : client->listener;
}

/* It is watched for its end alone, and then by its home: from the beginning. */
static void go_on(struct client *client)
{
    poller_remove(worker_poller(client->hub->worker), client->fd);
    client->is_polled = false;
    let_in(client, slice_of(NULL, 0));
}

/* The files have changed meanwhile. What holds now may not even ask. */
static void ask_again(struct client *client, struct verification *verification)
{
    const struct server_listener *now = listener_now(client);
    struct access_request request = {
        .access = now->access,
        .listener = now->settings,
        .username = slice_of_text(client->facts->username),
        .has_username = true,
        .has_password = true,
    };
    enum access_verdict verdict = access_connect(&request);

    if (verdict == ACCESS_ASK) {
        if (verify_again(client, verification, now->access) == VERIFY_FULL) {
            client_refuse_busy(client, TOO_MANY_LOGINS);
        }
        return;
    }
    verification_free(verification);
    if (verdict == ACCESS_NO) {
        turn_away(client, true);
    } else {
        go_on(client);
    }
}

void client_on_verified(struct client *client, struct verification *verification)
{
    enum verification_answer answer = verification->answer;

    if (client->is_web) {
        web_on_verified(client, verification);
        return;
    }
    if (verification->access != listener_now(client)->access) {
        ask_again(client, verification);
        return;
    }
    client->facts->credential =
        answer == VERIFICATION_RIGHT ? verification->question.credential : 0;
    verification_free(verification);
    switch (answer) {
    case VERIFICATION_RIGHT: go_on(client); break;
    case VERIFICATION_WRONG: turn_away(client, true); break;
    case VERIFICATION_FAILED: client_refuse_without_memory(client); break;
    }
}
