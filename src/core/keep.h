#pragma once

/*
 * Keep
 *
 * What core hands to the store (core/store.h), in the order in which it happens here. Of a session
 * that ends with its connection nothing is kept.
 */

#include "core/session.h"
#include "core/shard.h"
#include "core/ticket.h"

static inline bool keep_is_due(const struct shard *shard, const struct session *session)
{
    return store_keeps(&shard->store) && session->expiry_interval != 0;
}

/* Of a durable session: fills in whose record it is. */
void keep_put(struct shard *shard, const struct session *session, struct store_record record);

/* What happened to a packet id of the session, if that is kept. */
static inline void keep_packet(struct shard *shard, const struct session *session,
                               enum store_kind kind, uint16_t packet_id)
{
    if (keep_is_due(shard, session)) {
        keep_put(shard, session, (struct store_record){.kind = kind, .packet_id = packet_id});
    }
}

/* The same for a subscription; `options` without meaning for one that has gone. */
static inline void keep_filter(struct shard *shard, const struct session *session,
                               enum store_kind kind, struct slice filter, uint8_t options)
{
    if (keep_is_due(shard, session)) {
        keep_put(shard, session,
                 (struct store_record){.kind = kind, .filter = filter, .options = options});
    }
}

/*
 * A QoS 2 delivery from or to a durable session leaves when the publisher's packet id and itself
 * are kept: what a crash takes back must not have been seen, or it is seen twice.
 */

struct keep_hold;

/* Private to keep_prepare(). */
int keep_prepare_hold(struct session *session, struct delivery *delivery,
                      struct keep_hold **hold_out) MUST_CHECK;

/*
 * Before a delivery is queued; then one of keep_delivery() and keep_cancel() must follow. `hold` is
 * NULL where nothing has to begin. -ENOMEM: it can't be held.
 */
static inline int keep_prepare(struct shard *shard, struct session *session,
                               const struct publication *publication, struct delivery *delivery,
                               struct keep_hold **hold_out)
{
    const struct ticket *ticket = publication->ticket;

    *hold_out = NULL;
    if (!store_keeps(&shard->store) || delivery->qos < 2 ||
        (session->expiry_interval == 0 && !(ticket && ticket->is_from_durable))) {
        return 0;
    }
    return keep_prepare_hold(session, delivery, hold_out);
}

/* Private to keep_delivery(). */
void keep_put_delivery(struct shard *shard, struct session *session,
                       struct publication *publication, const struct delivery *delivery,
                       struct keep_hold *hold);

/* The delivery of this publication's message is queued. What its group had of it is taken. */
static inline void keep_delivery(struct shard *shard, struct session *session,
                                 struct publication *publication, const struct delivery *delivery,
                                 struct keep_hold *hold)
{
    if (store_keeps(&shard->store)) {
        keep_put_delivery(shard, session, publication, delivery, hold);
    }
}

void keep_cancel(struct keep_hold *hold);

/*
 * What was never sent goes, and gives its packet id up to what is behind it: no QoS 2 delivery of
 * the session may be sent with that before a crash can't give it back. So this begins first;
 * -ENOMEM: nothing may go. Then keep_end_drops() when records were put.
 */
int keep_begin_drops(struct shard *shard, const struct session *session,
                     struct keep_hold **hold_out) MUST_CHECK;
void keep_end_drops(struct shard *shard, struct session *session, struct keep_hold *hold);

/*
 * What a member of a group that leaves has not done is its group's in the store, until it is a
 * session's again or nobody takes it: so at no moment it is nobody's.
 */

/* The session's delivery goes to its group. Before the session's end, and before it is posted. */
void keep_hand_on(struct shard *shard, const struct session *session,
                  const struct delivery *delivery);

/* What was handed on is over: nothing that is kept has taken it. */
void keep_unshared(struct shard *shard, struct message *message, const struct share *share);

bool keep_is_held(const struct session *session, const struct delivery *delivery);

/* Whether the delivery, and what is behind it, must not leave yet. */
static inline bool keep_holds(const struct session *session, const struct delivery *delivery)
{
    return __builtin_expect(delivery->hold != 0, 0) && keep_is_held(session, delivery);
}
