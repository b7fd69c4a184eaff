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

static struct delivery *row_at(const struct outbound *outbound, uint32_t place)
{
    return &outbound->ring->rows[(outbound->head + place) & (outbound->cap - 1)];
}

static struct delivery *delivery_at(const struct outbound *outbound, uint32_t index)
{
    const struct outbound_ring *ring = outbound->ring;

    assert(ring);
    return row_at(outbound, index < ring->flown ? index : index + ring->gap);
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
    for (uint32_t i = 0; i < outbound->len; i++) {
        delivery_let_go(delivery_at(outbound, i));
    }
    outbound->ring = memory_free(outbound->ring);
    outbound->cap = 0;
    outbound->len = 0;
    outbound->span = 0;
    outbound->unacked = 0;
}

static int grow(struct outbound *outbound)
{
    uint32_t cap = outbound->cap ? outbound->cap * 2 : FIRST_CAP;
    struct outbound_ring *ring = memory_alloc(sizeof(*ring) + cap * sizeof(ring->rows[0]));

    if (!ring) {
        return -ENOMEM;
    }
    *ring = outbound->ring ? *outbound->ring : (struct outbound_ring){0};
    for (uint32_t i = 0; i < outbound->len; i++) {
        ring->rows[i] = *delivery_at(outbound, i);
    }
    ring->gap = 0;
    memory_free(outbound->ring);
    outbound->ring = ring;
    outbound->cap = cap;
    outbound->head = 0;
    return 0;
}

/* What was sent once moves up: as a rule that is the shorter part, bounded by the window. */
static void close_gap(struct outbound *outbound)
{
    struct outbound_ring *ring = outbound->ring;

    for (uint32_t i = ring->flown; i > 0; i--) {
        *row_at(outbound, i - 1 + ring->gap) = *row_at(outbound, i - 1);
    }
    outbound->head = (outbound->head + ring->gap) & (outbound->cap - 1);
    ring->gap = 0;
}

static int make_room(struct outbound *outbound)
{
    if (outbound->len == outbound->cap) {
        return grow(outbound);
    }
    if (outbound->len + outbound->ring->gap == outbound->cap) {
        close_gap(outbound);
    }
    return 0;
}

int outbound_push(struct outbound *outbound, const struct delivery *delivery)
{
    int r = make_room(outbound);

    if (r < 0) {
        return r;
    }
    *delivery_at(outbound, outbound->len) = *delivery;
    outbound->len++;
    outbound->ring->queued_bytes += payload_len(delivery);
    outbound->ring->packet_bytes += packet_len(delivery);
    outbound->ring->plain += delivery->qos == 0;
    return 0;
}

void outbound_rewind(struct outbound *outbound)
{
    if (outbound->ring) {
        outbound->ring->queued_bytes += outbound->ring->unacked_bytes;
        outbound->ring->unacked_bytes = 0;
    }
    outbound->span = 0;
    outbound->unacked = 0;
}

/* One more within the span: over the gap, if it was never sent. */
static void advance(struct outbound *outbound)
{
    struct outbound_ring *ring = outbound->ring;

    if (outbound->span == ring->flown) {
        if (ring->gap > 0) {
            *row_at(outbound, ring->flown) = *row_at(outbound, ring->flown + ring->gap);
        }
        ring->flown++;
    }
    outbound->span++;
}

static uint16_t id_at(const struct outbound *outbound, uint32_t index)
{
    return (uint16_t)((outbound->number + index) % ID_LEN + 1);
}

struct delivery *outbound_next(struct outbound *outbound, uint32_t window, uint16_t *packet_id_out)
{
    struct delivery *delivery;

    while (outbound->span < outbound->len) {
        delivery = delivery_at(outbound, outbound->span);
        if (delivery->state != DELIVERY_DONE) {
            if ((window && outbound->unacked >= window) || outbound->span >= OUTBOUND_SPAN_MAX) {
                return NULL;
            }
            *packet_id_out = id_at(outbound, outbound->span);
            return delivery;
        }
        advance(outbound);
    }
    return NULL;
}

/* Takes finished deliveries off the front. */
static void pop_done(struct outbound *outbound)
{
    while (outbound->span > 0 && delivery_at(outbound, 0)->state == DELIVERY_DONE) {
        outbound->head = (outbound->head + 1) & (outbound->cap - 1);
        outbound->len--;
        outbound->span--;
        outbound->ring->flown--;
        outbound->number = (outbound->number + 1) % ID_LEN;
    }
    if (outbound->len == 0 && outbound->cap > KEEP_CAP) {
        outbound->ring = memory_free(outbound->ring);
        outbound->cap = 0;
        outbound->head = 0;
    }
}

void outbound_sent(struct outbound *outbound)
{
    struct delivery *delivery = delivery_at(outbound, outbound->span);

    assert(outbound->span < outbound->len && delivery->state != DELIVERY_DONE);
    if (delivery->state == DELIVERY_QUEUED) {
        delivery->state = DELIVERY_SENT;
    }
    outbound->ring->queued_bytes -= payload_len(delivery);
    outbound->ring->unacked_bytes += payload_len(delivery);
    outbound->unacked++;
    advance(outbound);
}

/* A delivery that waits does so no more. */
static void let_go(struct outbound *outbound, struct delivery *delivery)
{
    outbound->ring->queued_bytes -= payload_len(delivery);
    outbound->ring->packet_bytes -= packet_len(delivery);
    outbound->ring->plain -= delivery->qos == 0;
    delivery_let_go(delivery);
    delivery->state = DELIVERY_DONE;
}

/* The first that was never sent goes into the gap. */
static void leave_out(struct outbound *outbound)
{
    struct outbound_ring *ring = outbound->ring;

    let_go(outbound, delivery_at(outbound, ring->flown));
    ring->gap++;
    outbound->len--;
}

void outbound_skip(struct outbound *outbound)
{
    struct delivery *delivery = delivery_at(outbound, outbound->span);

    assert(outbound->span < outbound->len && delivery->state != DELIVERY_DONE);
    if (delivery->qos == 0) {
        assert(outbound->span == outbound->ring->flown);
        leave_out(outbound);
    } else {
        let_go(outbound, delivery);
        advance(outbound);
    }
    pop_done(outbound);
}

bool outbound_drop_oldest(struct outbound *outbound, uint16_t *packet_id_out)
{
    const struct outbound_ring *ring = outbound->ring;

    if (!ring || ring->flown == outbound->len) {
        return false;
    }
    *packet_id_out = delivery_at(outbound, ring->flown)->qos > 0 ? id_at(outbound, ring->flown) : 0;
    leave_out(outbound);
    return true;
}

struct delivery *outbound_find(struct outbound *outbound, uint16_t packet_id)
{
    uint32_t distance = (packet_id + 2 * ID_LEN - 1 - outbound->number) % ID_LEN;
    struct delivery *delivery;

    if (packet_id == 0 || distance >= outbound->span) {
        return NULL;
    }
    delivery = delivery_at(outbound, distance);
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
    assert(delivery->state != DELIVERY_DONE && outbound->unacked > 0);
    outbound->ring->unacked_bytes -= payload_len(delivery);
    outbound->ring->packet_bytes -= packet_len(delivery);
    delivery_let_go(delivery);
    delivery->state = DELIVERY_DONE;
    outbound->unacked--;
    pop_done(outbound);
}

void outbound_each(const struct outbound *outbound, outbound_look_fn look, void *context)
{
    for (uint32_t i = 0; i < outbound->len; i++) {
        const struct delivery *delivery = delivery_at(outbound, i);

        if (delivery->state != DELIVERY_DONE) {
            look(context, delivery);
        }
    }
}

bool outbound_pop(struct outbound *outbound, struct delivery *delivery_out)
{
    if (outbound->len == 0) {
        return false;
    }
    *delivery_out = *delivery_at(outbound, 0);
    outbound->head = (outbound->head + 1) & (outbound->cap - 1);
    outbound->len--;
    outbound->ring->flown -= outbound->ring->flown > 0;
    return true;
}

/* Nothing that was never sent has a packet identifier yet: those behind may move up. */
void outbound_withdraw(struct outbound *outbound, const struct share *share,
                       outbound_visit_fn visit, void *context)
{
    uint32_t kept = outbound->ring ? outbound->ring->flown : outbound->len;

    for (uint32_t i = kept; i < outbound->len; i++) {
        struct delivery *delivery = delivery_at(outbound, i);

        if (delivery->share == share) {
            outbound->ring->queued_bytes -= payload_len(delivery);
            outbound->ring->packet_bytes -= packet_len(delivery);
            outbound->ring->plain -= delivery->qos == 0;
            visit(context, delivery);
        } else {
            *delivery_at(outbound, kept++) = *delivery;
        }
    }
    outbound->len = kept;
}
