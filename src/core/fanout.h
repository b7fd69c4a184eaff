#pragma once

/*
 * Fan-out
 *
 * One message whose subscribers on this worker are more than an iteration may serve, or more than
 * it may find. The rest goes on from a cursor that survives every change of the tree and of the
 * lists: who has been served stays served once, who has left is not served, who came later is
 * served once or not at all.
 */

#include "core/match.h"
#include "core/router.h"
#include "core/share_post.h"

struct message;
struct publication;
struct ticket;

struct fanout_target;
struct fanout_borders {
    uint32_t row;
    uint32_t end;
};

/* Nodes whose groups this worker deals those of that are in its charge. Each is pinned. */
struct fanout_deals {
    uint32_t *nodes;
    uint32_t len;
    uint32_t cap;
    uint32_t at;                /* the node that is dealt at */
    struct share_cursor cursor; /* among its groups; the last is the last that was there */
};

/* Private to core/fanout.c. Owner: its worker. */
struct fanout {
    struct message *message; /* NULL: no fan-out under way */
    struct ticket *ticket;   /* one count of it; NULL: nobody waits */
    struct share_post *post; /* turns of groups, which come first; NULL: none left */
    bool is_searching;       /* `targets` are not complete */
    bool deals;              /* turns of groups, too, which come next */
    bool out_of_memory;      /* for `targets`: all will be served at once */
    struct match_search search;
    struct fanout_deals to_deal;
    uint64_t topic_hash;
    struct fanout_target *targets; /* that are not finished */
    uint32_t len;
    uint32_t cap;
    uint32_t at;      /* the target whose turn it is */
    uint32_t run;     /* rows that it has had in this turn */
    uint64_t serial;  /* of this fan-out, if it merges what goes to one session; else 0 */
    uint64_t serials; /* given out so far */
};

static inline bool fanout_is_active(const struct fanout *fanout)
{
    return fanout->message != NULL;
}

/*
 * Serves the turns that groups have here (`post`, taken over; NULL: none) and, unless that says
 * otherwise, this worker's subscribers of a publication, which are known when it was matched a
 * moment ago (`found`, all of it; NULL: it was not): at once, as far as the budget reaches; the
 * rest becomes the active fan-out, and so does a search that is long. None may be active yet. Never
 * fails: without memory for a cursor all are served at once.
 */
void fanout_serve(struct shard *shard, struct publication *publication, struct share_post *post,
                  const struct match_found *found);

/* Goes on with the active fan-out as far as the budget reaches. */
void fanout_go_on(struct shard *shard);

/* Lets go of everything, unserved. */
void fanout_clear(struct shard *shard);

/*
 * The borders in a list that the active fan-out is to serve, for whoever removes a row of it: rows
 * before `row` have been served, rows from `end` on came later. NULL: it is none of those.
 */
struct fanout_borders *fanout_borders(struct fanout *fanout, const struct subscriber_list *list);
