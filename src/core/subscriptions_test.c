#include "base/test.h"
#include "core/fixture.h"
#include "core/subscriptions.h"

#define NODE_LEN 400

/* Node numbers as they come: dense, and far apart with equal low bits. */
static uint32_t node_of(uint32_t index)
{
    return index % 2 ? index : (index + 2) << 20;
}

static void add(struct subscriptions *subscriptions, uint32_t node, uint32_t place)
{
    assert_int_equal(subscriptions_reserve(subscriptions), 0);
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
    uint32_t places[NODE_LEN] = {0};
    struct subscriptions subscriptions = {0};
    uint64_t seed = 3;

    (void)state;
    for (uint32_t i = 1; i <= 6000; i++) {
        uint32_t index = fixture_random(&seed, NODE_LEN);
        bool adds = fixture_random(&seed, 10) < (i / 1000 % 2 ? 3u : 7u);

        if (adds && !places[index]) {
            add(&subscriptions, node_of(index), i);
            places[index] = i;
        } else if (!adds && places[index]) {
            subscriptions_remove(&subscriptions, node_of(index));
            places[index] = 0;
        }
        if (i % 50 == 0) {
            check_all(&subscriptions, places);
        }
    }
    subscriptions_deinit(&subscriptions);
}

static void test_any_empties_the_set(void **state)
{
    struct subscriptions subscriptions = {0};
    uint32_t cursor = 0;
    bool seen[NODE_LEN + 1] = {false};

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
        if (subscriptions_reserve(&subscriptions) < 0) {
            refused++;
            assert_int_equal(subscriptions.len, i - 1);
            assert_int_equal(subscriptions_reserve(&subscriptions), 0);
        }
        memory_fail_after(0);
        subscriptions_add(&subscriptions, i, i);
        assert_int_equal(subscriptions_find(&subscriptions, 1)->place, 1);
    }
    assert_int_equal(refused, 16); /* 3, 5, 7, 9, 11, 13, 17, ... 123 slots */
    subscriptions_deinit(&subscriptions);
    assert_null(subscriptions_find(&subscriptions, 1));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_against_places),
        cmocka_unit_test(test_any_empties_the_set),
        cmocka_unit_test(test_reserve_fails_or_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
