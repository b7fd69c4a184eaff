#include "base/lock.h"

#include "base/owner.h"
#include "base/rcu.h"

void lock_init(struct lock *lock, enum lock_rank rank)
{
    int r = pthread_mutex_init(&lock->mutex, NULL);

    assert(r == 0);
    lock->holder = NULL;
    lock->rank = rank;
}

void lock_deinit(struct lock *lock)
{
    int r = pthread_mutex_destroy(&lock->mutex);

    assert(r == 0);
}

/* Waits offline: a thread that blocks inside a read section would stop all reclamation. */
static void wait_offline(struct lock *lock, struct rcu_reader *reader)
{
    bool was_online = reader && rcu_is_online(reader);

    if (was_online) {
        rcu_offline(reader);
    }
    pthread_mutex_lock(&lock->mutex);
    if (was_online) {
        rcu_online(reader);
    }
}

void lock_take(struct lock *lock)
{
    assert(owner_self);
    assert(owner_self->held_ranks >> lock->rank == 0);

    if (pthread_mutex_trylock(&lock->mutex) != 0) {
        wait_offline(lock, owner_self->reader);
    }
    lock->holder = owner_self;
    owner_self->held_ranks |= 1u << lock->rank;
}

void lock_release(struct lock *lock)
{
    assert(lock_is_mine(lock));

    lock->holder = NULL;
    owner_self->held_ranks &= ~(1u << lock->rank);
    pthread_mutex_unlock(&lock->mutex);
}

bool lock_is_mine(const struct lock *lock)
{
    return owner_self && (owner_self->held_ranks >> lock->rank & 1) != 0 &&
           lock->holder == owner_self;
}
