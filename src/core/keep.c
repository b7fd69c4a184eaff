#include "core/keep.h"

#include "base/memory.h"
#include "core/share.h"

/*
 * A session has one wait for its held deliveries at a time. What is queued while that is under way
 * waits for the next one, which begins when the first is over: so one wait serves all that gathers
 * during a commit. Waits are numbered, and a delivery carries the number of its own; a number that
 * comes round again delays a delivery that has long been kept by a commit, no more.
 */

void keep_put(struct shard *shard, const struct session *session, struct store_record record)
{
    record.client_id = session_id(session);
    record.expiry_interval = session->expiry_interval;
    store_put(&shard->store, shard, &record);
}

/* What leaves when it is kept */

/* Owner: its session's worker. */
struct keep_hold {
    struct store_wait wait;
    struct session *session; /* pinned */
};

static uint8_t next_number(uint8_t number)
{
    return number == UINT8_MAX ? 1 : (uint8_t)(number + 1);
}

bool keep_is_held(const struct session *session, const struct delivery *delivery)
{
    return session->is_holding && (session->drop_waits > 0 || delivery->hold == session->hold ||
                                   delivery->hold == next_number(session->hold));
}

/* Its connection can't go on: what it has not been sent will never be kept. */
static void fail_session(struct shard *shard, struct session *session)
{
    struct client *client = session->client;

    if (client) {
        session_disconnect(shard, session, SESSION_LEAVE_WITH_WILL);
        shard->peer->end(client, MQTT_IMPLEMENTATION_SPECIFIC_ERROR);
    }
}

static void on_kept(struct store_wait *wait)
{
    struct keep_hold *hold = CONTAINER_OF(wait, struct keep_hold, wait);
    struct session *session = hold->session;
    struct shard *shard = wait->shard;

    session->is_holding = session->is_held_more && wait->is_kept && !session->is_over;
    session->is_held_more = false;
    session->drop_waits = session->is_holding && session->drop_waits == 2 ? 1 : 0;
    if (!wait->is_kept) {
        fail_session(shard, session);
    }
    if (session->is_holding) {
        session->hold = next_number(session->hold);
        store_await(shard, wait, on_kept);
        session_pump(shard, session);
        return;
    }
    memory_free(hold);
    session_pump(shard, session);
    session_unpin(session);
}

int keep_prepare_hold(struct session *session, struct delivery *delivery,
                      struct keep_hold **hold_out)
{
    delivery->hold = next_number(session->hold);
    if (session->is_holding) {
        session->is_held_more = true;
        return 0;
    }
    *hold_out = memory_alloc(sizeof(**hold_out));
    return *hold_out ? 0 : -ENOMEM;
}

static void begin_hold(struct shard *shard, struct session *session, struct keep_hold *hold)
{
    hold->session = session;
    session_pin(session);
    session->is_holding = true;
    session->hold = next_number(session->hold);
    store_await(shard, &hold->wait, on_kept);
}

static struct slice group_of(const struct delivery *delivery)
{
    return delivery->share ? delivery->share->name : slice_of(NULL, 0);
}

void keep_put_delivery(struct shard *shard, struct session *session,
                       struct publication *publication, const struct delivery *delivery,
                       struct keep_hold *hold)
{
    if (keep_is_due(shard, session)) {
        keep_put(shard, session,
                 (struct store_record){.kind = STORE_DELIVERY,
                                       .message = delivery->message,
                                       .group = group_of(delivery),
                                       .qos = delivery->qos,
                                       .is_handed_on = publication->is_handed_on});
        publication->is_handed_on = false;
    }
    if (hold) {
        begin_hold(shard, session, hold);
    }
}

int keep_begin_drops(struct shard *shard, const struct session *session,
                     struct keep_hold **hold_out)
{
    *hold_out = NULL;
    if (!keep_is_due(shard, session) || session->is_holding) {
        return 0;
    }
    *hold_out = memory_alloc(sizeof(**hold_out));
    return *hold_out ? 0 : -ENOMEM;
}

/* A wait that is under way began before what was put now. */
void keep_end_drops(struct shard *shard, struct session *session, struct keep_hold *hold)
{
    if (hold) {
        session->drop_waits = 1;
        begin_hold(shard, session, hold);
    } else if (keep_is_due(shard, session)) {
        session->drop_waits = 2;
        session->is_held_more = true;
    }
}

void keep_hand_on(struct shard *shard, const struct session *session,
                  const struct delivery *delivery)
{
    if (store_keeps(&shard->store)) {
        keep_put(shard, session,
                 (struct store_record){.kind = STORE_HANDED_ON,
                                       .message = delivery->message,
                                       .group = group_of(delivery),
                                       .qos = delivery->qos});
    }
}

void keep_unshared(struct shard *shard, struct message *message, const struct share *share)
{
    struct store_record record = {.kind = STORE_UNSHARED, .message = message, .group = share->name};

    if (store_keeps(&shard->store)) {
        store_put(&shard->store, shard, &record);
    }
}

void keep_cancel(struct keep_hold *hold)
{
    memory_free(hold);
}
