#include "client/trace.h"

#include "base/text.h"

#define ID_CAP    256
#define TOPIC_CAP 600

static const char *escape_id(const struct client *client, char id[ID_CAP])
{
    struct slice bytes = client->session ? session_id(client->session) : slice_of("", 0);

    text_escape(id, ID_CAP, bytes);
    return id;
}

void trace_received(const struct client *client, enum mqtt_packet_type type)
{
    UNINITIALIZED char id[ID_CAP];

    if (trace_is_on()) {
        log_line(LOG_DEBUG, "Received %s from %s", mqtt_packet_name(type), escape_id(client, id));
    }
}

void trace_sending(const struct client *client, enum mqtt_packet_type type)
{
    UNINITIALIZED char id[ID_CAP];

    if (trace_is_on()) {
        log_line(LOG_DEBUG, "Sending %s to %s", mqtt_packet_name(type), escape_id(client, id));
    }
}

void trace_received_publish(const struct client *client, const struct mqtt_publish *publish)
{
    UNINITIALIZED char id[ID_CAP];
    UNINITIALIZED char topic[TOPIC_CAP];

    if (!trace_is_on()) {
        return;
    }
    text_escape(topic, sizeof(topic), publish->topic);
    log_line(LOG_DEBUG, "Received PUBLISH from %s (d%u, q%u, r%u, m%u, '%s', ... (%zu bytes))",
             escape_id(client, id), publish->dup, publish->qos, publish->retain, publish->packet_id,
             topic, publish->payload.len);
}

void trace_sending_publish(const struct client *client, const struct message_parts *parts,
                           const struct delivery_head *head)
{
    UNINITIALIZED char id[ID_CAP];
    UNINITIALIZED char topic[TOPIC_CAP];

    if (!trace_is_on()) {
        return;
    }
    text_escape(topic, sizeof(topic), parts->topic);
    log_line(LOG_DEBUG, "Sending PUBLISH to %s (d%u, q%u, r%u, m%u, '%s', ... (%zu bytes))",
             escape_id(client, id), head->dup, head->qos, head->retain, head->packet_id, topic,
             parts->payload.len);
}

void trace_received_ack(const struct client *client, enum mqtt_packet_type type,
                        const struct mqtt_ack *ack)
{
    UNINITIALIZED char id[ID_CAP];

    if (!trace_is_on()) {
        return;
    }
    if (type == MQTT_PUBREL) {
        log_line(LOG_DEBUG, "Received PUBREL from %s (Mid: %u)", escape_id(client, id),
                 ack->packet_id);
    } else {
        log_line(LOG_DEBUG, "Received %s from %s (Mid: %u, RC:%u)", mqtt_packet_name(type),
                 escape_id(client, id), ack->packet_id, ack->reason);
    }
}

void trace_sending_ack(const struct client *client, enum mqtt_packet_type type, uint16_t packet_id,
                       enum mqtt_reason reason)
{
    UNINITIALIZED char id[ID_CAP];

    if (!trace_is_on()) {
        return;
    }
    if (type == MQTT_PUBREL || type == MQTT_PUBCOMP) {
        log_line(LOG_DEBUG, "Sending %s to %s (m%u)", mqtt_packet_name(type), escape_id(client, id),
                 packet_id);
    } else {
        log_line(LOG_DEBUG, "Sending %s to %s (m%u, rc%u)", mqtt_packet_name(type),
                 escape_id(client, id), packet_id, reason);
    }
}

void trace_sending_connack(const struct client *client, bool session_present,
                           enum mqtt_reason reason)
{
    UNINITIALIZED char id[ID_CAP];

    if (trace_is_on()) {
        log_line(LOG_DEBUG, "Sending CONNACK to %s (%u, %u)", escape_id(client, id),
                 session_present, reason);
    }
}

void trace_will(const struct mqtt_connect *connect)
{
    UNINITIALIZED char topic[TOPIC_CAP];

    if (!trace_is_on()) {
        return;
    }
    if (!connect->has_will) {
        log_line(LOG_DEBUG, "No will message specified.");
        return;
    }
    log_line(LOG_DEBUG, "Will message specified (%zu bytes) (r%u, q%u).", connect->will.payload.len,
             connect->will.retain, connect->will.qos);
    text_escape(topic, sizeof(topic), connect->will.topic);
    log_line(LOG_DEBUG, "\t%s", topic);
}

void trace_filter(struct slice filter, int qos)
{
    UNINITIALIZED char text[TOPIC_CAP];

    if (!trace_is_on()) {
        return;
    }
    text_escape(text, sizeof(text), filter);
    if (qos >= 0) {
        log_line(LOG_DEBUG, "\t%s (QoS %d)", text, qos);
    } else {
        log_line(LOG_DEBUG, "\t%s", text);
    }
}
