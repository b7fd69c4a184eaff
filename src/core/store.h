#pragma once

/*
 * Store
 *
 * How core keeps what must outlive the process. An adapter implements it; the memory form has no
 * functions at all, since a promise about nothing that is kept is kept at once, and costs one look
 * at a pointer. Handing over never fails and never waits: what can't be kept shows as the answer to
 * the next wait.
 *
 * Order: what one worker puts is kept in that order. A wait is over when everything is kept that
 * any worker had put before it began.
 */

#include "base/mpsc.h"
#include "base/slice.h"

struct message;
struct shard;

/*
 * What a record says. All of one session, but for a retained value and what nobody of a group took.
 *
 * Deliveries of a session stand in a queue. Those above QoS 0 have the packet ids from 1 on, in
 * order, and keep the place of their id when they are over; one that is dropped or handed on before
 * it was sent gives its id up to the next.
 */
enum store_kind {
    STORE_CONNECTED = 1, /* the session is durable, with this expiry */
    STORE_ENDED,         /* there is no such session any more */
    STORE_SUBSCRIBED,
    STORE_UNSUBSCRIBED,
    STORE_DELIVERY,    /* the message is queued: a turn of its group, if there is one */
    STORE_DELIVERED,   /* PUBACK, PUBCOMP or a refusal came, or it expired: the delivery is over */
    STORE_DROPPED,     /* the one with this packet id was never sent; 0: the oldest of QoS 0 */
    STORE_HANDED_ON,   /* the session has left: its delivery of this message is its group's */
    STORE_UNSHARED,    /* nobody took what was handed on: it is over */
    STORE_PUBREC_CAME, /* of the delivery */
    STORE_RECEIVED,    /* the publisher's packet id of a QoS 2 message */
    STORE_RELEASED,    /* PUBREL came for it */
    STORE_RETAINED     /* the message is its topic's value; an empty payload clears it */
};

/* Borrowed for the call. */
struct store_record {
    enum store_kind kind;
    struct slice client_id;
    struct slice filter;
    struct slice group; /* of a delivery, and of what is handed on: its name; empty: none */
    struct message *message;
    uint32_t expiry_interval;
    uint16_t packet_id;
    uint8_t options;   /* of the subscription */
    uint8_t qos;       /* of the delivery */
    bool is_handed_on; /* of a delivery: it is the group's no more */
};

/* Owner: its worker; the store's from await() until done() is called, on that worker. */
struct store_wait {
    struct mpsc_node node;
    struct shard *shard;
    void (*done)(struct store_wait *wait);
    bool is_kept; /* false: the store has failed */
};

struct store_ops {
    void (*put)(void *context, struct shard *shard, const struct store_record *record);

    /* Any worker may ask, for a wait of any other: store_end_wait() when all before is kept. */
    void (*await)(void *context, struct store_wait *wait);
};

struct store {
    const struct store_ops *ops; /* NULL: nothing is kept */
    void *context;
};

/* Any thread, for a store: hands the wait back to its worker and wakes that. */
void store_end_wait(struct store_wait *wait, bool is_kept);

/* Whether anything is kept: else there is nothing to hand over, and nothing to wait for. */
static inline bool store_keeps(const struct store *store)
{
    return __builtin_expect(store->ops != NULL, 0);
}

static inline void store_put(const struct store *store, struct shard *shard,
                             const struct store_record *record)
{
    store->ops->put(store->context, shard, record);
}

/* Begins a wait. It counts as work of its worker until it is over. */
void store_await(struct shard *shard, struct store_wait *wait,
                 void (*done)(struct store_wait *wait));

/* Calls those of this worker that are over. */
void store_collect(struct shard *shard);
