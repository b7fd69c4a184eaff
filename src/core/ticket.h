#pragma once

/*
 * Ticket
 *
 * Counts the workers that a message is still to be handed to the store by. The publishing worker
 * holds one count; whoever posts the message or leaves a fan-out for later raises it first. With
 * the last count the wait for the store begins, and its end is what the acknowledgement waits for.
 */

#include "core/store.h"

/* Embedded in what waits. Owner: the publishing worker, but for the count. */
struct ticket {
    struct store_wait wait;  /* first member */
    struct message *message; /* borrowed: whoever holds a count holds a reference, too */
    _Atomic uint32_t count;
    bool is_from_durable; /* the publisher's session is */
};

/* The caller holds the first count. Without a store there are no tickets. */
void ticket_init(struct ticket *ticket, struct shard *shard, void (*done)(struct store_wait *wait));

/* By somebody who holds a count. */
static inline void ticket_raise(struct ticket *ticket, uint32_t count)
{
    if (ticket) {
        atomic_fetch_add_explicit(&ticket->count, count, memory_order_relaxed);
    }
}

/* What this holder put is in the store's hands. Any worker. NULL is none. */
void ticket_release(struct shard *shard, struct ticket *ticket);
