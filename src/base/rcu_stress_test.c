#include "base/rcu.h"
#include "base/stress_test.h"

#include <string.h>

/*
 * Every thread is a reader and a writer, as workers are. What they share is one list of nodes
 * behind atomic links, changed under a mutex: nodes are put in, taken out and retired. A freed node
 * is poisoned and lies in a pool of its own thread before it is used again, so whoever still has it
 * in hand meets the poison. Threads differ in how often they are quiescent and go offline; some go
 * on reading right after they came online, which is where a missing fence shows.
 */

#define THREAD_LEN 4
#define LIST_LEN   8
#define POOL_LEN   64
#define ALIVE      0x600DF00Du
#define POISON     0xDEADDEADu

/* Shared; `next` and `state` are read without a lock. */
struct node {
    _Atomic(struct node *) next;
    _Atomic uint32_t state;
    uint32_t twice; /* plain, so that the sanitizer sees who writes while others read */
    struct node *in_pool;
};

/* Owner: its thread. */
struct thread {
    struct rcu_reader reader;
    struct dice dice;
    struct node *pool; /* a queue, so that what is freed rests a while */
    struct node **pool_end;
    unsigned pool_len;
    uint64_t retired;
    uint64_t freed;
    uint64_t seen;
};

static struct rcu rcu;
static struct thread threads[THREAD_LEN];
static _Atomic(struct node *) heads[LIST_LEN];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint64_t end_ms;

static void pool_push(struct thread *thread, struct node *node)
{
    node->in_pool = NULL;
    *thread->pool_end = node;
    thread->pool_end = &node->in_pool;
    thread->pool_len++;
}

static struct node *pool_pop(struct thread *thread)
{
    struct node *node = thread->pool;

    if (thread->pool_len < POOL_LEN) {
        return memory_must_alloc_zero(1, sizeof(*node));
    }
    thread->pool = node->in_pool;
    thread->pool_len--;
    return node;
}

static void free_node(void *context, void *object)
{
    struct thread *thread = context;
    struct node *node = object;

    assert(atomic_load_explicit(&node->state, memory_order_relaxed) == ALIVE);
    atomic_store_explicit(&node->state, POISON, memory_order_relaxed);
    node->twice = POISON;
    atomic_store_explicit(&node->next, NULL, memory_order_relaxed);
    thread->freed++;
    pool_push(thread, node);
}

/* In one read section: everything that can be reached is alive, and stays so while we look. */
static void walk(struct thread *thread, unsigned list)
{
    struct node *path[64];
    unsigned len = 0;
    struct node *node = atomic_load_explicit(&heads[list], memory_order_acquire);

    while (node && len < ARRAY_LEN(path)) {
        assert(atomic_load_explicit(&node->state, memory_order_relaxed) == ALIVE);
        path[len++] = node;
        node = atomic_load_explicit(&node->next, memory_order_acquire);
    }
    for (unsigned i = 0; i < len; i++) {
        assert(path[i]->twice == ALIVE);
    }
    thread->seen += len;
}

static void put_in(struct thread *thread, unsigned list)
{
    struct node *node = pool_pop(thread);

    node->twice = ALIVE;
    atomic_store_explicit(&node->state, ALIVE, memory_order_relaxed);
    atomic_store_explicit(&node->next, atomic_load(&heads[list]), memory_order_relaxed);
    atomic_store_explicit(&heads[list], node, memory_order_release);
}

/* Unlinked with a release, no more: the fences are to be those of the epochs. */
static void take_out(struct thread *thread, unsigned list)
{
    _Atomic(struct node *) *at = &heads[list];
    unsigned steps = dice_below(&thread->dice, 6);
    struct node *node = atomic_load_explicit(at, memory_order_relaxed);

    while (node && steps-- > 0 && atomic_load_explicit(&node->next, memory_order_relaxed)) {
        at = &node->next;
        node = atomic_load_explicit(at, memory_order_relaxed);
    }
    if (node) {
        atomic_store_explicit(at, atomic_load_explicit(&node->next, memory_order_relaxed),
                              memory_order_release);
        rcu_retire(&thread->reader, free_node, thread, node);
        thread->retired++;
    }
}

static void change(struct thread *thread, unsigned list)
{
    if (pthread_mutex_trylock(&mutex) != 0) {
        return;
    }
    if (dice_below(&thread->dice, 2) == 0) {
        put_in(thread, list);
    } else {
        take_out(thread, list);
    }
    pthread_mutex_unlock(&mutex);
}

/* One iteration of a worker: reads, changes, a quiescent point, sometimes a sleep. */
static void iterate(struct thread *thread, unsigned number)
{
    unsigned list = dice_below(&thread->dice, LIST_LEN);

    walk(thread, list);
    for (unsigned i = dice_below(&thread->dice, 4); i > 0; i--) {
        change(thread, list);
    }
    walk(thread, dice_below(&thread->dice, LIST_LEN));
    if (number == 0 || dice_below(&thread->dice, number * 4) == 0) {
        rcu_quiescent(&thread->reader);
    }
    rcu_reclaim(&thread->reader, 1 + dice_below(&thread->dice, 100));
    if (dice_below(&thread->dice, 3) == 0) {
        rcu_offline(&thread->reader);
        if (dice_below(&thread->dice, 200) == 0) {
            usleep(50);
        }
        rcu_online(&thread->reader);
        walk(thread, list);
    }
}

/* On a busy machine a thread may sleep for as long as the test is to last. */
static bool goes_on(bool has_done_something)
{
    return stress_now_ms() < end_ms || !has_done_something;
}

static void work(unsigned number)
{
    struct thread *thread = &threads[number];

    rcu_online(&thread->reader);
    while (goes_on(thread->freed > 0 && thread->seen > 0)) {
        for (unsigned i = 0; i < 100; i++) {
            iterate(thread, number);
        }
    }
    rcu_offline(&thread->reader);
}

static void thread_init(struct thread *thread, unsigned number)
{
    rcu_reader_init(&thread->reader, &rcu);
    thread->dice.state = number;
    thread->pool_end = &thread->pool;
}

static void thread_deinit(struct thread *thread)
{
    rcu_reader_deinit(&thread->reader);
    assert_int_equal(thread->freed, thread->retired);
    while (thread->pool) {
        struct node *node = thread->pool;

        thread->pool = node->in_pool;
        memory_free(node);
    }
}

static void free_list(struct node *node)
{
    while (node) {
        struct node *next = atomic_load(&node->next);

        assert_int_equal(atomic_load(&node->state), ALIVE);
        memory_free(node);
        node = next;
    }
}

static void nobody_meets_what_is_freed(void **state)
{
    struct stress_task tasks[THREAD_LEN];

    (void)state;
    rcu_init(&rcu);
    for (unsigned i = 0; i < THREAD_LEN; i++) {
        thread_init(&threads[i], i);
        tasks[i] = (struct stress_task){.run = work, .number = i};
    }
    end_ms = stress_now_ms() + STRESS_MS;
    stress_run(tasks, THREAD_LEN);
    for (unsigned i = 0; i < THREAD_LEN; i++) {
        assert_true(threads[i].freed > 0 && threads[i].seen > 0);
        thread_deinit(&threads[i]);
    }
    for (unsigned i = 0; i < LIST_LEN; i++) {
        free_list(atomic_exchange(&heads[i], NULL));
    }
}

/*
 * The fence alone: one thread does nothing but come online and read at once, the other does nothing
 * but replace what is read there.
 */

static void come_and_read(struct thread *thread, uint64_t *far)
{
    struct node *node;

    stress_far_store(far, &thread->dice);
    rcu_online(&thread->reader);
    node = atomic_load_explicit(&heads[0], memory_order_acquire);
    for (unsigned i = 0; i < 60; i++) {
        assert(atomic_load_explicit(&node->state, memory_order_relaxed) == ALIVE);
    }
    rcu_offline(&thread->reader);
    thread->seen++;
}

static void read_first(struct thread *thread)
{
    uint64_t *far = stress_far_new();

    while (goes_on(thread->seen > 0)) {
        for (unsigned i = 0; i < 100; i++) {
            come_and_read(thread, far);
        }
    }
    memory_free(far);
}

static void replace(struct thread *thread)
{
    struct node *node = pool_pop(thread);
    struct node *old = atomic_load_explicit(&heads[0], memory_order_relaxed);

    node->twice = ALIVE;
    atomic_store_explicit(&node->state, ALIVE, memory_order_relaxed);
    atomic_store_explicit(&heads[0], node, memory_order_release);
    if (old) {
        rcu_retire(&thread->reader, free_node, thread, old);
        thread->retired++;
    }
    rcu_quiescent(&thread->reader);
    rcu_reclaim(&thread->reader, 10);
}

static void read_or_replace(unsigned number)
{
    struct thread *thread = &threads[number];

    if (number == 0) {
        read_first(thread);
        return;
    }
    rcu_online(&thread->reader);
    while (goes_on(thread->freed > 0)) {
        for (unsigned i = 0; i < 100; i++) {
            replace(thread);
        }
    }
    rcu_offline(&thread->reader);
}

static void a_reader_is_announced_before_it_reads(void **state)
{
    struct stress_task tasks[2] = {
        {.run = read_or_replace, .number = 0},
        {.run = read_or_replace, .number = 1}
    };

    (void)state;
    rcu_init(&rcu);
    memset(threads, 0, sizeof(threads));
    thread_init(&threads[0], 0);
    thread_init(&threads[1], 1);
    rcu_online(&threads[1].reader);
    replace(&threads[1]);
    rcu_offline(&threads[1].reader);
    end_ms = stress_now_ms() + STRESS_MS;
    stress_run(tasks, 2);
    assert_true(threads[1].freed > 0 && threads[0].seen > 0);
    thread_deinit(&threads[0]);
    thread_deinit(&threads[1]);
    free_list(atomic_exchange(&heads[0], NULL));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_meets_what_is_freed),
        cmocka_unit_test(a_reader_is_announced_before_it_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
