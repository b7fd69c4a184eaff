#include "core/retained.h"

#include "base/point.h"
#include "core/match.h"
#include "core/shard.h"

int retained_init(struct retained *retained, const struct hash_key *key)
{
    atomic_init(&retained->number, 0);
    for (unsigned i = 0; i < RETAINED_STRIPE_LEN; i++) {
        lock_init(&retained->stripes[i], LOCK_RETAINED);
    }
    return tree_new(key, &retained->tree);
}

/* Empties one leaf after the other; the parents become leaves. */
static void drop_values(struct tree *tree, struct metrics *metrics)
{
    struct tree_edge edge;
    uint32_t number;

    lock_take(tree_lock(tree));
    number = tree_first_child(tree, TREE_ROOT, &edge);
    while (number != TREE_NO_NODE) {
        uint32_t child = tree_first_child(tree, number, &edge);
        uint64_t word;

        if (child != TREE_NO_NODE) {
            number = child;
            continue;
        }
        word = atomic_exchange(&tree_node(tree, number)->word, 0);
        message_unref((struct message *)(uintptr_t)word);
        metrics_sub(metrics, METRIC_RETAINED, word != 0);
        tree_prune(tree, number);
        number = tree_first_child(tree, TREE_ROOT, &edge);
    }
    lock_release(tree_lock(tree));
}

void retained_clear(struct retained *retained, struct metrics *metrics)
{
    drop_values(retained->tree, metrics);
}

void retained_deinit(struct retained *retained)
{
    retained->tree = tree_free(retained->tree);
    for (unsigned i = 0; i < RETAINED_STRIPE_LEN; i++) {
        lock_deinit(&retained->stripes[i]);
    }
}

static void message_unref_late(void *context, void *message)
{
    (void)context;
    message_unref(message);
}

/* The old value may be between "loaded" and "counted" on another worker: its reference is retired.
 */
static void set_value(struct shard *shard, uint32_t node, struct message *message)
{
    struct retained *retained = &shard->core->retained;
    uint64_t word = (uintptr_t)message;
    uint64_t old = atomic_exchange_explicit(&tree_node(retained->tree, node)->word, word,
                                            memory_order_acq_rel);

    if (old != 0) {
        rcu_retire(&shard->reader, message_unref_late, NULL, (void *)(uintptr_t)old);
    }
    if (message && old == 0) {
        metrics_count(shard->metrics, METRIC_RETAINED);
    } else if (!message && old != 0) {
        metrics_sub(shard->metrics, METRIC_RETAINED, 1);
    }
}

/* Under the stripe. */
static int store_value(struct shard *shard, struct message *message,
                       const struct tree_levels *topic)
{
    struct tree *tree = shard->core->retained.tree;
    uint32_t node;
    int r;

    lock_take(tree_lock(tree));
    r = tree_add_cut(tree, topic, &node);
    if (r == 0) {
        message_share(message);
        set_value(shard, node, message_ref(message));
    }
    lock_release(tree_lock(tree));
    return r;
}

/* Under the stripe. */
static void clear_value(struct shard *shard, struct slice topic)
{
    struct tree *tree = shard->core->retained.tree;
    uint32_t node;

    lock_take(tree_lock(tree));
    node = tree_find(tree, topic);
    if (node != TREE_NO_NODE) {
        set_value(shard, node, NULL);
        tree_prune(tree, node);
    }
    lock_release(tree_lock(tree));
}

/* Under the stripe: number, match, post, push. */
static int number_and_post(struct shard *shard, struct publication *publication)
{
    struct message *message = publication->message;
    const struct post *post = &shard->post;
    struct worker_set matched;
    struct worker_set workers;
    bool has_subscribers;
    bool is_whole;
    uint64_t number;

    point("retained stored");
    number = atomic_fetch_add_explicit(&shard->core->retained.number, 1, memory_order_acq_rel) + 1;
    atomic_store_explicit(&message->retained_number, number | MESSAGE_UNPOSTED,
                          memory_order_release);
    point("retained numbered");
    is_whole = router_workers(shard, publication->parts.topic, publication->topic_hash, &matched);
    workers = matched;
    worker_set_join(&workers, &shard->dealt.workers);
    has_subscribers = !worker_set_is_empty(&workers);
    if (has_subscribers) {
        shard_post(shard, publication, &workers, &matched);
    }
    post->ops->push(post->context);
    atomic_store_explicit(&message->retained_number, number, memory_order_release);
    if (!is_whole) {
        return PUBLISH_LEFT;
    }
    return has_subscribers ? PUBLISH_MATCHED : PUBLISH_UNMATCHED;
}

/* Before anything is stored: nothing is to be undone without memory. A new member has no claim to a
 * value that is stored while it subscribes, so it need not be under the stripe. */
static int deal(struct shard *shard, const struct publication *publication)
{
    struct worker_set workers;

    if (atomic_load_explicit(&shard->core->router.share_len, memory_order_acquire) == 0) {
        return 0;
    }
    /* Where that is left to the workers, they are posted to because of it. */
    (void)!router_deal(shard, publication->parts.topic, publication->topic_hash, &workers, NULL);
    return shard->dealt.out_of_memory ? -ENOMEM : share_post_own(shard);
}

int retained_publish(struct shard *shard, struct publication *publication)
{
    struct retained *retained = &shard->core->retained;
    struct lock *stripe = &retained->stripes[publication->topic_hash % RETAINED_STRIPE_LEN];
    UNINITIALIZED struct tree_levels topic;
    int r;

    tree_cut(retained->tree, publication->parts.topic, &topic);
    /* Among a million topics each of these look-ups waits for memory, a tenth of the time of a
     * load. It comes while the locks are taken. */
    tree_prefetch(retained->tree, &topic);
    match_prefetch(shard, publication->topic_hash);
    /* What this worker posted before must come before this everywhere. That takes the room, too. */
    shard->post.ops->push(shard->post.context);
    r = shard->post.ops->reserve(shard->post.context);
    if (r == 0) {
        r = deal(shard, publication);
    }
    if (r < 0) {
        share_dealt_drop(shard);
        return r;
    }
    lock_take(stripe);
    if (publication->parts.payload.len > 0) {
        r = store_value(shard, publication->message, &topic);
    } else {
        clear_value(shard, publication->parts.topic);
    }
    if (r == 0 && store_keeps(&shard->store)) {
        store_put(&shard->store, shard,
                  &(struct store_record){.kind = STORE_RETAINED, .message = publication->message});
    }
    if (r == 0) {
        r = number_and_post(shard, publication);
    }
    lock_release(stripe);
    if (r < 0) {
        share_dealt_drop(shard);
    }
    return r;
}

/* Borrowed for the read section. */
static const struct message *value_at(const struct retained *retained, uint32_t node)
{
    uint64_t word =
        atomic_load_explicit(&tree_node(retained->tree, node)->word, memory_order_acquire);

    return (const struct message *)(uintptr_t)word;
}

bool retained_is_expired(const struct retained *retained, uint32_t node, uint32_t now)
{
    const struct message *message = value_at(retained, node);

    return message && message_is_expired(message, now);
}

/* No stripe is needed: nobody waits for an expired value to be numbered or posted. */
void retained_remove_expired(struct shard *shard, uint32_t node)
{
    struct retained *retained = &shard->core->retained;

    lock_take(tree_lock(retained->tree));
    if (retained_is_expired(retained, node, shard_now(shard))) {
        set_value(shard, node, NULL);
        metrics_count(shard->metrics, METRIC_RETAINED_EXPIRED);
    }
    lock_release(tree_lock(retained->tree));
}

bool retained_has(const struct retained *retained, struct slice topic)
{
    uint32_t node = tree_find(retained->tree, topic);

    return node != TREE_NO_NODE && value_at(retained, node) != NULL;
}
