#include "base/log.h"
#include "client/acks.h"
#include "client/client.h"
#include "client/hub.h"
#include "client/rights.h"
#include "mqtt/encode.h"
#include "net/proxy.h"

/*
 * Every way in which a connection ends comes through client_close(): the state changes, the client
 * goes to the hub's list of those to be buried, and nothing is freed before the iteration's end.
 * What is in the output by then is written once more; then it lingers, where that has a use
 * (client/linger.c).
 */

/* So long a client that was told to go may take to read what it was sent. */
#define LEAVING_S 5

void client_close(struct client *client)
{
    admit_header_end(client);
    pending_end(client);
    metrics_sub(client->hub->metrics, METRIC_CLIENTS_CONNECTED, client->state == CLIENT_READY);
    client_state_change(&client->state, CLIENT_CLOSING);
    client_drop_acks(client);
    wheel_disarm(&client->timer);
    list_remove(&client->link);
    list_push(&client->hub->closing, &client->link);
}

static void leave_session(struct client *client, enum session_leave how)
{
    if (client->session) {
        rights_ensure(client);
        session_disconnect(client->hub->shard, TAKE(client->session), how);
    }
}

static void say_ended(const struct client *client, enum log_event event, const char *text)
{
    UNINITIALIZED char label[CLIENT_LABEL_CAP];

    if (client_is_logged(client, LOG_NOTICE)) {
        client_log(client, LOG_NOTICE, event, text, "Client %s disconnected: %s.",
                   client_label(client, label), text);
    }
}

static void say_disconnected(const struct client *client, const char *text)
{
    say_ended(client, LOG_EVENT_CLIENT_DISCONNECTED, text);
}

/* A health check comes and goes, of the proxy or of whoever asks by HTTP: not worth a line. */
static bool is_silent(const struct client *client)
{
    const struct proxy_info *proxy = client_proxy(client);

    return client->is_web || (client->state != CLIENT_READY && proxy && !proxy->has_address);
}

void client_lose(struct client *client, const char *text)
{
    bool is_spent = strcmp(text, CLIENT_OUT_OF_MEMORY) == 0;

    if (client->state == CLIENT_LEAVING) {
        client_close(client);
        return;
    }
    if (is_spent) {
        client_set_reason(client, MQTT_UNSPECIFIED_ERROR);
    }
    if (!is_silent(client) || is_spent) {
        say_disconnected(client, text);
    }
    leave_session(client, SESSION_LEAVE_WITH_WILL);
    client_close(client);
}

static_assert(METRIC_PROXY_REFUSED + PROXY_REFUSAL_LEN <= METRIC_PROXY_REFUSED_LAST + 1,
              "a number for each refusal");

void client_refuse_header(struct client *client, enum proxy_refusal refusal)
{
    char address[CLIENT_ADDRESS_CAP];
    char via[CLIENT_ADDRESS_CAP];

    hub_count(client->hub, client->listener, METRIC_PROXY_REFUSED + refusal, 1);
    client_log(client, LOG_NOTICE, LOG_EVENT_CONNECTION_REFUSED, proxy_refusal_word(refusal),
               "Connection from %s on port %u%s refused: PROXY header: %s.",
               client_address(client, address), client->listener->settings->port,
               client_via(client, via), proxy_refusal_word(refusal));
    client_close(client);
}

/*
 * What a peer is told that asked for it. Mosquitto sends no reason strings, and its clients' and
 * scripts' tests compare bytes: so they go only to those who set Request Problem Information to 1
 * themselves. Codes that say all there is to say have no text.
 */
struct slice client_reason_text(const struct client *client, enum mqtt_reason reason)
{
    static const struct {
        enum mqtt_reason reason;
        const char *text;
    } texts[] = {
        {MQTT_UNSUPPORTED_PROTOCOL_VERSION,  "this listener does not accept this version of MQTT"            },
        {MQTT_CLIENT_ID_NOT_VALID,           "an empty client id is not accepted here"                       },
        {MQTT_BAD_AUTHENTICATION_METHOD,     "no authentication method is offered"                           },
        {MQTT_SERVER_BUSY,                   "as many clients are known, or wait to be let in, as may be"    },
        {MQTT_IMPLEMENTATION_SPECIFIC_ERROR, "the payload is larger than is accepted"                        },
        {MQTT_KEEP_ALIVE_TIMEOUT,            "nothing was heard for one and a half times the keep alive"     },
        {MQTT_TOPIC_NAME_INVALID,            "the topic is empty, has a wildcard, or is too long or too deep"},
        {MQTT_RECEIVE_MAXIMUM_EXCEEDED,      "more QoS 2 messages than the Receive Maximum"                  },
        {MQTT_TOPIC_ALIAS_INVALID,           "the topic alias is 0 or above the Topic Alias Maximum"         },
        {MQTT_PACKET_TOO_LARGE,              "the packet, or the will in it, is larger than is accepted"     },
        {MQTT_QUOTA_EXCEEDED,                "a limit of this server is reached"                             },
        {MQTT_PAYLOAD_FORMAT_INVALID,        "the payload is marked as text and is not UTF-8"                },
        {MQTT_RETAIN_NOT_SUPPORTED,          "no retained messages are kept here"                            },
        {MQTT_QOS_NOT_SUPPORTED,             "the QoS is above the Maximum QoS"                              },
    };

    if (!client->wants_reasons || reason < MQTT_UNSPECIFIED_ERROR) {
        return slice_of(NULL, 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (texts[i].reason == reason) {
            return slice_of_text(texts[i].text);
        }
    }
    return slice_of(NULL, 0);
}

/* The words of Mosquitto's log for why the broker ended a connection. */
static const char *log_text(enum mqtt_reason reason)
{
    switch (reason) {
    case MQTT_TOPIC_NAME_INVALID:
    case MQTT_MALFORMED_PACKET: return "malformed packet";
    case MQTT_PROTOCOL_ERROR: return "protocol error";
    case MQTT_PACKET_TOO_LARGE: return "oversize packet";
    case MQTT_KEEP_ALIVE_TIMEOUT: return "exceeded timeout";
    case MQTT_SESSION_TAKEN_OVER: return "session taken over";
    case MQTT_NOT_AUTHORIZED: return "not authorised";
    case MQTT_QUOTA_EXCEEDED: return "quota exceeded";
    case MQTT_SERVER_SHUTTING_DOWN: return "server shutting down";
    case MQTT_TOPIC_ALIAS_INVALID: return "topic alias invalid";
    case MQTT_USE_ANOTHER_SERVER: return "use another server";
    case MQTT_SERVER_MOVED: return "server moved";
    default: return mqtt_reason_name(reason);
    }
}

void client_fail(struct client *client, enum mqtt_reason reason)
{
    metrics_count(client->hub->metrics, METRIC_ENDED + reason);
    client_set_reason(client, reason);
    say_disconnected(client, log_text(reason));
    if (client->state == CLIENT_READY) {
        client_send_disconnect(client, reason);
    }
    leave_session(client, SESSION_LEAVE_WITH_WILL);
    client_close(client);
}

/* A CONNECT is refused, as if there had been none: what had been told to nobody is forgotten. */
void client_fail_unkept(struct client *client)
{
    if (!client->is_unwelcome) {
        client_fail(client, MQTT_IMPLEMENTATION_SPECIFIC_ERROR);
        return;
    }
    output_deinit(&client->output, &client->hub->pool);
    client->is_unwelcome = false;
    leave_session(client, SESSION_LEAVE_QUIETLY);
    client_refuse(client, MQTT_SERVER_UNAVAILABLE);
}

void client_leave(struct client *client, enum session_leave how)
{
    UNINITIALIZED char label[CLIENT_LABEL_CAP];

    if (client_is_logged(client, LOG_NOTICE)) {
        client_log(client, LOG_NOTICE, LOG_EVENT_CLIENT_DISCONNECTED, NULL,
                   "Client %s disconnected.", client_label(client, label));
    }
    /* It has no more to say [MQTT-3.14.4-1], though its stages may. */
    client->is_cut = !client->is_staged;
    leave_session(client, how);
    client_close(client);
}

void client_end(struct client *client, enum mqtt_reason reason)
{
    assert(client->state == CLIENT_READY);
    metrics_count(client->hub->metrics, METRIC_ENDED + reason);
    client_set_reason(client, reason);
    say_disconnected(client, log_text(reason));
    client->session = NULL;
    client_send_disconnect(client, reason);
    client_close(client);
}

/* Not read, and over when it has been told all. */
static void stop_reading(struct client *client)
{
    if (client->is_paused) {
        client_pause_end(client->facts->pause);
    }
    client->is_held = true;
    client->is_finishing = true;
    client->is_unkept = false;
    client_update_interest(client);
}

void client_send_away(struct client *client, enum mqtt_reason reason)
{
    struct shard *shard = client->hub->shard;

    assert(client->state == CLIENT_READY && !client->is_unwelcome);
    metrics_count(client->hub->metrics, METRIC_ENDED + reason);
    metrics_sub(client->hub->metrics, METRIC_CLIENTS_CONNECTED, 1);
    client_set_reason(client, reason);
    say_disconnected(client, log_text(reason));
    client_send_disconnect(client, reason);
    leave_session(client, SESSION_LEAVE_WITH_WILL);
    client_drop_acks(client);
    client_input_free(client);
    client_state_change(&client->state, CLIENT_LEAVING);
    stop_reading(client);
    wheel_disarm(&client->timer);
    wheel_arm(&shard->wheel, &client->timer, shard->wheel.now + LEAVING_S);
    if (!list_is_linked(&client->link)) {
        list_push(&client->hub->dirty, &client->link);
    }
}

void client_stop(struct client *client)
{
    client_set_reason(client, MQTT_SERVER_SHUTTING_DOWN);
    if (client->state == CLIENT_READY) {
        client_send_disconnect(client, MQTT_SERVER_SHUTTING_DOWN);
    }
    leave_session(client, SESSION_LEAVE_WITH_WILL);
    if (client->state != CLIENT_CLOSING) {
        client_close(client);
    }
}

/* Some refusals have no code in version 3, and some clients of 5.0 take nothing that long
 * [MQTT-3.1.2-24]: there it is just closed. */
static void refuse(struct client *client, enum mqtt_reason reason, const char *text)
{
    struct mqtt_connack_out connack = {
        .version = client->version,
        .reason = reason,
        .reason_string = client_reason_text(client, reason),
        .server_reference = client_server_reference(client, reason),
    };
    size_t size = client->version ? mqtt_connack_size(&connack) : 0;
    uint8_t *at = NULL;

    hub_count(client->hub, client->listener, METRIC_CONNECT_REFUSED + reason, 1);
    client_set_reason(client, reason);
    if (size > client_packet_max(client)) {
        connack.reason_string = slice_of(NULL, 0);
        connack.server_reference = slice_of(NULL, 0);
        size = mqtt_connack_size(&connack);
    }
    /* [MQTT-3.1.2-24] */
    if (size > 0 && size <= client_packet_max(client)) {
        at = client_reserve(client, size);
    }
    if (at) {
        client_commit(client, at + mqtt_encode_connack(at, &connack));
    }
    say_ended(client, LOG_EVENT_CLIENT_REFUSED, text);
    client_close(client);
}

void client_refuse(struct client *client, enum mqtt_reason reason)
{
    refuse(client, reason, log_text(reason));
}

/* Version 3 has a word for a server that is not there, and none for one that is busy. */
void client_refuse_busy(struct client *client, const char *text)
{
    refuse(client, client->version < MQTT_5_0 ? MQTT_SERVER_UNAVAILABLE : MQTT_SERVER_BUSY, text);
}
