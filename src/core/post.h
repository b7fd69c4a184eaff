#pragma once

/*
 * Post
 *
 * How core reaches other workers, and its own through the mailbox. `loop` implements it. Posting
 * never fails and never waits: room is reserved before a request is acted upon. What is posted is
 * pushed as a batch at the end of the iteration, or by publish_pending().
 */

#include "base/base.h"

struct message;

/* What an entry of a mailbox is. */
enum post_kind {
    POST_MESSAGE = 1, /* struct message, one reference: match it and serve your subscribers */
    POST_SHARED,      /* struct share_post: turns of groups, and perhaps a message like that */
    POST_ECHO,        /* struct replay: comes back to its own worker behind all that stood there */
    POST_CLIENT,      /* struct client that moves to this worker */
    POST_CALL,        /* struct post_call */
    POST_TICKET /* struct ticket, one count, and one reference of its message: as POST_MESSAGE */
};

#define POST_KIND_BITS 6
#define POST_NODE_BITS 26

struct post_entry {
    void *object;
    uint32_t size;                  /* what the receiver's marks account for */
    uint32_t kind : POST_KIND_BITS; /* enum post_kind */
    uint32_t node : POST_NODE_BITS; /* of a POST_MESSAGE: see shard_on_message() */
};

static inline struct post_entry post_entry_of(enum post_kind kind, void *object, size_t size)
{
    return (struct post_entry){.object = object,
                               .size = (uint32_t)MIN(size, (size_t)UINT32_MAX),
                               .kind = kind & ((1u << POST_KIND_BITS) - 1)};
}

/* A call on another worker. Owned by the receiver, whose function frees it. */
struct post_call {
    void (*function)(void *worker_context, struct post_call *call);
};

struct post_ops {
    /* Room for one more entry to every worker. -ENOMEM: refuse the request. */
    int (*reserve)(void *context);

    /* Room must have been reserved. */
    void (*entry)(void *context, unsigned worker, struct post_entry entry);

    /* Pushes everything that is pending, now. */
    void (*push)(void *context);

    /*
     * Whether what arrived now may be served without a detour: nothing in the mailbox, nothing
     * pending to this worker itself.
     */
    bool (*is_quiet)(void *context);

    /* Ends this worker's sleep. Any thread. */
    void (*wake)(void *context);
};

struct post {
    const struct post_ops *ops;
    void *context;
};
