#include "base/point.h"
#include "core/membership.h"
#include "core/session.h"
#include "core/shard.h"
#include "core/share_set.h"

/*
 * Every group has a node of its own in the filter tree: a child of its filter's node, with the
 * level "#GROUP". No topic and no filter has such a level, so only who looks for the group finds
 * it. Its number is what a session knows the subscription by, like any other; its word is the
 * group; and it keeps the filter's node in the tree. The filter's node has the group in its set
 * (core/share_set.h), which is what a match walks.
 */

#define GROUP_MARK "/#"

static size_t group_path(struct slice group, struct slice filter, uint8_t *path, size_t cap)
{
    const size_t mark = sizeof(GROUP_MARK) - 1;

    /* A client's `$share/GROUP/FILTER` is longer, and no longer than UINT16_MAX. */
    assert(filter.len > 0 && group.len > 0 && filter.len + mark + group.len <= cap);
    memcpy(path, filter.data, filter.len);
    memcpy(path + filter.len, GROUP_MARK, mark);
    memcpy(path + filter.len + mark, group.data, group.len);
    return filter.len + mark + group.len;
}

static void share_unref_late(void *context, void *share)
{
    (void)context;
    share_unref(share);
}

/* Under the lock. Nobody is in the group any more; it may not have come to be. */
static void dissolve(struct shard *shard, uint32_t node)
{
    struct router *router = &shard->core->router;
    uint32_t parent = tree_parent(router->tree, node);
    struct share *share = router_share(shard, node);

    if (share) {
        share_set_remove(router_shares_slot(shard, parent), share, &shard->reader);
        router_set_share(shard, node, NULL);
        atomic_fetch_sub_explicit(&router->share_len, 1, memory_order_relaxed);
    }
    router_settle_node(shard, parent);
    tree_prune(router->tree, node);
    if (share) {
        point("group unlinked");
        rcu_retire(&shard->reader, share_unref_late, NULL, share);
    }
}

/* Under the lock. */
static int found(struct shard *shard, uint32_t node, struct slice name, struct share **share_out)
{
    struct router *router = &shard->core->router;
    struct share *share = share_new(shard->core->worker_len, node, name);
    uint64_t number = atomic_fetch_add_explicit(&router->founded, 1, memory_order_acq_rel) + 1;
    _Atomic uint64_t *slot;
    int r;

    if (!share) {
        return -ENOMEM;
    }
    slot = router_shares_slot(shard, tree_parent(router->tree, node));
    r = slot ? share_set_add(slot, share, number, &shard->reader) : -ENOMEM;
    if (r < 0) {
        share_unref(share);
        return r;
    }
    router_set_share(shard, node, share);
    atomic_fetch_add_explicit(&router->share_len, 1, memory_order_relaxed);
    *share_out = share;
    return 0;
}

/* Under the lock. */
static int add(struct shard *shard, uint32_t node, struct slice name, struct subscriber subscriber)
{
    struct share *share = router_share(shard, node);
    int r = subscriptions_reserve(&subscriber.session->subscriptions, node);

    if (r == 0) {
        r = membership_reserve(subscriber.session);
    }
    if (r == 0 && !share) {
        r = found(shard, node, name, &share);
    }
    if (r == 0) {
        r = share_add_member(shard, share, subscriber);
    }
    if (r == 0) {
        share->member_len++;
    }
    return r;
}

/* The session is a member already: only options and identifier change. */
static void replace(struct shard *shard, uint32_t node, struct subscriber subscriber)
{
    struct share_member *member =
        share_member(shard, router_share(shard, node), subscriber.session);

    member->identifier = subscriber.identifier;
    member->options = subscriber.options;
}

/* Under the lock. */
static int join(struct shard *shard, uint32_t node, struct slice name, struct subscriber subscriber,
                bool *replaced_out)
{
    struct router *router = &shard->core->router;
    uint32_t parent = tree_parent(router->tree, node);
    bool is_first = !router_has_subscribers(shard, parent);
    int r;

    *replaced_out = subscriptions_find(&subscriber.session->subscriptions, node) != NULL;
    if (*replaced_out) {
        replace(shard, node, subscriber);
        return 0;
    }
    r = add(shard, node, name, subscriber);
    if (r < 0) {
        membership_drop_unused(subscriber.session);
        if (!router_share(shard, node) || router_share(shard, node)->member_len == 0) {
            dissolve(shard, node);
        }
        return r;
    }
    metrics_count(shard->metrics, METRIC_SHARED_SUBSCRIPTIONS);
    if (is_first) {
        router_raise_version(shard, parent);
    }
    return 0;
}

/* Under the lock. The filter's node first: alone the group's would be all that the path needs. */
static int add_nodes(struct tree *tree, struct slice filter, struct slice name, uint32_t *node_out)
{
    uint32_t parent;
    int r = tree_add(tree, filter, &parent);

    if (r < 0) {
        return r;
    }
    r = tree_add(tree, name, node_out);
    if (r < 0) {
        tree_prune(tree, parent);
    }
    return r;
}

int share_subscribe(struct shard *shard, struct slice group, struct slice filter,
                    struct subscriber subscriber, struct subscribed *subscribed_out)
{
    struct tree *tree = shard->core->router.tree;
    UNINITIALIZED uint8_t path[UINT16_MAX];
    struct slice name = slice_of(path, group_path(group, filter, path, sizeof(path)));
    int r;

    assert_owner(shard->worker);
    lock_take(tree_lock(tree));
    r = add_nodes(tree, filter, name, &subscribed_out->node);
    if (r == 0) {
        r = join(shard, subscribed_out->node, name, subscriber, &subscribed_out->replaced);
    }
    point("group joined");
    lock_release(tree_lock(tree));
    return r;
}

void share_leave(struct shard *shard, struct session *session, uint32_t node)
{
    struct router *router = &shard->core->router;
    struct share *share = router_share(shard, node);

    assert_owner(shard->worker);
    lock_take(tree_lock(router->tree));
    share_remove_member(shard, share, session);
    share->member_len--;
    if (share->member_len == 0) {
        dissolve(shard, node);
    }
    metrics_sub(shard->metrics, METRIC_SHARED_SUBSCRIPTIONS, 1);
    lock_release(tree_lock(router->tree));
}

bool share_unsubscribe(struct shard *shard, struct session *session, struct slice group,
                       struct slice filter)
{
    UNINITIALIZED uint8_t path[UINT16_MAX];
    size_t len = group_path(group, filter, path, sizeof(path));
    uint32_t node = tree_find(shard->core->router.tree, slice_of(path, len));
    struct share *share;

    assert_owner(shard->worker);
    if (node == TREE_NO_NODE || !subscriptions_find(&session->subscriptions, node)) {
        return false;
    }
    share = share_ref(router_share(shard, node));
    share_leave(shard, session, node);
    share_withdraw(shard, session, share);
    share_unref(share);
    return true;
}
