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

/* A session that was to end with the connection can't be given a longer life at its end
 * [MQTT-3.14.2-2]. */
static enum mqtt_reason change_expiry(struct client *client, uint32_t interval)
{
    if (interval != 0 && client->session->expiry_interval == 0) {
        return MQTT_PROTOCOL_ERROR;
    }
    session_set_expiry(client->session, interval);
    return MQTT_SUCCESS;
}

void client_on_disconnect(struct client *client, struct slice body)
{
    struct mqtt_disconnect packet;
    enum mqtt_reason reason = mqtt_decode_disconnect(client->version, false, body, &packet);

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
