#pragma once

/*
 * Simulated store
 *
 * Keeps what it was handed when chance says so, all of it up to a moment, in order; then ends the
 * waits that began before. One day it may die: what is not kept by then is lost, as in a crash, and
 * every wait fails from then on.
 *
 * It also checks what the store is for. A PUBACK or PUBREC must not be on the wire before every
 * record of its message is kept, nor may a record of it come later; a QoS 2 PUBLISH to a durable
 * session not before its delivery is kept.
 */

#include "core/store.h"
#include "sim/wire.h"

void sim_store_start(void);

/* Frees all. Every wait has been ended. */
void sim_store_end(void);

struct store sim_store(void);

/* Begins or finishes a commit. False: nobody waits for one. */
bool sim_store_step(void);

/* Nothing more is kept. */
void sim_store_die(void);
bool sim_store_is_dead(void);

/* The number of a message, and of the client with an id. */
uint32_t sim_store_message(const struct message *message);
unsigned sim_store_actor(struct slice client_id);

/* What the server reads and writes, in order. */
void sim_store_on_read(unsigned connection, const struct wire_packet *packet);
void sim_store_on_written(unsigned connection, const struct wire_packet *packet);
