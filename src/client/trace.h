#pragma once

/*
 * Trace
 *
 * The debug lines that tell of every packet, in Mosquitto's words. Nothing is put together while
 * log_type debug is off.
 */

#include "base/log.h"
#include "client/client.h"

/* Whether packets are told at all: ask before anything is worked out for a line. */
static inline bool trace_is_on(void)
{
    return log_is_on(LOG_DEBUG);
}

/* "Received PINGREQ from ID" and "Sending SUBACK to ID". */
void trace_received(const struct client *client, enum mqtt_packet_type type);
void trace_sending(const struct client *client, enum mqtt_packet_type type);

void trace_received_publish(const struct client *client, const struct mqtt_publish *publish);
void trace_sending_publish(const struct client *client, const struct message_parts *parts,
                           const struct delivery_head *head);

void trace_received_ack(const struct client *client, enum mqtt_packet_type type,
                        const struct mqtt_ack *ack);
void trace_sending_ack(const struct client *client, enum mqtt_packet_type type, uint16_t packet_id,
                       enum mqtt_reason reason);

void trace_sending_connack(const struct client *client, bool session_present,
                           enum mqtt_reason reason);
void trace_will(const struct mqtt_connect *connect);

/* One filter of a SUBSCRIBE, or with a negative QoS of an UNSUBSCRIBE. */
void trace_filter(struct slice filter, int qos);
