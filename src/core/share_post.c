#include "core/share_post.h"

#include "base/memory.h"
#include "base/point.h"
#include "core/keep.h"
#include "core/membership.h"
#include "core/session.h"
#include "core/shard.h"
#include "core/share_set.h"
#include "core/ticket.h"

/*
 * A turn names a worker and a place there. When it arrives, the member may have become full, or be
 * gone. The worker then looks among its own: first for one that is able, then for one that is
 * connected and can queue it. Only when it has none it hands the message on, to each other worker
 * once, in an entry that names this group alone. When that found nobody connected, the message goes
 * round once more to wait where there is a session that keeps it. Else it is dropped and counted.
 *
 * A turn of the publishing worker itself is served at once as a rule. Then it needs no post, and no
 * reference: the group has a member here, and only this worker could take that out of it. To post
 * each to ourselves was 8 % of the instructions of a message.
 *
 * A message is never handed on to evade a full queue elsewhere while it can wait here: what its
 * publisher sent later may be served there already, and would be overtaken.
 */

#define FIRST_TURNS 1u

/* Looking at so many deliveries costs as much as one that is made. */
#define LOOKS_OF_A_DELIVERY 16u

/* Members looked at that can't take a message, before it is handed on. */
#define PROBE_MAX 8u

void share_dealt_init(struct share_dealt *dealt, unsigned worker_len)
{
    dealt->posts = memory_must_alloc_zero(worker_len, sizeof(struct share_post *));
}

void share_dealt_deinit(struct share_dealt *dealt)
{
    assert(share_dealt_is_empty(dealt));
    dealt->posts = memory_free(dealt->posts);
}

struct share_post *share_post_free(struct share_post *post)
{
    if (post) {
        for (uint32_t i = post->at; i < post->len; i++) {
            share_unref(post->turns[i].share);
        }
        message_unref(post->message);
        memory_free(post);
    }
    return NULL;
}

static struct share_post *post_new(void)
{
    struct share_post *post = memory_alloc(sizeof(*post) + FIRST_TURNS * sizeof(post->turns[0]));

    if (post) {
        *post = (struct share_post){.cap = FIRST_TURNS};
    }
    return post;
}

static struct share_post *post_grow(struct share_post *post)
{
    uint32_t cap = post->cap * 2;
    struct share_post *grown =
        memory_resize(post, sizeof(*post) + (size_t)cap * sizeof(post->turns[0]));

    if (grown) {
        grown->cap = cap;
    }
    return grown;
}

/* Dealing */

/* The post of a worker with room for one more turn. NULL without memory. */
static struct share_post *post_for(struct share_dealt *dealt, unsigned worker)
{
    struct share_post *post = dealt->posts[worker];

    if (!post) {
        post = post_new();
        dealt->len += post != NULL;
        if (post) {
            worker_set_add(&dealt->workers, worker);
        }
    } else if (post->len == post->cap) {
        post = post_grow(post);
    }
    if (post) {
        dealt->posts[worker] = post;
    }
    return post;
}

static int add_turn(struct share_dealt *dealt, unsigned worker, struct share *share, uint32_t turn)
{
    struct share_post *post = post_for(dealt, worker);

    if (!post) {
        return -ENOMEM;
    }
    post->turns[post->len++] = (struct share_turn){.share = share_ref(share), .turn = turn};
    return 0;
}

static int deal_into_post(struct share_dealt *dealt, struct share *share)
{
    unsigned worker;
    uint32_t turn;

    return share_deal(share, &worker, &turn) ? add_turn(dealt, worker, share, turn) : 0;
}

static int deal_one(struct shard *shard, struct share *share)
{
    struct share_dealt *dealt = &shard->dealt;
    unsigned worker;
    uint32_t turn;

    if (!share_deal(share, &worker, &turn)) {
        return 0;
    }
    if (worker == shard->worker && dealt->own_len < SHARE_OWN_CAP) {
        dealt->own[dealt->own_len++] = (struct share_turn){.share = share, .turn = turn};
        return 0;
    }
    return add_turn(dealt, worker, share, turn);
}

void share_deal_all(struct shard *shard, const struct share_set *set)
{
    uint32_t len = share_set_len(set);

    for (uint32_t i = 0; i < len && !shard->dealt.out_of_memory; i++) {
        struct share *share = share_set_at(set, i);

        point("group met");
        if (share && deal_one(shard, share) < 0) {
            shard->dealt.out_of_memory = true;
        }
    }
}

int share_post_own(struct shard *shard)
{
    struct share_dealt *dealt = &shard->dealt;

    for (; dealt->own_len > 0; dealt->own_len--) {
        const struct share_turn *turn = &dealt->own[dealt->own_len - 1];
        int r = add_turn(dealt, shard->worker, turn->share, turn->turn);

        if (r < 0) {
            return r;
        }
    }
    return 0;
}

void share_leave_dealing(struct shard *shard)
{
    struct share_dealt *dealt = &shard->dealt;

    for (unsigned i = 0; i < shard->core->worker_len; i++) {
        struct share_post *post = post_for(dealt, i);

        if (!post) {
            dealt->out_of_memory = true;
            return;
        }
        post->deals = true;
    }
}

struct share_post *share_dealt_take(struct shard *shard, unsigned worker)
{
    struct share_dealt *dealt = &shard->dealt;

    if (dealt->len == 0 || !dealt->posts[worker]) {
        return NULL;
    }
    worker_set_remove(&dealt->workers, worker);
    dealt->len--;
    return TAKE(dealt->posts[worker]);
}

void share_dealt_drop(struct shard *shard)
{
    unsigned worker;

    while ((worker = worker_set_pop(&shard->dealt.workers)) < WORKER_CAP) {
        shard->dealt.posts[worker] = share_post_free(shard->dealt.posts[worker]);
    }
    shard->dealt.len = 0;
    shard->dealt.own_len = 0;
    shard->dealt.out_of_memory = false;
}

/* Serving */

/* A message on its way through the workers of one group. */
struct offer {
    struct share *share;
    struct publication *publication;
    struct worker_set offered;
    uint32_t turn;
    bool rests;
    bool is_handed_on;
    bool is_last; /* nobody is left that could take it: a member's own limits decide */
};

static bool can_take(struct shard *shard, const struct share_member *member,
                     const struct offer *offer)
{
    uint8_t qos = offer->publication->parts.qos;

    if (session_hides(member->session, offer->publication->parts.topic, member->options) ||
        !session_may(shard, member->session, &offer->publication->parts, PEER_READ,
                     &offer->publication->groups)) {
        return false;
    }
    return offer->is_last ? session_can_keep(shard, member->session, qos, member->options)
                          : session_can_take(shard, member->session, qos, member->options);
}

/* The member of one state whose turn it is, or one behind it. NULL: none can take it. */
static struct share_member *find_in_state(struct shard *shard, const struct offer *offer,
                                          enum share_state state)
{
    struct share_part *part = &offer->share->parts[shard->worker];
    uint32_t turn = offer->turn;
    unsigned probes = 0;

    while (probes < PROBE_MAX) {
        uint32_t begin = state == SHARE_ABLE ? 0 : part->ends[state - 1];
        uint32_t len = part->ends[state] - begin;
        struct share_member *member;
        enum share_state now;

        if (len == 0) {
            return NULL;
        }
        member = &part->members[begin + turn % len];
        now = membership_state(member->session);
        if (now > state) {
            membership_pass_over(shard, member->session, member->at, now);
            shard_charge(shard);
            continue;
        }
        if (can_take(shard, member, offer)) {
            return member;
        }
        turn++;
        probes++;
    }
    return NULL;
}

/* The member's row may move while it is served. */
static bool serve(struct shard *shard, struct offer *offer, enum share_state last)
{
    struct share_member *member = NULL;
    struct subscriber subscriber;

    for (unsigned state = SHARE_ABLE; state <= last && !member; state++) {
        member = find_in_state(shard, offer, state);
    }
    if (!member) {
        return false;
    }
    subscriber = (struct subscriber){member->session, member->identifier, member->options};
    offer->publication->share = offer->share;
    offer->publication->is_handed_on = offer->is_handed_on;
    session_deliver_turn(shard, subscriber.session, offer->publication, &subscriber);
    if (offer->publication->is_handed_on) {
        keep_unshared(shard, offer->publication->message, offer->share);
    }
    offer->publication->share = NULL;
    offer->publication->is_handed_on = false;
    membership_on_delivery(shard, subscriber.session);
    return true;
}

/* The next worker behind this one that the message was not offered to. WORKER_CAP: none. */
static unsigned next_worker(const struct shard *shard, const struct offer *offer,
                            enum share_state last)
{
    unsigned len = offer->share->worker_len;

    for (unsigned i = 1; i < len; i++) {
        unsigned worker = (shard->worker + i) % len;

        if (!worker_set_has(&offer->offered, worker) && share_len(offer->share, worker, last) > 0) {
            return worker;
        }
    }
    return WORKER_CAP;
}

/* Room was reserved. Takes the message's reference. */
static void post_entry(struct shard *shard, struct share_post *shared, unsigned worker,
                       struct message *message, struct ticket *ticket)
{
    const struct post *post = &shard->post;

    message_share(message);
    shared->message = message;
    shared->ticket = ticket;
    ticket_raise(ticket, 1);
    post->ops->entry(
        post->context, worker,
        post_entry_of(POST_SHARED, shared, message_size(message) + share_post_size(shared)));
}

/* Takes the message's reference, and one of the group. -ENOMEM: it did not. */
static int post_turn(struct shard *shard, struct message *message, const struct offer *offer,
                     unsigned worker)
{
    struct share_post *shared;
    int r = shard->post.ops->reserve(shard->post.context);

    if (r < 0) {
        return r;
    }
    shared = post_new();
    if (!shared) {
        return -ENOMEM;
    }
    shared->offered = offer->offered;
    shared->rests = offer->rests;
    shared->is_handed_on = offer->is_handed_on;
    shared->turns[shared->len++] = (struct share_turn){offer->share, offer->turn};
    post_entry(shard, shared, worker, message,
               offer->publication ? offer->publication->ticket : NULL);
    return 0;
}

/* Nobody gets it. */
static void drop(struct shard *shard, const struct offer *offer, struct message *message,
                 enum metric metric)
{
    metrics_count(shard->metrics, metric);
    if (offer->is_handed_on) {
        keep_unshared(shard, message, offer->share);
    }
}

/* Known by its name, which it keeps when it is dissolved and founded again. */
static bool is_in_charge(const struct shard *shard, const struct share *share)
{
    return core_home(shard->core, share->name) == shard->worker;
}

/* Turns alone: each worker finds its ordinary subscribers in an entry of its own. */
static void post_dealt(struct shard *shard, struct publication *publication)
{
    struct worker_set workers = shard->dealt.workers;
    unsigned worker;

    while ((worker = worker_set_pop(&workers)) < WORKER_CAP) {
        post_entry(shard, share_dealt_take(shard, worker), worker,
                   message_ref(publication->message), publication->ticket);
    }
}

bool share_deal_own(struct shard *shard, const struct share_set *set, struct share_cursor *cursor,
                    uint32_t max, struct publication *publication)
{
    bool has_room = shard->post.ops->reserve(shard->post.context) == 0;
    uint32_t begin = share_set_behind(set, cursor->at);
    uint32_t end = share_set_behind(set, cursor->last);
    uint32_t len = MIN(end - begin, max);

    for (uint32_t i = begin; i < begin + len; i++) {
        struct share *share = share_set_at(set, i);

        cursor->at = set->entries[i].number;
        point("group met");
        if (share && is_in_charge(shard, share) &&
            (!has_room || deal_into_post(&shard->dealt, share) < 0)) {
            metrics_count(shard->metrics, METRIC_DROPPED_NO_MEMORY);
        }
    }
    shard_charge_many(shard, len);
    post_dealt(shard, publication);
    return begin + len == end;
}

/* False: there is no worker left to offer it to. Without memory it is dropped. */
static bool pass_on(struct shard *shard, struct offer *offer, enum share_state last)
{
    unsigned worker = next_worker(shard, offer, last);
    struct publication *publication = offer->publication;

    if (worker == WORKER_CAP) {
        return false;
    }
    point("group handed on");
    if (publication_need_message(publication) < 0) {
        metrics_count(shard->metrics, METRIC_DROPPED_NO_MEMORY);
        return true;
    }
    share_ref(offer->share);
    if (post_turn(shard, message_ref(publication->message), offer, worker) < 0) {
        drop(shard, offer, publication->message, METRIC_DROPPED_NO_MEMORY);
        message_unref(publication->message);
        share_unref(offer->share);
    }
    return true;
}

static void make_offer(struct shard *shard, struct offer *offer)
{
    worker_set_add(&offer->offered, shard->worker);
    if (!offer->rests) {
        if (serve(shard, offer, SHARE_FULL) || pass_on(shard, offer, SHARE_FULL)) {
            return;
        }
        offer->rests = true;
        offer->offered = (struct worker_set){0};
        worker_set_add(&offer->offered, shard->worker);
    }
    if (serve(shard, offer, SHARE_AWAY) || pass_on(shard, offer, SHARE_AWAY)) {
        return;
    }
    offer->is_last = true;
    if (!serve(shard, offer, SHARE_AWAY)) {
        drop(shard, offer, offer->publication->message, METRIC_DROPPED_UNSHARED);
    }
}

void share_serve_own(struct shard *shard, struct publication *publication)
{
    struct share_dealt *dealt = &shard->dealt;

    for (uint32_t i = 0; i < dealt->own_len; i++) {
        struct offer offer = {
            .share = dealt->own[i].share, .publication = publication, .turn = dealt->own[i].turn};

        make_offer(shard, &offer);
    }
    dealt->own_len = 0;
}

bool share_serve_next(struct shard *shard, struct share_post *post, struct publication *publication)
{
    struct offer offer = {.publication = publication,
                          .offered = post->offered,
                          .rests = post->rests,
                          .is_handed_on = post->is_handed_on};

    if (post->at == post->len) {
        return false;
    }
    offer.share = post->turns[post->at].share;
    offer.turn = post->turns[post->at].turn;
    post->at++;
    make_offer(shard, &offer);
    share_unref(offer.share);
    return true;
}

/* Leaving */

/* A QoS 2 message that was sent belongs to its receiver, even if that never comes back
 * [MQTT-4.8.2-4], [MQTT-4.8.2-5]. */
static bool can_be_handed_on(const struct delivery *delivery)
{
    return delivery->share && delivery->message &&
           (delivery->state == DELIVERY_QUEUED ||
            (delivery->state == DELIVERY_SENT && delivery->qos == 1));
}

void share_hand_on(struct shard *shard, struct delivery *delivery)
{
    struct offer offer = {.share = delivery->share, .is_handed_on = true};
    unsigned worker;

    if (can_be_handed_on(delivery)) {
        if (message_is_expired(delivery->message, shard_now(shard))) {
            drop(shard, &offer, delivery->message, METRIC_DROPPED_EXPIRED);
        } else if (!share_deal(offer.share, &worker, &offer.turn)) {
            drop(shard, &offer, delivery->message, METRIC_DROPPED_UNSHARED);
        } else if (post_turn(shard, delivery->message, &offer, worker) == 0) {
            *delivery = (struct delivery){0};
        } else {
            drop(shard, &offer, delivery->message, METRIC_DROPPED_NO_MEMORY);
        }
    }
    delivery_let_go(delivery);
}

/* Who hands on. */
struct leaver {
    struct shard *shard;
    const struct session *session;
    unsigned len; /* deliveries */
};

static void keep_one(void *context, const struct delivery *delivery)
{
    const struct leaver *leaver = context;

    if (can_be_handed_on(delivery)) {
        keep_hand_on(leaver->shard, leaver->session, delivery);
    }
}

void share_keep_deliveries(struct shard *shard, struct session *session)
{
    if (store_keeps(&shard->store)) {
        outbound_each(&session->outbound, keep_one, &(struct leaver){shard, session, 0});
    }
}

static void hand_on_withdrawn(void *context, struct delivery *delivery)
{
    struct leaver *leaver = context;

    leaver->len++;
    keep_one(leaver, delivery);
    share_hand_on(leaver->shard, delivery);
}

void share_withdraw(struct shard *shard, struct session *session, struct share *share)
{
    struct leaver leaver = {shard, session, 0};
    struct keep_hold *hold;

    if (keep_begin_drops(shard, session, &hold) < 0) {
        return;
    }
    shard_charge_many(shard, outbound_len(&session->outbound) / LOOKS_OF_A_DELIVERY);
    outbound_withdraw(&session->outbound, share, hand_on_withdrawn, &leaver);
    session_count_waiting(shard, session);
    if (leaver.len > 0) {
        keep_end_drops(shard, session, hold);
    } else {
        keep_cancel(hold);
    }
}
