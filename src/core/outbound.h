#pragma once

/*
 * Outbound
 *
 * The deliveries of one session, in sending order: first those in flight, then those that wait for
 * the window or for the client. Packet identifiers follow from the place in the queue: they start
 * at 1 and go up by one for each message sent. Deliveries of QoS 0 wait here only for a client that
 * is away, and have none. Belongs to its session.
 */

#include "core/message.h"

struct share;

enum delivery_state {
    DELIVERY_QUEUED,   /* never sent */
    DELIVERY_SENT,     /* waits for PUBACK or PUBREC */
    DELIVERY_RELEASED, /* QoS 2: PUBREC came, waits for PUBCOMP */
    DELIVERY_DONE      /* acknowledged; leaves when all before it have */
};

struct delivery {
    struct message *message; /* NULL once released or done */
    struct share *share;     /* counted: the group whose turn it is; NULL once that is over */
    uint32_t identifier;     /* subscription identifier, 0 = none */
    uint8_t qos;
    uint8_t state; /* enum delivery_state */
    bool retain;
    uint8_t hold; /* which of the session's waits for the store it may not leave before; 0: none */
};

/*
 * The deliveries that may be in the air and acknowledged out of order behind one that is not. A
 * peer that leaves one message for ever gets this many more, and then waits.
 */
#define OUTBOUND_SPAN_MAX 16384

/* Sums of bytes are of payload if nothing else is said. */
struct outbound_ring {
    uint64_t queued_bytes;  /* of those behind the span */
    uint64_t unacked_bytes; /* of those within it */
    uint64_t packet_bytes;  /* of all, with the topic and 4 for what else a packet has */
    uint64_t counted_bytes; /* as in METRIC_AWAY_BYTES: by the session, while its client is away */
    uint32_t counted;       /* as in METRIC_AWAY_PACKETS */
    uint32_t cap;           /* a power of two */
    uint32_t head;          /* place of the oldest */
    uint32_t len;           /* deliveries in the ring */
    uint32_t span;          /* the first `span` of them were sent on this connection, or are done */
    uint32_t unacked;       /* of those, how many count against the window */
    uint32_t flown;         /* the first so many were sent once, perhaps on an earlier connection */
    uint32_t gap;           /* free places behind these */
    uint32_t plain;         /* of QoS 0 */
    struct delivery rows[];
};

/* Private to core/outbound.c; embedded by sessions. Most have never been sent anything above QoS 0,
 * and own nothing but a pointer here. */
struct outbound {
    struct outbound_ring *ring; /* NULL: no delivery */
    uint32_t number; /* running number of the oldest: the packet id is this % 65,535 + 1 */
};

void outbound_deinit(struct outbound *outbound);

/* Takes the references of the delivery. -ENOMEM: it did not. */
int outbound_push(struct outbound *outbound, const struct delivery *delivery) MUST_CHECK;

static inline uint32_t outbound_len(const struct outbound *outbound)
{
    return outbound->ring ? outbound->ring->len : 0;
}

/* Deliveries that wait behind the window. */
static inline uint32_t outbound_queued(const struct outbound *outbound)
{
    return outbound->ring ? outbound->ring->len - outbound->ring->span : 0;
}

/* Those that count against it. */
static inline uint32_t outbound_unacked(const struct outbound *outbound)
{
    return outbound->ring ? outbound->ring->unacked : 0;
}

/* The payload of those that wait, and of those in flight. */
static inline uint64_t outbound_queued_bytes(const struct outbound *outbound)
{
    return outbound->ring ? outbound->ring->queued_bytes : 0;
}

static inline uint64_t outbound_unacked_bytes(const struct outbound *outbound)
{
    return outbound->ring ? outbound->ring->unacked_bytes : 0;
}

/* All that are not over, in flight or not, and what they would be as packets, about. */
static inline uint32_t outbound_waiting(const struct outbound *outbound)
{
    const struct outbound_ring *ring = outbound->ring;

    return ring ? ring->len - (ring->span - ring->unacked) : 0;
}

static inline uint64_t outbound_waiting_bytes(const struct outbound *outbound)
{
    return outbound->ring ? outbound->ring->packet_bytes : 0;
}

/* Whether deliveries of QoS 0 wait, which later ones must not overtake. */
static inline bool outbound_has_plain(const struct outbound *outbound)
{
    return outbound->ring && outbound->ring->plain > 0;
}

/* A new connection of the session: everything not acknowledged is to be sent again. */
void outbound_rewind(struct outbound *outbound);

/*
 * The next delivery to send under this window (0 = no bound) with its packet id; NULL when there is
 * none. Then exactly one of outbound_sent() and outbound_skip() must follow.
 */
struct delivery *outbound_next(struct outbound *outbound, uint32_t window, uint16_t *packet_id_out);

/* It is on its way and counts against the window. */
void outbound_sent(struct outbound *outbound);

/*
 * It needs no place in the window: expired, too large, or sent with QoS 0. Its message is released.
 * Above QoS 0 its identifier is used up.
 */
void outbound_skip(struct outbound *outbound);

/*
 * Drops the oldest delivery that was never sent. False: all have been. `*packet_id_out` is the
 * identifier that it would have been sent with; 0: none.
 */
bool outbound_drop_oldest(struct outbound *outbound, uint16_t *packet_id_out) MUST_CHECK;

/* The delivery in flight with this identifier; NULL when there is none. */
struct delivery *outbound_find(struct outbound *outbound, uint16_t packet_id);

/* Lets go of what a delivery holds. */
void delivery_let_go(struct delivery *delivery);

/* Looks at all that are not over, in order. */
typedef void (*outbound_look_fn)(void *context, const struct delivery *delivery);
void outbound_each(const struct outbound *outbound, outbound_look_fn look, void *context);

/* Takes the oldest out, whatever its state, with what it holds. False: there is none. The session
 * is over: packet identifiers mean nothing any more. */
bool outbound_pop(struct outbound *outbound, struct delivery *delivery_out);

/* Takes out what was never sent of a group, in order: each is `visit`'s then. */
typedef void (*outbound_visit_fn)(void *context, struct delivery *delivery);
void outbound_withdraw(struct outbound *outbound, const struct share *share,
                       outbound_visit_fn visit, void *context);

/* PUBREC: the message is not needed any more, the identifier is. */
void outbound_release(struct outbound *outbound, struct delivery *delivery);

/* PUBACK, PUBCOMP, or a PUBREC that says no: the delivery is over. */
void outbound_finish(struct outbound *outbound, struct delivery *delivery);
