#pragma once

/*
 * Mailbox
 *
 * What other workers have posted to this one, in one order for all senders. Senders push batches;
 * the owner takes entries one by one. Counts, in entries and in bytes, what was pushed and is not
 * handled yet, so that senders can tell when to stop reading. Memory of a batch goes with it to the
 * receiver.
 */

#include "base/mpsc.h"
#include "core/post.h"
#include "core/worker_set.h"

/* A batch is no larger than what is kept when it is freed (base/spares.h). */
#define MAIL_BATCH_CAP 60

/*
 * What a worker pushes at once goes to several mailboxes one after the other. Nobody handles any of
 * it before all of it stands: or what a client does upon it could overtake it elsewhere.
 */
struct mail_batch {
    struct mpsc_node node;
    const _Atomic uint64_t *rounds; /* of its sender: those that stand everywhere */
    uint64_t round;                 /* that the batch belongs to; 0: it goes nowhere else */
    uint64_t size;                  /* of all entries, bytes */
    uint32_t len;
    uint32_t taken;
    uint64_t changes; /* of the router, before anything in it was matched */
    struct post_entry entries[MAIL_BATCH_CAP];
};

static inline bool mail_batch_is_over(const struct mail_batch *batch)
{
    return batch->taken == batch->len;
}

/* Pressure: where senders pause, and where they go on. */
struct mail_marks {
    uint32_t high_entries;
    uint32_t low_entries;
    uint64_t high_bytes;
    uint64_t low_bytes;
};

/* `queue`, `level`, `waiters` and `is_sleeping` are for all workers, the rest for the owner. */
struct mailbox {
    struct mpsc queue CACHE_ALIGNED;
    _Atomic uint64_t level CACHE_ALIGNED; /* entries << 40 | bytes */
    _Atomic uint64_t waiters[WORKER_CAP / 64];
    _Atomic bool is_sleeping CACHE_ALIGNED;
    struct mpsc_node *taken CACHE_ALIGNED; /* batches taken off the queue, oldest first */
    uint64_t handled;                      /* to be taken off `level` */
};

/* Any thread. Empty, and for one mailbox alone. NULL without memory. */
struct mail_batch *mail_batch_new(void) MUST_CHECK;

/* Accepts NULL; answers NULL. */
struct mail_batch *mail_batch_free(struct mail_batch *batch);

void mailbox_init(struct mailbox *mailbox);

/* Any thread. The batch is not empty. */
void mailbox_push(struct mailbox *mailbox, struct mail_batch *batch);

/* The owner: whether nothing is there at all. */
bool mailbox_is_empty(const struct mailbox *mailbox);

/*
 * The owner: the next entry, and the batch that it stands in, which is the caller's once it is
 * over. False: nothing there, or not everywhere yet.
 */
bool mailbox_take(struct mailbox *mailbox, struct post_entry *entry_out,
                  struct mail_batch **batch_out);

/*
 * The owner: what was taken has been handled and its consequences pushed. Answers the workers that
 * wait for the low mark, if that is reached.
 */
struct worker_set mailbox_settle(struct mailbox *mailbox, const struct mail_marks *marks);

/* Any thread: whether the high mark is passed, with this much more still to be pushed. */
bool mailbox_is_over(const struct mailbox *mailbox, const struct mail_marks *marks,
                     uint32_t more_entries, uint64_t more_bytes);

/* Any thread: whether the low mark is reached. */
bool mailbox_is_low(const struct mailbox *mailbox, const struct mail_marks *marks);

/* A sender leaves its flag, to be woken at the low mark; then it must look at the mark again. */
void mailbox_wait(struct mailbox *mailbox, unsigned worker);

/* The owner announces that it will sleep; then it must look into the mailbox again. */
void mailbox_announce_sleep(struct mailbox *mailbox);
void mailbox_end_sleep(struct mailbox *mailbox);

/* A sender, after its push: whether the owner must be woken. Answers true to one sender only. */
bool mailbox_needs_wake(struct mailbox *mailbox);
