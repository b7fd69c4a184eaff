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

/* What a record says. All of one session, but for a retained value. */
enum store_kind {
    STORE_CONNECTED = 1, /* the session is durable, with this expiry */
    STORE_ENDED,         /* there is no such session any more */
    STORE_SUBSCRIBED,
    STORE_UNSUBSCRIBED,
    STORE_DELIVERY,    /* the message is queued */
    STORE_DELIVERED,   /* PUBACK, PUBCOMP or a refusal came: the delivery is over */
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
    struct message *message;
    uint32_t expiry_interval;
    uint16_t packet_id;
    uint8_t options; /* of the subscription */
    bool is_shared;  /* of a delivery: a group's, perhaps handed on by another member */
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
