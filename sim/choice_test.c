#include "base/test.h"
#include "sim/choice.h"

static void test_seed_repeats(void **state)
{
    struct choice first;
    struct choice second;
    unsigned same = 0;

    (void)state;
    choice_from_seed(&first, 7);
    choice_from_seed(&second, 7);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(choice_below(&first, 1000), choice_below(&second, 1000));
    }
    choice_from_seed(&second, 8);
    for (unsigned i = 0; i < 1000; i++) {
        same += choice_below(&first, 1000) == choice_below(&second, 1000);
    }
    assert_true(same < 50);
}

static void test_bytes_decide(void **state)
{
    static const uint8_t bytes[] = {5, 0, 1, 4};
    struct choice choice;

    (void)state;
    choice_from_bytes(&choice, bytes, sizeof(bytes));
    assert_int_equal(choice_below(&choice, 10), 5);
    assert_int_equal(choice_below(&choice, 1000), 1);
    assert_int_equal(choice_below(&choice, 3), 1);
    /* The bytes have ended: what follows is drawn. */
    assert_true(choice_below(&choice, 1000) < 1000);
}

static void test_bounds(void **state)
{
    struct choice choice;
    bool seen[4] = {false};

    (void)state;
    choice_from_seed(&choice, 1);
    assert_int_equal(choice_below(&choice, 0), 0);
    assert_int_equal(choice_below(&choice, 1), 0);
    for (unsigned i = 0; i < 200; i++) {
        unsigned drawn = choice_between(&choice, 3, 6);

        assert_in_range(drawn, 3, 6);
        seen[drawn - 3] = true;
    }
    assert_true(seen[0] && seen[1] && seen[2] && seen[3]);
}

static void test_weights(void **state)
{
    static const unsigned weights[] = {0, 3, 1, 0};
    unsigned counts[4] = {0};
    struct choice choice;

    (void)state;
    choice_from_seed(&choice, 2);
    for (unsigned i = 0; i < 4000; i++) {
        counts[choice_weighted(&choice, weights, 4)]++;
    }
    assert_int_equal(counts[0] + counts[3], 0);
    assert_in_range(counts[1], 2800, 3200);
}

static void test_chance(void **state)
{
    struct choice choice;
    unsigned hits = 0;

    (void)state;
    choice_from_seed(&choice, 3);
    for (unsigned i = 0; i < 10000; i++) {
        hits += choice_chance(&choice, 250);
        assert_false(choice_chance(&choice, 0));
        assert_true(choice_chance(&choice, 1000));
    }
    assert_in_range(hits, 2300, 2700);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_repeats), cmocka_unit_test(test_bytes_decide),
        cmocka_unit_test(test_bounds),       cmocka_unit_test(test_weights),
        cmocka_unit_test(test_chance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
