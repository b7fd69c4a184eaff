#include "loop/worker.h"

#include "base/memory.h"
#include "base/point.h"
#include "base/spares.h"
#include "core/replay.h"
#include "loop/busy.h"
#include "loop/clock.h"

#include <string.h>

/*
 * Posting. Each worker keeps one open batch per other worker (and one for itself). reserve() makes
 * sure that every open batch has room for one entry more, so that entry() can't fail; a count of
 * how many publications still fit everywhere makes that one comparison. Full batches wait in a list
 * per target until push().
 *
 * Stopping. A worker is quiet when it has no connection, no work and nothing pending. Work under
 * way shows as a mailbox's level above zero (levels are lowered only after what an entry caused was
 * pushed), or as a worker that is not quiet. Levels can't be read all at once, so they are read
 * twice; a quiet worker that handles an entry raises `activity` first, and a check counts only if
 * that did not move.
 */

#define HEAP_AHEAD      ((size_t)256 * 1024)
#define EVENT_CAP       256
#define LOOKS_MAX       3
#define RECLAIM_WAIT_MS 20
#define STOP_WAIT_MS    1

/* What one worker has for another. */
struct outbox {
    struct mail_batch *open; /* NULL: none yet */
    struct mpsc_node *full;  /* batches, oldest first */
    struct mpsc_node **full_end;
    uint32_t entry_len; /* not pushed yet */
    uint64_t size;
};

/* Pushes to several mailboxes that are complete. Written by its worker, read by all. */
struct push_rounds {
    _Atomic uint64_t done CACHE_ALIGNED;
};

/* Shared by all workers. */
struct worker_group {
    struct worker **workers;
    unsigned worker_len;
    struct worker_limits limits;
    _Atomic bool is_stopping;
    _Atomic bool is_finished;
    _Atomic uint64_t activity CACHE_ALIGNED;
    struct push_rounds *rounds; /* one for each worker */
};

/* Owner: who asked for it. */
struct worker_calls {
    struct worker_group *group;
    struct mail_batch *batches[];
};

/* Owner: its thread; `mailbox`, `is_quiet`, `pass_len` and `busy` are for all. */
struct worker {
    struct mailbox mailbox;
    _Atomic bool is_quiet CACHE_ALIGNED;
    _Atomic uint64_t pass_len; /* iterations; written by the worker */
    uint64_t passed;           /* as who asks has seen it last */
    struct busy busy;
    uint64_t asleep_ms; /* since then; 0: it did not sleep before this iteration */
    struct worker_group *group CACHE_ALIGNED;
    struct shard *shard;
    const struct worker_ops *ops;
    void *context;
    struct poller *poller;
    struct outbox *outboxes;
    uint64_t round;            /* the latest push to more than one mailbox */
    unsigned room;             /* publications that still fit into every open batch */
    bool has_pending;          /* something is not pushed */
    struct worker_set touched; /* that have something pending */
    struct worker_set to_wake;
    struct worker_set paused_on;
    struct list_link *paused; /* one list per worker */
    unsigned pressure;        /* a worker whose mailbox is over its mark, or WORKER_CAP */
    unsigned event_len;
    unsigned event_at;
    bool was_woken; /* since this iteration began: what for is looked at by the next one */
    bool has_stopped;
    struct poller_event events[EVENT_CAP];
};

/* The group */

int worker_group_new(unsigned worker_len, const struct worker_limits *limits,
                     struct worker_group **group_out)
{
    struct worker_group *group = memory_alloc_zero(1, sizeof(*group));

    if (!group) {
        return -ENOMEM;
    }
    group->workers = memory_alloc_zero(worker_len, sizeof(struct worker *));
    group->rounds = memory_alloc_aligned(worker_len * sizeof(*group->rounds));
    if (!group->workers || !group->rounds) {
        worker_group_free(group);
        return -ENOMEM;
    }
    group->worker_len = worker_len;
    group->limits = *limits;
    *group_out = group;
    return 0;
}

struct worker_group *worker_group_free(struct worker_group *group)
{
    if (group) {
        memory_free(group->workers);
        memory_free(group->rounds);
        memory_free(group);
    }
    return NULL;
}

static void wake_all(struct worker_group *group)
{
    for (unsigned i = 0; i < group->worker_len; i++) {
        poller_wake(group->workers[i]->poller);
    }
}

void worker_group_stop(struct worker_group *group)
{
    atomic_store(&group->is_stopping, true);
    wake_all(group);
}

bool worker_group_is_stopping(const struct worker_group *group)
{
    return atomic_load_explicit(&group->is_stopping, memory_order_acquire);
}

bool worker_group_has_passed(struct worker_group *group)
{
    bool have_all = true;

    for (unsigned i = 0; i < group->worker_len; i++) {
        struct worker *worker = group->workers[i];

        have_all &= atomic_load_explicit(&worker->pass_len, memory_order_relaxed) != worker->passed;
    }
    for (unsigned i = 0; have_all && i < group->worker_len; i++) {
        struct worker *worker = group->workers[i];

        worker->passed = atomic_load_explicit(&worker->pass_len, memory_order_relaxed);
    }
    wake_all(group);
    return have_all;
}

unsigned worker_group_busy_permille(const struct worker_group *group)
{
    unsigned most = 0;

    for (unsigned i = 0; i < group->worker_len; i++) {
        most = MAX(most, busy_permille(&group->workers[i]->busy));
    }
    return most;
}

/* Batches */

/* An open batch that is full makes way for a new one. */
static int outbox_make_room(struct outbox *outbox)
{
    struct mail_batch *batch;

    if (outbox->open && outbox->open->len < MAIL_BATCH_CAP) {
        return 0;
    }
    batch = mail_batch_new();
    if (!batch) {
        return -ENOMEM;
    }
    if (outbox->open) {
        *outbox->full_end = &outbox->open->node;
        outbox->full_end = &outbox->open->node.next;
    }
    outbox->open = batch;
    return 0;
}

static NO_INLINE int make_room(struct worker *worker)
{
    unsigned room = MAIL_BATCH_CAP;

    for (unsigned i = 0; i < worker->group->worker_len; i++) {
        struct outbox *outbox = &worker->outboxes[i];
        int r = outbox_make_room(outbox);

        if (r < 0) {
            return r;
        }
        room = MIN(room, MAIL_BATCH_CAP - outbox->open->len);
    }
    worker->room = room;
    return 0;
}

static int post_reserve(void *context)
{
    struct worker *worker = context;

    return likely(worker->room > 0) ? 0 : make_room(worker);
}

static void post_entry(void *context, unsigned to, struct post_entry entry)
{
    struct worker *worker = context;
    struct outbox *outbox = &worker->outboxes[to];
    struct mail_batch *batch = outbox->open;

    assert(batch && batch->len < MAIL_BATCH_CAP);
    if (batch->len == 0) {
        /* Of this iteration, for what is posted with the writes is pushed in the next one. */
        batch->changes = worker->shard->changes;
    }
    batch->entries[batch->len++] = entry;
    batch->size += entry.size;
    outbox->entry_len++;
    outbox->size += entry.size;
    worker->has_pending = true;
    worker_set_add(&worker->touched, to);
    /* One publication adds at most one entry to each batch; the first of them pays. */
    if (MAIL_BATCH_CAP - batch->len < worker->room) {
        worker->room = MAIL_BATCH_CAP - batch->len;
    }
    if (mailbox_is_over(&worker->group->workers[to]->mailbox, &worker->group->limits.marks,
                        outbox->entry_len, outbox->size)) {
        worker->pressure = to;
    }
}

static void push_batch(struct worker *worker, unsigned to, struct mail_batch *batch, uint64_t round)
{
    batch->rounds = &worker->group->rounds[worker->shard->worker].done;
    batch->round = round;
    mailbox_push(&worker->group->workers[to]->mailbox, batch);
    if (to != worker->shard->worker) {
        worker_set_add(&worker->to_wake, to);
    }
}

static void outbox_push(struct worker *worker, unsigned to, uint64_t round)
{
    struct outbox *outbox = &worker->outboxes[to];

    while (outbox->full) {
        struct mpsc_node *node = outbox->full;

        outbox->full = node->next;
        push_batch(worker, to, CONTAINER_OF(node, struct mail_batch, node), round);
    }
    outbox->full_end = &outbox->full;
    if (outbox->open && outbox->open->len > 0) {
        push_batch(worker, to, TAKE(outbox->open), round);
        worker->room = 0;
    }
    outbox->entry_len = 0;
    outbox->size = 0;
}

static void post_push(void *context)
{
    struct worker *worker = context;
    uint64_t round = 0;
    unsigned to;

    if (!worker->has_pending) {
        return;
    }
    if (worker_set_len(&worker->touched) > 1) {
        round = ++worker->round;
    }
    while ((to = worker_set_pop(&worker->touched)) < WORKER_CAP) {
        outbox_push(worker, to, round);
    }
    if (round) {
        atomic_store_explicit(&worker->group->rounds[worker->shard->worker].done, round,
                              memory_order_release);
        point("round complete");
    }
    worker->has_pending = false;
}

static bool post_is_quiet(void *context)
{
    struct worker *worker = context;

    point("mailbox look before serving");
    return worker->outboxes[worker->shard->worker].entry_len == 0 &&
           mailbox_is_empty(&worker->mailbox);
}

static void post_wake(void *context)
{
    struct worker *worker = context;

    poller_wake(worker->poller);
}

static const struct post_ops post_ops = {
    .reserve = post_reserve,
    .entry = post_entry,
    .push = post_push,
    .is_quiet = post_is_quiet,
    .wake = post_wake,
};

void worker_push(struct worker *worker)
{
    post_push(worker);
}

static void make_call(struct worker *to, struct mail_batch *batch, struct post_call *call)
{
    batch->len = 1;
    batch->entries[0] = post_entry_of(POST_CALL, call, 0);
    mailbox_push(&to->mailbox, batch);
    if (mailbox_needs_wake(&to->mailbox)) {
        poller_wake(to->poller);
    }
}

int worker_group_call(struct worker_group *group, unsigned worker, struct post_call *call)
{
    struct mail_batch *batch = mail_batch_new();

    if (!batch) {
        return -ENOMEM;
    }
    make_call(group->workers[worker], batch, call);
    return 0;
}

int worker_calls_new(struct worker_group *group, struct worker_calls **calls_out)
{
    size_t size = sizeof(struct worker_calls) + group->worker_len * sizeof(struct mail_batch *);
    CLEANUP(worker_calls_free) struct worker_calls *calls = memory_alloc_zero(1, size);

    if (!calls) {
        return -ENOMEM;
    }
    calls->group = group;
    for (unsigned i = 0; i < group->worker_len; i++) {
        calls->batches[i] = mail_batch_new();
        if (!calls->batches[i]) {
            return -ENOMEM;
        }
    }
    *calls_out = TAKE(calls);
    return 0;
}

struct worker_calls *worker_calls_free(struct worker_calls *calls)
{
    for (unsigned i = 0; calls && i < calls->group->worker_len; i++) {
        mail_batch_free(calls->batches[i]);
    }
    return memory_free(calls);
}

void worker_calls_make(struct worker_calls *calls, struct post_call *call)
{
    for (unsigned i = 0; i < calls->group->worker_len; i++) {
        make_call(calls->group->workers[i], TAKE(calls->batches[i]), call);
    }
    worker_calls_free(calls);
}

int worker_move(struct worker *worker, unsigned to, struct client *client, size_t size)
{
    int r = post_reserve(worker);

    if (r == 0) {
        post_entry(worker, to, post_entry_of(POST_CLIENT, client, size));
    }
    return r;
}

/* Pressure */

unsigned worker_take_pressure(struct worker *worker)
{
    unsigned on = worker->pressure;

    worker->pressure = WORKER_CAP;
    return on;
}

bool worker_pause(struct worker *worker, unsigned on, struct list_link *link)
{
    struct mailbox *mailbox = &worker->group->workers[on]->mailbox;

    /* What is pending here would never be handled, were it kept back. */
    post_push(worker);
    mailbox_wait(mailbox, worker->shard->worker);
    if (mailbox_is_low(mailbox, &worker->group->limits.marks)) {
        return false;
    }
    list_push(&worker->paused[on], link);
    worker_set_add(&worker->paused_on, on);
    return true;
}

/* A flag is left again for those that still have to wait. */
static void resume_paused(struct worker *worker)
{
    struct worker_set on = worker->paused_on;
    unsigned i;

    while ((i = worker_set_pop(&on)) < WORKER_CAP) {
        struct mailbox *mailbox = &worker->group->workers[i]->mailbox;
        struct list_link paused;

        if (!mailbox_is_low(mailbox, &worker->group->limits.marks)) {
            mailbox_wait(mailbox, worker->shard->worker);
            if (!mailbox_is_low(mailbox, &worker->group->limits.marks)) {
                continue;
            }
        }
        worker_set_remove(&worker->paused_on, i);
        list_init(&paused);
        list_splice(&paused, &worker->paused[i]);
        worker->ops->on_resume(worker->context, &paused);
    }
}

/* The steps of an iteration */

static void handle_entry(struct worker *worker, const struct post_entry *entry, uint64_t changes)
{
    switch ((enum post_kind)entry->kind) {
    case POST_MESSAGE: shard_on_message(worker->shard, entry->object, entry->node, changes); break;
    case POST_TICKET: shard_on_ticket(worker->shard, entry->object); break;
    case POST_SHARED: shard_on_shared(worker->shard, entry->object); break;
    case POST_ECHO: replay_on_echo(worker->shard, entry->object); break;
    case POST_CLIENT: worker->ops->on_client(worker->context, entry->object); break;
    case POST_CALL: {
        struct post_call *call = entry->object;

        call->function(worker->context, call);
        break;
    }
    }
}

/* Before the first entry that a quiet worker handles. */
static void end_quiet(struct worker *worker)
{
    if (atomic_load_explicit(&worker->is_quiet, memory_order_relaxed)) {
        atomic_store(&worker->is_quiet, false);
        atomic_fetch_add(&worker->group->activity, 1);
    }
}

/* Entries wait in order behind a fan-out that is not finished. */
static void drain(struct worker *worker)
{
    struct post_entry entry;
    struct mail_batch *batch;

    while (!shard_is_in_fanout(worker->shard) && worker->shard->budget > 0 &&
           mailbox_take(&worker->mailbox, &entry, &batch)) {
        worker->shard->budget--;
        end_quiet(worker);
        handle_entry(worker, &entry, batch->changes);
        if (mail_batch_is_over(batch)) {
            mail_batch_free(batch);
        }
        point("mailbox entry handled");
    }
}

static bool has_events(const struct worker *worker)
{
    return worker->event_at < worker->event_len;
}

/* What the budget does not reach comes first in the next iteration, before the poller is asked. */
static void handle_known_events(struct worker *worker)
{
    struct shard *shard = worker->shard;

    while (has_events(worker) && shard->budget > 0) {
        struct poller_event event = worker->events[worker->event_at++];

        if (event.source) {
            worker->ops->on_event(worker->context, event.source, event.bits);
            point("event handled");
        }
    }
}

/* Whether more clients are written to than have published, and enough that a wait for events does
 * not count beside it. */
static bool is_spread(const struct worker *worker)
{
    const struct shard_spread *spread = &worker->shard->spread;

    return spread->reached_len >= worker->group->limits.spread_least &&
           spread->reached_len > spread->source_len;
}

/*
 * What few have published goes to many, the members of a group or the subscribers of a topic: what
 * others have published meanwhile goes to them with the same write. 100 publishers and a group of
 * 100, QoS 1 in bursts of 32: 67 sends for 1,000 messages instead of 87, and 0.84 x the CPU; one
 * look has 72. Where each publisher has a subscriber of its own it would save nothing.
 */
static void handle_events(struct worker *worker)
{
    struct shard *shard = worker->shard;
    unsigned left = MIN(worker->group->limits.event_budget, (unsigned)EVENT_CAP);
    unsigned at = worker->event_at;

    shard->spread = (struct shard_spread){0};
    shard_share_budget(shard);
    handle_known_events(worker);
    left -= MIN(worker->event_at - at, left);
    for (unsigned i = 0; i < LOOKS_MAX && left > 0 && shard->budget > 0; i++) {
        if (!is_spread(worker) || has_events(worker)) {
            return;
        }
        worker->event_at = 0;
        worker->event_len = poller_wait(worker->poller, worker->events, left, 0);
        worker->was_woken |= poller_was_woken(worker->poller);
        if (worker->event_len == 0) {
            return;
        }
        handle_known_events(worker);
        left -= worker->event_at;
    }
}

void worker_forget(struct worker *worker, const void *source)
{
    for (unsigned i = worker->event_at; i < worker->event_len; i++) {
        if (worker->events[i].source == source) {
            worker->events[i].source = NULL;
        }
    }
}

static void handle_timers(struct worker *worker)
{
    unsigned budget = worker->group->limits.timer_budget;
    struct wheel_timer *timer;

    shard_share_budget(worker->shard);
    while (worker->shard->budget > 0 &&
           (timer = wheel_pop(&worker->shard->wheel, &budget)) != NULL) {
        if (timer->kind == SHARD_TIMER_SESSION) {
            shard_on_timer(worker->shard, timer);
        } else {
            worker->ops->on_timer(worker->context, timer);
        }
    }
}

static void wake_sleepers(struct worker *worker)
{
    unsigned to;

    while ((to = worker_set_pop(&worker->to_wake)) < WORKER_CAP) {
        point("wake");
        if (mailbox_needs_wake(&worker->group->workers[to]->mailbox)) {
            poller_wake(worker->group->workers[to]->poller);
        }
    }
}

/* What was handled is settled only now, when what it caused has been pushed. */
static void settle(struct worker *worker)
{
    struct worker_set waiting = mailbox_settle(&worker->mailbox, &worker->group->limits.marks);
    unsigned to;

    while ((to = worker_set_pop(&waiting)) < WORKER_CAP) {
        poller_wake(worker->group->workers[to]->poller);
    }
}

/* One writer: no need for an addition that is atomic as a whole. */
static void count_pass(struct worker *worker)
{
    uint64_t len = atomic_load_explicit(&worker->pass_len, memory_order_relaxed);

    atomic_store_explicit(&worker->pass_len, len + 1, memory_order_relaxed);
}

static void iterate(struct worker *worker)
{
    uint64_t now_ms = clock_now_ms();

    busy_begin(&worker->busy, now_ms, worker->asleep_ms ? now_ms - worker->asleep_ms : 0);
    shard_begin(worker->shard, now_ms);
    fanout_go_on(worker->shard);
    drain(worker);
    if (store_keeps(&worker->shard->store)) {
        store_collect(worker->shard);
    }
    resume_paused(worker);
    handle_events(worker);
    shard_share_budget(worker->shard);
    worker->ops->go_on(worker->context);
    handle_timers(worker);
    shard_go_on(worker->shard);
    point("before posts");
    post_push(worker);
    settle(worker);
    wake_sleepers(worker);
    point("before writes");
    worker->ops->flush(worker->context);
    worker->ops->bury(worker->context);
    rcu_quiescent(&worker->shard->reader);
    rcu_reclaim(&worker->shard->reader, worker->group->limits.reclaim_budget);
    count_pass(worker);
}

/* Waiting */

/* The writes come last, and may push and post once more. */
static bool has_work(struct worker *worker)
{
    return worker->has_pending || !worker_set_is_empty(&worker->to_wake) ||
           shard_has_work(worker->shard) || wheel_has_due(&worker->shard->wheel) ||
           worker->ops->has_work(worker->context);
}

/* Until the next whole second, or sooner when something waits for others to move on. */
static int wait_ms(struct worker *worker)
{
    if (worker_group_is_stopping(worker->group)) {
        return STOP_WAIT_MS;
    }
    if (rcu_waiting(&worker->shard->reader) > 0) {
        return RECLAIM_WAIT_MS;
    }
    return (int)(1000 - worker->shard->now_ms % 1000);
}

static void wait_for_events(struct worker *worker)
{
    unsigned cap = MIN(worker->group->limits.event_budget, (unsigned)EVENT_CAP);
    int timeout_ms;

    worker->asleep_ms = 0;
    if (has_events(worker)) {
        return;
    }
    timeout_ms = has_work(worker) || worker->was_woken ? 0 : wait_ms(worker);
    worker->was_woken = false;
    if (timeout_ms != 0) {
        mailbox_announce_sleep(&worker->mailbox);
        if (!mailbox_is_empty(&worker->mailbox)) {
            timeout_ms = 0;
        }
    }
    if (timeout_ms != 0) {
        worker->asleep_ms = clock_now_ms();
    }
    rcu_offline(&worker->shard->reader);
    worker->event_at = 0;
    worker->event_len = poller_wait(worker->poller, worker->events, cap, timeout_ms);
    rcu_online(&worker->shard->reader);
    mailbox_end_sleep(&worker->mailbox);
}

/* Stopping */

static bool all_are_quiet(const struct worker_group *group)
{
    for (unsigned i = 0; i < group->worker_len; i++) {
        struct worker *worker = group->workers[i];

        if (!atomic_load(&worker->is_quiet) || atomic_load(&worker->mailbox.level) != 0) {
            return false;
        }
    }
    return true;
}

static void check_stop(struct worker *worker)
{
    struct worker_group *group = worker->group;
    uint64_t activity;
    bool is_quiet;

    if (!worker->has_stopped) {
        worker->has_stopped = true;
        worker->ops->on_stop(worker->context);
    }
    is_quiet = worker->ops->is_empty(worker->context) && !has_work(worker) &&
               worker->shard->echo_len == 0 && worker->shard->wait_len == 0 &&
               mailbox_is_empty(&worker->mailbox);
    atomic_store(&worker->is_quiet, is_quiet);
    activity = atomic_load(&group->activity);
    if (is_quiet && all_are_quiet(group) && all_are_quiet(group) &&
        activity == atomic_load(&group->activity)) {
        atomic_store(&group->is_finished, true);
        wake_all(group);
    }
}

void worker_run(struct worker *worker)
{
    owner_self = &worker->shard->owner;
    rcu_online(&worker->shard->reader);
    spares_keep(worker->group->limits.spare_bytes);
    memory_grow_ahead(HEAP_AHEAD);
    while (!atomic_load_explicit(&worker->group->is_finished, memory_order_acquire)) {
        wait_for_events(worker);
        iterate(worker);
        if (worker_group_is_stopping(worker->group)) {
            check_stop(worker);
        }
    }
    assert(mailbox_is_low(&worker->mailbox, &(struct mail_marks){.high_entries = 0}));
    memory_grow_ahead(0);
    spares_keep(0);
    rcu_offline(&worker->shard->reader);
}

/* Life */

static int open_parts(struct worker *worker)
{
    unsigned len = worker->group->worker_len;

    worker->outboxes = memory_alloc_zero(len, sizeof(*worker->outboxes));
    worker->paused = memory_alloc_zero(len, sizeof(*worker->paused));
    if (!worker->outboxes || !worker->paused) {
        return -ENOMEM;
    }
    for (unsigned i = 0; i < len; i++) {
        worker->outboxes[i].full_end = &worker->outboxes[i].full;
        list_init(&worker->paused[i]);
    }
    return poller_new(&worker->poller);
}

int worker_new(struct worker_group *group, struct shard *shard, const struct worker_ops *ops,
               void *context, struct worker **worker_out)
{
    struct worker *worker = memory_alloc_aligned(sizeof(*worker));
    int r;

    if (!worker) {
        return -ENOMEM;
    }
    worker->group = group;
    worker->shard = shard;
    worker->ops = ops;
    worker->context = context;
    worker->pressure = WORKER_CAP;
    mailbox_init(&worker->mailbox);
    r = open_parts(worker);
    if (r < 0) {
        worker_free(worker);
        return r;
    }
    shard_set_post(shard, &(struct post){.ops = &post_ops, .context = worker});
    group->workers[shard->worker] = worker;
    *worker_out = worker;
    return 0;
}

/* Nobody is left to be served; replays come out of their grace period only now. */
static void drop_entry(struct worker *worker, const struct post_entry *entry)
{
    if (entry->kind == POST_ECHO) {
        replay_on_echo(worker->shard, entry->object);
    } else if (entry->kind == POST_TICKET) {
        shard_drop_ticket(worker->shard, entry->object);
    } else if (entry->kind == POST_SHARED) {
        shard_drop_shared(worker->shard, entry->object);
    } else {
        assert(entry->kind == POST_MESSAGE);
        message_unref(entry->object);
    }
}

static void drop_batch(struct worker *worker, struct mail_batch *batch)
{
    for (unsigned i = 0; batch && i < batch->len; i++) {
        drop_entry(worker, &batch->entries[i]);
    }
    mail_batch_free(batch);
}

/* Not pushed any more: the workers that it was for may be gone. */
static void drop_outbox(struct worker *worker, struct outbox *outbox)
{
    while (outbox->full) {
        struct mpsc_node *node = outbox->full;

        outbox->full = node->next;
        drop_batch(worker, CONTAINER_OF(node, struct mail_batch, node));
    }
    drop_batch(worker, outbox->open);
}

static void drop_entries(struct worker *worker)
{
    struct post_entry entry;
    struct mail_batch *batch;

    while (mailbox_take(&worker->mailbox, &entry, &batch)) {
        drop_entry(worker, &entry);
        if (mail_batch_is_over(batch)) {
            mail_batch_free(batch);
        }
    }
    for (unsigned i = 0; i < worker->group->worker_len; i++) {
        drop_outbox(worker, &worker->outboxes[i]);
    }
}

struct worker *worker_free(struct worker *worker)
{
    if (!worker) {
        return NULL;
    }
    if (worker->outboxes) {
        drop_entries(worker);
    }
    memory_free(worker->outboxes);
    memory_free(worker->paused);
    poller_free(worker->poller);
    memory_free(worker);
    return NULL;
}

struct shard *worker_shard(struct worker *worker)
{
    return worker->shard;
}

struct poller *worker_poller(struct worker *worker)
{
    return worker->poller;
}
