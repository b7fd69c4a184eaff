#pragma once

/*
 * Core and its shards
 *
 * `struct core` is what all workers share: the two trees and what goes with them. A `struct shard`
 * is one worker's part of the meaning of MQTT: the sessions that live here, the deliveries under
 * way, the match cache. Knows no socket and no clock: time is told to it, and posts and peers are
 * behind interfaces.
 */

#include "base/hash.h"
#include "base/owner.h"
#include "base/rcu.h"
#include "base/table.h"
#include "base/wheel.h"
#include "core/census.h"
#include "core/fanout.h"
#include "core/match.h"
#include "core/peer.h"
#include "core/post.h"
#include "core/retained.h"
#include "core/router.h"
#include "core/share_post.h"
#include "core/store.h"
#include "core/sweep.h"
#include "metrics/metrics.h"

/* Limits that are settings of the operator, and budgets. Each shard has its own copy. */
struct core_limits {
    uint32_t max_queued;       /* deliveries per session above the window; 0 = no bound */
    uint64_t max_queued_bytes; /* the same in bytes of payload: full once that many wait */
    uint64_t
        max_inflight_bytes;   /* nothing more is sent while so many are in flight; 0 = no bound */
    bool queue_plain;         /* keep QoS 0, too, for durable sessions whose client is away */
    bool merges;              /* overlapping subscriptions of a session get one copy together */
    bool checks_authors;      /* a retained message is sent only while its author may publish it */
    bool asks_rights;         /* what a session may read and write is asked for */
    bool upgrade_qos;         /* deliver at the QoS of the subscription, even above the message's */
    unsigned delivery_budget; /* deliveries and replayed values per iteration; and those that are
                                 freed of ended sessions */
    unsigned search_steps;    /* a search that is longer, or finds more groups, is left to the
                                 receivers, who make it in slices; 0 = no bound */
    unsigned at_once;         /* so few subscribers are served even when the budget is used up */
    unsigned slice;           /* the part of the budget that a fan-out in slices may use in one
                                 iteration; 0 = all of it */
    unsigned run;             /* rows of a list that it serves before it is the next list's turn;
                                 0 = 1 */
    unsigned cleanup_budget;  /* per iteration: removals of ended sessions (session_clean_up()), and
                                 retained topics looked at by a sweep */
    uint32_t sweep_interval_s; /* between sweeps for expired retained values; 0 = none */
    uint32_t max_sessions;     /* of all workers, connected or not; 0 = no bound */
};

/* Slots that client ids fall into. */
#define CORE_HOME_LEN 4096

/* Read by all workers; each part says how it is changed. */
struct core {
    struct rcu rcu;
    struct hash_key key;
    unsigned worker_len;
    struct core_limits first_limits; /* that shards begin with */
    uint8_t homes[CORE_HOME_LEN];    /* the worker of each slot of client ids */
    struct router router;
    struct retained retained;
    struct metrics *metrics; /* a block for each worker */
    /* Of all workers; changes when one is made or ends: apart from what is only read. */
    _Atomic uint32_t session_len CACHE_ALIGNED;
    _Atomic uint32_t session_max; /* the most that there were */
};

/* The kinds of timers on a worker's wheel. */
enum shard_timer {
    SHARD_TIMER_SESSION = 1, /* expiry and delayed will of a session without a client */
    SHARD_TIMER_CLIENT       /* deadlines of a connection: belongs to `client` */
};

/* How far what a worker reads goes: from how many clients, and to how many, about. */
struct shard_spread {
    uint64_t latest; /* origin of the latest message */
    unsigned source_len;
    unsigned reached_len; /* connections that had nothing to be written before */
};

/* Owner: its worker. */
struct shard {
    struct core *core;
    struct core_limits limits;
    struct owner owner;
    struct rcu_reader reader;
    unsigned worker;
    struct post post;
    struct store store;
    const struct peer_ops *peer;
    void *peer_context; /* of the peers; NULL: they need none */
    struct metrics *metrics;
    struct wheel wheel;
    uint64_t now_ms;
    uint64_t changes; /* router_changes() as this iteration began */
    unsigned budget;  /* deliveries left in this iteration */
    struct shard_spread spread;
    struct table sessions;
    struct match_cache *cache;
    struct fanout fanout;
    struct list_link replays; /* of sessions that can go on with theirs now */
    struct sweep sweep;       /* of the retained tree; one worker's only */
    struct census_cursor census;
    struct list_link sending; /* sessions whose queue the budget did not reach */
    struct list_link ended;   /* sessions that have something left to be freed */
    struct list_link filling; /* memberships without room, since this iteration or the last */
    uint32_t iteration;
    struct share_dealt dealt;
    uint64_t rules_len;        /* sets of rules that `client` has numbered groups by here */
    size_t echo_len;           /* replays on their way through a grace period and the mailbox */
    size_t wait_len;           /* waits for the store that are not over */
    struct table replay_table; /* by session and node of the filter tree */
    struct mpsc kept CACHE_ALIGNED; /* waits that are over; pushed by the store */
};

int core_new(const struct hash_key *key, unsigned worker_len, const struct core_limits *limits,
             struct core **core_out) MUST_CHECK;

struct core *core_free(struct core *core);

/* What core knows of the metrics: all but the derived ones and those of others. Any thread. */
void core_sum(const struct core *core, uint64_t values_out[METRIC_LEN]);

/* One number of them that the workers count. */
static inline uint64_t core_count(const struct core *core, unsigned metric)
{
    return metrics_sum(core->metrics, core->worker_len, metric);
}

/* Before any worker runs. Ends the process without memory. */
struct shard *shard_new(struct core *core, unsigned worker, const struct peer_ops *peer);

void shard_set_post(struct shard *shard, const struct post *post);

/*
 * Other limits from now on, on its worker. What is over them already stays: a queue takes nothing
 * more until there is room again, a sweep that is under way ends.
 */
void shard_change_limits(struct shard *shard, const struct core_limits *limits);

/* Before any worker runs; nothing is kept unless this is called. */
void shard_set_store(struct shard *shard, const struct store *store);

/*
 * The end, when no worker runs any more, each step for all shards before the next, with owner_self
 * that of the shard: shard_clear() ends every session, without wills; core_clear(), once, drops the
 * retained messages; shard_flush() frees what is retired, which may post; then the mailboxes go,
 * then shard_free(), then core_free().
 */
void shard_clear(struct shard *shard);
void core_clear(struct core *core);
void shard_flush(struct shard *shard);
struct shard *shard_free(struct shard *shard);

/* The worker that a client id lives on. */
unsigned core_home(const struct core *core, struct slice client_id);

/* The steps of an iteration. */

/* Begins an iteration: the time, and a fresh budget. */
void shard_begin(struct shard *shard, uint64_t now_ms);

/* Something was done that is worth one delivery. */
static inline void shard_charge(struct shard *shard)
{
    shard->budget -= shard->budget > 0;
}

/* The same, of so many. */
static inline void shard_charge_many(struct shard *shard, uint64_t len)
{
    shard->budget -= (unsigned)MIN(len, (uint64_t)shard->budget);
}

/* A connection that gets something to write: it costs a system call at the end of the iteration, of
 * 3 us and more, however much else goes with it. A packet or a delivery of a cursor costs 0.2. */
#define SHARD_WRITE_COST 4

static inline void shard_charge_write(struct shard *shard)
{
    shard_charge_many(shard, SHARD_WRITE_COST);
}

/* A message of a client. */
static inline void shard_note_source(struct shard *shard, uint64_t origin)
{
    if (shard->spread.latest != origin) {
        shard->spread.latest = origin;
        shard->spread.source_len++;
    }
}

/* Whatever came before, a quarter of the budget is left for what comes now. */
static inline void shard_share_budget(struct shard *shard)
{
    shard->budget = MAX(shard->budget, shard->limits.delivery_budget / 4 + 1);
}

/* Goes on with queues that are sent, replays, the cleaning up of ended sessions and the sweep of
 * retained values, as far as the budget reaches. The fan-out comes first in an iteration, by
 * itself: fanout_go_on(). */
void shard_go_on(struct shard *shard);

/* Whether something is left that needs another iteration soon. */
bool shard_has_work(const struct shard *shard);

/* An unfinished fan-out: entries of the mailbox wait behind it, in order. */
static inline bool shard_is_in_fanout(const struct shard *shard)
{
    return fanout_is_active(&shard->fanout);
}

/* Entries of the mailbox that are core's. */

/* `node`: the only one that the topic matched when nothing had changed since `changes` of the
 * router; 0: nobody has looked, or there were several. */
void shard_on_message(struct shard *shard, struct message *message, uint32_t node,
                      uint64_t changes);
void shard_on_shared(struct shard *shard, struct share_post *post);
void shard_on_ticket(struct shard *shard, struct ticket *ticket);

/* The same, but nobody is served: the worker has ended. */
void shard_drop_shared(struct shard *shard, struct share_post *post);
void shard_drop_ticket(struct shard *shard, struct ticket *ticket);

/* A timer of kind SHARD_TIMER_SESSION. */
void shard_on_timer(struct shard *shard, struct wheel_timer *timer);

/* Publishing */

enum publish_verdict {
    PUBLISH_MATCHED = 1,
    PUBLISH_UNMATCHED, /* nobody subscribes to it */
    PUBLISH_LEFT /* who does is still to be found, and that is dear: do not publish more at once */
};

/*
 * Routes a publication: serves this worker's subscribers, posts it to other workers, and keeps it
 * as retained message if it says so. -ENOMEM: nothing was done, refuse it.
 * The parts must be valid and `topic_hash` that of the topic.
 */
int shard_publish(struct shard *shard, struct publication *publication) MUST_CHECK;

/*
 * Posts a publication to workers (`to`, not empty), those of `matched` and those that have a turn
 * dealt; room was reserved and the message exists.
 */
void shard_post(struct shard *shard, const struct publication *publication,
                const struct worker_set *to, const struct worker_set *matched);

static inline uint64_t shard_topic_hash(const struct shard *shard, struct slice topic)
{
    return hash_bytes(&shard->core->key, topic);
}

static inline uint32_t shard_now(const struct shard *shard)
{
    return (uint32_t)(shard->now_ms / 1000);
}
