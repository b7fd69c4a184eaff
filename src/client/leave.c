#include "client/client.h"
#include "client/hub.h"
#include "client/trace.h"
#include "mqtt/encode.h"

/* PINGREQ and DISCONNECT. */

void client_on_pingreq(struct client *client, struct slice body)
{
    enum mqtt_reason reason = mqtt_decode_ping(body);
    uint8_t *at;

    if (reason != MQTT_SUCCESS) {
        client_fail(client, reason);
        return;
    }
    trace_received(client, MQTT_PINGREQ);
    trace_sending(client, MQTT_PINGRESP);
    at = client_reserve(client, MQTT_PING_SIZE);
    if (at) {
        client_commit(client, at + mqtt_encode_pingresp(at));
    }
}

/* A session that was to end with the connection can't be given a longer life at its end (MQTT 5.0
 * section 3.14.2.2.2). */
static enum mqtt_reason change_expiry(struct client *client, uint32_t interval)
{
    if (interval != 0 && client->session->expiry_interval == 0) {
        return MQTT_PROTOCOL_ERROR;
    }
    session_set_expiry(client->session, client_cap_expiry(client, interval));
    return MQTT_SUCCESS;
}

/* Codes that table 3-13 of MQTT 5.0 gives to servers alone. */
static bool is_of_servers(enum mqtt_reason reason)
{
    switch (reason) {
    case MQTT_NOT_AUTHORIZED:
    case MQTT_SERVER_BUSY:
    case MQTT_SERVER_SHUTTING_DOWN:
    case MQTT_KEEP_ALIVE_TIMEOUT:
    case MQTT_SESSION_TAKEN_OVER:
    case MQTT_TOPIC_FILTER_INVALID:
    case MQTT_RETAIN_NOT_SUPPORTED:
    case MQTT_QOS_NOT_SUPPORTED:
    case MQTT_USE_ANOTHER_SERVER:
    case MQTT_SERVER_MOVED:
    case MQTT_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED:
    case MQTT_CONNECTION_RATE_EXCEEDED:
    case MQTT_MAXIMUM_CONNECT_TIME:
    case MQTT_SUBSCRIPTION_IDS_NOT_SUPPORTED:
    case MQTT_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED: return true;
    default: return false;
    }
}

void client_on_disconnect(struct client *client, struct slice body)
{
    UNINITIALIZED struct mqtt_disconnect packet;
    enum mqtt_reason reason = mqtt_decode_disconnect(client->version, false, body, &packet);

    if (reason == MQTT_SUCCESS && is_of_servers(packet.reason)) {
        reason = MQTT_PROTOCOL_ERROR;
    }
    if (reason == MQTT_SUCCESS &&
        mqtt_properties_has(&packet.properties, MQTT_SESSION_EXPIRY_INTERVAL)) {
        reason = change_expiry(client, packet.properties.session_expiry_interval);
    }
    if (reason != MQTT_SUCCESS) {
        client_fail(client, reason);
        return;
    }
    trace_received(client, MQTT_DISCONNECT);
    client_leave(client,
                 packet.reason == MQTT_SUCCESS ? SESSION_LEAVE_QUIETLY : SESSION_LEAVE_WITH_WILL);
}
