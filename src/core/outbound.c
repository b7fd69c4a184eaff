#include "core/outbound.h"

#include "base/memory.h"
#include "core/share.h"

/*
 * A ring with holes: the packet id of a delivery is the running number of the oldest plus its
 * distance, so nothing has to be searched. Acknowledged deliveries behind an unacknowledged one
 * stay as holes until it goes.
 *
 * What was sent once has an identifier, what never was has none yet. Who leaves between the two,
 * dropped or sent with QoS 0, takes none along: its place becomes part of a gap, which the next one
 * that is sent moves over. So nothing that goes costs more, however much is in flight.
 */

#define FIRST_CAP 4
#define KEEP_CAP  32
#define ID_LEN    65535u

/* Acknowledgements come one behind the other: the message of the one so many behind is fetched. */
#define FETCH_AHEAD 4u

static struct delivery *row_at(struct outbound_ring *ring, uint32_t place)
{
    return &ring->rows[(ring->head + place) & (ring->cap - 1)];
}

static struct delivery *delivery_at(struct outbound_ring *ring, uint32_t index)
{
    return row_at(ring, index < ring->flown ? index : index + ring->gap);
}

static uint64_t payload_len(const struct delivery *delivery)
{
    return delivery->message ? delivery->message->payload_len : 0;
}

/* Packet identifier, and what comes before all else. */
#define PACKET_REST 4

static uint64_t packet_len(const struct delivery *delivery)
{
    return delivery->message ? payload_len(delivery) + delivery->message->topic_len + PACKET_REST
                             : 0;
}

void delivery_let_go(struct delivery *delivery)
{
    delivery->message = message_unref(delivery->message);
    if (delivery->share) {
        delivery->share = share_unref(delivery->share);
    }
}

void outbound_deinit(struct outbound *outbound)
{
    for (uint32_t i = 0; i < outbound_len(outbound); i++) {
        delivery_let_go(delivery_at(outbound->ring, i));
    }
    outbound->ring = memory_free(outbound->ring);
}

static int grow(struct outbound *outbound)
{
    struct outbound_ring *old = outbound->ring;
    uint32_t cap = old ? old->cap * 2 : FIRST_CAP;
    struct outbound_ring *ring = memory_alloc(sizeof(*ring) + cap * sizeof(ring->rows[0]));

    if (!ring) {
        return -ENOMEM;
    }
    *ring = old ? *old : (struct outbound_ring){0};
    for (uint32_t i = 0; i < ring->len; i++) {
        ring->rows[i] = *delivery_at(old, i);
    }
    ring->gap = 0;
    ring->cap = cap;
    ring->head = 0;
    memory_free(old);
    outbound->ring = ring;
    return 0;
}

/* What was sent once moves up: as a rule that is the shorter part, bounded by the window. */
static void close_gap(struct outbound_ring *ring)
{
    for (uint32_t i = ring->flown; i > 0; i--) {
        *row_at(ring, i - 1 + ring->gap) = *row_at(ring, i - 1);
    }
    ring->head = (ring->head + ring->gap) & (ring->cap - 1);
    ring->gap = 0;
}

static int make_room(struct outbound *outbound)
{
    struct outbound_ring *ring = outbound->ring;

    if (!ring || ring->len == ring->cap) {
        return grow(outbound);
    }
    if (ring->len + ring->gap == ring->cap) {
        close_gap(ring);
    }
    return 0;
}

int outbound_push(struct outbound *outbound, const struct delivery *delivery)
{
    int r = make_room(outbound);
    struct outbound_ring *ring = outbound->ring;

    if (r < 0) {
        return r;
    }
    *delivery_at(ring, ring->len) = *delivery;
    ring->len++;
    ring->queued_bytes += payload_len(delivery);
    ring->packet_bytes += packet_len(delivery);
    ring->plain += delivery->qos == 0;
    return 0;
}

void outbound_rewind(struct outbound *outbound)
{
    struct outbound_ring *ring = outbound->ring;

    if (ring) {
        ring->queued_bytes += ring->unacked_bytes;
        ring->unacked_bytes = 0;
        ring->span = 0;
        ring->unacked = 0;
    }
}

/* One more within the span: over the gap, if it was never sent. */
static void advance(struct outbound_ring *ring)
{
    if (ring->span == ring->flown) {
        if (ring->gap > 0) {
            *row_at(ring, ring->flown) = *row_at(ring, ring->flown + ring->gap);
        }
        ring->flown++;
    }
    ring->span++;
}

static uint16_t id_at(const struct outbound *outbound, uint32_t index)
{
    return (uint16_t)((outbound->number + index) % ID_LEN + 1);
}

struct delivery *outbound_next(struct outbound *outbound, uint32_t window, uint16_t *packet_id_out)
{
    struct outbound_ring *ring = outbound->ring;
    struct delivery *delivery;

    while (ring && ring->span < ring->len) {
        delivery = delivery_at(ring, ring->span);
        if (delivery->state != DELIVERY_DONE) {
            if ((window && ring->unacked >= window) || ring->span >= OUTBOUND_SPAN_MAX) {
                return NULL;
            }
            *packet_id_out = id_at(outbound, ring->span);
            return delivery;
        }
        advance(ring);
    }
    return NULL;
}

/* Takes finished deliveries off the front. */
static void pop_done(struct outbound *outbound)
{
    struct outbound_ring *ring = outbound->ring;

    while (ring->span > 0 && row_at(ring, 0)->state == DELIVERY_DONE) {
        ring->head = (ring->head + 1) & (ring->cap - 1);
        ring->len--;
        ring->span--;
        ring->flown--;
        outbound->number = (outbound->number + 1) % ID_LEN;
    }
    if (ring->len == 0 && ring->cap > KEEP_CAP) {
        assert(ring->counted == 0);
        outbound->ring = memory_free(ring);
    }
}

void outbound_sent(struct outbound *outbound)
{
    struct outbound_ring *ring = outbound->ring;
    struct delivery *delivery = delivery_at(ring, ring->span);

    assert(ring->span < ring->len && delivery->state != DELIVERY_DONE);
    if (delivery->state == DELIVERY_QUEUED) {
        delivery->state = DELIVERY_SENT;
    }
    ring->queued_bytes -= payload_len(delivery);
    ring->unacked_bytes += payload_len(delivery);
    ring->unacked++;
    advance(ring);
}

/* A delivery that waits does so no more. */
static void let_go(struct outbound_ring *ring, struct delivery *delivery)
{
    ring->queued_bytes -= payload_len(delivery);
    ring->packet_bytes -= packet_len(delivery);
    ring->plain -= delivery->qos == 0;
    delivery_let_go(delivery);
    delivery->state = DELIVERY_DONE;
}

/* The first that was never sent goes into the gap. */
static void leave_out(struct outbound_ring *ring)
{
    let_go(ring, delivery_at(ring, ring->flown));
    ring->gap++;
    ring->len--;
}

void outbound_skip(struct outbound *outbound)
{
    struct outbound_ring *ring = outbound->ring;
    struct delivery *delivery = delivery_at(ring, ring->span);

    assert(ring->span < ring->len && delivery->state != DELIVERY_DONE);
    if (delivery->qos == 0) {
        assert(ring->span == ring->flown);
        leave_out(ring);
    } else {
        let_go(ring, delivery);
        advance(ring);
    }
    pop_done(outbound);
}

bool outbound_drop_oldest(struct outbound *outbound, uint16_t *packet_id_out)
{
    struct outbound_ring *ring = outbound->ring;

    if (!ring || ring->flown == ring->len) {
        return false;
    }
    *packet_id_out = delivery_at(ring, ring->flown)->qos > 0 ? id_at(outbound, ring->flown) : 0;
    leave_out(ring);
    return true;
}

struct delivery *outbound_find(struct outbound *outbound, uint16_t packet_id)
{
    struct outbound_ring *ring = outbound->ring;
    uint32_t distance = (packet_id + 2 * ID_LEN - 1 - outbound->number) % ID_LEN;
    struct delivery *delivery;

    if (packet_id == 0 || !ring || distance >= ring->span) {
        return NULL;
    }
    if (distance + FETCH_AHEAD < ring->span) {
        /* What is sent to many in turn lies scattered: 4 % of a message to a group. */
        PREFETCH(row_at(ring, distance + FETCH_AHEAD)->message);
    }
    delivery = row_at(ring, distance);
    return delivery->state == DELIVERY_DONE ? NULL : delivery;
}

void outbound_release(struct outbound *outbound, struct delivery *delivery)
{
    assert(delivery->qos == 2 && delivery->state != DELIVERY_DONE);
    outbound->ring->unacked_bytes -= payload_len(delivery);
    outbound->ring->packet_bytes -= packet_len(delivery);
    delivery_let_go(delivery);
    delivery->state = DELIVERY_RELEASED;
}

void outbound_finish(struct outbound *outbound, struct delivery *delivery)
{
    struct outbound_ring *ring = outbound->ring;

    assert(delivery->state != DELIVERY_DONE && ring->unacked > 0);
    ring->unacked_bytes -= payload_len(delivery);
    ring->packet_bytes -= packet_len(delivery);
    delivery_let_go(delivery);
    delivery->state = DELIVERY_DONE;
    ring->unacked--;
    pop_done(outbound);
}

void outbound_each(const struct outbound *outbound, outbound_look_fn look, void *context)
{
    for (uint32_t i = 0; i < outbound_len(outbound); i++) {
        const struct delivery *delivery = delivery_at(outbound->ring, i);

        if (delivery->state != DELIVERY_DONE) {
            look(context, delivery);
        }
    }
}

bool outbound_pop(struct outbound *outbound, struct delivery *delivery_out)
{
    struct outbound_ring *ring = outbound->ring;

    if (!ring || ring->len == 0) {
        return false;
    }
    *delivery_out = *delivery_at(ring, 0);
    ring->head = (ring->head + 1) & (ring->cap - 1);
    ring->len--;
    ring->flown -= ring->flown > 0;
    return true;
}

/* Nothing that was never sent has a packet identifier yet: those behind may move up. */
void outbound_withdraw(struct outbound *outbound, const struct share *share,
                       outbound_visit_fn visit, void *context)
{
    struct outbound_ring *ring = outbound->ring;
    uint32_t kept = ring ? ring->flown : 0;

    for (uint32_t i = kept; i < outbound_len(outbound); i++) {
        struct delivery *delivery = delivery_at(ring, i);

        if (delivery->share == share) {
            ring->queued_bytes -= payload_len(delivery);
            ring->packet_bytes -= packet_len(delivery);
            ring->plain -= delivery->qos == 0;
            visit(context, delivery);
        } else {
            *delivery_at(ring, kept++) = *delivery;
        }
    }
    if (ring) {
        ring->len = kept;
    }
}
