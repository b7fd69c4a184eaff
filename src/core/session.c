#include "core/session.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/spares.h"
#include "base/text.h"
#include "core/keep.h"
#include "core/membership.h"
#include "core/merge.h"
#include "core/replay.h"
#include "core/session_extras.h"
#include "core/shard.h"
#include "core/share_post.h"

/*
 * Life of a session: connected, then perhaps away (its timer waits for the will's delay or the
 * expiry, whichever is first), then over. A session that is over is out of the table of ids at
 * once, so that its id may be used again. What it has left goes in slices, however much that is:
 * replays, then subscriptions, then its queue. It is freed when all that is gone and no fan-out
 * holds it.
 */

/* Of a session that ends so much goes at once: as a rule that is all. */
#define GONE_AT_ONCE 16u

struct slice session_id(const struct session *session)
{
    return slice_of(session->id, session->id_len);
}

struct client *session_client(const struct session *session)
{
    return session->client;
}

static struct session *session_find(const struct shard *shard, struct slice id, uint64_t hash)
{
    struct table_link *link = table_find(&shard->sessions, hash);

    for (; link; link = table_find_next(link)) {
        struct session *session = CONTAINER_OF(link, struct session, link);

        if (slice_is_equal(session_id(session), id)) {
            return session;
        }
    }
    return NULL;
}

struct client *session_find_client(const struct shard *shard, struct slice client_id)
{
    const struct session *session =
        session_find(shard, client_id, hash_bytes(&shard->core->key, client_id));

    return session ? session->client : NULL;
}

struct session *session_walk(const struct shard *shard, struct table_place *place, unsigned *budget)
{
    struct table_link *link = table_walk(&shard->sessions, place, budget);

    return link ? CONTAINER_OF(link, struct session, link) : NULL;
}

/* Written only while it grows. */
static void note_most(struct core *core, uint32_t len)
{
    uint32_t most = atomic_load_explicit(&core->session_max, memory_order_relaxed);

    while (len > most &&
           !atomic_compare_exchange_weak_explicit(&core->session_max, &most, len,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

/* One of max_sessions. Taken first and looked at then, since all workers take; what replaces
 * another one is not refused. */
static bool take_place(struct shard *shard, bool replaces)
{
    uint32_t max = shard->limits.max_sessions;
    uint32_t before = atomic_fetch_add_explicit(&shard->core->session_len, 1, memory_order_relaxed);

    if (replaces) {
        return true;
    }
    if (max > 0 && before >= max) {
        return false;
    }
    note_most(shard->core, before + 1);
    return true;
}

static void give_place(struct core *core)
{
    atomic_fetch_sub_explicit(&core->session_len, 1, memory_order_relaxed);
}

static void free_block(struct session *session)
{
    spares_free(session, sizeof(*session) + session->id_len);
}

static int session_new(struct shard *shard, struct slice id, uint64_t hash,
                       struct session **session_out)
{
    struct session *session = spares_alloc_zero(sizeof(*session) + id.len);
    int r;

    if (!session) {
        return -ENOMEM;
    }
    memcpy(session->id, id.data, id.len);
    session->id_len = (uint16_t)id.len;
    list_init(&session->in_shard);
    r = table_add(&shard->sessions, &session->link, hash);
    if (r < 0) {
        free_block(session);
        return r;
    }
    *session_out = session;
    return 0;
}

/* The second at which an interval from now on is over. */
static uint32_t deadline_of(const struct shard *shard, uint32_t interval)
{
    return interval == SESSION_NEVER ? SESSION_NEVER
                                     : wheel_deadline(shard->now_ms, (uint64_t)interval * 1000);
}

/* Rights */

static void set_rights(struct shard *shard, struct session *session, struct rights *rights)
{
    if (session->rights) {
        shard->peer->forget(session->rights);
    }
    session->rights = rights;
}

/* In the store */

static void keep_begin(struct shard *shard, struct session *session)
{
    if (keep_is_due(shard, session)) {
        keep_put(shard, session, (struct store_record){.kind = STORE_CONNECTED});
        session->is_kept = true;
    }
}

/* What was kept may not be due any more. */
static void keep_end(struct shard *shard, struct session *session)
{
    if (session->is_kept) {
        keep_put(shard, session, (struct store_record){.kind = STORE_ENDED});
        session->is_kept = false;
    }
}

/* What waits for those who are away */

static void count_waiting(struct shard *shard, struct outbound_ring *ring, uint32_t len,
                          uint64_t size)
{
    metrics_add(shard->metrics, METRIC_AWAY_PACKETS, (uint64_t)len - ring->counted);
    metrics_add(shard->metrics, METRIC_AWAY_BYTES, size - ring->counted_bytes);
    ring->counted = len;
    ring->counted_bytes = size;
}

void session_count_waiting(struct shard *shard, struct session *session)
{
    const struct outbound *outbound = &session->outbound;

    if (!outbound->ring) {
        return;
    }
    if (session->client || session->is_over) {
        count_waiting(shard, outbound->ring, 0, 0);
    } else {
        count_waiting(shard, outbound->ring, outbound_waiting(outbound),
                      outbound_waiting_bytes(outbound));
    }
}

void session_drop_queue(struct shard *shard, struct session *session)
{
    if (session->outbound.ring) {
        count_waiting(shard, session->outbound.ring, 0, 0);
        outbound_deinit(&session->outbound);
    }
}

/* The end */

static void session_free_if_unused(struct session *session)
{
    if (session->is_over && session->subscriptions.len == 0 && session->pins == 0 &&
        !list_is_linked(&session->in_shard)) {
        /* Room may have been made for a subscription that then came to nothing. */
        subscriptions_deinit(&session->subscriptions);
        assert(!session->extras);
        free_block(session);
    }
}

void session_pin(struct session *session)
{
    session->pins++;
}

void session_unpin(struct session *session)
{
    assert(session->pins > 0);
    session->pins--;
    session_free_if_unused(session);
}

void session_end(struct shard *shard, struct session *session)
{
    assert_owner(shard->worker);
    assert(!session->is_over && !session->client);

    share_keep_deliveries(shard, session);
    keep_end(shard, session);
    session->is_over = true;
    session_count_waiting(shard, session);
    table_remove(&shard->sessions, &session->link);
    give_place(shard->core);
    inbound_deinit(&session->inbound);
    session_forget_will(session);
    session_drop_extras(session);
    set_rights(shard, session, NULL);
    /* From the timers or from those that go on sending, whichever it was in. */
    list_remove(&session->in_shard);
    list_push(&shard->ended, &session->in_shard);
    shard_charge(shard);
    session_clean_up(shard, MIN(shard->limits.cleanup_budget, GONE_AT_ONCE), GONE_AT_ONCE);
}

/* What a clean-up may still do. */
struct cleanup {
    unsigned removals;
    unsigned deliveries;
};

static void remove_subscriptions(struct shard *shard, struct session *session, struct cleanup *left)
{
    struct subscriptions_cursor cursor = {0};

    for (; left->removals > 0 && session->subscriptions.len > 0; left->removals--) {
        router_remove(shard, session, subscriptions_any(&session->subscriptions, &cursor));
        shard_charge(shard);
    }
}

/* Not before the session has left its groups. */
static void let_go_of_queue(struct shard *shard, struct session *session, struct cleanup *left)
{
    struct delivery delivery;

    while (left->deliveries > 0 && left->removals > 0 &&
           outbound_pop(&session->outbound, &delivery)) {
        left->deliveries--;
        left->removals -= delivery.share != NULL;
        share_hand_on(shard, &delivery);
        shard_charge(shard);
    }
    if (outbound_len(&session->outbound) == 0) {
        outbound_deinit(&session->outbound);
    }
}

void session_clean_up(struct shard *shard, unsigned removals, unsigned deliveries)
{
    struct cleanup left = {removals, deliveries};

    while (!list_is_empty(&shard->ended)) {
        struct session *session = CONTAINER_OF(shard->ended.next, struct session, in_shard);

        left.removals -= replay_stop_some(shard, session, left.removals);
        remove_subscriptions(shard, session, &left);
        if (!session_replays(session) && session->subscriptions.len == 0) {
            let_go_of_queue(shard, session, &left);
        }
        if (session_replays(session) || session->subscriptions.len > 0 ||
            outbound_len(&session->outbound) > 0) {
            return;
        }
        list_remove(&session->in_shard);
        session_free_if_unused(session);
    }
}

/* Arms the timer for whatever comes first: the will or the end. */
static void arm_timer(struct shard *shard, struct session *session)
{
    uint32_t due = session->expires_at;

    if (session_will(session)) {
        due = MIN(due, session->extras->will_at);
    }
    if (due != SESSION_NEVER) {
        wheel_arm(&shard->wheel, &session->timer, due);
    }
}

void shard_on_timer(struct shard *shard, struct wheel_timer *timer)
{
    struct session *session = CONTAINER_OF(timer, struct session, timer);
    uint32_t now = shard->wheel.now;
    bool is_over = session->expires_at <= now;

    assert_owner(shard->worker);
    shard_charge(shard);
    if (session_will(session) && (is_over || session->extras->will_at <= now) &&
        session_send_will(shard, session) < 0) {
        wheel_arm(&shard->wheel, timer, now + 1);
    } else if (is_over) {
        metrics_count(shard->metrics, METRIC_SESSIONS_EXPIRED);
        session_end(shard, session);
    } else {
        session_drop_extras(session);
        arm_timer(shard, session);
    }
}

/* Leaving */

void session_set_expiry(struct session *session, uint32_t expiry_interval)
{
    session->expiry_interval = expiry_interval;
}

void session_disconnect(struct shard *shard, struct session *session, enum session_leave how)
{
    assert_owner(shard->worker);
    assert(session->client);

    session->client = NULL;
    list_remove(&session->in_shard);
    wheel_timer_init(&session->timer, SHARD_TIMER_SESSION);
    session->expires_at = deadline_of(shard, session->expiry_interval);
    /* DISCONNECT may have changed the interval: to 0, and the session ends below. */
    keep_begin(shard, session);
    if (how == SESSION_LEAVE_QUIETLY) {
        session_forget_will(session);
    } else if (session_will(session)) {
        session->extras->will_at = deadline_of(shard, session->extras->will_delay);
    }
    membership_on_disconnect(shard, session);
    session_count_waiting(shard, session);
    if (session_will(session) &&
        (session->extras->will_delay == 0 || session->expiry_interval == 0) &&
        session_send_will(shard, session) < 0) {
        session->extras->will_at = shard->wheel.now + 1;
        session->expires_at = MAX(session->expires_at, session->extras->will_at);
    } else if (session->expiry_interval == 0) {
        session_end(shard, session);
        return;
    }
    session_drop_extras(session);
    arm_timer(shard, session);
}

/* Coming */

/*
 * What a new connection does to the session that its id has already: its connection is closed, its
 * will is sent when the session ends here or the will has no delay, and is forgotten otherwise.
 * -ENOMEM: the will can't be sent; nothing has changed.
 */
static int take_over(struct shard *shard, struct session *session, bool ends)
{
    bool sends =
        session_will(session) && (ends || (session->client && session->extras->will_delay == 0));

    if (sends) {
        int r = session_send_will(shard, session);

        if (r < 0) {
            return r;
        }
    }
    session_forget_will(session);
    if (session->client) {
        struct client *old = TAKE(session->client);

        shard->peer->end(old, MQTT_SESSION_TAKEN_OVER);
    } else {
        wheel_disarm(&session->timer);
    }
    return 0;
}

/* The extras for a will are there. */
static void attach(struct shard *shard, struct session *session, struct client *client,
                   const struct session_request *request)
{
    session->client = client;
    session_count_waiting(shard, session);
    session->window = request->window;
    session->queue_policy = (uint8_t)request->queue_policy;
    session->mount_len = request->mount_len;
    set_rights(shard, session, request->rights);
    session->expiry_interval = request->expiry_interval;
    session->expires_at = SESSION_NEVER;
    if (request->will) {
        session->extras->will = request->will;
        session->extras->will_delay = request->will_delay;
        session->extras->will_expiry = request->will_expiry;
    }
    session_drop_extras(session);
    session->said_dropping = false;
    outbound_rewind(&session->outbound);
    session->is_behind = outbound_queued(&session->outbound) > 0;
}

/* A new one that can't take its place after all: nobody has seen it. */
static void take_back(struct shard *shard, struct session *session)
{
    table_remove(&shard->sessions, &session->link);
    give_place(shard->core);
    memory_free(session->extras);
    free_block(session);
}

int session_connect(struct shard *shard, struct client *client,
                    const struct session_request *request, struct session **session_out)
{
    uint64_t hash = hash_bytes(&shard->core->key, request->client_id);
    struct session *old = session_find(shard, request->client_id, hash);
    /* Its time may be over, though the timers of others came first. */
    bool expired = old && !old->client && old->expires_at <= shard->wheel.now;
    bool resumes = old && !request->clean_start && old->expiry_interval != 0 && !expired;
    struct session *session = old;
    int r = 0;

    assert_owner(shard->worker);
    if (!resumes) {
        r = take_place(shard, old != NULL) ? session_new(shard, request->client_id, hash, &session)
                                           : SESSION_TOO_MANY;
        if (r != 0) {
            give_place(shard->core);
            return r;
        }
    }
    if (request->will && !session_need_extras(session)) {
        r = -ENOMEM;
    } else if (old) {
        r = take_over(shard, old, !resumes);
    }
    if (r < 0) {
        if (!resumes) {
            take_back(shard, session);
        }
        return r;
    }
    if (old && !resumes) {
        metrics_add(shard->metrics, METRIC_SESSIONS_EXPIRED, expired);
        session_end(shard, old);
    }
    attach(shard, session, client, request);
    if (session->expiry_interval != 0) {
        keep_begin(shard, session);
    } else {
        keep_end(shard, session);
    }
    *session_out = session;
    return resumes ? SESSION_RESUMED : SESSION_CREATED;
}

void session_start(struct shard *shard, struct session *session)
{
    assert_owner(shard->worker);
    session_pump(shard, session);
    membership_on_connect(shard, session);
    session_on_room(shard, session);
}

void session_on_room(struct shard *shard, struct session *session)
{
    if (session->extras) {
        membership_on_room(shard, session);
        replay_resume(shard, session);
    }
}

/* Deliveries */

/* Only the broker publishes there. */
static bool is_own(struct slice topic)
{
    static const char top[] = "$SYS/";

    return topic.len >= sizeof(top) - 1 && memcmp(topic.data, top, sizeof(top) - 1) == 0;
}

/*
 * Once for each connection. That one of the broker's own messages is dropped is not published in
 * turn: on whichever worker that is, a line of the log begets no other.
 */
static void say_dropping(struct session *session, struct slice topic)
{
    struct log_field client = log_field_text("client", session_id(session));
    struct log_facts facts = {LOG_EVENT_MESSAGES_DROPPED, 1, &client};
    char id[256];

    if (session->said_dropping) {
        return;
    }
    session->said_dropping = true;
    text_escape(id, sizeof(id), client.text);
    log_mute_topics(is_own(topic));
    log_event(LOG_NOTICE, &facts, "Outgoing messages are being dropped for client %s.", id);
    log_mute_topics(false);
}

static void drop_without_memory(struct shard *shard, struct session *session,
                                const struct publication *publication)
{
    metrics_count(shard->metrics, METRIC_DROPPED_NO_MEMORY);
    say_dropping(session, publication->parts.topic);
}

/* More waits for the client than may. One that came back to a long queue is not to blame for that,
 * and would never get through it if it were disconnected. */
static void on_overflow(struct shard *shard, struct session *session)
{
    if (session->queue_policy == SETTINGS_QUEUE_DISCONNECT && session->client &&
        !session->is_behind) {
        shard->peer->overflow(session->client);
    }
}

static void deliver_now(struct shard *shard, struct session *session,
                        struct publication *publication, const struct delivery_head *head)
{
    switch (shard->peer->publish(session->client, publication, head)) {
    case PEER_SENT: break;
    case PEER_BUSY:
        metrics_count(shard->metrics, METRIC_DROPPED_BUSY);
        on_overflow(shard, session);
        break;
    case PEER_TOO_LARGE: metrics_count(shard->metrics, METRIC_DROPPED_TOO_LARGE); break;
    case PEER_OUTSIDE: metrics_count(shard->metrics, METRIC_DROPPED_OUTSIDE); break;
    case PEER_DENIED: assert(false); break;
    }
}

static bool is_queue_full(const struct shard *shard, const struct session *session)
{
    const struct core_limits *limits = &shard->limits;

    return (limits->max_queued && outbound_queued(&session->outbound) >= limits->max_queued) ||
           (limits->max_queued_bytes &&
            outbound_queued_bytes(&session->outbound) >= limits->max_queued_bytes);
}

/* False: all have been sent, or it can't be told to the store. */
static bool drop_oldest(struct shard *shard, struct session *session)
{
    struct keep_hold *hold;
    uint16_t packet_id;

    if (keep_begin_drops(shard, session, &hold) < 0) {
        return false;
    }
    if (!outbound_drop_oldest(&session->outbound, &packet_id)) {
        keep_cancel(hold);
        return false;
    }
    keep_packet(shard, session, STORE_DROPPED, packet_id);
    keep_end_drops(shard, session, hold);
    return true;
}

/* False: the new delivery is the one that is dropped. What is dropped is counted. */
static bool make_room(struct shard *shard, struct session *session,
                      const struct publication *publication)
{
    session->is_behind = session->is_behind && outbound_queued(&session->outbound) > 0;
    while (is_queue_full(shard, session)) {
        metrics_count(shard->metrics, METRIC_DROPPED_QUEUE_FULL);
        say_dropping(session, publication->parts.topic);
        if (session->queue_policy != SETTINGS_QUEUE_DROP_OLDEST || !drop_oldest(shard, session)) {
            on_overflow(shard, session);
            return false;
        }
    }
    return true;
}

/* Out of line, and what comes before in line: without either a delivery of a fan-out costs a tenth
 * more. */
static NO_INLINE void deliver_later(struct shard *shard, struct session *session,
                                    struct publication *publication,
                                    const struct delivery_head *head)
{
    struct delivery delivery = {.identifier = head->identifier,
                                .qos = head->qos,
                                .state = DELIVERY_QUEUED,
                                .retain = head->retain};
    struct keep_hold *hold;

    if (!make_room(shard, session, publication)) {
        return;
    }
    if (publication_need_message(publication) < 0 ||
        keep_prepare(shard, session, publication, &delivery, &hold) < 0) {
        drop_without_memory(shard, session, publication);
        return;
    }
    delivery.message = publication_ref(publication);
    delivery.share = publication->share ? share_ref(publication->share) : NULL;
    if (outbound_push(&session->outbound, &delivery) < 0) {
        drop_without_memory(shard, session, publication);
        delivery_let_go(&delivery);
        keep_cancel(hold);
        return;
    }
    keep_delivery(shard, session, publication, &delivery, hold);
    session_pump_known(shard, session, publication);
}

/* Whether a delivery of QoS 0 is kept for the client, or waits behind one that is. */
static bool plain_waits(const struct shard *shard, const struct session *session)
{
    return session->client ? outbound_has_plain(&session->outbound)
                           : shard->limits.queue_plain && session->expiry_interval != 0;
}

static void deliver(struct shard *shard, struct session *session, struct publication *publication,
                    const struct delivery_head *head)
{
    if (head->qos > 0 || plain_waits(shard, session)) {
        deliver_later(shard, session, publication, head);
        if (!session->client) {
            session_count_waiting(shard, session);
        }
    } else if (session->client) {
        deliver_now(shard, session, publication, head);
    }
}

/* The lower of what was published and what was asked for, unless the latter is what counts. */
static uint8_t qos_of(const struct shard *shard, uint8_t published, uint8_t options)
{
    uint8_t asked = options & SUBSCRIBE_QOS;

    return published < asked && !shard->limits.upgrade_qos ? published : asked;
}

bool session_can_keep(const struct shard *shard, const struct session *session, uint8_t published,
                      uint8_t options)
{
    return session->client || qos_of(shard, published, options) > 0 || plain_waits(shard, session);
}

bool session_can_take(const struct shard *shard, const struct session *session, uint8_t published,
                      uint8_t options)
{
    if (qos_of(shard, published, options) > 0 || plain_waits(shard, session)) {
        return !is_queue_full(shard, session);
    }
    return session->client != NULL;
}

/* As much in the peer's output, and it does not keep up. */
#define PENDING_HIGH ((size_t)64 * 1024)

bool session_has_room(const struct shard *shard, const struct session *session)
{
    const struct outbound *outbound = &session->outbound;

    return (session->window == 0 || outbound_unacked(outbound) < session->window) &&
           !session_is_window_full(shard, session) && outbound_queued(outbound) == 0 &&
           shard->peer->pending(session->client) < PENDING_HIGH;
}

bool session_ask(struct shard *shard, struct session *session, const struct message_parts *parts,
                 enum peer_right right, struct match_groups *groups)
{
    uint64_t *youngest = right == PEER_READ ? &groups->reader : &groups->writer;
    bool may = shard->peer->may(shard, session, parts->topic, parts->topic_hash, right);

    if (may && rights_hold(session->rights) && session->rights->group > *youngest) {
        *youngest = session->rights->group;
        groups->is_new = true;
    }
    return may;
}

/* Whether it may read this; what it may not does not wait for it either, and takes no room. */
static bool may_read(struct shard *shard, struct session *session, struct publication *publication)
{
    if (session_may(shard, session, &publication->parts, PEER_READ, &publication->groups)) {
        return true;
    }
    metrics_count(shard->metrics, METRIC_DROPPED_DENIED);
    return false;
}

/* Whether a subscription gets a publication that its filter matches. */
static ALWAYS_INLINE bool takes(struct shard *shard, struct session *session,
                                struct publication *publication,
                                const struct subscriber *subscriber, uint32_t node)
{
    if (session->is_over ||
        ((subscriber->options & SUBSCRIBE_NO_LOCAL) != 0 &&
         publication->parts.origin == session_origin(session)) ||
        session_hides(session, publication->parts.topic, subscriber->options)) {
        return false;
    }
    if (publication->retained_number != 0 && session_replays(session) &&
        replay_holds_back(shard, session, node, publication->retained_number)) {
        return false;
    }
    return may_read(shard, session, publication);
}

/* In place, member by member: a structure that is copied behind the writes of its single bytes
 * waits for all that was written before, the whole message: 2 % of a message of QoS 1 by the
 * profile, 5 % of one to a group. */
static void set_head(struct delivery_head *head, const struct shard *shard,
                     const struct publication *publication, const struct subscriber *subscriber)
{
    head->identifier = subscriber->identifier;
    head->packet_id = 0;
    head->qos = qos_of(shard, publication->parts.qos, subscriber->options);
    head->retain = publication->parts.retain && (subscriber->options & SUBSCRIBE_AS_PUBLISHED) != 0;
    head->dup = false;
}

void session_deliver(struct shard *shard, struct session *session, struct publication *publication,
                     const struct subscriber *subscriber, uint32_t node)
{
    if (takes(shard, session, publication, subscriber, node)) {
        struct delivery_head head;

        set_head(&head, shard, publication, subscriber);
        deliver(shard, session, publication, &head);
    }
}

void session_deliver_turn(struct shard *shard, struct session *session,
                          struct publication *publication, const struct subscriber *subscriber)
{
    struct delivery_head head;

    set_head(&head, shard, publication, subscriber);
    deliver(shard, session, publication, &head);
}

void session_merge(struct shard *shard, struct merge *merge, const struct subscriber *subscriber,
                   uint32_t node)
{
    if (takes(shard, merge->session, merge->publication, subscriber, node)) {
        struct delivery_head head;

        set_head(&head, shard, merge->publication, subscriber);
        merge_add(merge, head.identifier, head.qos, head.retain);
    }
}

void session_deliver_merged(struct shard *shard, const struct merge *merge)
{
    struct delivery_head head = {
        .identifier = merge->len > 0 ? merge->identifiers[0] : 0,
        .qos = merge->qos,
        .retain = merge->retain,
    };
    struct publication merged;
    uint8_t *properties;

    if (merge->len < 2 && !merge->out_of_memory) {
        deliver(shard, merge->session, merge->publication, &head);
        return;
    }
    if (merge_publication(merge, &merged, &properties) < 0) {
        drop_without_memory(shard, merge->session, merge->publication);
        return;
    }
    deliver(shard, merge->session, &merged, &head);
    publication_deinit(&merged);
    memory_free(properties);
}

void session_deliver_retained(struct shard *shard, struct session *session, struct message *message,
                              uint8_t options, uint32_t identifier)
{
    UNINITIALIZED struct publication publication;
    struct delivery_head head = {
        .identifier = identifier,
        .qos = qos_of(shard, message->marks.qos, options),
        .retain = true,
    };

    if (unlikely(message->marks.has_author) && shard->limits.checks_authors &&
        !shard->peer->author_may(shard, message)) {
        metrics_count(shard->metrics, METRIC_DROPPED_DENIED);
        return;
    }
    if (!session_hides(session, message_topic(message), options)) {
        publication_of(&publication, message, 0);
        if (may_read(shard, session, &publication)) {
            deliver(shard, session, &publication, &head);
        }
    }
}
