#pragma once

/*
 * Share post
 *
 * The turns of groups that a message has on one worker. The publishing worker deals them while it
 * matches; the worker of a turn serves the member, or hands the message on to another worker.
 */

#include "core/share.h"

/* One group's turn. Holds a reference of the group. */
struct share_turn {
    struct share *share;
    uint32_t turn;
};

struct ticket;

/* Owner: the worker that deals it, then the one that it was posted to. */
struct share_post {
    struct message *message;   /* counted, while it is in a mailbox; else NULL */
    struct ticket *ticket;     /* one count of it, the same while; NULL: nobody waits */
    struct worker_set offered; /* workers that a message which is handed on was offered to */
    uint32_t len;
    uint32_t cap;
    uint32_t at;       /* turns before it are served */
    bool matches;      /* ordinary subscriptions are to be served, too */
    bool deals;        /* turns of the groups in this worker's charge are still to be dealt */
    bool rests;        /* nobody has room: whoever can keep it takes it */
    bool is_handed_on; /* a member had it that has left: no publisher waits for it */
    struct share_turn turns[];
};

/* A message has one turn on its publisher's own worker as a rule, and needs no post for so many. */
#define SHARE_OWN_CAP 4

/* The turns that were dealt and not posted yet, for each worker. */
struct share_dealt {
    struct share_post **posts; /* by worker */
    struct worker_set workers; /* that have one */
    uint32_t len;              /* of `workers` */
    uint32_t own_len;
    struct share_turn own[SHARE_OWN_CAP]; /* of this worker, which holds no references of them */
    bool out_of_memory;
};

void share_dealt_init(struct share_dealt *dealt, unsigned worker_len);
void share_dealt_deinit(struct share_dealt *dealt);

struct share_set;

static inline bool share_dealt_is_empty(const struct share_dealt *dealt)
{
    return dealt->len == 0 && dealt->own_len == 0;
}

/*
 * Deals a turn of every group in a set. Inside the read section that found it. share_serve_own(),
 * share_post_own() or share_dealt_drop() must follow, before any member of this worker leaves.
 */
void share_deal_all(struct shard *shard, const struct share_set *set);

/* Serves the first turns that were dealt to this worker; further ones are in its post. */
void share_serve_own(struct shard *shard, struct publication *publication);

/* They can't be served at once, and go into its post, too. -ENOMEM. */
int share_post_own(struct shard *shard) MUST_CHECK;

/*
 * The search for groups is too long for one iteration. Each worker gets a post that has it search,
 * and deal the turns of the groups in its charge: so each group's are dealt once, in the order of
 * one mailbox.
 */
void share_leave_dealing(struct shard *shard);

/* Where the dealing of one set goes on: behind the group `at`, as far as the group `last`. */
struct share_cursor {
    uint64_t at;
    uint64_t last;
};

/*
 * Looks at `max` groups of a set, and deals and posts a turn of those that are in this worker's
 * charge. Inside the read section that found the set. The publication has its message. True: it has
 * come to the end.
 */
bool share_deal_own(struct shard *shard, const struct share_set *set, struct share_cursor *cursor,
                    uint32_t max, struct publication *publication);

/* The turns dealt for a worker, which are the caller's then; NULL when there are none. */
struct share_post *share_dealt_take(struct shard *shard, unsigned worker);

/* Lets go of all turns that were dealt: the message is refused. */
void share_dealt_drop(struct shard *shard);

/* Answers NULL. Lets go of what is not served. */
struct share_post *share_post_free(struct share_post *post);

/* What the marks of a mailbox account for it, without its message. */
static inline size_t share_post_size(const struct share_post *post)
{
    return sizeof(*post) + post->len * sizeof(post->turns[0]);
}

/* Serves the next turn. False: there is none. */
bool share_serve_next(struct shard *shard, struct share_post *post,
                      struct publication *publication);

/* A delivery of a session that is over: to another member of its group, if it is of one. Lets go of
 * the delivery. */
void share_hand_on(struct shard *shard, struct delivery *delivery);

/* What a session that ends will hand on is its groups' in the store from here on. */
void share_keep_deliveries(struct shard *shard, struct session *session);

/* The session has left a group: what it was never sent goes to another member. Without memory it
 * stays. */
void share_withdraw(struct shard *shard, struct session *session, struct share *share);
