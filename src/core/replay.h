#pragma once

/*
 * Replay
 *
 * Sends the retained values that match a new subscription, in slices: a cursor in the tree of
 * topics survives from one iteration to the next. Belongs to its session's worker.
 */

#include "base/list.h"
#include "base/slice.h"

struct session;
struct shard;

/* One SUBSCRIBE whose values are to be sent. */
struct replay_request {
    struct slice filter;
    uint32_t node; /* of the filter tree */
    uint32_t identifier;
    uint8_t options;
    bool replaced; /* the session had this filter: nothing live is held back */
    bool silent;   /* no values are wanted (Retain Handling); only S is kept */
};

struct replay;

/* -ENOMEM: nothing is replayed. Call it after the subscription stands in the filter tree. */
int replay_start(struct shard *shard, struct session *session,
                 const struct replay_request *request) MUST_CHECK;

/* Whether a live retained publication comes to this subscription through its replay. */
bool replay_holds_back(const struct shard *shard, const struct session *session, uint32_t node,
                       uint64_t retained_number);

/* The subscription at this node is gone. */
void replay_stop(struct shard *shard, struct session *session, uint32_t node);

/* The session is over: stops up to so many, and answers how many. */
unsigned replay_stop_some(struct shard *shard, struct session *session, unsigned max);

/* The session's peer has room again. */
void replay_resume(struct shard *shard, struct session *session);

/* Goes on with those that can, as far as the budget reaches. */
void replay_go_on(struct shard *shard);

/* An entry of the mailbox of kind POST_ECHO. */
void replay_on_echo(struct shard *shard, struct replay *replay);
