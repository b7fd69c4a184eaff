#pragma once

/*
 * Ring of the log
 *
 * Bounded memory between all threads that log and the one that writes: records of any size, first
 * in, first out. Pushing takes no lock, makes no system call and never waits; a record that finds
 * no room is not pushed, and counted.
 */

#include "base/base.h"

#include <stdatomic.h>

/* Private, but for its place. */
struct log_ring {
    uint8_t *bytes;
    uint64_t cap;                        /* a power of two */
    _Atomic uint64_t head CACHE_ALIGNED; /* end of what is reserved; for all who push */
    _Atomic uint64_t lost;               /* records that found no room since the last look */
    _Atomic uint64_t tail CACHE_ALIGNED; /* end of what was taken; the one who takes writes it */
};

/* `size` bytes, rounded up to a power of two. -ENOMEM. */
int log_ring_init(struct log_ring *ring, size_t size) MUST_CHECK;
void log_ring_deinit(struct log_ring *ring);

/* Any thread. False: no room, and it is counted. */
bool log_ring_push(struct log_ring *ring, const void *record, size_t size);

/*
 * The one who takes: copies the oldest record out, of at most `cap` bytes, and answers its size; 0:
 * there is none, or it is not complete yet. It keeps its room until log_ring_drop().
 */
size_t log_ring_peek(const struct log_ring *ring, void *record, size_t cap);
void log_ring_drop(struct log_ring *ring);

/* Whether log_ring_peek() would find one. Sequentially consistent: the last look before a sleep. */
bool log_ring_has_record(const struct log_ring *ring);

/* Any thread: whether everything that was pushed has been dropped. */
bool log_ring_is_empty(const struct log_ring *ring);

/* Bytes that are in use. Any thread. */
uint64_t log_ring_used(const struct log_ring *ring);

/* How many were not pushed since the last time that this was asked. */
uint64_t log_ring_take_lost(struct log_ring *ring);
