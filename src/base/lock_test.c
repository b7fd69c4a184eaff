#include "base/death_test.h"
#include "base/lock.h"
#include "base/owner.h"
#include "base/rcu.h"

#include <sched.h>

static struct owner self;
static struct lock tree;
static struct lock other_tree;
static struct lock store;
static struct lock retained;

static int setup(void **state)
{
    (void)state;
    self = (struct owner){.worker = 0};
    owner_self = &self;
    lock_init(&tree, LOCK_TREE);
    lock_init(&other_tree, LOCK_TREE);
    lock_init(&store, LOCK_STORE);
    lock_init(&retained, LOCK_RETAINED);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lock_deinit(&tree);
    lock_deinit(&other_tree);
    lock_deinit(&store);
    lock_deinit(&retained);
    owner_self = NULL;
    return 0;
}

static void ranks_rise(void **state)
{
    (void)state;
    lock_take(&retained);
    lock_take(&tree);
    lock_take(&store);
    assert_true(lock_is_mine(&retained) && lock_is_mine(&tree) && lock_is_mine(&store));
    assert_false(lock_is_mine(&other_tree));
    lock_release(&tree);
    assert_true(lock_is_mine(&retained) && !lock_is_mine(&tree) && lock_is_mine(&store));
    lock_release(&store);
    lock_take(&other_tree);
    assert_true(lock_is_mine(&other_tree) && !lock_is_mine(&tree));
    lock_release(&other_tree);
    lock_release(&retained);
    assert_int_equal(self.held_ranks, 0);
}

static void take_lower(void)
{
    lock_take(&store);
    lock_take(&tree);
}

static void take_twice(void)
{
    lock_take(&tree);
    lock_take(&tree);
}

static void take_equal(void)
{
    lock_take(&tree);
    lock_take(&other_tree);
}

static void take_as_nobody(void)
{
    owner_self = NULL;
    lock_take(&tree);
}

static void release_free(void)
{
    lock_release(&tree);
}

static void release_another(void)
{
    lock_take(&tree);
    lock_release(&other_tree);
}

static void ranks_do_not_fall(void **state)
{
    static void (*const wrong[])(void) = {take_lower,     take_twice,   take_equal,
                                          take_as_nobody, release_free, release_another};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
        if (!is_deadly(wrong[i])) {
            fail_msg("case %u lives", i);
        }
    }
}

/* Another worker, which reads shared structures. */
struct rival {
    struct owner owner;
    struct rcu_reader reader;
    pthread_t thread;
    _Atomic bool is_ready;
    unsigned *counter;
};

static void *take_and_count(void *argument)
{
    struct rival *rival = argument;

    owner_self = &rival->owner;
    rcu_online(&rival->reader);
    atomic_store(&rival->is_ready, true);
    lock_take(&tree);
    assert(rcu_is_online(&rival->reader) && lock_is_mine(&tree));
    *rival->counter += 1;
    lock_release(&tree);
    rcu_offline(&rival->reader);
    return NULL;
}

static void rival_start(struct rival *rival, struct rcu *rcu, unsigned *counter)
{
    rival->owner = (struct owner){.worker = 1, .reader = &rival->reader};
    rival->counter = counter;
    atomic_init(&rival->is_ready, false);
    rcu_reader_init(&rival->reader, rcu);
    assert_int_equal(pthread_create(&rival->thread, NULL, take_and_count, rival), 0);
}

static void count_free(void *context, void *object)
{
    (void)object;
    *(unsigned *)context += 1;
}

/* Somebody else's wait must not hold up what we retire while we hold the lock. */
static void who_waits_is_offline(void **state)
{
    struct rcu *rcu = memory_must_alloc_aligned(sizeof(*rcu));
    struct rival *rival = memory_must_alloc_aligned(sizeof(*rival));
    struct rcu_reader *mine = memory_must_alloc_aligned(sizeof(*mine));
    unsigned counter = 0;
    unsigned freed = 0;

    (void)state;
    rcu_init(rcu);
    rcu_reader_init(mine, rcu);
    self.reader = mine;
    rcu_online(mine);
    lock_take(&tree);
    assert_true(rcu_is_online(mine));
    rival_start(rival, rcu, &counter);
    while (!atomic_load(&rival->is_ready) || rcu_is_online(&rival->reader)) {
        sched_yield();
    }
    rcu_retire(mine, count_free, &freed, NULL);
    rcu_quiescent(mine);
    assert_int_equal(rcu_reclaim(mine, 1), 1);
    assert_int_equal(freed, 1);
    assert_false(rcu_is_online(&rival->reader));
    assert_int_equal(counter, 0);
    lock_release(&tree);
    pthread_join(rival->thread, NULL);
    assert_int_equal(counter, 1);
    rcu_offline(mine);
    rcu_reader_deinit(mine);
    rcu_reader_deinit(&rival->reader);
    memory_free(mine);
    memory_free(rival);
    memory_free(rcu);
}

static unsigned counted;

static void *count_often(void *argument)
{
    owner_self = argument;
    for (unsigned i = 0; i < 20000; i++) {
        lock_take(&store);
        counted++;
        lock_release(&store);
    }
    return NULL;
}

static void only_one_is_inside(void **state)
{
    struct owner owners[3] = {{.worker = 1}, {.worker = 2}, {.worker = 3}};
    pthread_t threads[3];

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count_often, &owners[i]), 0);
    }
    for (unsigned i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(counted, 60000);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ranks_rise, setup, teardown),
        cmocka_unit_test_setup_teardown(ranks_do_not_fall, setup, teardown),
        cmocka_unit_test_setup_teardown(who_waits_is_offline, setup, teardown),
        cmocka_unit_test_setup_teardown(only_one_is_inside, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
