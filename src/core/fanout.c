#include "core/fanout.h"

#include "base/memory.h"
#include "base/point.h"
#include "core/merge.h"
#include "core/session.h"
#include "core/shard.h"
#include "core/ticket.h"

#include <limits.h>

/*
 * When the subscribers here fit into the budget they are served in the walk that finds them, and
 * nothing is remembered. Otherwise the walk writes down its targets: lists, pinned so that they
 * stay, and sessions that stand alone at their node, pinned together with it. The cursor then goes
 * round them, some rows of each list in turn, over as many iterations as it takes: those who have
 * the same filters are met together, and what such a session gets leaves in one write, not in one
 * for each iteration. A search that is cut (core/search.h) writes the targets down over as many,
 * and before it is through nobody is served: what one session gets for several subscriptions may
 * have to become one copy. It writes down nodes with groups as well, when they were left to the
 * receivers; each worker deals the turns of some of them, in as many slices.
 *
 * Whoever removes a row of a list keeps the borders in its target (fanout_borders()).
 * Whoever stood alone is looked for at its node when its turn comes: it may have left, or others
 * may have made a list of it. So leaving costs no search through the targets.
 */

#define FIRST_TARGETS 16

/* Looking at so many targets for a session that is merged costs as much as one delivery: 70 ns each
 * where its subscriptions are in no cache. */
#define TARGETS_OF_A_DELIVERY 2u

/* Deliveries of a list that is served in one go are so many times cheaper than all else that is
 * charged: 20 to 50 ns each, but for what their connections' writes cost. */
#define DELIVERIES_OF_A_CHARGE 4u

/* A list, or one session. */
struct fanout_target {
    struct subscriber_list *list; /* NULL: `single` */
    struct subscriber single;     /* as it was when its session was met last */
    struct fanout_borders borders;
    uint32_t node;
};

/* Context of the walks below. */
struct fanout_walk {
    struct shard *shard;
    struct publication *publication;
    struct share_post *post;
    uint64_t total;
    bool out_of_memory;
    struct match_found found; /* what was counted */
};

static void walk_init(struct fanout_walk *walk, struct shard *shard,
                      struct publication *publication, struct share_post *post)
{
    walk->shard = shard;
    walk->publication = publication;
    walk->post = post;
    walk->total = post ? post->len : 0;
    walk->found.len = 0;
    walk->out_of_memory = false;
}

static void count_visit(void *context, uint32_t node, uint64_t word)
{
    struct fanout_walk *walk = context;

    walk->total += router_own(walk->shard, word).len;
    match_found_add(&walk->found, node, word);
}

static void serve_visit(void *context, uint32_t node, uint64_t word)
{
    struct fanout_walk *walk = context;
    struct own_subscribers own = router_own(walk->shard, word);

    if (own.len > 0 && !own.list) {
        session_deliver(walk->shard, own.single.session, walk->publication, &own.single, node);
    }
    for (uint32_t i = 0; own.list && i < own.len; i++) {
        struct subscriber *row = &own.list->rows[i];

        session_deliver(walk->shard, row->session, walk->publication, row, node);
    }
}

static int targets_grow(struct fanout *fanout)
{
    uint32_t cap = fanout->cap ? fanout->cap * 2 : FIRST_TARGETS;
    struct fanout_target *targets = memory_resize(fanout->targets, cap * sizeof(*targets));

    if (!targets) {
        return -ENOMEM;
    }
    fanout->targets = targets;
    fanout->cap = cap;
    return 0;
}

static void collect_visit(void *context, uint32_t node, uint64_t word)
{
    struct fanout_walk *walk = context;
    struct fanout *fanout = &walk->shard->fanout;
    struct own_subscribers own = router_own(walk->shard, word);

    if (own.len == 0 || walk->out_of_memory) {
        return;
    }
    if (fanout->len == fanout->cap && targets_grow(fanout) < 0) {
        walk->out_of_memory = true;
        return;
    }
    fanout->targets[fanout->len] =
        (struct fanout_target){.list = own.list, .single = own.single, .node = node};
    if (own.list) {
        fanout->targets[fanout->len].borders.end = own.list->len;
        own.list->target = fanout->len;
        subscriber_list_pin(own.list);
    } else {
        bool is_pinned = tree_pin(walk->shard->core->router.tree, node);

        /* It has this worker's subscriber. */
        assert(is_pinned);
        session_pin(own.single.session);
    }
    fanout->len++;
}

static int deals_grow(struct fanout_deals *deals)
{
    uint32_t cap = deals->cap ? deals->cap * 2 : FIRST_TARGETS;
    uint32_t *nodes = memory_resize(deals->nodes, cap * sizeof(*nodes));

    if (!nodes) {
        return -ENOMEM;
    }
    deals->nodes = nodes;
    deals->cap = cap;
    return 0;
}

/* Without memory its groups are dealt at once. */
static void collect_groups(struct fanout_walk *walk, uint32_t node, const struct share_set *shares)
{
    struct shard *shard = walk->shard;
    struct fanout_deals *deals = &shard->fanout.to_deal;

    if (deals->len == deals->cap && deals_grow(deals) < 0) {
        struct share_cursor cursor = {0, deals->cursor.last};

        (void)share_deal_own(shard, shares, &cursor, UINT32_MAX, walk->publication);
    } else if (tree_pin(shard->core->router.tree, node)) {
        deals->nodes[deals->len++] = node;
    }
}

/* Of a search in slices. */
static void found_visit(void *context, uint32_t node, uint64_t word)
{
    struct fanout_walk *walk = context;
    const struct share_set *shares =
        walk->shard->fanout.deals ? router_shares(walk->shard, word) : NULL;

    if (shares) {
        collect_groups(walk, node, shares);
    }
    collect_visit(context, node, word);
}

static void target_release(struct shard *shard, struct fanout_target *target)
{
    if (target->list) {
        subscriber_list_unpin(target->list);
    } else {
        session_unpin(target->single.session);
        tree_unpin(shard->core->router.tree, target->node);
    }
}

static void release_targets(struct shard *shard)
{
    struct fanout *fanout = &shard->fanout;

    while (fanout->len > 0) {
        target_release(shard, &fanout->targets[--fanout->len]);
    }
}

/* On to the next target. */
static void turn(struct fanout *fanout)
{
    fanout->at = fanout->at + 1 < fanout->len ? fanout->at + 1 : 0;
    fanout->run = 0;
}

/* The one at the cursor is finished: the last one takes its place. */
static void finish_target(struct shard *shard)
{
    struct fanout *fanout = &shard->fanout;
    struct fanout_target *target = &fanout->targets[fanout->at];

    target_release(shard, target);
    *target = fanout->targets[--fanout->len];
    if (fanout->at < fanout->len && target->list) {
        target->list->target = fanout->at;
    }
    fanout->at = fanout->at < fanout->len ? fanout->at : 0;
    fanout->run = 0;
}

/* On to the next node. */
static void deals_next(struct shard *shard)
{
    struct fanout_deals *deals = &shard->fanout.to_deal;

    tree_unpin(shard->core->router.tree, deals->nodes[deals->at++]);
    deals->cursor.at = 0;
}

static void deals_clear(struct shard *shard)
{
    struct fanout_deals *deals = &shard->fanout.to_deal;

    while (deals->at < deals->len) {
        deals_next(shard);
    }
    memory_free(deals->nodes);
    *deals = (struct fanout_deals){0};
}

void fanout_clear(struct shard *shard)
{
    struct fanout *fanout = &shard->fanout;

    release_targets(shard);
    deals_clear(shard);
    fanout->targets = memory_free(fanout->targets);
    fanout->cap = 0;
    fanout->at = 0;
    fanout->run = 0;
    fanout->post = share_post_free(fanout->post);
    fanout->is_searching = false;
    fanout->deals = false;
    fanout->out_of_memory = false;
    fanout->serial = 0;
    fanout->message = message_unref(fanout->message);
    ticket_release(shard, TAKE(fanout->ticket));
}

/* Whether the filter tree has to be asked: a message that is handed on is for its group alone. */
static bool matches(const struct fanout_walk *walk)
{
    return likely(!walk->post) || walk->post->matches;
}

static void match_all(struct fanout_walk *walk, search_visit_fn visit)
{
    if (matches(walk)) {
        match_all_nodes(walk->shard, walk->publication->parts.topic, walk->publication->topic_hash,
                        visit, walk);
    }
}

/* False: the search is too long, or it deals, which it does once. */
static bool count(struct fanout_walk *walk, const struct match_found *found)
{
    if (unlikely(walk->post && walk->post->deals)) {
        return false;
    }
    if (found && matches(walk)) {
        for (unsigned i = 0; i < found->len; i++) {
            count_visit(walk, found->nodes[i].number, found->nodes[i].word);
        }
        return true;
    }
    return !matches(walk) || match_nodes(walk->shard, walk->publication->parts.topic,
                                         walk->publication->topic_hash, count_visit, walk);
}

/* The message becomes the active fan-out. */
static int begin(struct fanout_walk *walk)
{
    struct publication *publication = walk->publication;
    struct fanout *fanout = &walk->shard->fanout;
    int r = publication_need_message(publication);

    if (r < 0) {
        return r;
    }
    fanout->message = message_ref(publication->message);
    fanout->ticket = publication->ticket;
    ticket_raise(fanout->ticket, 1);
    fanout->topic_hash = publication->topic_hash;
    return 0;
}

static bool start(struct fanout_walk *walk)
{
    struct fanout *fanout = &walk->shard->fanout;

    if (begin(walk) < 0) {
        return false;
    }
    match_all(walk, collect_visit);
    if (walk->out_of_memory) {
        fanout_clear(walk->shard);
        return false;
    }
    fanout->post = TAKE(walk->post);
    return true;
}

static bool start_search(struct fanout_walk *walk)
{
    struct fanout *fanout = &walk->shard->fanout;

    if (begin(walk) < 0) {
        return false;
    }
    fanout->deals = walk->post && walk->post->deals;
    fanout->post = TAKE(walk->post);
    fanout->is_searching = true;
    fanout->to_deal.cursor.last = router_founded(&walk->shard->core->router);
    match_search_init(walk->shard, &fanout->search, fanout->topic_hash);
    return true;
}

static void serve_at_once(struct fanout_walk *walk)
{
    while (walk->post && share_serve_next(walk->shard, walk->post, walk->publication)) {
    }
    match_all(walk, serve_visit);
    walk->post = share_post_free(walk->post);
}

/* All that was counted, a moment ago. */
static void serve_counted(struct fanout_walk *walk)
{
    if (unlikely(!match_found_is_all(&walk->found) || walk->post)) {
        serve_at_once(walk);
        return;
    }
    for (unsigned i = 0; i < walk->found.len; i++) {
        serve_visit(walk, walk->found.nodes[i].number, walk->found.nodes[i].word);
    }
}

/* Even if each of these deliveries is the first of the iteration for its connection. */
static bool can_serve_at_once(const struct shard *shard, uint64_t receiver_len)
{
    return receiver_len <= shard->limits.at_once ||
           receiver_len * (SHARD_WRITE_COST + 1) <= shard->budget;
}

void fanout_serve(struct shard *shard, struct publication *publication, struct share_post *post,
                  const struct match_found *found)
{
    UNINITIALIZED struct fanout_walk walk;
    bool merges;

    assert(!fanout_is_active(&shard->fanout));
    walk_init(&walk, shard, publication, post);
    if (unlikely(!count(&walk, found))) {
        if (start_search(&walk)) {
            fanout_go_on(shard);
        } else {
            serve_at_once(&walk);
        }
        return;
    }
    if (walk.total == 0) {
        return;
    }
    merges = shard->limits.merges && walk.found.len > 1;
    if ((merges || !can_serve_at_once(shard, walk.total)) && start(&walk)) {
        shard->fanout.serial = merges ? ++shard->fanout.serials : 0;
        fanout_go_on(shard);
        return;
    }
    shard_charge_many(shard, (walk.total + DELIVERIES_OF_A_CHARGE - 1) / DELIVERIES_OF_A_CHARGE);
    publication_refer(publication, walk.total);
    serve_counted(&walk);
}

static void serve_turns(struct shard *shard, struct publication *publication)
{
    struct fanout *fanout = &shard->fanout;

    while (shard->budget > 0 && fanout->post) {
        if (!share_serve_next(shard, fanout->post, publication)) {
            fanout->post = share_post_free(fanout->post);
            return;
        }
        shard_charge(shard);
    }
}

/* Whoever stood alone, as it subscribes now, perhaps with others; NULL when it has left. */
static struct subscriber *single_of(const struct shard *shard, struct fanout_target *target)
{
    return router_find_own(shard, target->single.session, target->node, &target->single)
               ? &target->single
               : NULL;
}

/* The session's row at a target that is still to be served; NULL when it has none there. */
static struct subscriber *row_of(const struct shard *shard, struct session *session,
                                 struct fanout_target *target)
{
    const struct subscription *subscription;
    struct subscriber *row;

    if (!target->list) {
        return target->single.session == session ? single_of(shard, target) : NULL;
    }
    subscription = subscriptions_find(&session->subscriptions, target->node);
    if (!subscription || subscription->place >= target->list->len) {
        return NULL;
    }
    row = &target->list->rows[subscription->place];
    return row->session == session ? row : NULL;
}

/* Where the session is met first it gets what all its subscriptions want, and no more later. */
static void deliver_merged(struct shard *shard, struct publication *publication,
                           struct session *session)
{
    struct fanout *fanout = &shard->fanout;
    struct merge merge;

    if (session->merged == fanout->serial) {
        return;
    }
    session->merged = fanout->serial;
    shard_charge_many(shard, fanout->len / TARGETS_OF_A_DELIVERY);
    merge_init(&merge, session, publication);
    for (uint32_t i = 0; i < fanout->len; i++) {
        struct subscriber *row = row_of(shard, session, &fanout->targets[i]);

        if (row) {
            session_merge(shard, &merge, row, fanout->targets[i].node);
        }
    }
    if (merge.is_any) {
        session_deliver_merged(shard, &merge);
    }
    merge_deinit(&merge);
}

static void serve(struct shard *shard, struct publication *publication,
                  struct subscriber *subscriber, uint32_t node)
{
    if (shard->fanout.serial != 0) {
        deliver_merged(shard, publication, subscriber->session);
    } else {
        session_deliver(shard, subscriber->session, publication, subscriber, node);
    }
}

static void serve_single(struct shard *shard, struct publication *publication)
{
    struct fanout_target *target = &shard->fanout.targets[shard->fanout.at];
    struct subscriber *subscriber = single_of(shard, target);

    if (subscriber) {
        serve(shard, publication, subscriber, target->node);
    }
    finish_target(shard);
}

/* All that the list had may have left. */
static void serve_row(struct shard *shard, struct publication *publication)
{
    struct fanout *fanout = &shard->fanout;
    struct fanout_target *target = &fanout->targets[fanout->at];
    struct fanout_borders *borders = &target->borders;

    if (borders->row < borders->end) {
        serve(shard, publication, &target->list->rows[borders->row++], target->node);
    }
    if (borders->row == borders->end) {
        finish_target(shard);
    } else if (++fanout->run >= shard->limits.run) {
        turn(fanout);
    }
}

static void serve_targets(struct shard *shard, struct publication *publication)
{
    struct fanout *fanout = &shard->fanout;

    while (shard->budget > 0 && fanout->len > 0) {
        if (fanout->targets[fanout->at].list) {
            serve_row(shard, publication);
        } else {
            serve_single(shard, publication);
        }
        shard_charge(shard);
    }
}

/* Without memory for all targets none is of use. */
static void end_search(struct fanout_walk *walk)
{
    struct fanout *fanout = &walk->shard->fanout;

    fanout->is_searching = false;
    if (fanout->out_of_memory) {
        release_targets(walk->shard);
        match_all(walk, serve_visit);
        return;
    }
    if (walk->shard->limits.merges && fanout->len > 1) {
        fanout->serial = ++fanout->serials;
    }
}

static void search_on(struct shard *shard, struct publication *publication)
{
    struct fanout *fanout = &shard->fanout;
    UNINITIALIZED struct fanout_walk walk;
    bool is_over;

    walk_init(&walk, shard, publication, NULL);
    walk.out_of_memory = fanout->out_of_memory;
    is_over = match_search_go_on(shard, &fanout->search, publication->parts.topic,
                                 fanout->topic_hash, (struct search_visitor){found_visit, &walk});
    fanout->out_of_memory = walk.out_of_memory;
    if (is_over) {
        end_search(&walk);
    }
}

static bool is_dealing(const struct fanout *fanout)
{
    return fanout->to_deal.at < fanout->to_deal.len;
}

static void deal_on(struct shard *shard, struct publication *publication)
{
    struct fanout_deals *deals = &shard->fanout.to_deal;

    while (shard->budget > 0 && is_dealing(&shard->fanout)) {
        uint32_t node = deals->nodes[deals->at];
        const struct share_set *shares =
            router_shares(shard, tree_word(shard->core->router.tree, node));

        /* All of them may have left. */
        if (!shares || share_deal_own(shard, shares, &deals->cursor, shard->budget, publication)) {
            deals_next(shard);
            shard_charge(shard);
        }
    }
}

static bool is_through(const struct fanout *fanout)
{
    return !fanout->post && !fanout->is_searching && !is_dealing(fanout) && fanout->len == 0;
}

/* What is beyond a slice is not for this fan-out, but for what comes after it. */
static unsigned keep_aside(struct shard *shard)
{
    unsigned slice = shard->limits.slice ? shard->limits.slice : UINT_MAX;
    unsigned aside = shard->budget - MIN(shard->budget, slice);

    shard->budget -= aside;
    return aside;
}

void fanout_go_on(struct shard *shard)
{
    struct fanout *fanout = &shard->fanout;
    UNINITIALIZED struct publication publication;
    unsigned aside;

    if (!fanout_is_active(fanout)) {
        return;
    }
    aside = keep_aside(shard);
    publication_of(&publication, fanout->message, fanout->topic_hash);
    publication.ticket = fanout->ticket;
    serve_turns(shard, &publication);
    if (unlikely(fanout->is_searching) && shard->budget > 0) {
        search_on(shard, &publication);
    }
    if (!fanout->is_searching) {
        deal_on(shard, &publication);
        serve_targets(shard, &publication);
    }
    shard->budget += aside;
    point("fan-out slice");
    if (is_through(fanout)) {
        fanout_clear(shard);
    }
}

struct fanout_borders *fanout_borders(struct fanout *fanout, const struct subscriber_list *list)
{
    if (list->target >= fanout->len || fanout->targets[list->target].list != list) {
        return NULL;
    }
    return &fanout->targets[list->target].borders;
}
