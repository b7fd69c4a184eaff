#include "base/test.h"
#include "core/shard.h"
#include "loop/clock.h"
#include "loop/worker.h"

#include <unistd.h>

#define SOURCE_LEN 4
#define VISIT_LEN  6 /* how often each is ready */
#define LOOKS      4 /* for events in an iteration, at most */

/* One worker whose connections are pipes with a byte in them. */
struct fixture {
    struct worker_group *group;
    struct core *core;
    struct shard *shard;
    struct worker *worker;
    int fds[SOURCE_LEN][2];
    unsigned visits[SOURCE_LEN];
    unsigned order[SOURCE_LEN * VISIT_LEN]; /* whose events came */
    unsigned len;
    unsigned
        len_at_flush[SOURCE_LEN * VISIT_LEN * 2]; /* how many had come when the iteration wrote */
    unsigned flush_len;
    unsigned cost;     /* of one event */
    unsigned reached;  /* clients that one event gives something to be written */
    unsigned sources;  /* clients that one event brings messages of */
    bool wakes;        /* an event wakes its own worker, which has nothing else to do */
    uint64_t ended_ms; /* since all had come, the next iteration */
    bool forgets_next; /* an event voids that of the next source */
    bool has_stopped;
};

/* Sources are told apart by their addresses. */
static uint8_t sources[SOURCE_LEN];

static void on_event(void *context, void *source, unsigned bits)
{
    struct fixture *f = context;
    unsigned number = (unsigned)((uint8_t *)source - sources);

    assert_int_equal(bits, POLLER_READ);
    assert_true(f->len < ARRAY_LEN(f->order));
    f->order[f->len++] = number;
    f->visits[number]++;
    if (f->wakes) {
        poller_wake(worker_poller(f->worker));
    }
    if (f->visits[number] == VISIT_LEN) {
        poller_remove(worker_poller(f->worker), f->fds[number][0]);
    }
    f->shard->budget -= MIN(f->shard->budget, f->cost);
    f->shard->spread.reached_len += f->reached;
    f->shard->spread.source_len += f->sources;
    if (f->forgets_next && number + 1 < SOURCE_LEN) {
        poller_remove(worker_poller(f->worker), f->fds[number + 1][0]);
        worker_forget(f->worker, &sources[number + 1]);
        f->forgets_next = false;
    }
}

static void flush(void *context)
{
    struct fixture *f = context;

    if (f->wakes && f->ended_ms > 0) {
        f->ended_ms = clock_now_ms() - f->ended_ms;
        worker_group_stop(f->group);
        f->wakes = false;
    } else if (f->wakes && f->len == SOURCE_LEN * VISIT_LEN) {
        f->ended_ms = clock_now_ms();
    }
    if (f->flush_len < ARRAY_LEN(f->len_at_flush)) {
        f->len_at_flush[f->flush_len++] = f->len;
    }
    if (f->flush_len == ARRAY_LEN(f->len_at_flush)) {
        worker_group_stop(f->group);
    }
}

static void on_client(void *context, struct client *client)
{
    (void)context;
    (void)client;
    fail();
}

static void on_timer(void *context, struct wheel_timer *timer)
{
    (void)context;
    (void)timer;
    fail();
}

static void go_on(void *context)
{
    (void)context;
}

static void on_resume(void *context, struct list_link *paused)
{
    (void)context;
    assert_true(list_is_empty(paused));
}

static void bury(void *context)
{
    (void)context;
}

static bool has_work(void *context)
{
    struct fixture *f = context;

    return !f->has_stopped && !f->wakes;
}

static void on_stop(void *context)
{
    struct fixture *f = context;

    f->has_stopped = true;
}

static bool is_empty(void *context)
{
    (void)context;
    return true;
}

static const struct worker_ops ops = {
    .on_event = on_event,
    .on_client = on_client,
    .on_timer = on_timer,
    .on_resume = on_resume,
    .go_on = go_on,
    .flush = flush,
    .bury = bury,
    .has_work = has_work,
    .on_stop = on_stop,
    .is_empty = is_empty,
};

/* No session is ever made here. */
static const struct peer_ops no_peers = {0};

static int setup(void **state)
{
    static const struct hash_key key = {
        {1, 2}
    };
    static const struct worker_limits limits = {
        .timer_budget = 10, .reclaim_budget = 10, .event_budget = 16, .spread_least = 16};
    static const struct core_limits core_limits = {.delivery_budget = 100, .cleanup_budget = 10};
    struct fixture *f = memory_must_alloc_zero(1, sizeof(*f));

    assert_int_equal(worker_group_new(1, &limits, &f->group), 0);
    assert_int_equal(core_new(&key, 1, &core_limits, &f->core), 0);
    f->shard = shard_new(f->core, 0, &no_peers);
    assert_int_equal(worker_new(f->group, f->shard, &ops, f, &f->worker), 0);
    for (unsigned i = 0; i < SOURCE_LEN; i++) {
        assert_int_equal(pipe(f->fds[i]), 0);
        assert_int_equal(write(f->fds[i][1], "x", 1), 1);
        assert_int_equal(
            poller_add(worker_poller(f->worker), f->fds[i][0], POLLER_READ, &sources[i]), 0);
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    owner_self = &f->shard->owner;
    shard_clear(f->shard);
    core_clear(f->core);
    shard_flush(f->shard);
    assert_null(worker_free(f->worker));
    assert_null(shard_free(f->shard));
    core_free(f->core);
    worker_group_free(f->group);
    for (unsigned i = 0; i < SOURCE_LEN; i++) {
        close(f->fds[i][0]);
        close(f->fds[i][1]);
    }
    memory_free(f);
    return 0;
}

/* How many events the first iteration that had any handled. */
static unsigned first_slice(const struct fixture *f)
{
    unsigned i = 0;

    while (f->len_at_flush[i] == 0) {
        i++;
        assert_true(i < f->flush_len);
    }
    return f->len_at_flush[i];
}

static void test_cheap_events_share_an_iteration(void **state)
{
    struct fixture *f = *state;

    f->cost = 1;
    worker_run(f->worker);
    assert_int_equal(f->len, SOURCE_LEN * VISIT_LEN);
    assert_int_equal(first_slice(f), SOURCE_LEN);
}

/* Nobody is passed over, and the iteration writes in between. */
static void test_dear_events_wait_for_the_next_one(void **state)
{
    struct fixture *f = *state;
    unsigned seen = 0;

    f->cost = 1000;
    worker_run(f->worker);
    assert_int_equal(f->len, SOURCE_LEN * VISIT_LEN);
    for (unsigned i = 0; i < f->len; i++) {
        assert_int_equal(f->order[i], i % SOURCE_LEN);
    }
    for (unsigned i = 0; i < f->flush_len; i++) {
        assert_true(f->len_at_flush[i] <= seen + 1);
        seen = f->len_at_flush[i];
    }
}

/* What comes while a message goes to many goes with the same writes. */
static void test_events_are_looked_for_again(void **state)
{
    struct fixture *f = *state;

    f->cost = 1;
    f->reached = 20;
    f->sources = 19;
    worker_run(f->worker);
    assert_int_equal(f->len, SOURCE_LEN * VISIT_LEN);
    assert_int_equal(first_slice(f), SOURCE_LEN * LOOKS);
}

static void test_not_where_it_would_save_nothing(void **state)
{
    struct fixture *f = *state;

    f->cost = 1;
    f->reached = 20;
    f->sources = 20;
    worker_run(f->worker);
    assert_int_equal(first_slice(f), SOURCE_LEN);
}

static void test_not_for_a_few(void **state)
{
    struct fixture *f = *state;

    f->cost = 1;
    f->reached = 3;
    worker_run(f->worker);
    assert_int_equal(first_slice(f), SOURCE_LEN);
}

static void test_not_beyond_the_budget(void **state)
{
    struct fixture *f = *state;

    f->cost = 30;
    f->reached = 20;
    worker_run(f->worker);
    assert_int_equal(first_slice(f), SOURCE_LEN);
}

/* A worker that sleeps does so until the next second begins. */
static void test_a_wakeup_is_not_slept_over(void **state)
{
    struct fixture *f = *state;

    f->cost = 1;
    f->reached = 20;
    f->wakes = true;
    while (clock_now_ms() % 1000 > 100) {
        usleep(5000);
    }
    worker_run(f->worker);
    assert_int_equal(f->len, SOURCE_LEN * VISIT_LEN);
    assert_true(f->ended_ms < 500);
}

/* In the same iteration, and when the event waits for the next one. */
static void test_forgotten_events_never_come(void **state)
{
    struct fixture *f = *state;

    f->forgets_next = true;
    worker_run(f->worker);
    assert_int_equal(f->len, (SOURCE_LEN - 1) * VISIT_LEN);
    assert_int_equal(f->visits[1], 0);
}

static void test_forgotten_events_never_come_late(void **state)
{
    struct fixture *f = *state;

    f->cost = 1000;
    test_forgotten_events_never_come(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cheap_events_share_an_iteration, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dear_events_wait_for_the_next_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_events_are_looked_for_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_where_it_would_save_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_for_a_few, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_beyond_the_budget, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_wakeup_is_not_slept_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forgotten_events_never_come, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forgotten_events_never_come_late, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
