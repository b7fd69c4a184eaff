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

/* A call on another worker. Owned by the receiver, whose function frees it. */
struct post_call {
    void (*function)(void *worker_context, struct post_call *call);
};

struct post_ops {
    /* Room for one more entry to every worker. -ENOMEM: refuse the request. */
    int (*reserve)(void *context);

    /* `size` is what the receiver's marks account for. Room must have been reserved. */
    void (*entry)(void *context, unsigned worker, enum post_kind kind, void *object, size_t size);

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
