#include "core/keep.h"
#include "core/session.h"
#include "core/shard.h"

/*
 * What waits for a client goes out as its window allows. A long queue that finds the window open,
 * or is of QoS 0, goes in slices: the session stands in the shard's list until it is through. What
 * comes meanwhile goes behind it, as behind any queue. Acknowledgements make room for more.
 */

/* `known` is a publication that the message may be of; NULL: none. To take it apart again is 4 % of
 * a fan-out with QoS 1. */
static enum peer_verdict send_delivery(struct shard *shard, struct session *session,
                                       const struct delivery *delivery, uint16_t packet_id,
                                       struct publication *known)
{
    UNINITIALIZED struct publication taken_apart;
    struct delivery_head head = {
        .identifier = delivery->identifier,
        .packet_id = packet_id,
        .qos = delivery->qos,
        .retain = delivery->retain,
        .dup = delivery->state == DELIVERY_SENT,
    };

    if (!known || known->message != delivery->message) {
        publication_of(&taken_apart, delivery->message, 0);
        known = &taken_apart;
    }
    if (!session_may(shard, session, &known->parts, PEER_READ, &known->groups)) {
        return PEER_DENIED;
    }
    return shard->peer->publish(session->client, known, &head);
}

bool session_is_window_full(const struct shard *shard, const struct session *session)
{
    uint64_t max = shard->limits.max_inflight_bytes;

    return max && outbound_unacked_bytes(&session->outbound) >= max;
}

/* True: it counts against the window from now on. */
static bool pump_one(struct shard *shard, struct session *session, const struct delivery *delivery,
                     uint16_t packet_id, struct publication *known)
{
    if (delivery->state == DELIVERY_RELEASED) {
        shard->peer->pubrel(session->client, packet_id);
        return true;
    }
    if (delivery->state == DELIVERY_QUEUED &&
        message_is_expired(delivery->message, shard_now(shard))) {
        metrics_count(shard->metrics, METRIC_DROPPED_EXPIRED);
        return false;
    }
    switch (send_delivery(shard, session, delivery, delivery->qos > 0 ? packet_id : 0, known)) {
    case PEER_SENT: break;
    case PEER_BUSY: metrics_count(shard->metrics, METRIC_DROPPED_BUSY); break;
    case PEER_TOO_LARGE: metrics_count(shard->metrics, METRIC_DROPPED_TOO_LARGE); return false;
    case PEER_OUTSIDE: metrics_count(shard->metrics, METRIC_DROPPED_OUTSIDE); return false;
    case PEER_DENIED: metrics_count(shard->metrics, METRIC_DROPPED_DENIED); return false;
    }
    return delivery->qos > 0;
}

/* False: there is nothing left to pay with, and the session goes on later. */
static bool pay_for_next(struct shard *shard, struct session *session)
{
    if (shard->budget > 0) {
        shard->budget--;
        return true;
    }
    if (!list_is_linked(&session->in_shard)) {
        list_push(&shard->sending, &session->in_shard);
    }
    return false;
}

void session_pump(struct shard *shard, struct session *session)
{
    session_pump_known(shard, session, NULL);
}

void session_pump_known(struct shard *shard, struct session *session, struct publication *known)
{
    struct outbound *outbound = &session->outbound;
    struct delivery *delivery;
    bool is_paid = true;
    uint16_t packet_id;

    while (session->client && !session_is_window_full(shard, session) &&
           (delivery = outbound_next(outbound, session->window, &packet_id)) != NULL &&
           !keep_holds(session, delivery) && (is_paid || pay_for_next(shard, session))) {
        is_paid = false;
        if (pump_one(shard, session, delivery, packet_id, known)) {
            outbound_sent(outbound);
            continue;
        }
        keep_packet(shard, session, delivery->qos > 0 ? STORE_DELIVERED : STORE_DROPPED,
                    delivery->qos > 0 ? packet_id : 0);
        outbound_skip(outbound);
        known = NULL; /* its message may have gone with the delivery */
    }
}

/* Who is not through goes behind those that wait. */
void session_go_on(struct shard *shard)
{
    struct list_link waiting;
    struct list_link *link;

    list_init(&waiting);
    list_splice(&waiting, &shard->sending);
    while (shard->budget > 0 && (link = list_pop(&waiting)) != NULL) {
        struct session *session = CONTAINER_OF(link, struct session, in_shard);

        shard_charge(shard);
        session_pump(shard, session);
        if (!list_is_linked(&session->in_shard)) {
            session_on_room(shard, session);
        }
    }
    list_splice(&waiting, &shard->sending);
    list_splice(&shard->sending, &waiting);
}

/* Acknowledgements */

static void after_ack(struct shard *shard, struct session *session)
{
    if (outbound_queued(&session->outbound) > 0) {
        session_pump(shard, session);
    }
    session_on_room(shard, session);
}

enum ack_verdict session_on_puback(struct shard *shard, struct session *session, uint16_t packet_id)
{
    struct delivery *delivery = outbound_find(&session->outbound, packet_id);

    assert_owner(shard->worker);
    if (!delivery || delivery->qos != 1) {
        return ACK_UNKNOWN;
    }
    outbound_finish(&session->outbound, delivery);
    keep_packet(shard, session, STORE_DELIVERED, packet_id);
    after_ack(shard, session);
    return ACK_OK;
}

enum ack_verdict session_on_pubrec(struct shard *shard, struct session *session, uint16_t packet_id,
                                   bool is_error)
{
    struct delivery *delivery = outbound_find(&session->outbound, packet_id);

    assert_owner(shard->worker);
    if (!delivery || delivery->qos != 2) {
        return ACK_UNKNOWN;
    }
    if (is_error) {
        outbound_finish(&session->outbound, delivery);
        keep_packet(shard, session, STORE_DELIVERED, packet_id);
        after_ack(shard, session);
    } else if (delivery->state == DELIVERY_SENT) {
        outbound_release(&session->outbound, delivery);
        keep_packet(shard, session, STORE_PUBREC_CAME, packet_id);
    }
    return ACK_OK;
}

enum ack_verdict session_on_pubcomp(struct shard *shard, struct session *session,
                                    uint16_t packet_id)
{
    struct delivery *delivery = outbound_find(&session->outbound, packet_id);

    assert_owner(shard->worker);
    if (!delivery || delivery->state != DELIVERY_RELEASED) {
        return ACK_UNKNOWN;
    }
    outbound_finish(&session->outbound, delivery);
    keep_packet(shard, session, STORE_DELIVERED, packet_id);
    after_ack(shard, session);
    return ACK_OK;
}
