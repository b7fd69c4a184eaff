#include "core/edges.h"
#include "core/fixture.h"

#define NUMBER_LEN 40000u

static uint64_t hash_of(uint32_t number)
{
    return hash_fold(number ^ UINT64_C(0x9E3779B97F4A7C15), UINT64_C(0xD6E8FEB86659FD93));
}

static bool is_found(const struct edges *edges, uint64_t hash, uint32_t number)
{
    struct edge_search search = edges_search(edges, hash);
    uint32_t found;

    while ((found = edges_next(&search)) != 0 && found != number) {
    }
    return found == number;
}

static void add(struct edges *edges, uint64_t hash, uint32_t number)
{
    assert_int_equal(edges_reserve(edges, hash), 0);
    edges_add(edges, hash, number);
}

/* Every shard is made anew a dozen times. */
static void all_that_was_added_is_found(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct edges edges = {0};

    (void)state;
    fixture_enter(fixture, 0);
    for (uint32_t number = 1; number <= NUMBER_LEN; number++) {
        assert_false(is_found(&edges, hash_of(number), number));
        add(&edges, hash_of(number), number);
        edges_prefetch(&edges, hash_of(number));
    }
    for (uint32_t number = 1; number <= NUMBER_LEN; number += 2) {
        edges_remove(&edges, hash_of(number), number);
    }
    for (uint32_t number = 1; number <= NUMBER_LEN; number++) {
        assert_int_equal(is_found(&edges, hash_of(number), number), number % 2 == 0);
    }
    for (uint32_t number = 2; number <= NUMBER_LEN; number += 2) {
        edges_replace(&edges, hash_of(number), number, number - 1);
        assert_true(is_found(&edges, hash_of(number), number - 1));
    }
    edges_deinit(&edges);
    fixture_free(fixture);
}

/* What is added and removed over and over takes no more room in the end. */
static void removed_slots_are_used_again(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct edges edges = {0};

    (void)state;
    fixture_enter(fixture, 0);
    for (uint32_t number = 1; number <= NUMBER_LEN; number++) {
        add(&edges, number, number);
        edges_remove(&edges, number, number);
    }
    assert_int_equal(edges_search(&edges, 0).slots.cap, EDGES_STEP);
    edges_deinit(&edges);
    fixture_free(fixture);
}

/* One hash, as an attacker would have it: the search goes round the end. */
static void many_may_share_a_hash(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct edges edges = {0};
    uint64_t hash = UINT32_MAX;

    (void)state;
    fixture_enter(fixture, 0);
    for (uint32_t number = 1; number <= 100; number++) {
        add(&edges, hash, number);
    }
    for (uint32_t number = 1; number <= 100; number++) {
        assert_true(is_found(&edges, hash, number));
    }
    assert_false(is_found(&edges, hash, 101));
    edges_deinit(&edges);
    fixture_free(fixture);
}

static void without_memory_nothing_changes(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct edges edges = {0};

    (void)state;
    fixture_enter(fixture, 0);
    memory_fail_after(1);
    assert_int_equal(edges_reserve(&edges, 1), -ENOMEM);
    assert_false(is_found(&edges, 1, 1));
    add(&edges, 1, 1);
    for (uint32_t number = 2; edges_search(&edges, 1).slots.cap == EDGES_STEP; number++) {
        memory_fail_after(1);
        if (edges_reserve(&edges, 1) < 0) {
            break;
        }
        edges_add(&edges, 1, number);
    }
    memory_fail_after(0);
    assert_true(is_found(&edges, 1, 1) && is_found(&edges, 1, 2));
    edges_deinit(&edges);
    fixture_free(fixture);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_was_added_is_found),
        cmocka_unit_test(removed_slots_are_used_again),
        cmocka_unit_test(many_may_share_a_hash),
        cmocka_unit_test(without_memory_nothing_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
