#include "core/router.h"

#include "base/memory.h"
#include "base/point.h"
#include "core/match.h"
#include "core/session.h"
#include "core/shard.h"
#include "core/share_post.h"
#include "core/share_set.h"
#include "mqtt/topics.h"

/*
 * A node's word:
 *
 *   0                          nobody
 *   SINGLE  worker, options, pointer to the session     one subscriber, without identifier
 *   LIST    worker, pointer to the worker's list        one worker
 *   MULTI   pointer to an array of words, one a worker  several workers, or groups: the array has
 *           one word more for the set of them
 *   SHARE   pointer to the group                        a group's own node (core/share_join.c)
 *
 * so memory for lists exists only where subscribers are. Words change under the tree's lock. Other
 * workers look at a word's kind and worker number alone; a pointer to a session or list is followed
 * by its own worker only, so lists need no grace period. The array of a MULTI is read by everybody:
 * it is retired.
 */

#define KIND_BITS     3u
#define KIND_SHARE    0u
#define KIND_SINGLE   1u
#define KIND_LIST     2u
#define KIND_MULTI    3u
#define WORKER_SHIFT  56
#define OPTIONS_SHIFT 48
#define POINTER_BITS  ((UINT64_C(1) << OPTIONS_SHIFT) - 1 - KIND_BITS)

#define FIRST_ROWS 2

static unsigned kind_of(uint64_t word)
{
    return (unsigned)(word & KIND_BITS);
}

static unsigned worker_of(uint64_t word)
{
    return (unsigned)(word >> WORKER_SHIFT);
}

static void *pointer_of(uint64_t word)
{
    return (void *)(uintptr_t)(word & POINTER_BITS);
}

static struct subscriber single_of(uint64_t word)
{
    return (struct subscriber){.session = pointer_of(word),
                               .options = (uint8_t)(word >> OPTIONS_SHIFT)};
}

static uint64_t make_word(unsigned kind, unsigned worker, uint8_t options, void *pointer)
{
    uint64_t bits = (uintptr_t)pointer;

    assert((bits & ~POINTER_BITS) == 0 && worker < WORKER_CAP);
    return bits | kind | (uint64_t)worker << WORKER_SHIFT | (uint64_t)options << OPTIONS_SHIFT;
}

static uint64_t load(_Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

static void store(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

int router_init(struct router *router, const struct hash_key *key)
{
    atomic_init(&router->share_len, 0);
    atomic_init(&router->founded, 0);
    atomic_init(&router->wildcard_version, 1);
    atomic_init(&router->changes, 0);
    return tree_new(key, &router->tree);
}

void router_deinit(struct router *router)
{
    router->tree = tree_free(router->tree);
}

/* Lists */

static struct subscriber_list *rows_new(uint32_t cap)
{
    struct subscriber_list *list = memory_alloc_zero(1, sizeof(*list));

    if (!list) {
        return NULL;
    }
    list->rows = memory_alloc(cap * sizeof(*list->rows));
    list->cap = cap;
    return list->rows ? list : memory_free(list);
}

static void rows_free(struct subscriber_list *list)
{
    memory_free(list->rows);
    memory_free(list);
}

static int push_row(struct subscriber_list *list, struct subscriber subscriber)
{
    if (list->len == list->cap) {
        struct subscriber *rows =
            memory_resize(list->rows, (size_t)list->cap * 2 * sizeof(*list->rows));

        if (!rows) {
            return -ENOMEM;
        }
        list->rows = rows;
        list->cap *= 2;
    }
    list->rows[list->len++] = subscriber;
    return 0;
}

void subscriber_list_pin(struct subscriber_list *list)
{
    list->pins++;
}

void subscriber_list_unpin(struct subscriber_list *list)
{
    assert(list->pins > 0);
    if (--list->pins == 0 && list->len == 0) {
        rows_free(list);
    }
}

static void move_row(struct subscriber_list *list, uint32_t node, uint32_t from, uint32_t to)
{
    if (from != to) {
        list->rows[to] = list->rows[from];
        subscriptions_find(&list->rows[to].session->subscriptions, node)->place = to;
    }
}

/* The hole travels from the served rows to the unserved and to the later ones: each keeps its side.
 */
static void list_remove_row(struct shard *shard, struct subscriber_list *list, uint32_t node,
                            uint32_t place)
{
    struct fanout_borders *borders = fanout_borders(&shard->fanout, list);

    if (borders && place < borders->row) {
        move_row(list, node, --borders->row, place);
        place = borders->row;
    }
    if (borders && place < borders->end) {
        move_row(list, node, --borders->end, place);
        place = borders->end;
    }
    move_row(list, node, --list->len, place);
}

/* Words */

static void multi_free_late(void *context, void *multi)
{
    (void)context;
    memory_free(multi);
}

/* The words of a node's workers and, at `worker_len`, of its groups. Under the lock. NULL without
 * memory. */
static _Atomic uint64_t *need_multi(struct shard *shard, uint32_t node)
{
    _Atomic uint64_t *slot = &tree_node(shard->core->router.tree, node)->word;
    uint64_t word = load(slot);
    _Atomic uint64_t *multi;

    if (word != 0 && kind_of(word) == KIND_MULTI) {
        return pointer_of(word);
    }
    multi = memory_alloc_zero(shard->core->worker_len + 1u, sizeof(*multi));
    if (!multi) {
        return NULL;
    }
    if (word != 0) {
        store(&multi[worker_of(word)], word);
    }
    store(slot, make_word(KIND_MULTI, 0, 0, multi));
    return multi;
}

/* The word that holds this worker's part of a node. Under the lock. NULL without memory. */
static _Atomic uint64_t *own_slot(struct shard *shard, uint32_t node)
{
    _Atomic uint64_t *slot = &tree_node(shard->core->router.tree, node)->word;
    uint64_t word = load(slot);
    _Atomic uint64_t *multi;

    if (word == 0 || (kind_of(word) != KIND_MULTI && worker_of(word) == shard->worker)) {
        return slot;
    }
    multi = need_multi(shard, node);
    return multi ? &multi[shard->worker] : NULL;
}

/* A multi whose words are all empty goes. Under the lock. */
static void drop_empty_multi(struct shard *shard, uint32_t node)
{
    _Atomic uint64_t *slot = &tree_node(shard->core->router.tree, node)->word;
    uint64_t word = load(slot);
    _Atomic uint64_t *multi = pointer_of(word);

    if (kind_of(word) != KIND_MULTI) {
        return;
    }
    for (unsigned i = 0; i <= shard->core->worker_len; i++) {
        if (load(&multi[i]) != 0) {
            return;
        }
    }
    store(slot, 0);
    rcu_retire(&shard->reader, multi_free_late, NULL, multi);
}

static void raise_version_of(struct shard *shard, struct slice filter)
{
    struct router *router = &shard->core->router;

    point("version");
    if (mqtt_filter_has_wildcard(filter)) {
        atomic_fetch_add_explicit(&router->wildcard_version, 1, memory_order_acq_rel);
    } else {
        uint64_t hash = hash_bytes(&shard->core->key, filter);

        atomic_fetch_add_explicit(&router->versions[hash % ROUTER_VERSION_LEN], 1,
                                  memory_order_acq_rel);
    }
    point("version raised");
    /* Behind it: who has seen this and matches afterwards has seen that. */
    atomic_fetch_add_explicit(&router->changes, 1, memory_order_acq_rel);
}

static NO_INLINE void raise_version_of_long(struct shard *shard, uint32_t node)
{
    UNINITIALIZED uint8_t path[UINT16_MAX];
    size_t len = tree_path(shard->core->router.tree, node, path, sizeof(path));

    raise_version_of(shard, slice_of(path, len));
}

/* On a small stack: sixteen pages of it are looked at one by one before they are used. */
void router_raise_version(struct shard *shard, uint32_t node)
{
    UNINITIALIZED uint8_t path[256];
    size_t len = tree_path(shard->core->router.tree, node, path, sizeof(path));

    if (unlikely(len > sizeof(path))) {
        raise_version_of_long(shard, node);
    } else {
        raise_version_of(shard, slice_of(path, len));
    }
}

/* Groups */

struct share *router_share(const struct shard *shard, uint32_t node)
{
    uint64_t word = load(&tree_node(shard->core->router.tree, node)->word);

    return kind_of(word) == KIND_SHARE ? pointer_of(word) : NULL;
}

void router_set_share(struct shard *shard, uint32_t node, struct share *share)
{
    store(&tree_node(shard->core->router.tree, node)->word, make_word(KIND_SHARE, 0, 0, share));
}

_Atomic uint64_t *router_shares_slot(struct shard *shard, uint32_t node)
{
    _Atomic uint64_t *multi = need_multi(shard, node);

    return multi ? &multi[shard->core->worker_len] : NULL;
}

bool router_has_subscribers(const struct shard *shard, uint32_t node)
{
    return load(&tree_node(shard->core->router.tree, node)->word) != 0;
}

void router_settle_node(struct shard *shard, uint32_t node)
{
    drop_empty_multi(shard, node);
    if (!router_has_subscribers(shard, node)) {
        router_raise_version(shard, node);
    }
}

/* Subscribing */

/* From one subscriber in the word to a list with the same one, which may take more. */
static int single_to_list(struct shard *shard, _Atomic uint64_t *slot, uint32_t node)
{
    uint64_t word = load(slot);
    struct session *session = pointer_of(word);
    struct subscriber_list *list = rows_new(FIRST_ROWS);
    int r;

    if (!list) {
        return -ENOMEM;
    }
    r = push_row(list, single_of(word));
    assert(r == 0);
    subscriptions_find(&session->subscriptions, node)->place = 0;
    store(slot, make_word(KIND_LIST, shard->worker, 0, list));
    return 0;
}

static int push_to_list(_Atomic uint64_t *slot, uint32_t node, struct subscriber subscriber)
{
    struct subscriber_list *list = pointer_of(load(slot));
    int r = push_row(list, subscriber);

    if (r == 0) {
        subscriptions_add(&subscriber.session->subscriptions, node, list->len - 1);
    }
    return r;
}

static int list_of_one(struct shard *shard, _Atomic uint64_t *slot, uint32_t node,
                       struct subscriber subscriber)
{
    struct subscriber_list *list = rows_new(FIRST_ROWS);

    if (!list) {
        return -ENOMEM;
    }
    store(slot, make_word(KIND_LIST, shard->worker, 0, list));
    return push_to_list(slot, node, subscriber);
}

/* Under the lock; the session has room for it. */
static int add_row(struct shard *shard, uint32_t node, struct subscriber subscriber)
{
    _Atomic uint64_t *slot = own_slot(shard, node);
    uint64_t word;

    if (!slot) {
        return -ENOMEM;
    }
    word = load(slot);
    if (word == 0 && subscriber.identifier == 0) {
        store(slot, make_word(KIND_SINGLE, shard->worker, subscriber.options, subscriber.session));
        subscriptions_add(&subscriber.session->subscriptions, node, SUBSCRIPTION_ALONE);
        return 0;
    }
    if (word == 0) {
        return list_of_one(shard, slot, node, subscriber);
    }
    if (kind_of(word) == KIND_SINGLE) {
        int r = single_to_list(shard, slot, node);

        if (r < 0) {
            return r;
        }
    }
    return push_to_list(slot, node, subscriber);
}

/* The session has this filter already: only options and identifier change. Under the lock. */
static int replace_row(struct shard *shard, uint32_t node, struct subscriber subscriber)
{
    _Atomic uint64_t *slot = own_slot(shard, node);
    struct subscription *subscription =
        subscriptions_find(&subscriber.session->subscriptions, node);
    struct subscriber_list *list;

    assert(slot && subscription);
    if (subscription->place == SUBSCRIPTION_ALONE && subscriber.identifier == 0) {
        store(slot, make_word(KIND_SINGLE, shard->worker, subscriber.options, subscriber.session));
        return 0;
    }
    if (subscription->place == SUBSCRIPTION_ALONE) {
        int r = single_to_list(shard, slot, node);

        if (r < 0) {
            return r;
        }
    }
    list = pointer_of(load(slot));
    list->rows[subscription->place] = subscriber;
    return 0;
}

/* Under the lock. */
static int subscribe_at(struct shard *shard, uint32_t node, struct slice filter,
                        struct subscriber subscriber, bool *replaced_out)
{
    bool is_first = load(&tree_node(shard->core->router.tree, node)->word) == 0;
    int r;

    *replaced_out =
        !is_first && subscriptions_find(&subscriber.session->subscriptions, node) != NULL;
    if (*replaced_out) {
        return replace_row(shard, node, subscriber);
    }
    r = subscriptions_reserve(&subscriber.session->subscriptions, node);
    if (r == 0) {
        r = add_row(shard, node, subscriber);
    }
    if (r < 0) {
        drop_empty_multi(shard, node);
        tree_prune(shard->core->router.tree, node);
        return r;
    }
    metrics_count(shard->metrics, METRIC_SUBSCRIPTIONS);
    /* A cached match has a node that others subscribe to, and reads its word again. */
    if (is_first) {
        raise_version_of(shard, filter);
    }
    return 0;
}

void router_look_ahead(const struct shard *shard, struct slice filter,
                       struct tree_levels *levels_out)
{
    const struct tree *tree = shard->core->router.tree;

    tree_cut(tree, filter, levels_out);
    tree_prefetch(tree, levels_out);
}

static int subscribe_cut(struct shard *shard, struct slice filter, const struct tree_levels *levels,
                         struct subscriber subscriber, struct subscribed *subscribed_out)
{
    const struct subscriptions *subscriptions = &subscriber.session->subscriptions;
    struct tree *tree = shard->core->router.tree;
    int r;

    lock_take(tree_lock(tree));
    /* And for the next one: for itself it comes late, except where it is the first. */
    subscriptions_prefetch(subscriptions, tree_next_number(tree));
    subscriptions_prefetch(subscriptions, tree_next_number(tree) + 1);
    r = tree_add_cut(tree, levels, &subscribed_out->node);
    if (r == 0) {
        r = subscribe_at(shard, subscribed_out->node, filter, subscriber,
                         &subscribed_out->replaced);
    }
    point("subscribed");
    lock_release(tree_lock(tree));
    return r;
}

int router_subscribe(struct shard *shard, struct slice filter, const struct tree_levels *levels,
                     struct subscriber subscriber, struct subscribed *subscribed_out)
{
    UNINITIALIZED struct tree_levels own;

    assert_owner(shard->worker);
    if (!levels) {
        router_look_ahead(shard, filter, &own);
        levels = &own;
    }
    return subscribe_cut(shard, filter, levels, subscriber, subscribed_out);
}

/* Under the lock. */
static void remove_own(struct shard *shard, struct session *session, uint32_t node)
{
    _Atomic uint64_t *slot = own_slot(shard, node);
    uint32_t place = subscriptions_find(&session->subscriptions, node)->place;
    struct subscriber_list *list;

    assert(slot && load(slot) != 0);
    if (place == SUBSCRIPTION_ALONE) {
        store(slot, 0);
        return;
    }
    list = pointer_of(load(slot));
    list_remove_row(shard, list, node, place);
    if (list->len == 0) {
        store(slot, 0);
        if (list->pins == 0) {
            rows_free(list);
        }
    }
}

void router_remove(struct shard *shard, struct session *session, uint32_t node)
{
    struct router *router = &shard->core->router;

    assert_owner(shard->worker);
    if (router_share(shard, node)) {
        share_leave(shard, session, node);
        return;
    }
    lock_take(tree_lock(router->tree));
    remove_own(shard, session, node);
    subscriptions_remove(&session->subscriptions, node);
    router_settle_node(shard, node);
    tree_prune(router->tree, node);
    metrics_sub(shard->metrics, METRIC_SUBSCRIPTIONS, 1);
    lock_release(tree_lock(router->tree));
}

bool router_unsubscribe(struct shard *shard, struct session *session, struct slice filter,
                        uint32_t *node_out)
{
    uint32_t node = tree_find(shard->core->router.tree, filter);

    if (node == TREE_NO_NODE || !subscriptions_find(&session->subscriptions, node)) {
        return false;
    }
    /* The node stays: it has this session's subscription, which only this worker removes. */
    router_remove(shard, session, node);
    *node_out = node;
    return true;
}

/* Matching */

/* Sets of groups that one match may meet: each is dealt from when the search is through. */
#define SETS_MAX 32

struct worker_walk {
    struct shard *shard;
    struct worker_set *workers;
    struct match_found *found; /* NULL: nobody asks */
    bool deals;
    bool too_many;
    uint64_t share_len; /* in those sets */
    unsigned set_len;
    const struct share_set *sets[SETS_MAX];
};

const struct share_set *router_shares(const struct shard *shard, uint64_t word)
{
    _Atomic uint64_t *multi = pointer_of(word);

    return kind_of(word) == KIND_MULTI ? share_set_of(load(&multi[shard->core->worker_len])) : NULL;
}

static void note_set(struct worker_walk *walk, const struct share_set *set)
{
    unsigned max = walk->shard->limits.search_steps;

    walk->share_len += share_set_len(set);
    if (walk->set_len == SETS_MAX || (max > 0 && walk->share_len > max)) {
        walk->too_many = true;
    } else {
        walk->sets[walk->set_len++] = set;
    }
}

static ALWAYS_INLINE void note_workers(struct worker_walk *walk, uint64_t word)
{
    unsigned worker_len = walk->shard->core->worker_len;
    _Atomic uint64_t *multi = pointer_of(word);
    uint64_t shares;

    if (kind_of(word) != KIND_MULTI) {
        worker_set_add(walk->workers, worker_of(word));
        return;
    }
    for (unsigned i = 0; i < worker_len; i++) {
        if (load(&multi[i]) != 0) {
            worker_set_add(walk->workers, i);
        }
    }
    shares = walk->deals ? load(&multi[worker_len]) : 0;
    if (unlikely(shares != 0)) {
        note_set(walk, share_set_of(shares));
    }
}

static void worker_visit(void *context, uint32_t node, uint64_t word)
{
    struct worker_walk *walk = context;

    if (walk->found) {
        match_found_add(walk->found, node, word);
    }
    note_workers(walk, word);
}

static void walk_init(struct worker_walk *walk, struct shard *shard, struct worker_set *workers,
                      struct match_found *found, bool deals)
{
    *workers = (struct worker_set){0};
    if (found) {
        found->len = 0;
    }
    walk->shard = shard;
    walk->workers = workers;
    walk->found = found;
    walk->deals = deals;
    walk->too_many = false;
    walk->share_len = 0;
    walk->set_len = 0;
}

static void add_all_workers(const struct shard *shard, struct worker_set *workers)
{
    for (unsigned i = 0; i < shard->core->worker_len; i++) {
        worker_set_add(workers, i);
    }
}

bool router_workers(struct shard *shard, struct slice topic, uint64_t topic_hash,
                    struct worker_set *workers_out)
{
    UNINITIALIZED struct worker_walk walk;

    walk_init(&walk, shard, workers_out, NULL, false);
    if (unlikely(!match_nodes(shard, topic, topic_hash, worker_visit, &walk))) {
        add_all_workers(shard, workers_out);
        return false;
    }
    return true;
}

/* What is left to do when all nodes were seen, or the search was cut. */
static bool deal(struct worker_walk *walk, bool is_whole)
{
    struct shard *shard = walk->shard;

    if (unlikely(!is_whole || walk->too_many)) {
        add_all_workers(shard, walk->workers);
        if (atomic_load_explicit(&shard->core->router.share_len, memory_order_acquire) > 0) {
            share_leave_dealing(shard);
        }
        return false;
    }
    for (unsigned i = 0; i < walk->set_len; i++) {
        share_deal_all(shard, walk->sets[i]);
    }
    return true;
}

bool router_deal(struct shard *shard, struct slice topic, uint64_t topic_hash,
                 struct worker_set *workers_out, struct match_found *found_out)
{
    UNINITIALIZED struct worker_walk walk;

    walk_init(&walk, shard, workers_out, found_out, true);
    return deal(&walk, match_nodes(shard, topic, topic_hash, worker_visit, &walk));
}

bool router_deal_found(struct shard *shard, const struct match_found *found,
                       struct worker_set *workers_out)
{
    UNINITIALIZED struct worker_walk walk;

    walk_init(&walk, shard, workers_out, NULL, true);
    for (unsigned i = 0; i < found->len; i++) {
        note_workers(&walk, found->nodes[i].word);
    }
    return deal(&walk, true);
}

struct own_subscribers router_own(const struct shard *shard, uint64_t word)
{
    struct own_subscribers own = {.len = 0};
    _Atomic uint64_t *multi = pointer_of(word);

    if (kind_of(word) == KIND_MULTI) {
        word = load(&multi[shard->worker]);
    }
    if (word == 0 || worker_of(word) != shard->worker) {
        return own;
    }
    if (kind_of(word) == KIND_SINGLE) {
        own.single = single_of(word);
        own.len = 1;
        return own;
    }
    own.list = pointer_of(word);
    own.len = own.list->len;
    return own;
}

bool router_own_is_all(const struct shard *shard, uint64_t word, struct subscriber *single_out)
{
    if (kind_of(word) != KIND_SINGLE || worker_of(word) != shard->worker) {
        return false;
    }
    *single_out = single_of(word);
    return true;
}

unsigned router_only_worker(uint64_t word)
{
    return kind_of(word) == KIND_SINGLE || kind_of(word) == KIND_LIST ? worker_of(word)
                                                                      : WORKER_CAP;
}

bool router_find_own(const struct shard *shard, struct session *session, uint32_t node,
                     struct subscriber *subscriber_out)
{
    const struct subscription *subscription = subscriptions_find(&session->subscriptions, node);
    struct own_subscribers own;

    if (!subscription) {
        return false;
    }
    own = router_own(shard, tree_word(shard->core->router.tree, node));
    assert(own.len > 0);
    *subscriber_out = own.list ? own.list->rows[subscription->place] : own.single;
    return true;
}
