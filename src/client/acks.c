#include "client/client.h"
#include "client/hub.h"
#include "client/trace.h"

/* PUBACK, PUBREC, PUBREL, PUBCOMP: the halves of the handshakes of MQTT 5.0 section 4.3. */

static void on_pubrec(struct client *client, const struct mqtt_ack *ack)
{
    bool is_error = ack->reason >= MQTT_UNSPECIFIED_ERROR;
    enum ack_verdict verdict =
        session_on_pubrec(client->hub->shard, client->session, ack->packet_id, is_error);

    if (!is_error) {
        client_send_ack(client, MQTT_PUBREL, ack->packet_id,
                        verdict == ACK_OK ? MQTT_SUCCESS : MQTT_PACKET_ID_NOT_FOUND);
    }
}

/* An identifier that is not held is answered all the same: the PUBCOMP may have been lost. */
static void on_pubrel(struct client *client, const struct mqtt_ack *ack)
{
    bool was_held = inbound_remove(&client->session->inbound, ack->packet_id);

    client_send_ack(client, MQTT_PUBCOMP, ack->packet_id,
                    was_held ? MQTT_SUCCESS : MQTT_PACKET_ID_NOT_FOUND);
}

void client_on_ack(struct client *client, enum mqtt_packet_type type, struct slice body)
{
    struct shard *shard = client->hub->shard;
    struct mqtt_ack ack;
    enum mqtt_reason reason = mqtt_decode_ack(client->version, type, body, &ack);

    if (reason != MQTT_SUCCESS) {
        client_fail(client, reason);
        return;
    }
    trace_received_ack(client, type, &ack);
    /* An acknowledgement of nothing is a late one: harmless, and no error of the peer. */
    switch (type) {
    case MQTT_PUBACK: session_on_puback(shard, client->session, ack.packet_id); break;
    case MQTT_PUBREC: on_pubrec(client, &ack); break;
    case MQTT_PUBREL: on_pubrel(client, &ack); break;
    case MQTT_PUBCOMP: session_on_pubcomp(shard, client->session, ack.packet_id); break;
    default: assert(false);
    }
}
