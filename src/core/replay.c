#include "core/replay.h"

#include "base/memory.h"
#include "base/point.h"
#include "core/session_extras.h"
#include "core/shard.h"

/*
 * The cursor is a node of the topic tree. From one node to the next the walk needs only the tree's
 * own links, so nothing else has to be remembered: down to a child (by look-up where the filter has
 * a name, to the first child where it has a wildcard), else to the next sibling under a wildcard,
 * else up. Between two slices the node is pinned, which keeps its ancestors, too.
 *
 * States: walking, then through a grace period, then through the worker's own mailbox, then gone.
 * All that time the replay is found by its session and node, and holds back live values numbered up
 * to S: those published before the subscription that may still lie in the mailbox. Without memory
 * to wait for a grace period it is stranded there until its subscription ends, which costs nothing
 * but its memory. One that holds nothing back, since the session had its filter already, goes when
 * its walk is over.
 *
 * A client may have any number of them: what can go on or waits for its peer is the session, with
 * its walks in order, and nothing but its end looks at all of them.
 */

/* Values wait while so much waits in the peer's output, or so many deliveries behind its window. */
#define PENDING_LOW ((size_t)64 * 1024)
#define QUEUED_LOW  64u

/* Which of the next values is fetched ahead, and how many cache lines of it: all of a small one. */
#define LOOK_AHEAD  2u
#define VALUE_LINES 3u

enum replay_state { REPLAY_WALKING, REPLAY_GRACE, REPLAY_ECHO, REPLAY_STRANDED };

/* Owner: its session's worker. */
struct replay {
    struct table_link in_shard; /* by session and node; not in it once the subscription is gone */
    struct list_link link;      /* in the session's list */
    struct list_link walking;   /* in the session's list of those that are */
    struct session *session;    /* NULL: the subscription is gone */
    struct shard *shard;
    uint64_t number; /* S */
    uint32_t node;   /* of the filter tree */
    uint32_t cursor; /* of the topic tree, pinned between slices; 0: at the beginning */
    uint32_t identifier;
    uint8_t options;
    uint8_t state;
    bool holds_back;
    uint16_t filter_len;
    uint8_t filter[];
};

/* Owner: its session; as long as there are any. */
struct replays {
    struct list_link all;
    struct list_link walking;  /* in the order of their subscriptions */
    struct list_link runnable; /* in the shard's list, when the first of them can go on */
    struct session *session;
};

/* Walking the topic tree. Rebuilt for each slice. */
struct replay_walk {
    struct tree *tree;
    struct tree_levels filter;
    bool ends_in_hash;
    unsigned depth; /* of `at` below the root */
    uint32_t at;
    uint64_t hashes[TREE_LEVEL_CAP + 1]; /* of the path of `at`, by depth */
};

static bool filter_level_is(const struct replay_walk *walk, unsigned depth, char wildcard)
{
    struct slice level = walk->filter.level[depth];

    return level.len == 1 && level.data[0] == (uint8_t)wildcard;
}

/* Whether the filter takes all that is below `depth`: there its '#' is, or above. */
static bool is_hash_below(const struct replay_walk *walk, unsigned depth)
{
    return walk->ends_in_hash && depth + 1 >= walk->filter.len;
}

/* Whether the level below `depth` is any level: '+', '#', or all that is below a '#'. */
static bool is_wild_below(const struct replay_walk *walk, unsigned depth)
{
    return is_hash_below(walk, depth) ||
           (depth < walk->filter.len && filter_level_is(walk, depth, '+'));
}

static bool is_match(const struct replay_walk *walk)
{
    return walk->depth == walk->filter.len || is_hash_below(walk, walk->depth);
}

/* Nothing that begins with '$' is found by a wildcard at the front. */
static bool takes_level(const struct replay_walk *walk, unsigned depth, struct slice level)
{
    if (is_wild_below(walk, depth)) {
        return !(depth == 0 && level.len > 0 && level.data[0] == '$');
    }
    return depth < walk->filter.len && slice_is_equal(level, walk->filter.level[depth]);
}

/* The hash of the path one level deeper, for when a name of the filter is to be looked up there. */
static void chain_hash(struct replay_walk *walk, unsigned depth, struct slice level)
{
    if (depth + 1 < walk->filter.len) {
        walk->hashes[depth + 1] =
            hash_chain(walk->hashes[depth], tree_level_hash(walk->tree, level));
    }
}

/* Stands on a node `edge` below `depth`. False: the filter does not take all that leads there. */
static bool stand_on(struct replay_walk *walk, uint32_t number, const struct tree_edge *edge,
                     unsigned depth)
{
    struct slice label = edge->label;
    struct slice level;
    bool goes_on;

    walk->at = number;
    walk->depth = depth + edge->len;
    if (depth > 0 && is_hash_below(walk, depth)) {
        return true;
    }
    do {
        goes_on = tree_take_level(&label, &level);
        if (!takes_level(walk, depth, level)) {
            return false;
        }
        chain_hash(walk, depth++, level);
    } while (goes_on);
    return true;
}

static uint32_t child_of(const struct replay_walk *walk, struct tree_edge *edge_out)
{
    struct tree_place place = {.number = walk->at};

    if (walk->depth >= TREE_LEVEL_CAP) {
        return TREE_NO_NODE;
    }
    if (is_wild_below(walk, walk->depth)) {
        return tree_first_child(walk->tree, walk->at, edge_out);
    }
    if (walk->depth >= walk->filter.len) {
        return TREE_NO_NODE;
    }
    place.hash = walk->hashes[walk->depth];
    place = tree_child(walk->tree, place, walk->filter.level[walk->depth],
                       walk->filter.hash[walk->depth]);
    return place.number == TREE_NO_NODE
               ? TREE_NO_NODE
               : tree_child_towards(walk->tree, place.number, walk->at, edge_out);
}

/* To the next sibling, where any will do and there is one, else up. True: it stands on one that the
 * filter takes. */
static bool go_across(struct replay_walk *walk)
{
    struct tree_edge own;
    struct tree_edge edge;
    uint32_t next = tree_next_sibling(walk->tree, walk->at, &own, &edge);
    unsigned depth = walk->depth - own.len;

    if (next != TREE_NO_NODE && is_wild_below(walk, depth)) {
        return stand_on(walk, next, &edge, depth);
    }
    walk->at = own.parent;
    walk->depth = depth;
    return false;
}

/* On to the next node. False: the walk is over. */
static bool step(struct replay_walk *walk)
{
    struct tree_edge edge;
    uint32_t child = child_of(walk, &edge);
    bool found = child != TREE_NO_NODE && stand_on(walk, child, &edge, walk->depth);

    while (!found && walk->at != TREE_ROOT) {
        found = go_across(walk);
    }
    return found;
}

static void walk_init(struct replay_walk *walk, struct tree *tree, const struct replay *replay)
{
    struct tree_edge chain[TREE_LEVEL_CAP];
    unsigned len = 0;

    walk->tree = tree;
    tree_cut(tree, slice_of(replay->filter, replay->filter_len), &walk->filter);
    walk->ends_in_hash = filter_level_is(walk, walk->filter.len - 1, '#');
    walk->depth = 0;
    walk->at = TREE_ROOT;
    walk->hashes[0] = tree_root(tree).hash;
    for (uint32_t n = replay->cursor; n != TREE_NO_NODE && n != TREE_ROOT;
         n = chain[len++].parent) {
        chain[len] = tree_edge(tree, n);
    }
    while (len > 0) {
        bool is_taken = stand_on(walk, replay->cursor, &chain[--len], walk->depth);

        assert(is_taken);
    }
}

/* Those of a session */

static struct replays *need_replays(struct session *session)
{
    struct session_extras *extras = session_need_extras(session);
    struct replays *replays = extras ? extras->replays : NULL;

    if (!extras || replays) {
        return replays;
    }
    replays = memory_alloc(sizeof(*replays));
    if (!replays) {
        session_drop_extras(session);
        return NULL;
    }
    list_init(&replays->all);
    list_init(&replays->walking);
    list_init(&replays->runnable);
    replays->session = session;
    extras->replays = replays;
    return replays;
}

static void drop_empty_replays(struct session *session)
{
    struct replays *replays = session_replays(session);

    if (list_is_empty(&replays->all)) {
        list_remove(&replays->runnable);
        session->extras->replays = memory_free(replays);
        session_drop_extras(session);
    }
}

static uint64_t hash_of(const struct shard *shard, const struct session *session, uint32_t node)
{
    uint8_t bytes[sizeof(session) + sizeof(node)];

    memcpy(bytes, &session, sizeof(session));
    memcpy(bytes + sizeof(session), &node, sizeof(node));
    return hash_bytes(&shard->core->key, slice_of(bytes, sizeof(bytes)));
}

/* The next in the table from a link on that is of this session and node. */
static struct replay *next_of(struct table_link *link, const struct session *session, uint32_t node)
{
    for (; link; link = table_find_next(link)) {
        struct replay *replay = CONTAINER_OF(link, struct replay, in_shard);

        if (replay->session == session && replay->node == node) {
            return replay;
        }
    }
    return NULL;
}

/* At most one of them walks, and one holds back. */
static struct replay *first_of(const struct shard *shard, const struct session *session,
                               uint32_t node)
{
    return session_replays(session)
               ? next_of(table_find(&shard->replay_table, hash_of(shard, session, node)), session,
                         node)
               : NULL;
}

static struct replay *another_of(const struct replay *replay)
{
    return next_of(table_find_next(&replay->in_shard), replay->session, replay->node);
}

static int join_session(struct replay *replay, struct session *session)
{
    struct shard *shard = replay->shard;
    struct replays *replays = need_replays(session);
    int r;

    if (!replays) {
        return -ENOMEM;
    }
    r = table_add(&shard->replay_table, &replay->in_shard, hash_of(shard, session, replay->node));
    if (r < 0) {
        drop_empty_replays(session);
        return r;
    }
    replay->session = session;
    list_push(&replays->all, &replay->link);
    return 0;
}

static void leave_session(struct replay *replay)
{
    struct session *session = TAKE(replay->session);

    table_remove(&replay->shard->replay_table, &replay->in_shard);
    list_remove(&replay->link);
    list_remove(&replay->walking);
    drop_empty_replays(session);
}

/* Life */

static void replay_free(struct replay *replay)
{
    if (replay->session) {
        leave_session(replay);
    }
    memory_free(replay);
}

static void grace_is_over(void *context, void *object);

/* Whoever stops a worker waits for those that it counts in `echo_len`: never for a stranded one. */
static void wait_for_grace(struct replay *replay)
{
    struct shard *shard = replay->shard;
    size_t waiting = rcu_waiting(&shard->reader);

    rcu_retire(&shard->reader, grace_is_over, shard, replay);
    if (rcu_waiting(&shard->reader) > waiting) {
        replay->state = REPLAY_GRACE;
        return;
    }
    shard->echo_len--;
    replay->state = REPLAY_STRANDED;
    if (!replay->session) {
        replay_free(replay);
    }
}

static void grace_is_over(void *context, void *object)
{
    struct replay *replay = object;
    struct shard *shard = context;

    /* Without room the marker goes next time: nothing is lost by holding back a little longer. */
    if (shard->post.ops->reserve(shard->post.context) < 0) {
        wait_for_grace(replay);
        return;
    }
    replay->state = REPLAY_ECHO;
    shard->post.ops->entry(shard->post.context, shard->worker,
                           post_entry_of(POST_ECHO, replay, sizeof(*replay)));
}

void replay_on_echo(struct shard *shard, struct replay *replay)
{
    assert_owner(shard->worker);
    assert(replay->state == REPLAY_ECHO);
    shard->echo_len--;
    replay_free(replay);
}

static void end_walk(struct replay *replay)
{
    if (replay->cursor != TREE_NO_NODE) {
        tree_unpin(replay->shard->core->retained.tree, replay->cursor);
        replay->cursor = TREE_NO_NODE;
    }
    list_remove(&replay->walking);
}

/* Nothing more to send: holds back until nothing older can be under way, or is freed. */
static void finish(struct replay *replay)
{
    end_walk(replay);
    if (!replay->holds_back) {
        replay_free(replay);
        return;
    }
    replay->shard->echo_len++;
    wait_for_grace(replay);
}

static struct replay *find_walking(const struct shard *shard, const struct session *session,
                                   uint32_t node)
{
    struct replay *replay = first_of(shard, session, node);

    while (replay && replay->state != REPLAY_WALKING) {
        replay = another_of(replay);
    }
    return replay;
}

/*
 * Whether there may be a value: there is none where the names before the first wildcard lead
 * nowhere. What was numbered before `number` was read stood in the tree by then. So nothing needs
 * to be held back either: what had gone again by now will not be sent by a replay, and comes once.
 */
static bool may_find(const struct tree *tree, struct slice filter)
{
    struct tree_place place = tree_root(tree);
    struct slice level;
    bool goes_on;

    do {
        goes_on = tree_take_level(&filter, &level);
        if (level.len == 1 && (level.data[0] == '+' || level.data[0] == '#')) {
            return true;
        }
        place = tree_child(tree, place, level, tree_level_hash(tree, level));
        if (place.number == TREE_NO_NODE) {
            return false;
        }
    } while (goes_on);
    return tree_at(place) != TREE_NO_NODE && tree_word(tree, place.number) != 0;
}

int replay_start(struct shard *shard, struct session *session, const struct replay_request *request)
{
    uint64_t number = atomic_load_explicit(&shard->core->retained.number, memory_order_acquire);
    struct replay *earlier = find_walking(shard, session, request->node);
    struct replay *replay;
    int r;

    point("replay number noted");
    if (earlier && !request->silent) {
        finish(earlier);
    }
    if (number == 0 || (request->silent && request->replaced) ||
        !may_find(shard->core->retained.tree, request->filter)) {
        return 0;
    }
    replay = memory_alloc_zero(1, sizeof(*replay) + request->filter.len);
    if (!replay) {
        return -ENOMEM;
    }
    replay->shard = shard;
    replay->number = number;
    replay->node = request->node;
    replay->identifier = request->identifier;
    replay->options = request->options;
    replay->holds_back = !request->replaced;
    replay->filter_len = (uint16_t)request->filter.len;
    memcpy(replay->filter, request->filter.data, request->filter.len);
    list_init(&replay->link);
    list_init(&replay->walking);
    r = join_session(replay, session);
    if (r < 0) {
        memory_free(replay);
    } else if (request->silent) {
        finish(replay);
    } else {
        list_push(&session_replays(session)->walking, &replay->walking);
        replay_resume(shard, session);
    }
    return r;
}

bool replay_holds_back(const struct shard *shard, const struct session *session, uint32_t node,
                       uint64_t retained_number)
{
    struct replay *replay = first_of(shard, session, node);

    while (replay && !(replay->holds_back && retained_number <= replay->number)) {
        replay = another_of(replay);
    }
    return replay != NULL;
}

/* What is under way through a grace period or the mailbox is freed when it comes out. */
static void stop_one(struct replay *replay)
{
    leave_session(replay);
    if (replay->state == REPLAY_WALKING) {
        end_walk(replay);
        replay_free(replay);
    } else if (replay->state == REPLAY_STRANDED) {
        replay_free(replay);
    }
}

void replay_stop(struct shard *shard, struct session *session, uint32_t node)
{
    struct replay *replay;

    assert_owner(shard->worker);
    while ((replay = first_of(shard, session, node)) != NULL) {
        stop_one(replay);
    }
}

unsigned replay_stop_some(struct shard *shard, struct session *session, unsigned max)
{
    unsigned len = 0;

    assert_owner(shard->worker);
    for (; len < max && session_replays(session); len++) {
        stop_one(CONTAINER_OF(session_replays(session)->all.next, struct replay, link));
        shard_charge(shard);
    }
    return len;
}

void replay_resume(struct shard *shard, struct session *session)
{
    struct replays *replays = session_replays(session);

    if (replays && !list_is_empty(&replays->walking) && !list_is_linked(&replays->runnable)) {
        list_push(&shard->replays, &replays->runnable);
    }
}

/* Slices */

/* A replay fills no queue up to its limit: it can wait, and what comes live can't. */
static bool has_room(const struct shard *shard, const struct session *session)
{
    uint32_t max_queued = shard->limits.max_queued;
    uint64_t max_bytes = shard->limits.max_queued_bytes;
    uint32_t low = max_queued ? MIN(QUEUED_LOW, (max_queued + 1) / 2) : QUEUED_LOW;

    return session->client && outbound_queued(&session->outbound) < low &&
           (max_bytes == 0 || outbound_queued_bytes(&session->outbound) <= max_bytes / 2) &&
           shard->peer->pending(session->client) < PENDING_LOW;
}

/* The value of a node, counted; NULL when there is none. */
static struct message *value_of(struct replay *replay, uint32_t number)
{
    struct retained *retained = &replay->shard->core->retained;
    uint64_t word =
        atomic_load_explicit(&tree_node(retained->tree, number)->word, memory_order_acquire);
    struct message *message = (struct message *)(uintptr_t)word;

    assert(!message || message->marks.is_shared);
    point("value read");
    return message ? message_ref(message) : NULL;
}

/* The walk stands on a pinned node from here on; the one that was pinned before is let go. */
static void move_pin(struct replay *replay, uint32_t number)
{
    uint32_t before = replay->cursor;

    replay->cursor = number;
    if (before != TREE_NO_NODE) {
        tree_unpin(replay->shard->core->retained.tree, before);
    }
}

/*
 * Stored but not yet numbered, or not yet in every mailbox: were it sent now, what its receiver
 * does upon it could overtake it. Whoever publishes it holds the stripe's lock until it is. Waiting
 * for the lock ends the read section, so the walk's node is pinned first. `*message` is taken and
 * replaced.
 */
static void wait_for_number(struct replay *replay, uint32_t number, struct message **message)
{
    struct shard *shard = replay->shard;
    struct retained *retained = &shard->core->retained;
    uint64_t hash = shard_topic_hash(shard, message_topic(*message));
    struct lock *stripe = &retained->stripes[hash % RETAINED_STRIPE_LEN];

    *message = message_unref(*message);
    if (!tree_pin(retained->tree, number)) {
        return;
    }
    lock_take(stripe);
    *message = value_of(replay, number);
    lock_release(stripe);
    move_pin(replay, number);
}

/* An expired value goes when it is touched. */
static void remove_value(struct replay *replay, uint32_t number)
{
    if (tree_pin(replay->shard->core->retained.tree, number)) {
        retained_remove_expired(replay->shard, number);
        move_pin(replay, number);
    }
}

static void send_value(struct replay *replay, uint32_t number)
{
    uint32_t now = shard_now(replay->shard);
    struct message *message = value_of(replay, number);
    uint64_t at;

    if (message && !message_is_posted(message)) {
        wait_for_number(replay, number, &message);
    }
    if (!message) {
        return;
    }
    at = message_retained_number(message);
    if (message_is_expired(message, now)) {
        remove_value(replay, number);
    } else if (at <= replay->number) {
        session_deliver_retained(replay->shard, replay->session, message, replay->options,
                                 replay->identifier);
    }
    message_unref(message);
}

/* Nodes and values lie anywhere in memory, and the next step would wait for each in turn. */
static void look_ahead(const struct replay_walk *walk)
{
    const char *value = (const char *)(uintptr_t)tree_look_ahead(walk->tree, walk->at, LOOK_AHEAD);

    if (value) {
        for (unsigned i = 0; i < VALUE_LINES; i++) {
            PREFETCH(value + (size_t)i * CACHE_LINE);
        }
    }
}

/* One node further, and its value sent. False: the walk is over. */
static bool advance(struct replay *replay, struct replay_walk *walk)
{
    if (!step(walk)) {
        finish(replay);
        return false;
    }
    look_ahead(walk);
    if (is_match(walk)) {
        send_value(replay, walk->at);
    }
    point("replay step");
    return true;
}

/* Whether there is a walk, and room for what it finds. */
static bool can_go_on(const struct shard *shard, const struct session *session)
{
    const struct replays *replays = session_replays(session);

    return replays && !list_is_empty(&replays->walking) && has_room(shard, session);
}

static void run_slice(struct replay *replay)
{
    struct shard *shard = replay->shard;
    struct session *session = replay->session;
    struct replay_walk walk;

    walk_init(&walk, shard->core->retained.tree, replay);
    while (shard->budget > 0 && has_room(shard, session)) {
        shard->budget--;
        if (!advance(replay, &walk)) {
            return;
        }
    }
    /* A node that was removed under the walk can't be pinned: on to one that can. */
    while (walk.depth > 0 && !tree_pin(walk.tree, walk.at)) {
        if (!advance(replay, &walk)) {
            return;
        }
    }
    if (walk.depth > 0) {
        move_pin(replay, walk.at);
    }
}

void replay_go_on(struct shard *shard)
{
    struct list_link again;

    list_init(&again);
    while (shard->budget > 0 && !list_is_empty(&shard->replays)) {
        struct list_link *link = list_pop(&shard->replays);
        struct session *session = CONTAINER_OF(link, struct replays, runnable)->session;

        while (shard->budget > 0 && can_go_on(shard, session)) {
            run_slice(CONTAINER_OF(session_replays(session)->walking.next, struct replay, walking));
        }
        /* An early write may have let it go on already. */
        if (can_go_on(shard, session)) {
            list_remove(&session_replays(session)->runnable);
            list_push(&again, &session_replays(session)->runnable);
        }
    }
    list_splice(&shard->replays, &again);
}
