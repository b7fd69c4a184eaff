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
    return &outbound->ring[(outbound->head + index) & (outbound->cap - 1)];
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
    struct delivery *ring = memory_alloc(cap * sizeof(*ring));

    if (!ring) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < outbound->len; i++) {
        ring[i] = *delivery_at(outbound, i);
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
    return 0;
}

void outbound_rewind(struct outbound *outbound)
{
    outbound->span = 0;
    outbound->unacked = 0;
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
        outbound->span++;
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
    outbound->span++;
    outbound->unacked++;
}

void outbound_skip(struct outbound *outbound)
{
    struct delivery *delivery = delivery_at(outbound, outbound->span);

    assert(outbound->span < outbound->len && delivery->state != DELIVERY_DONE);
    delivery_let_go(delivery);
    delivery->state = DELIVERY_DONE;
    outbound->span++;
    pop_done(outbound);
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

void outbound_release(struct delivery *delivery)
{
    assert(delivery->qos == 2 && delivery->state != DELIVERY_DONE);
    delivery_let_go(delivery);
    delivery->state = DELIVERY_RELEASED;
}

void outbound_finish(struct outbound *outbound, struct delivery *delivery)
{
    assert(delivery->state != DELIVERY_DONE && outbound->unacked > 0);
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
    outbound->span -= outbound->span > 0;
    return true;
}

/* Nothing that was never sent has a packet identifier yet: those behind may move up. */
void outbound_withdraw(struct outbound *outbound, const struct share *share,
                       outbound_visit_fn visit, void *context)
{
    uint32_t kept = outbound->span;

    for (uint32_t i = kept; i < outbound->len; i++) {
        struct delivery *delivery = delivery_at(outbound, i);

        if (delivery->state == DELIVERY_QUEUED && delivery->share == share) {
            visit(context, delivery);
        } else {
            *delivery_at(outbound, kept++) = *delivery;
        }
    }
    outbound->len = kept;
}
