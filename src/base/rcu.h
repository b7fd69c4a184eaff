#pragma once

/*
 * Epochs (read-copy-update)
 *
 * Lets workers read shared structures without locks while others change them. A reader is online
 * from rcu_online() to rcu_offline(); between two calls of rcu_quiescent() it is inside one read
 * section, and what it read there may be used until the section ends, and no longer. A writer
 * unlinks an object and retires it; the retiring worker itself frees it later, when every reader
 * that was online at that moment has passed a quiescent point or gone offline. Nobody ever waits
 * for a grace period.
 *
 * Owner of a reader: its thread. The group may be read by all.
 */

#include "base/base.h"

#include <stdatomic.h>

#define RCU_READER_CAP 1024

struct rcu_reader;
struct rcu_chunk;

/* Immutable once the readers run, but for `epoch`. */
struct rcu {
    _Atomic uint64_t epoch CACHE_ALIGNED;
    unsigned reader_len CACHE_ALIGNED;
    struct rcu_reader *readers[RCU_READER_CAP];
};

/* Private to base/rcu.c; embedded by workers. */
struct rcu_reader {
    _Atomic uint64_t seen CACHE_ALIGNED; /* epoch of the last quiescent point; 0 = offline */
    struct rcu *rcu CACHE_ALIGNED;
    struct rcu_chunk *oldest; /* retired objects in order, oldest first */
    struct rcu_chunk *newest;
    struct rcu_chunk *spare;   /* NULL: none */
    struct rcu_chunk *reserve; /* NULL: in use, since there was no memory */
    size_t waiting_len;        /* retired and not yet freed */
    size_t leaked_len;         /* retired with no memory to remember them by */
};

typedef void (*rcu_free_fn)(void *context, void *object);

void rcu_init(struct rcu *rcu);

/* Readers join before any of them runs. Start-up only: ends the process without memory. */
void rcu_reader_init(struct rcu_reader *reader, struct rcu *rcu);

/* Frees everything that still waits: only when no other reader runs any more. */
void rcu_reader_deinit(struct rcu_reader *reader);

void rcu_online(struct rcu_reader *reader);
void rcu_offline(struct rcu_reader *reader);
bool rcu_is_online(const struct rcu_reader *reader);

/* Ends one read section and begins the next. */
void rcu_quiescent(struct rcu_reader *reader);

/*
 * Hands over an object that no new reader can find any more. free_fn(context, object) runs on this
 * thread, inside rcu_reclaim(), after the grace period. Never fails: without memory the object is
 * leaked and counted.
 */
void rcu_retire(struct rcu_reader *reader, rcu_free_fn free_fn, void *context, void *object);

/* Frees up to `budget` retired objects whose grace period is over; answers how many. */
size_t rcu_reclaim(struct rcu_reader *reader, size_t budget);

/* Objects that wait for their grace period. */
static inline size_t rcu_waiting(const struct rcu_reader *reader)
{
    return reader->waiting_len;
}
