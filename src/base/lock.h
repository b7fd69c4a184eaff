#pragma once

/*
 * Lock
 *
 * A mutex with a name and a rank. Locks are the exception here; each is one of the ranks below, and
 * they are taken in rising order only, no two of one rank at once. A thread that has to wait goes
 * offline first (base/rcu.h): so a lock may be waited for only between look-ups, never with
 * something in hand that was read under the epoch.
 */

#include "base/base.h"

#include <pthread.h>

enum lock_rank {
    LOCK_PLUGIN = 1,   /* callbacks of plugins */
    LOCK_RETAINED = 2, /* one stripe of topics with a retained message */
    LOCK_TREE = 3,     /* the shape of the topic trees */
    LOCK_STORE = 4,    /* the queue of the store */
    LOCK_LOG = 5,      /* the log's output */
    LOCK_ADDRESSES = 6 /* one stripe of the addresses of connections; nothing else is held */
};

struct lock {
    pthread_mutex_t mutex;
    struct owner *holder; /* NULL while free */
    enum lock_rank rank;
};

void lock_init(struct lock *lock, enum lock_rank rank);
void lock_deinit(struct lock *lock);
void lock_take(struct lock *lock);
void lock_release(struct lock *lock);

/* Whether the calling thread holds it: for assertions. */
bool lock_is_mine(const struct lock *lock);
