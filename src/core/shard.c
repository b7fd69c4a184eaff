#include "core/shard.h"

#include "base/memory.h"
#include "base/point.h"
#include "core/membership.h"
#include "core/replay.h"
#include "core/session.h"
#include "core/ticket.h"

static_assert((uint64_t)NODE_CHUNK_CAP * NODE_CHUNK_LEN <= UINT64_C(1) << POST_NODE_BITS,
              "an entry has room for the number of any node");

int core_new(const struct hash_key *key, unsigned worker_len, const struct core_limits *limits,
             struct core **core_out)
{
    struct core *core = memory_alloc_aligned(sizeof(*core));
    int r;

    assert(worker_len > 0 && worker_len <= WORKER_CAP);
    if (!core) {
        return -ENOMEM;
    }
    rcu_init(&core->rcu);
    core->key = *key;
    core->worker_len = worker_len;
    core->metrics = memory_alloc_aligned(worker_len * sizeof(*core->metrics));
    core->first_limits = *limits;
    for (unsigned i = 0; i < CORE_HOME_LEN; i++) {
        core->homes[i] = (uint8_t)(i % worker_len);
    }
    r = core->metrics ? retained_init(&core->retained, key) : -ENOMEM;
    if (r == 0) {
        r = router_init(&core->router, key);
    }
    if (r < 0) {
        core_free(core);
        return r;
    }
    *core_out = core;
    return 0;
}

void core_clear(struct core *core)
{
    retained_clear(&core->retained, &core->metrics[0]);
}

/* What is no more is not counted any more. */
static void assert_nothing_left(const struct core *core)
{
    for (size_t i = 0; core->metrics && i < metric_row_len; i++) {
        const struct metric_row *row = &metric_rows[i];

        assert(row->kind != METRIC_GAUGE || core_count(core, row->first) == 0);
    }
}

struct core *core_free(struct core *core)
{
    if (core) {
        assert(core->session_len == 0);
        assert_nothing_left(core);
        retained_deinit(&core->retained);
        router_deinit(&core->router);
        memory_free(core->metrics);
        memory_free(core);
    }
    return NULL;
}

void core_sum(const struct core *core, uint64_t values_out[METRIC_LEN])
{
    metrics_sum_all(core->metrics, core->worker_len, values_out);
    values_out[METRIC_SESSIONS] = atomic_load_explicit(&core->session_len, memory_order_relaxed);
    values_out[METRIC_SESSIONS_MAX] =
        atomic_load_explicit(&core->session_max, memory_order_relaxed);
}

unsigned core_home(const struct core *core, struct slice client_id)
{
    /* Not by the bits that the tables of sessions go by, at both ends: else a worker of two would
     * use half of its buckets. */
    return core->homes[(hash_bytes(&core->key, client_id) >> 32) % CORE_HOME_LEN];
}

struct shard *shard_new(struct core *core, unsigned worker, const struct peer_ops *peer)
{
    struct shard *shard = memory_must_alloc_aligned(sizeof(*shard));

    shard->core = core;
    shard->limits = core->first_limits;
    shard->worker = worker;
    shard->peer = peer;
    rcu_reader_init(&shard->reader, &core->rcu);
    shard->metrics = &core->metrics[worker];
    shard->owner =
        (struct owner){.worker = (int)worker, .reader = &shard->reader, .metrics = shard->metrics};
    wheel_init(&shard->wheel, 0);
    table_init(&shard->sessions);
    mpsc_init(&shard->kept);
    list_init(&shard->replays);
    table_init(&shard->replay_table);
    list_init(&shard->sending);
    list_init(&shard->ended);
    list_init(&shard->filling);
    share_dealt_init(&shard->dealt, core->worker_len);
    sweep_init(shard);
    shard->cache = match_cache_new();
    return shard;
}

void shard_set_post(struct shard *shard, const struct post *post)
{
    shard->post = *post;
}

void shard_set_store(struct shard *shard, const struct store *store)
{
    shard->store = *store;
}

void shard_change_limits(struct shard *shard, const struct core_limits *limits)
{
    assert_owner(shard->worker);
    shard->limits = *limits;
    sweep_change(shard);
}

void shard_clear(struct shard *shard)
{
    struct table_link *link;

    assert_owner(shard->worker);
    fanout_clear(shard);
    sweep_stop(shard);
    census_stop(shard);
    while ((link = table_any(&shard->sessions)) != NULL) {
        struct session *session = CONTAINER_OF(link, struct session, link);

        /* Nobody is left to hand anything on to; and what the store has of it stays there. */
        session_drop_queue(shard, session);
        session->is_kept = false;
        session_end(shard, session);
    }
    session_clean_up(shard, UINT32_MAX, UINT32_MAX);
    assert(list_is_empty(&shard->ended));
}

void shard_flush(struct shard *shard)
{
    assert_owner(shard->worker);
    rcu_reader_deinit(&shard->reader);
}

struct shard *shard_free(struct shard *shard)
{
    if (shard) {
        table_deinit(&shard->sessions);
        table_deinit(&shard->replay_table);
        shard->cache = match_cache_free(shard->cache);
        share_dealt_deinit(&shard->dealt);
        memory_free(shard);
    }
    return NULL;
}

void shard_begin(struct shard *shard, uint64_t now_ms)
{
    assert_owner(shard->worker);
    shard->now_ms = now_ms;
    shard->iteration++;
    shard->changes = router_changes(&shard->core->router);
    shard->budget = shard->limits.delivery_budget;
    wheel_advance(&shard->wheel, shard_now(shard));
}

/* Fan-outs and the mailbox come first, but never so that the others stand still. */
void shard_go_on(struct shard *shard)
{
    const struct core_limits *limits = &shard->limits;

    shard_share_budget(shard);
    session_go_on(shard);
    shard_share_budget(shard);
    replay_go_on(shard);
    session_clean_up(shard, limits->cleanup_budget, limits->delivery_budget);
    membership_go_on(shard);
    sweep_go_on(shard, limits->cleanup_budget);
}

bool shard_has_work(const struct shard *shard)
{
    return fanout_is_active(&shard->fanout) || !list_is_empty(&shard->sending) ||
           !list_is_empty(&shard->replays) || !list_is_empty(&shard->ended) ||
           !list_is_empty(&shard->filling) || sweep_is_under_way(&shard->sweep);
}

/* Of the only node that was found; 0: there are none or several, or nobody has looked. */
static uint64_t only_word(const struct match_found *found)
{
    return found && found->len == 1 ? found->nodes[0].word : 0;
}

/* The general way costs a fifth more instructions for what is sent to a device with QoS 0. */
static void serve_one(struct shard *shard, struct publication *publication,
                      const struct subscriber *receiver, uint32_t node)
{
    shard_charge(shard);
    publication_refer(publication, 1);
    session_deliver(shard, receiver->session, publication, receiver, node);
}

/* What an entry of the mailbox holds: one reference of the message, and perhaps a count of a ticket
 * and turns of groups. */
static void serve_entry(struct shard *shard, struct message *message, struct ticket *ticket,
                        struct share_post *post)
{
    UNINITIALIZED struct publication publication;
    UNINITIALIZED struct match_found found;
    UNINITIALIZED struct subscriber receiver;

    assert_owner(shard->worker);
    assert(message->marks.is_shared);
    publication_of(&publication, message, shard_topic_hash(shard, message_topic(message)));
    publication.ticket = ticket;
    if (likely(!post) &&
        match_cached(shard, publication.parts.topic, publication.topic_hash, &found)) {
        publication.found = &found;
        publication.groups = found.groups;
    }
    if (likely(router_own_is_all(shard, only_word(publication.found), &receiver))) {
        serve_one(shard, &publication, &receiver, publication.found->nodes[0].number);
    } else {
        fanout_serve(shard, &publication, post, publication.found);
    }
    if (unlikely(publication.groups.is_new)) {
        match_keep_groups(shard, publication.parts.topic, publication.topic_hash,
                          &publication.groups);
    }
    ticket_release(shard, ticket);
    message_unref(message);
}

/* Whether what the sender has found still holds, and is one session of this worker and no more. */
static bool is_still_for_one(const struct shard *shard, uint32_t node, uint64_t changes,
                             struct subscriber *receiver_out)
{
    const struct router *router = &shard->core->router;
    uint64_t word;

    if (node == TREE_NO_NODE || router_changes(router) != changes) {
        return false;
    }
    point("posted match");
    word = tree_word(router->tree, node);
    point("word read");
    return router_own_is_all(shard, word, receiver_out);
}

/* To hash the topic and to look for it again takes a fifth of what a message that crosses costs
 * more than one that does not. Where rights are asked for, the cache knows more of it. */
void shard_on_message(struct shard *shard, struct message *message, uint32_t node, uint64_t changes)
{
    UNINITIALIZED struct publication publication;
    UNINITIALIZED struct subscriber receiver;

    assert_owner(shard->worker);
    assert(message->marks.is_shared);
    if (unlikely(shard->limits.asks_rights || !is_still_for_one(shard, node, changes, &receiver))) {
        serve_entry(shard, message, NULL, NULL);
        return;
    }
    publication_of(&publication, message, 0);
    publication.owns_message = true;
    publication.is_for_one = true;
    serve_one(shard, &publication, &receiver, node);
    publication_deinit(&publication);
}

void shard_on_ticket(struct shard *shard, struct ticket *ticket)
{
    serve_entry(shard, ticket->message, ticket, NULL);
}

void shard_drop_ticket(struct shard *shard, struct ticket *ticket)
{
    struct message *message = ticket->message;

    ticket_release(shard, ticket);
    message_unref(message);
}

void shard_on_shared(struct shard *shard, struct share_post *post)
{
    struct message *message = TAKE(post->message);
    struct ticket *ticket = TAKE(post->ticket);

    serve_entry(shard, message, ticket, post);
}

void shard_drop_shared(struct shard *shard, struct share_post *post)
{
    ticket_release(shard, TAKE(post->ticket));
    share_post_free(post);
}

/* Takes a reference of the message over, and a count of the ticket. `node` as in
 * shard_on_message(). */
static void post_message(const struct shard *shard, unsigned worker, struct message *message,
                         struct ticket *ticket, uint32_t node)
{
    struct post_entry entry =
        post_entry_of(ticket ? POST_TICKET : POST_MESSAGE, ticket ? (void *)ticket : message,
                      message_size(message));

    entry.node = node & ((1u << POST_NODE_BITS) - 1);
    shard->post.ops->entry(shard->post.context, worker, entry);
}

static void raise_ticket(struct ticket *ticket, struct message *message, unsigned len)
{
    if (unlikely(ticket != NULL)) {
        ticket->message = message;
        ticket_raise(ticket, len);
    }
}

void shard_post(struct shard *shard, const struct publication *publication,
                const struct worker_set *to, const struct worker_set *matched)
{
    const struct post *post = &shard->post;
    struct message *message = publication->message;
    struct ticket *ticket = publication->ticket;
    struct worker_set workers = *to;
    unsigned len = worker_set_len(&workers);
    unsigned worker;

    assert(len > 0);
    message_share(message);
    message_ref_many(message, len);
    raise_ticket(ticket, message, len);
    while ((worker = worker_set_pop(&workers)) < WORKER_CAP) {
        struct share_post *shared = share_dealt_take(shard, worker);

        if (likely(!shared)) {
            post_message(shard, worker, message, ticket, TREE_NO_NODE);
            continue;
        }
        shared->message = message;
        shared->ticket = ticket;
        shared->matches = worker_set_has(matched, worker);
        post->ops->entry(
            post->context, worker,
            post_entry_of(POST_SHARED, shared, message_size(message) + share_post_size(shared)));
    }
}

static void serve_own(struct shard *shard, struct publication *publication,
                      const struct worker_set *matched, const struct match_found *found)
{
    struct share_post *shared = share_dealt_take(shard, shard->worker);
    bool matches = worker_set_has(matched, shard->worker);

    if (shard->dealt.own_len > 0) {
        shard_charge_many(shard, shard->dealt.own_len);
        publication_refer(publication, shard->dealt.own_len + matches);
        share_serve_own(shard, publication);
    }
    if (unlikely(shared != NULL)) {
        shared->matches = matches;
    }
    if (matches || shared) {
        fanout_serve(shard, publication, shared, found);
    }
}

/* Whether nothing can be overtaken when our own are served at once. */
static bool serves_at_once(const struct shard *shard)
{
    return !shard_is_in_fanout(shard) && shard->post.ops->is_quiet(shard->post.context);
}

/* Posts to others, and serves our own. */
static int route(struct shard *shard, struct publication *publication,
                 const struct worker_set *matched, const struct match_found *found)
{
    struct worker_set workers = *matched;
    bool at_once;
    int r = 0;

    if (unlikely(shard->dealt.len > 0)) {
        worker_set_join(&workers, &shard->dealt.workers);
    }
    at_once = (worker_set_has(&workers, shard->worker) || shard->dealt.own_len > 0) &&
              serves_at_once(shard);
    if (at_once) {
        worker_set_remove(&workers, shard->worker);
    } else if (unlikely(shard->dealt.own_len > 0)) {
        r = share_post_own(shard);
        worker_set_add(&workers, shard->worker);
    }
    if (r == 0 && (!worker_set_is_empty(&workers) || publication->parts.qos > 0)) {
        r = publication_need_message(publication);
    }
    if (r < 0) {
        share_dealt_drop(shard);
        return r;
    }
    if (!worker_set_is_empty(&workers)) {
        shard_post(shard, publication, &workers, matched);
    }
    if (at_once) {
        serve_own(shard, publication, matched, found);
    }
    return PUBLISH_MATCHED;
}

/* Who is to get it; `*found_out` is what a search found, NULL where that was too much to be noted
 * in `room`. False: the search was cut. */
static bool deal(struct shard *shard, const struct publication *publication,
                 struct worker_set *workers_out, struct match_found *room,
                 const struct match_found **found_out)
{
    bool is_whole;

    *found_out = publication->found;
    if (likely(*found_out)) {
        return router_deal_found(shard, *found_out, workers_out);
    }
    is_whole =
        router_deal(shard, publication->parts.topic, publication->topic_hash, workers_out, room);
    *found_out = match_found_is_all(room) ? room : NULL;
    return is_whole;
}

static int publish_to_one(struct shard *shard, struct publication *publication,
                          const struct subscriber *receiver, const struct match_found *found)
{
    int r = publication->parts.qos > 0 ? publication_need_message(publication) : 0;

    assert(found);
    if (r < 0) {
        return r;
    }
    /* Where rights are asked for, what was learned is noted under the topic afterwards, which must
     * be there still. */
    publication->is_for_one = !shard->limits.asks_rights;
    serve_one(shard, publication, receiver, found->nodes[0].number);
    return PUBLISH_MATCHED;
}

/* Of one that other workers may have to get: there is room for what is posted to them. */
static NO_INLINE int publish_to_any(struct shard *shard, struct publication *publication)
{
    UNINITIALIZED struct match_found room;
    UNINITIALIZED struct subscriber receiver;
    const struct match_found *found;
    struct worker_set workers;
    bool is_whole;
    int r = shard->post.ops->reserve(shard->post.context);

    if (r < 0) {
        return r;
    }
    if (publication->parts.retain) {
        r = publication_need_message(publication);
        return r < 0 ? r : retained_publish(shard, publication);
    }
    is_whole = deal(shard, publication, &workers, &room, &found);
    if (unlikely(!is_whole)) {
        r = publication_need_message(publication);
    }
    if (unlikely(r < 0 || shard->dealt.out_of_memory)) {
        share_dealt_drop(shard);
        return -ENOMEM;
    }
    if (likely(is_whole) && router_own_is_all(shard, only_word(found), &receiver) &&
        serves_at_once(shard)) {
        return publish_to_one(shard, publication, &receiver, found);
    }
    if (worker_set_is_empty(&workers) && share_dealt_is_empty(&shard->dealt)) {
        return PUBLISH_UNMATCHED;
    }
    r = route(shard, publication, &workers, likely(is_whole) ? found : NULL);
    return r > 0 && unlikely(!is_whole) ? PUBLISH_LEFT : r;
}

/*
 * The general way costs a quarter more for a message that crosses. The publication's reference is
 * the post's now: the message is there until what was posted is pushed, at the end of the
 * iteration.
 */
static int publish_to_other(struct shard *shard, struct publication *publication, unsigned worker)
{
    int r = shard->post.ops->reserve(shard->post.context);
    struct message *message;

    if (r == 0) {
        r = publication_hand_over(publication, &message);
    }
    if (r != 0) {
        return r;
    }
    message_share(message);
    raise_ticket(publication->ticket, message, 1);
    post_message(shard, worker, message, publication->ticket, publication->found->nodes[0].number);
    return PUBLISH_MATCHED;
}

int shard_publish(struct shard *shard, struct publication *publication)
{
    UNINITIALIZED struct subscriber receiver;
    uint64_t word = publication->parts.retain ? 0 : only_word(publication->found);
    unsigned worker = router_only_worker(word);

    assert_owner(shard->worker);
    shard_note_source(shard, publication->parts.origin);
    if (router_own_is_all(shard, word, &receiver) && serves_at_once(shard)) {
        return publish_to_one(shard, publication, &receiver, publication->found);
    }
    return worker < WORKER_CAP && worker != shard->worker
               ? publish_to_other(shard, publication, worker)
               : publish_to_any(shard, publication);
}
