#include "core/store.h"

#include "base/point.h"
#include "core/shard.h"
#include "core/ticket.h"

static void wait_init(struct store_wait *wait, struct shard *shard,
                      void (*done)(struct store_wait *wait))
{
    assert_owner(shard->worker);
    wait->shard = shard;
    wait->done = done;
    wait->is_kept = false;
    shard->wait_len++;
}

void store_await(struct shard *shard, struct store_wait *wait,
                 void (*done)(struct store_wait *wait))
{
    wait_init(wait, shard, done);
    shard->store.ops->await(shard->store.context, wait);
}

/* The worker may free the wait as soon as it is pushed. */
void store_end_wait(struct store_wait *wait, bool is_kept)
{
    struct shard *shard = wait->shard;

    wait->is_kept = is_kept;
    mpsc_push(&shard->kept, &wait->node);
    shard->post.ops->wake(shard->post.context);
}

void store_collect(struct shard *shard)
{
    struct mpsc_node *node = mpsc_take_all(&shard->kept);

    assert_owner(shard->worker);
    while (node) {
        struct store_wait *wait = CONTAINER_OF(node, struct store_wait, node);

        node = node->next;
        assert(shard->wait_len > 0);
        shard->wait_len--;
        wait->done(wait);
    }
}

/* Tickets */

void ticket_init(struct ticket *ticket, struct shard *shard, void (*done)(struct store_wait *wait))
{
    wait_init(&ticket->wait, shard, done);
    ticket->message = NULL;
    atomic_init(&ticket->count, 1);
    ticket->is_from_durable = false;
}

/* Of all holders' records that come before their release, none may come behind the wait. */
void ticket_release(struct shard *shard, struct ticket *ticket)
{
    if (!ticket) {
        return;
    }
    point("ticket release");
    if (atomic_fetch_sub_explicit(&ticket->count, 1, memory_order_acq_rel) == 1) {
        shard->store.ops->await(shard->store.context, &ticket->wait);
    }
}
