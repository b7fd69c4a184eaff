#include "core/outbound.h"

#include "base/memory.h"
#include "core/share.h"

/*
 * A ring with holes: the packet id of a delivery is the running number of the oldest plus its
 * distance, so nothing has to be searched. Acknowledged deliveries behind an unacknowledged one
 * stay as holes until it goes.
 */

#define FIRST_CAP 4
#define KEEP_CAP  32
#define ID_LEN    65535u

static struct delivery *delivery_at(const struct outbound *outbound, uint32_t index)
{
    return &outbound->ring->rows[(outbound->head + index) & (outbound->cap - 1)];
}

static uint64_t payload_len(const struct delivery *delivery)
{
    return delivery->message ? delivery->message->payload_len : 0;
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
    memory_free(outbound->ring);
    outbound->ring = ring;
    outbound->cap = cap;
    outbound->head = 0;
    return 0;
}

int outbound_push(struct outbound *outbound, const struct delivery *delivery)
{
    if (outbound->len == outbound->cap) {
        int r = grow(outbound);

        if (r < 0) {
            return r;
        }
    }
    *delivery_at(outbound, outbound->len) = *delivery;
    outbound->len++;
    outbound->ring->queued_bytes += payload_len(delivery);
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

/* One more within the span. */
static void advance(struct outbound *outbound)
{
    outbound->span++;
    outbound->ring->flown = MAX(outbound->ring->flown, outbound->span);
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
            *packet_id_out = (uint16_t)((outbound->number + outbound->span) % ID_LEN + 1);
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
    outbound->ring->plain -= delivery->qos == 0;
    delivery_let_go(delivery);
    delivery->state = DELIVERY_DONE;
}

void outbound_skip(struct outbound *outbound)
{
    struct delivery *delivery = delivery_at(outbound, outbound->span);

    assert(outbound->span < outbound->len && delivery->state != DELIVERY_DONE);
    let_go(outbound, delivery);
    advance(outbound);
    pop_done(outbound);
}

/*
 * Those before it move up by one and keep their identifiers, since the oldest keeps its number;
 * those behind it have none yet.
 */
bool outbound_drop_oldest(struct outbound *outbound)
{
    uint32_t at = outbound->ring ? outbound->ring->flown : 0;

    if (at == outbound->len) {
        return false;
    }
    let_go(outbound, delivery_at(outbound, at));
    for (; at > 0; at--) {
        *delivery_at(outbound, at) = *delivery_at(outbound, at - 1);
    }
    outbound->head = (outbound->head + 1) & (outbound->cap - 1);
    outbound->len--;
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
    delivery_let_go(delivery);
    delivery->state = DELIVERY_RELEASED;
}

void outbound_finish(struct outbound *outbound, struct delivery *delivery)
{
    assert(delivery->state != DELIVERY_DONE && outbound->unacked > 0);
    outbound->ring->unacked_bytes -= payload_len(delivery);
    delivery_let_go(delivery);
    delivery->state = DELIVERY_DONE;
    outbound->unacked--;
    pop_done(outbound);
}

bool outbound_has_shared(const struct outbound *outbound)
{
    for (uint32_t i = 0; i < outbound->len; i++) {
        if (delivery_at(outbound, i)->share) {
            return true;
        }
    }
    return false;
}

bool outbound_pop(struct outbound *outbound, struct delivery *delivery_out)
{
    if (outbound->len == 0) {
        return false;
    }
    *delivery_out = *delivery_at(outbound, 0);
    outbound->head = (outbound->head + 1) & (outbound->cap - 1);
    outbound->len--;
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
            outbound->ring->plain -= delivery->qos == 0;
            visit(context, delivery);
        } else {
            *delivery_at(outbound, kept++) = *delivery;
        }
    }
    outbound->len = kept;
}
