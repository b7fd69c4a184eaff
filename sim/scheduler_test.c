#include "base/lock.h"
#include "base/owner.h"
#include "base/point.h"
#include "base/test.h"
#include "sim/scheduler.h"

#define ROUNDS 50

struct record {
    struct owner owners[3];
    struct lock lock;
    unsigned order[3 * ROUNDS];
    unsigned len;
    unsigned inside;
    bool is_open;
    bool overlapped;
};

static struct choice choice;

static void begin(struct record *record, uint64_t seed, unsigned switch_permille)
{
    memset(record, 0, sizeof(*record));
    choice_from_seed(&choice, seed);
    scheduler_start(&(struct scheduler_params){
        .choice = &choice,
        .switch_permille = switch_permille,
        .stall_permille = 100,
        .step_max = 100000,
    });
}

static void run_all(void)
{
    while (scheduler_step()) {
    }
}

static void write_order(void *context, unsigned number)
{
    struct record *record = context;

    for (unsigned i = 0; i < ROUNDS; i++) {
        record->order[record->len++] = number;
        point("between rounds");
    }
}

static void run_order(struct record *record, uint64_t seed, unsigned switch_permille)
{
    begin(record, seed, switch_permille);
    for (unsigned i = 0; i < 3; i++) {
        scheduler_spawn(write_order, record);
    }
    assert_false(scheduler_is_over());
    run_all();
    assert_true(scheduler_is_over());
    scheduler_end();
    assert_int_equal(record->len, 3 * ROUNDS);
}

static unsigned switches(const struct record *record)
{
    unsigned count = 0;

    for (unsigned i = 1; i < record->len; i++) {
        count += record->order[i] != record->order[i - 1];
    }
    return count;
}

static void test_seed_decides_the_order(void **state)
{
    static struct record first;
    static struct record second;

    (void)state;
    run_order(&first, 1, 500);
    run_order(&second, 1, 500);
    assert_memory_equal(first.order, second.order, sizeof(first.order));
    assert_true(switches(&first) > 10);
    run_order(&second, 2, 500);
    assert_memory_not_equal(first.order, second.order, sizeof(first.order));
}

static void take_lock(void *context, unsigned number)
{
    struct record *record = context;

    owner_self = &record->owners[number];
    owner_self->worker = (int)number;
    for (unsigned i = 0; i < ROUNDS; i++) {
        lock_take(&record->lock);
        record->overlapped |= record->inside++ != 0;
        point("inside");
        assert_true(lock_is_mine(&record->lock));
        record->inside--;
        lock_release(&record->lock);
        assert_ptr_equal(owner_self, &record->owners[number]);
        point("outside");
    }
}

static void test_lock_parks(void **state)
{
    static struct record record;

    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        begin(&record, seed, 700);
        lock_init(&record.lock, LOCK_TREE);
        for (unsigned i = 0; i < 3; i++) {
            scheduler_spawn(take_lock, &record);
        }
        run_all();
        assert_true(scheduler_is_over());
        assert_false(record.overlapped);
        lock_deinit(&record.lock);
        scheduler_end();
    }
    assert_null(owner_self);
}

static bool is_open(void *context)
{
    const struct record *record = context;

    return record->is_open;
}

static void wait_open(void *context, unsigned number)
{
    struct record *record = context;

    (void)number;
    scheduler_wait("gate", is_open, context, SCHEDULER_NEVER);
    record->len++;
}

static void wait_a_second(void *context, unsigned number)
{
    struct record *record = context;

    (void)number;
    scheduler_wait("time", is_open, context, scheduler_now_ms() + 1000);
    record->len += 10;
}

static void test_parked_until_ready(void **state)
{
    static struct record record;

    (void)state;
    begin(&record, 1, 0);
    scheduler_spawn(wait_open, &record);
    run_all();
    assert_false(scheduler_can_step());
    assert_int_equal(record.len, 0);
    record.is_open = true;
    assert_true(scheduler_can_step());
    run_all();
    assert_int_equal(record.len, 1);
    scheduler_end();
}

static void test_time_wakes(void **state)
{
    static struct record record;
    uint64_t began_ms;

    (void)state;
    begin(&record, 1, 0);
    began_ms = scheduler_now_ms();
    assert_int_equal(scheduler_deadline(), SCHEDULER_NEVER);
    scheduler_spawn(wait_a_second, &record);
    run_all();
    assert_int_equal(scheduler_deadline(), began_ms + 1000);
    scheduler_advance(999);
    assert_false(scheduler_can_step());
    scheduler_advance(1);
    run_all();
    assert_int_equal(record.len, 10);
    scheduler_end();
}

static void test_outside_nobody_runs(void **state)
{
    static struct record record;

    (void)state;
    run_order(&record, 1, 500);
    assert_true(scheduler_steps() > 3);
    assert_int_equal(scheduler_current(), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_decides_the_order), cmocka_unit_test(test_lock_parks),
        cmocka_unit_test(test_parked_until_ready),     cmocka_unit_test(test_time_wakes),
        cmocka_unit_test(test_outside_nobody_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
