#pragma once

/*
 * Acknowledgements
 *
 * What is promised to a client with PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK and CONNACK
 * leaves when it is kept, in the order of the packets that it answers.
 */

#include "base/slice.h"
#include "core/ticket.h"
#include "mqtt/packets.h"
#include "mqtt/reasons.h"

struct ack;
struct client;

/* The ticket that its promise is counted by; of none, none. */
struct ticket *ack_ticket(struct ack *ack);

/*
 * An acknowledgement, of a message with so much payload, takes its place before the work that it
 * promises is done; `ack_out` is NULL where nothing is kept. -ENOMEM: the client can't be answered.
 * One of client_end_ack() and client_cancel_ack() must follow.
 */
int client_begin_ack(struct client *client, enum mqtt_packet_type type, uint16_t packet_id,
                     size_t size, struct ack **ack_out) MUST_CHECK;

/* The work is done, or handed on to those who raised the ticket. */
void client_end_ack(struct client *client, struct ack *ack, enum mqtt_packet_type type,
                    uint16_t packet_id, enum mqtt_reason reason);

/* It will not be sent: the client has failed. */
void client_cancel_ack(struct client *client, struct ack *ack);

/*
 * Whether a PUBREC of this session waits already: a repeat of its PUBLISH is answered by that, on
 * whatever connection of the session it comes.
 */
bool client_has_ack(struct client *client, uint16_t packet_id);

/* Answers when all that this worker has put before is kept. */
void client_acknowledge(struct client *client, enum mqtt_packet_type type, uint16_t packet_id,
                        enum mqtt_reason reason);
void client_acknowledge_codes(struct client *client, enum mqtt_packet_type type, uint16_t packet_id,
                              struct slice codes);

/* After its packets were handled: a client for which too much waits for the store is not read until
 * less does. */
void client_pause_if_unkept(struct client *client);

/* The client goes: nobody is to be told any more. */
void client_drop_acks(struct client *client);
