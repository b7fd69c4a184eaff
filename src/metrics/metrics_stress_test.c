#include "base/stress_test.h"
#include "metrics/metrics.h"

/*
 * Workers count while another thread sums: no counter ever goes back, a gauge that one raises and
 * another lowers is never told below 0, and at the end everything is exact.
 */

#define WORKER_LEN 3
#define TURN_LEN   200000u

static struct metrics blocks[WORKER_LEN];
static _Atomic unsigned done_len;

static void count(unsigned number)
{
    struct metrics *metrics = &blocks[number];

    for (unsigned i = 0; i < TURN_LEN; i++) {
        metrics_count(metrics, METRIC_PUBLISH_RECEIVED);
        metrics_add(metrics, METRIC_BYTES_RECEIVED, number);
        /* The first raises what the second lowers. */
        metrics_add(metrics, METRIC_STORED_BYTES, number == 0);
        metrics_sub(metrics, METRIC_STORED_BYTES, number == 1);
    }
    atomic_fetch_add(&done_len, 1);
}

static void sum(unsigned number)
{
    uint64_t before = 0;

    (void)number;
    while (atomic_load(&done_len) < WORKER_LEN) {
        uint64_t values[METRIC_LEN];

        metrics_sum_all(blocks, WORKER_LEN, values);
        metrics_derive(values);
        assert_true(values[METRIC_PACKETS_RECEIVED] >= before);
        assert_true(values[METRIC_STORED_BYTES] <= TURN_LEN);
        before = values[METRIC_PACKETS_RECEIVED];
    }
}

static void test_sums_while_workers_count(void **state)
{
    struct stress_task tasks[] = {
        {.run = count, .number = 0},
        {.run = count,            .number = 1},
        {.run = count,.number = 2},
        {.run = sum}
    };

    (void)state;
    stress_run(tasks, ARRAY_LEN(tasks));
    assert_int_equal(metrics_sum(blocks, WORKER_LEN, METRIC_PUBLISH_RECEIVED),
                     (uint64_t)WORKER_LEN * TURN_LEN);
    assert_int_equal(metrics_sum(blocks, WORKER_LEN, METRIC_BYTES_RECEIVED), 3u * TURN_LEN);
    assert_int_equal(metrics_sum(blocks, WORKER_LEN, METRIC_STORED_BYTES), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums_while_workers_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
