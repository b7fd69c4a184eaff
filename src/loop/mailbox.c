#include "loop/mailbox.h"

#include "base/point.h"
#include "base/spares.h"

/*
 * Sleeping: the owner stores `is_sleeping` and then looks at the queue; a sender pushes and then
 * looks at `is_sleeping`. All four are sequentially consistent, so at least one of them sees the
 * other, and nobody sleeps over a batch.
 *
 * The marks work the same way: who waits sets its bit and then looks at the level again; the owner
 * lowers the level and then looks for bits.
 */

#define ENTRY_SHIFT 40
#define SIZE_MASK   ((UINT64_C(1) << ENTRY_SHIFT) - 1)

static_assert(sizeof(struct mail_batch) <= SPARES_SIZE_MAX, "every push takes one");

struct mail_batch *mail_batch_new(void)
{
    struct mail_batch *batch = spares_alloc(sizeof(*batch));

    if (batch) {
        batch->node.next = NULL;
        batch->rounds = NULL;
        batch->round = 0;
        batch->size = 0;
        batch->len = 0;
        batch->taken = 0;
        batch->changes = 0;
    }
    return batch;
}

struct mail_batch *mail_batch_free(struct mail_batch *batch)
{
    return spares_free(batch, sizeof(*batch));
}

void mailbox_init(struct mailbox *mailbox)
{
    mpsc_init(&mailbox->queue);
    atomic_init(&mailbox->level, 0);
    for (unsigned i = 0; i < ARRAY_LEN(mailbox->waiters); i++) {
        atomic_init(&mailbox->waiters[i], 0);
    }
    atomic_init(&mailbox->is_sleeping, false);
    mailbox->taken = NULL;
    mailbox->handled = 0;
}

void mailbox_push(struct mailbox *mailbox, struct mail_batch *batch)
{
    assert(batch->len > 0 && batch->taken == 0);

    atomic_fetch_add_explicit(&mailbox->level, (uint64_t)batch->len << ENTRY_SHIFT | batch->size,
                              memory_order_seq_cst);
    point("mailbox before push");
    mpsc_push(&mailbox->queue, &batch->node);
    point("mailbox after push");
}

bool mailbox_is_empty(const struct mailbox *mailbox)
{
    return !mailbox->taken && mpsc_is_empty(&mailbox->queue);
}

static bool stands_everywhere(const struct mail_batch *batch)
{
    return batch->round == 0 ||
           atomic_load_explicit(batch->rounds, memory_order_acquire) >= batch->round;
}

bool mailbox_take(struct mailbox *mailbox, struct post_entry *entry_out,
                  struct mail_batch **batch_out)
{
    struct mail_batch *batch;

    if (!mailbox->taken) {
        point("mailbox look");
        mailbox->taken = mpsc_take_all(&mailbox->queue);
    }
    if (!mailbox->taken) {
        return false;
    }
    batch = CONTAINER_OF(mailbox->taken, struct mail_batch, node);
    if (!stands_everywhere(batch)) {
        return false;
    }
    *entry_out = batch->entries[batch->taken++];
    mailbox->handled += UINT64_C(1) << ENTRY_SHIFT | entry_out->size;
    if (mail_batch_is_over(batch)) {
        mailbox->taken = batch->node.next;
    }
    *batch_out = batch;
    return true;
}

static bool level_is_low(uint64_t level, const struct mail_marks *marks)
{
    return level >> ENTRY_SHIFT <= marks->low_entries && (level & SIZE_MASK) <= marks->low_bytes;
}

struct worker_set mailbox_settle(struct mailbox *mailbox, const struct mail_marks *marks)
{
    struct worker_set waiting = {0};
    uint64_t level;

    if (mailbox->handled == 0) {
        return waiting;
    }
    level = atomic_fetch_sub_explicit(&mailbox->level, mailbox->handled, memory_order_seq_cst) -
            mailbox->handled;
    mailbox->handled = 0;
    point("mailbox level lowered");
    for (unsigned i = 0; level_is_low(level, marks) && i < ARRAY_LEN(waiting.words); i++) {
        if (atomic_load_explicit(&mailbox->waiters[i], memory_order_seq_cst) != 0) {
            waiting.words[i] =
                atomic_exchange_explicit(&mailbox->waiters[i], 0, memory_order_seq_cst);
        }
    }
    return waiting;
}

bool mailbox_is_over(const struct mailbox *mailbox, const struct mail_marks *marks,
                     uint32_t more_entries, uint64_t more_bytes)
{
    uint64_t level = atomic_load_explicit(&mailbox->level, memory_order_relaxed);

    return (level >> ENTRY_SHIFT) + more_entries > marks->high_entries ||
           (level & SIZE_MASK) + more_bytes > marks->high_bytes;
}

bool mailbox_is_low(const struct mailbox *mailbox, const struct mail_marks *marks)
{
    return level_is_low(atomic_load_explicit(&mailbox->level, memory_order_seq_cst), marks);
}

void mailbox_wait(struct mailbox *mailbox, unsigned worker)
{
    atomic_fetch_or_explicit(&mailbox->waiters[worker / 64], UINT64_C(1) << worker % 64,
                             memory_order_seq_cst);
    point("mailbox waiter set");
}

void mailbox_announce_sleep(struct mailbox *mailbox)
{
    point("before sleep");
    atomic_store_explicit(&mailbox->is_sleeping, true, memory_order_seq_cst);
    point("sleep announced");
}

void mailbox_end_sleep(struct mailbox *mailbox)
{
    if (atomic_load_explicit(&mailbox->is_sleeping, memory_order_relaxed)) {
        atomic_store_explicit(&mailbox->is_sleeping, false, memory_order_seq_cst);
    }
}

bool mailbox_needs_wake(struct mailbox *mailbox)
{
    return atomic_load_explicit(&mailbox->is_sleeping, memory_order_seq_cst) &&
           atomic_exchange_explicit(&mailbox->is_sleeping, false, memory_order_seq_cst);
}
