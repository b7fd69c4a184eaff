#pragma once

/*
 * Worker
 *
 * One loop: a poller, a mailbox, the timers and the shard of core whose sessions live here. An
 * iteration drains the mailbox, handles sockets and timers, goes on with what is unfinished, pushes
 * the posts, wakes sleepers, writes sockets and reports quiescence, in this order. What connections
 * are is behind an interface that `client` implements.
 */

#include "core/shard.h"
#include "loop/mailbox.h"
#include "loop/poller.h"

struct worker;
struct worker_group;

struct worker_ops {
    void (*on_event)(void *context, void *source, unsigned bits);

    /* POST_CLIENT: a connection moves here. It is the receiver's from now on. */
    void (*on_client)(void *context, struct client *client);
    void (*on_timer)(void *context, struct wheel_timer *timer);

    /* The mailbox that stopped these connections from being read has room again. */
    void (*on_resume)(void *context, struct list_link *paused);

    /* Behind the events, with a part of the budget for itself: what earlier ones did not reach. */
    void (*go_on)(void *context);

    /* Writes what this iteration produced, to every connection that has some. */
    void (*flush)(void *context);

    /* Closes and frees what ended in this iteration. */
    void (*bury)(void *context);

    /* Whether something is left to do without an event. */
    bool (*has_work)(void *context);

    /* Once, when the group stops: take nothing new, tell everybody, close. */
    void (*on_stop)(void *context);

    /* While stopping: whether no connection is left. */
    bool (*is_empty)(void *context);
};

/* Limits of a worker. */
struct worker_limits {
    struct mail_marks marks;
    unsigned timer_budget;   /* timers looked at per iteration */
    unsigned reclaim_budget; /* retired objects freed per iteration */
    unsigned event_budget;   /* events handled per iteration */
    unsigned spread_least;   /* clients to write to, from where on events are looked for again */
    size_t spare_bytes;      /* of blocks that are kept to be used again: base/spares.h */
};

/* All workers of a process. */
int worker_group_new(unsigned worker_len, const struct worker_limits *limits,
                     struct worker_group **group_out) MUST_CHECK;

/* After the workers. */
struct worker_group *worker_group_free(struct worker_group *group);

/* Asks all workers to end. Any thread; also a signal handler. */
void worker_group_stop(struct worker_group *group);
bool worker_group_is_stopping(const struct worker_group *group);

/*
 * Whether every worker has passed an iteration since this last answered true. Wakes them, so that
 * one that has nothing to do passes one, too. One thread may ask.
 */
bool worker_group_has_passed(struct worker_group *group);

/* How much of its time the busiest of them is awake (loop/busy.h). Any thread. */
unsigned worker_group_busy_permille(const struct worker_group *group);

/*
 * Has a worker call the function, between two of its other entries. Any thread that is no worker,
 * while the group is not yet asked to stop. -ENOMEM.
 */
int worker_group_call(struct worker_group *group, unsigned worker,
                      struct post_call *call) MUST_CHECK;

/*
 * One call for every worker, with all the memory that it takes: what is published this way can't
 * fail any more. -ENOMEM.
 */
struct worker_calls;

int worker_calls_new(struct worker_group *group, struct worker_calls **calls_out) MUST_CHECK;
struct worker_calls *worker_calls_free(struct worker_calls *calls);

/* Has every worker call the function, with the same `call`, and frees the calls. As
 * worker_group_call(). */
void worker_calls_make(struct worker_calls *calls, struct post_call *call);

/* Makes worker number `shard->worker` of the group. The shard stays the caller's. */
int worker_new(struct worker_group *group, struct shard *shard, const struct worker_ops *ops,
               void *context, struct worker **worker_out) MUST_CHECK;

/* When no worker of the group runs. Entries that nobody handled are let go. */
struct worker *worker_free(struct worker *worker);

/* Runs until the group has stopped and nothing is under way between any two workers. */
void worker_run(struct worker *worker);

struct shard *worker_shard(struct worker *worker);
struct poller *worker_poller(struct worker *worker);

/* Events that are known already and still to come for `source` are void. */
void worker_forget(struct worker *worker, const void *source);

/* Hands a connection to another worker. -ENOMEM: it stays. */
int worker_move(struct worker *worker, unsigned to, struct client *client, size_t size) MUST_CHECK;

/* Pushes everything that this worker has posted so far: before a write that can't wait. */
void worker_push(struct worker *worker);

/*
 * The mailboxes that were found over their high mark since the last call: the connection that
 * published should not be read for now. WORKER_CAP: none.
 */
unsigned worker_take_pressure(struct worker *worker);

/* Leaves a connection's link with those that wait for a worker's mailbox; answers false when the
 * mailbox has reached its low mark meanwhile. */
bool worker_pause(struct worker *worker, unsigned on, struct list_link *link);

DEFINE_CLEANUP(struct worker_calls *, worker_calls_free)
