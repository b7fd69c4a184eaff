#include "base/death_test.h"
#include "base/random_test.h"
#include "base/rcu.h"

/*
 * One thread plays all readers: the rules, without the races (those are in rcu_stress_test.c).
 */

#define READER_LEN 4
#define OBJECT_LEN 3000

/* An object, and what must happen before it may be freed. */
struct object {
    bool awaits[READER_LEN];
    bool is_raised; /* its own reader has been quiescent since */
    bool is_freed;
};

struct fixture {
    struct rcu rcu;
    struct rcu_reader readers[READER_LEN];
    struct dice dice;
    struct object objects[READER_LEN][OBJECT_LEN]; /* in the order in which they were retired */
    size_t retired[READER_LEN];
    size_t freed[READER_LEN];
};

static int setup(void **state)
{
    struct fixture *f = memory_must_alloc_aligned(sizeof(*f));

    rcu_init(&f->rcu);
    for (unsigned i = 0; i < READER_LEN; i++) {
        rcu_reader_init(&f->readers[i], &f->rcu);
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < READER_LEN; i++) {
        if (f->readers[i].rcu && rcu_is_online(&f->readers[i])) {
            rcu_offline(&f->readers[i]);
        }
    }
    for (unsigned i = 0; i < READER_LEN; i++) {
        rcu_reader_deinit(&f->readers[i]);
    }
    memory_free(f);
    return 0;
}

/* The context is the fixture's place of the reader; objects come oldest first. */
static void mark_freed(void *context, void *object)
{
    struct object *freed = object;

    assert_false(freed->is_freed);
    freed->is_freed = true;
    *(size_t *)context += 1;
}

static void retire(struct fixture *f, unsigned reader)
{
    struct object *object = &f->objects[reader][f->retired[reader]++];

    rcu_retire(&f->readers[reader], mark_freed, &f->freed[reader], object);
}

static void all_go_online(struct fixture *f)
{
    for (unsigned i = 0; i < READER_LEN; i++) {
        rcu_online(&f->readers[i]);
    }
}

static void waits_for_every_reader_that_is_online(void **state)
{
    struct fixture *f = *state;

    all_go_online(f);
    retire(f, 0);
    for (unsigned i = 1; i < READER_LEN; i++) {
        rcu_quiescent(&f->readers[i]);
    }
    /* Nobody has passed a quiescent point after that of the retiring reader. */
    assert_int_equal(rcu_reclaim(&f->readers[0], 10), 0);
    rcu_quiescent(&f->readers[0]);
    for (unsigned i = 1; i < READER_LEN; i++) {
        assert_int_equal(rcu_waiting(&f->readers[0]), 1);
        assert_int_equal(rcu_reclaim(&f->readers[0], 10), 0);
        rcu_quiescent(&f->readers[i]);
    }
    assert_int_equal(rcu_reclaim(&f->readers[0], 10), 1);
    assert_true(f->objects[0][0].is_freed);
    assert_int_equal(rcu_waiting(&f->readers[0]), 0);
    assert_int_equal(rcu_reclaim(&f->readers[0], 10), 0);
}

static void waits_for_nobody_who_is_offline(void **state)
{
    struct fixture *f = *state;

    rcu_online(&f->readers[0]);
    rcu_online(&f->readers[1]);
    retire(f, 0);
    rcu_quiescent(&f->readers[0]);
    assert_int_equal(rcu_reclaim(&f->readers[0], 10), 0);
    rcu_offline(&f->readers[1]);
    assert_int_equal(rcu_reclaim(&f->readers[0], 10), 1);
}

/* Who comes online after the unlinking was raised for can't have seen the object. */
static void newcomers_hold_up_what_is_not_raised(void **state)
{
    struct fixture *f = *state;

    rcu_online(&f->readers[0]);
    retire(f, 0);
    rcu_online(&f->readers[1]);
    rcu_quiescent(&f->readers[0]);
    rcu_online(&f->readers[2]);
    assert_int_equal(rcu_reclaim(&f->readers[0], 10), 0);
    rcu_quiescent(&f->readers[1]);
    assert_int_equal(rcu_reclaim(&f->readers[0], 10), 1);
}

static void a_budget_frees_the_oldest_first(void **state)
{
    struct fixture *f = *state;

    rcu_online(&f->readers[0]);
    for (unsigned i = 0; i < 1000; i++) {
        retire(f, 0);
        if (i % 3 == 0) {
            rcu_quiescent(&f->readers[0]);
        }
    }
    rcu_quiescent(&f->readers[0]);
    for (unsigned i = 0; i < 1000; i += 100) {
        assert_int_equal(rcu_waiting(&f->readers[0]), 1000 - i);
        assert_int_equal(rcu_reclaim(&f->readers[0], 100), 100);
        assert_true(f->objects[0][i + 99].is_freed && !f->objects[0][i + 100].is_freed);
    }
    assert_int_equal(rcu_reclaim(&f->readers[0], 100), 0);
}

/* What is retired after the quiescent point waits for the next one, though older objects go. */
static void fresh_objects_stay_behind(void **state)
{
    struct fixture *f = *state;

    rcu_online(&f->readers[0]);
    for (unsigned i = 0; i < 300; i++) {
        retire(f, 0);
        rcu_quiescent(&f->readers[0]);
        retire(f, 0);
        assert_int_equal(rcu_reclaim(&f->readers[0], 10), i == 0 ? 1 : 2);
        assert_int_equal(rcu_waiting(&f->readers[0]), 1);
    }
}

struct again {
    struct rcu_reader *reader;
    unsigned left;
};

static void retire_again(void *context, void *object)
{
    struct again *again = context;

    if (again->left > 0) {
        again->left--;
        rcu_retire(again->reader, retire_again, again, object);
    }
}

static void what_is_freed_may_retire(void **state)
{
    struct fixture *f = *state;
    struct again again = {&f->readers[0], 400};

    rcu_online(&f->readers[0]);
    rcu_retire(&f->readers[0], retire_again, &again, f);
    for (unsigned i = 0; i < 200; i++) {
        rcu_quiescent(&f->readers[0]);
        assert_int_equal(rcu_reclaim(&f->readers[0], 10), 1);
        assert_int_equal(again.left, 399 - i);
    }
    rcu_offline(&f->readers[0]);
    rcu_reader_deinit(&f->readers[0]);
    assert_int_equal(again.left, 0);
}

static void one_failure_leaks_nothing(void **state)
{
    struct fixture *f = *state;

    rcu_online(&f->readers[0]);
    for (unsigned n = 1; n <= 5; n++) {
        memory_fail_after(n);
        for (unsigned i = 0; i < 600; i++) {
            retire(f, 0);
        }
        memory_fail_after(0);
        rcu_quiescent(&f->readers[0]);
        assert_int_equal(rcu_reclaim(&f->readers[0], 1000), 600);
    }
    assert_int_equal(f->readers[0].leaked_len, 0);
}

static void without_memory_objects_are_leaked_and_counted(void **state)
{
    struct fixture *f = *state;

    rcu_online(&f->readers[0]);
    for (unsigned i = 0; i < 400; i++) {
        memory_fail_after(1);
        retire(f, 0);
    }
    memory_fail_after(0);
    rcu_quiescent(&f->readers[0]);
    assert_true(rcu_waiting(&f->readers[0]) > 0);
    assert_int_equal(rcu_waiting(&f->readers[0]) + f->readers[0].leaked_len, 400);
    assert_int_equal(rcu_reclaim(&f->readers[0], 1000) + f->readers[0].leaked_len, 400);
    retire(f, 0);
    rcu_quiescent(&f->readers[0]);
    assert_int_equal(rcu_reclaim(&f->readers[0], 1000), 1);
}

static void the_end_frees_everything(void **state)
{
    struct fixture *f = *state;

    rcu_online(&f->readers[0]);
    rcu_online(&f->readers[1]);
    for (unsigned i = 0; i < 500; i++) {
        retire(f, 0);
        if (i == 300) {
            rcu_quiescent(&f->readers[0]);
        }
    }
    rcu_offline(&f->readers[0]);
    rcu_reader_deinit(&f->readers[0]);
    assert_int_equal(f->freed[0], 500);
    rcu_reader_deinit(&f->readers[0]);
}

/* The model: who was online when the retiring reader became quiescent, and has not been since. */

static void forget_reader(struct fixture *f, unsigned reader)
{
    for (unsigned i = 0; i < READER_LEN; i++) {
        for (size_t j = f->freed[i]; j < f->retired[i]; j++) {
            f->objects[i][j].awaits[reader] = false;
        }
    }
}

static void model_quiescent(struct fixture *f, unsigned reader)
{
    forget_reader(f, reader);
    for (size_t j = f->freed[reader]; j < f->retired[reader]; j++) {
        struct object *object = &f->objects[reader][j];

        for (unsigned i = 0; i < READER_LEN && !object->is_raised; i++) {
            object->awaits[i] = i != reader && rcu_is_online(&f->readers[i]);
        }
        object->is_raised = true;
    }
}

static size_t model_reclaimable(const struct fixture *f, unsigned reader)
{
    size_t len = 0;

    for (size_t j = f->freed[reader]; j < f->retired[reader]; j++, len++) {
        const struct object *object = &f->objects[reader][j];
        bool awaits = !object->is_raised;

        for (unsigned i = 0; i < READER_LEN; i++) {
            awaits = awaits || object->awaits[i];
        }
        if (awaits) {
            break;
        }
    }
    return len;
}

static void act(struct fixture *f, unsigned reader)
{
    struct rcu_reader *self = &f->readers[reader];
    size_t budget = dice_below(&f->dice, 40);

    if (!rcu_is_online(self)) {
        rcu_online(self);
        return;
    }
    switch (dice_below(&f->dice, 8)) {
    case 0:
        rcu_offline(self);
        forget_reader(f, reader);
        break;
    case 1:
        rcu_quiescent(self);
        model_quiescent(f, reader);
        break;
    case 2:
    case 3: {
        size_t expected = MIN(budget, model_reclaimable(f, reader));

        assert_int_equal(rcu_reclaim(self, budget), expected);
        break;
    }
    default:
        for (unsigned i = dice_below(&f->dice, 12); f->retired[reader] < OBJECT_LEN && i > 0; i--) {
            retire(f, reader);
        }
    }
}

static void is_as_the_model_says(void **state)
{
    struct fixture *f = *state;

    for (unsigned turn = 0; turn < 6000; turn++) {
        act(f, dice_below(&f->dice, READER_LEN));
        for (unsigned i = 0; i < READER_LEN; i++) {
            assert_int_equal(rcu_waiting(&f->readers[i]), f->retired[i] - f->freed[i]);
        }
    }
    for (unsigned i = 0; i < READER_LEN; i++) {
        assert_true(f->freed[i] > OBJECT_LEN / 2);
    }
}

static struct fixture *contract;

static void online_twice(void)
{
    rcu_online(&contract->readers[0]);
    rcu_online(&contract->readers[0]);
}

static void offline_twice(void)
{
    rcu_offline(&contract->readers[0]);
}

static void quiescent_offline(void)
{
    rcu_quiescent(&contract->readers[0]);
}

static void deinit_online(void)
{
    rcu_online(&contract->readers[0]);
    rcu_reader_deinit(&contract->readers[0]);
}

static void wrong_order_is_deadly(void **state)
{
    contract = *state;
    assert_true(is_deadly(online_twice));
    assert_true(is_deadly(offline_twice));
    assert_true(is_deadly(quiescent_offline));
    assert_true(is_deadly(deinit_online));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(waits_for_every_reader_that_is_online, setup, teardown),
        cmocka_unit_test_setup_teardown(waits_for_nobody_who_is_offline, setup, teardown),
        cmocka_unit_test_setup_teardown(newcomers_hold_up_what_is_not_raised, setup, teardown),
        cmocka_unit_test_setup_teardown(a_budget_frees_the_oldest_first, setup, teardown),
        cmocka_unit_test_setup_teardown(fresh_objects_stay_behind, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_freed_may_retire, setup, teardown),
        cmocka_unit_test_setup_teardown(one_failure_leaks_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(without_memory_objects_are_leaked_and_counted, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_end_frees_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(is_as_the_model_says, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_order_is_deadly, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
