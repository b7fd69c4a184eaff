#include "base/log.h"
#include "client/client.h"
#include "client/hub.h"
#include "mqtt/encode.h"
#include "net/proxy.h"

/*
 * Every way in which a connection ends comes through client_close(): the state changes, the client
 * goes to the hub's list of those to be buried, and nothing is freed before the iteration's end.
 * What is in the output by then is written once more.
 */

void client_close(struct client *client)
{
    client_state_change(&client->state, CLIENT_CLOSING);
    wheel_disarm(&client->timer);
    list_remove(&client->link);
    list_push(&client->hub->closing, &client->link);
}

static void leave_session(struct client *client, enum session_leave how)
{
    if (client->session) {
        session_disconnect(client->hub->shard, TAKE(client->session), how);
    }
}

static void say_ended(const struct client *client, enum log_event event, const char *text)
{
    char label[CLIENT_LABEL_CAP];

    client_log(client, LOG_NOTICE, event, text, "Client %s disconnected: %s.",
               client_label(client, label), text);
}

static void say_disconnected(const struct client *client, const char *text)
{
    say_ended(client, LOG_EVENT_CLIENT_DISCONNECTED, text);
}

/* A health check of the proxy comes and goes: not worth a line. */
static bool is_silent(const struct client *client)
{
    const struct proxy_info *proxy = client->facts->proxy;

    return client->state != CLIENT_READY && proxy && !proxy->has_address;
}

void client_lose(struct client *client, const char *text)
{
    if (!is_silent(client)) {
        say_disconnected(client, text);
    }
    leave_session(client, SESSION_LEAVE_WITH_WILL);
    client_close(client);
}

void client_refuse_header(struct client *client, enum proxy_refusal refusal)
{
    const struct client_facts *facts = client->facts;
    char address[CLIENT_ADDRESS_CAP];
    char via[CLIENT_ADDRESS_CAP];

    client_log(client, LOG_NOTICE, LOG_EVENT_CONNECTION_REFUSED, proxy_refusal_word(refusal),
               "Connection from %s on port %u%s refused: PROXY header: %s.",
               client_address(client, address), facts->listener->settings->port,
               client_via(client, via), proxy_refusal_word(refusal));
    client_close(client);
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
    default: return mqtt_reason_name(reason);
    }
}

void client_fail(struct client *client, enum mqtt_reason reason)
{
    say_disconnected(client, log_text(reason));
    if (client->state == CLIENT_READY) {
        client_send_disconnect(client, reason);
    }
    leave_session(client, SESSION_LEAVE_WITH_WILL);
    client_close(client);
}

void client_leave(struct client *client, enum session_leave how)
{
    char label[CLIENT_LABEL_CAP];

    client_log(client, LOG_NOTICE, LOG_EVENT_CLIENT_DISCONNECTED, NULL, "Client %s disconnected.",
               client_label(client, label));
    leave_session(client, how);
    client_close(client);
}

void client_end(struct client *client, enum mqtt_reason reason)
{
    assert(client->state == CLIENT_READY);
    say_disconnected(client, log_text(reason));
    client->session = NULL;
    client_send_disconnect(client, reason);
    client_close(client);
}

void client_stop(struct client *client)
{
    if (client->state == CLIENT_READY) {
        client_send_disconnect(client, MQTT_SERVER_SHUTTING_DOWN);
    }
    leave_session(client, SESSION_LEAVE_WITH_WILL);
    if (client->state != CLIENT_CLOSING) {
        client_close(client);
    }
}

/* Some refusals have no code in version 3: there it is just closed. */
void client_refuse(struct client *client, enum mqtt_reason reason)
{
    struct mqtt_connack_out connack = {
        .version = client->version,
        .reason = reason,
    };
    size_t size = client->version ? mqtt_connack_size(&connack) : 0;
    uint8_t *at = size ? client_reserve(client, size) : NULL;

    if (at) {
        client_commit(client, at + mqtt_encode_connack(at, &connack));
    }
    say_ended(client, LOG_EVENT_CLIENT_REFUSED, log_text(reason));
    client_close(client);
}
