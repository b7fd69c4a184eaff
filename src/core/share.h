#pragma once

/*
 * Share
 *
 * The group of a `$share/GROUP/FILTER`: the sessions that divide the messages of a filter among
 * them. A group stands at its filter's node. It deals turns by an atomic ticket; each worker keeps
 * its own members, and tells the others only how many of them can take.
 *
 * Counted: one reference of the tree, one per turn on its way, one per delivery that is not
 * acknowledged. Any thread may hold one.
 */

#include "core/router.h"

#include <stdatomic.h>

struct delivery;
struct publication;
struct session;
struct shard;

/* One row of a worker's part of a group. */
struct share_member {
    struct session *session;
    uint32_t identifier; /* subscription identifier, 0 = none */
    uint32_t at;         /* its place among the groups of its session (core/membership.h) */
    uint8_t options;
};

/* How willing a member is: the lower, the sooner it is asked. */
enum share_state {
    SHARE_ABLE,
    SHARE_FULL, /* connected, without room for longer than an iteration */
    SHARE_AWAY, /* not connected: what it gets waits for it */
    SHARE_GONE, /* its session is over: it gets nothing any more */
    SHARE_STATE_LEN
};

/* One worker's members, those of a lower state first. Owner: that worker; `lens` is for all. */
struct share_part {
    struct share_member *members;
    uint32_t cap;
    uint32_t ends[SHARE_STATE_LEN];    /* where the members of each state end */
    _Atomic uint32_t lens[SHARE_GONE]; /* how many there are of each */
};

/* Private to core's share_*.c and membership.c. */
struct share {
    _Atomic uint64_t ticket;
    _Atomic uint32_t refs;
    uint32_t node;       /* its own, a child of its filter's */
    uint32_t place;      /* among the groups of its filter; under the tree's lock */
    uint32_t member_len; /* under the tree's lock */
    unsigned worker_len;
    struct slice name; /* FILTER/#GROUP, behind the parts */
    struct share_part parts[];
};

struct share *share_new(unsigned worker_len, uint32_t node, struct slice name) MUST_CHECK;
struct share *share_ref(struct share *share);

/* Answers NULL; frees with the last reference. */
struct share *share_unref(struct share *share);

/* Subscribing, like router_subscribe() and router_unsubscribe(). There is no replay. */
int share_subscribe(struct shard *shard, struct slice group, struct slice filter,
                    struct subscriber subscriber, struct subscribed *subscribed_out) MUST_CHECK;

/* What waits for the session and was not sent yet goes to other members. */
bool share_unsubscribe(struct shard *shard, struct session *session, struct slice group,
                       struct slice filter);

/* Removes a session from a group by the group's node. */
void share_leave(struct shard *shard, struct session *session, uint32_t node);

/* Members of this worker's part */

/* The session has room for the subscription and the membership. -ENOMEM: nothing was changed. */
int share_add_member(struct shard *shard, struct share *share,
                     struct subscriber subscriber) MUST_CHECK;
void share_remove_member(struct shard *shard, struct share *share, struct session *session);

struct share_member *share_member(const struct shard *shard, struct share *share,
                                  const struct session *session);
void share_set_state(const struct shard *shard, struct share *share, const struct session *session,
                     enum share_state state);

/* Whose turn it is: member `turn` of a state of `worker`. False: the group has nobody. Any worker.
 */
bool share_deal(struct share *share, unsigned *worker_out, uint32_t *turn_out);

/* How many members up to a state a worker has told of. */
uint32_t share_len(const struct share *share, unsigned worker, enum share_state last);
