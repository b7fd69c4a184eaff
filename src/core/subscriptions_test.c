#include "base/test.h"
#include "core/fixture.h"
#include "core/subscriptions.h"

#define NODE_LEN 30000

/* Node numbers as they come: dense, and far apart with equal low bits. */
static uint32_t node_of(uint32_t index)
{
    return index % 2 ? index : (index + 2) << 16;
}

static void add(struct subscriptions *subscriptions, uint32_t node, uint32_t place)
{
    assert_int_equal(subscriptions_reserve(subscriptions, node), 0);
    subscriptions_add(subscriptions, node, place);
}

static void check_all(const struct subscriptions *subscriptions, const uint32_t *places)
{
    uint32_t len = 0;

    for (uint32_t i = 0; i < NODE_LEN; i++) {
        struct subscription *found = subscriptions_find(subscriptions, node_of(i));

        assert_int_equal(found != NULL, places[i] != 0);
        if (found) {
            assert_int_equal(found->place, places[i]);
            len++;
        }
    }
    assert_int_equal(subscriptions->len, len);
}

static void test_random_against_places(void **state)
{
    static uint32_t places[NODE_LEN];
    struct subscriptions subscriptions = {0};
    uint64_t seed = 3;

    (void)state;
    for (uint32_t i = 1; i <= 600000; i++) {
        uint32_t index = fixture_random(&seed, NODE_LEN);
        bool adds = fixture_random(&seed, 10) < (i / 100000 % 2 ? 1u : 9u);

        if (adds && !places[index]) {
            add(&subscriptions, node_of(index), i);
            places[index] = i;
        } else if (!adds && places[index]) {
            subscriptions_remove(&subscriptions, node_of(index));
            places[index] = 0;
        }
        if (i % 10000 == 0) {
            check_all(&subscriptions, places);
        }
    }
    subscriptions_deinit(&subscriptions);
}

static void test_any_empties_the_set(void **state)
{
    struct subscriptions subscriptions = {0};
    struct subscriptions_cursor cursor = {0};
    static bool seen[NODE_LEN + 1];

    (void)state;
    assert_int_equal(subscriptions_any(&subscriptions, &cursor), 0);
    for (uint32_t i = 1; i <= NODE_LEN; i++) {
        add(&subscriptions, i, i);
    }
    for (uint32_t i = 0; i < NODE_LEN; i++) {
        uint32_t node = subscriptions_any(&subscriptions, &cursor);

        assert_true(node >= 1 && node <= NODE_LEN && !seen[node]);
        seen[node] = true;
        subscriptions_remove(&subscriptions, node);
    }
    assert_int_equal(subscriptions_any(&subscriptions, &cursor), 0);
    assert_null(subscriptions.slots);
}

static void test_reserve_fails_or_holds(void **state)
{
    struct subscriptions subscriptions = {0};
    unsigned refused = 0;

    (void)state;
    for (uint32_t i = 1; i <= 100; i++) {
        memory_fail_after(1);
        if (subscriptions_reserve(&subscriptions, i) < 0) {
            refused++;
            assert_int_equal(subscriptions.len, i - 1);
            assert_int_equal(subscriptions_reserve(&subscriptions, i), 0);
        }
        memory_fail_after(0);
        subscriptions_add(&subscriptions, i, i);
        assert_int_equal(subscriptions_find(&subscriptions, 1)->place, 1);
    }
    assert_int_equal(refused, 16); /* 3, 5, 7, 9, 11, 13, 17, ... 123 slots */
    subscriptions_deinit(&subscriptions);
    assert_null(subscriptions_find(&subscriptions, 1));
}

/* Each allocation that a new part takes may be refused: nothing has changed then. */
static void test_no_memory_for_a_part(void **state)
{
    struct subscriptions subscriptions = {0};
    unsigned refused = 0;
    uint64_t most;
    uint64_t before = memory_used(&most);

    (void)state;
    for (uint32_t i = 1; i <= 20000; i++) {
        for (unsigned n = 1; n <= 4; n++) {
            memory_fail_after(n);
            refused += subscriptions_reserve(&subscriptions, i) < 0;
            memory_fail_after(0);
            assert_int_equal(subscriptions.len, i - 1);
        }
        subscriptions_add(&subscriptions, i, i);
    }
    for (uint32_t i = 1; i <= 20000; i++) {
        assert_int_equal(subscriptions_find(&subscriptions, i)->place, i);
    }
    assert_int_equal(refused, 51);
    subscriptions_deinit(&subscriptions);
    assert_int_equal(memory_used(&most), before);
}

/* However many there are, an addition moves and takes little, and each costs ten bytes. */
static void test_a_session_with_very_many(void **state)
{
    struct subscriptions subscriptions = {0};
    struct subscriptions_cursor cursor = {0};
    uint64_t most;
    uint64_t before = memory_used(&most);
    uint32_t node;

    (void)state;
    for (uint32_t i = 1; i <= 300000; i++) {
        uint64_t used = memory_used(&most);

        add(&subscriptions, i * 5, i);
        assert_true(memory_used(&most) <= used + 300000);
        if (i % 10000 == 0) {
            assert_in_range(memory_used(&most) - before, i * 9, i * 12);
        }
    }
    for (uint32_t i = 1; i <= 300000; i++) {
        assert_int_equal(subscriptions_find(&subscriptions, i * 5)->place, i);
        assert_null(subscriptions_find(&subscriptions, i * 5 + 1));
    }
    while ((node = subscriptions_any(&subscriptions, &cursor)) != 0) {
        subscriptions_remove(&subscriptions, node);
    }
    assert_int_equal(subscriptions.len, 0);
    assert_int_equal(memory_used(&most), before);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_against_places),
        cmocka_unit_test(test_any_empties_the_set),
        cmocka_unit_test(test_reserve_fails_or_holds),
        cmocka_unit_test(test_no_memory_for_a_part),
        cmocka_unit_test(test_a_session_with_very_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
