#include "base/lock.h"

#include "base/owner.h"
#include "base/rcu.h"
#include "sim/scheduler.h"

/*
 * src/base/lock.h for coroutines: who has to wait is parked. The assertions and the time offline
 * are those of the product. `holder` says whether it is held; the mutex is not used.
 */

void lock_init(struct lock *lock, enum lock_rank rank)
{
    lock->holder = NULL;
    lock->rank = rank;
}

void lock_deinit(struct lock *lock)
{
    assert(!lock->holder);
}

static bool is_free(void *context)
{
    const struct lock *lock = context;

    return !lock->holder;
}

static void wait_offline(struct lock *lock, struct rcu_reader *reader)
{
    bool was_online = reader && rcu_is_online(reader);

    if (was_online) {
        rcu_offline(reader);
    }
    while (lock->holder) {
        scheduler_wait("lock", is_free, lock, SCHEDULER_NEVER);
    }
    lock->holder = owner_self;
    if (was_online) {
        rcu_online(reader);
    }
}

void lock_take(struct lock *lock)
{
    assert(owner_self);
    assert(owner_self->held_ranks >> lock->rank == 0);

    scheduler_point("before lock");
    if (lock->holder) {
        wait_offline(lock, owner_self->reader);
    }
    lock->holder = owner_self;
    owner_self->held_ranks |= 1u << lock->rank;
    scheduler_point("locked");
}

void lock_release(struct lock *lock)
{
    assert(lock_is_mine(lock));

    scheduler_point("before unlock");
    lock->holder = NULL;
    owner_self->held_ranks &= ~(1u << lock->rank);
    scheduler_point("unlocked");
}

bool lock_is_mine(const struct lock *lock)
{
    return owner_self && (owner_self->held_ranks >> lock->rank & 1) != 0 &&
           lock->holder == owner_self;
}
