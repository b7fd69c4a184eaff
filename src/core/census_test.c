#include "core/fixture.h"

/* What a walk has shown so far: paths and their subscribers, as "a/b 2 ". */
struct seen {
    char text[4096];
    size_t len;
    unsigned pieces;
};

static void see(struct seen *seen, const struct tree *tree, const struct census *census)
{
    for (unsigned i = 0; i < census->len; i++) {
        uint8_t path[256];
        size_t len = tree_path(tree, census->nodes[i], path, sizeof(path));
        int added = snprintf(seen->text + seen->len, sizeof(seen->text) - seen->len, "%.*s %u ",
                             (int)len, (const char *)path, census->subscriber_lens[i]);

        assert_true(added > 0 && (size_t)added < sizeof(seen->text) - seen->len);
        seen->len += (size_t)added;
    }
    seen->pieces++;
}

/* One piece, counted by all workers. False: it was the last one. */
static bool walk(struct fixture *fixture, struct tree *tree, struct seen *seen)
{
    struct census census;

    census_walk(fixture_enter(fixture, 0), tree, &census);
    for (unsigned i = 0; i < fixture->core->worker_len && tree == fixture->core->router.tree; i++) {
        census_count(fixture_enter(fixture, i), &census);
    }
    see(seen, tree, &census);
    fixture_enter(fixture, 0);
    census_release(tree, &census);
    return !census.is_over;
}

static void expect(const struct seen *seen, const char *row, bool is_there)
{
    if (!strstr(seen->text, row) == is_there) {
        fail_msg("'%s' in: %s", row, seen->text);
    }
}

static void test_subscribers_of_all_workers_are_counted(void **state)
{
    struct fixture *fixture = fixture_new(3, NULL);
    struct seen seen = {0};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct client *client = fixture_connected(fixture, i, i == 0 ? "a" : i == 1 ? "b" : "c");

        fixture_subscribe(client, "all/+", 0);
        if (i > 0) {
            fixture_subscribe(client, "some", 0);
        }
        if (i == 2) {
            fixture_subscribe(client, "some/one", 0);
        }
    }
    assert_false(walk(fixture, fixture->core->router.tree, &seen));
    expect(&seen, "all/+ 3 ", true);
    expect(&seen, "some 2 ", true);
    expect(&seen, "some/one 1 ", true);
    expect(&seen, "all 0", false);
    fixture_free(fixture);
}

static void retain_many(struct fixture *fixture, unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        char topic[32];

        snprintf(topic, sizeof(topic), "t/%u", i);
        assert_int_equal(fixture_retain(fixture, 0, topic, i + 1, 0), PUBLISH_UNMATCHED);
    }
}

static void test_a_walk_comes_in_pieces(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct tree *tree = fixture->core->retained.tree;
    struct seen seen = {0};

    (void)state;
    retain_many(fixture, 3 * CENSUS_NODE_CAP - 1);
    while (walk(fixture, tree, &seen)) {
    }
    assert_int_equal(seen.pieces, 3);
    for (unsigned i = 0; i < 3 * CENSUS_NODE_CAP - 1; i++) {
        char row[32];

        snprintf(row, sizeof(row), "t/%u 0 ", i);
        expect(&seen, row, true);
    }
    /* And then from the beginning. */
    seen = (struct seen){0};
    assert_true(walk(fixture, tree, &seen));
    census_stop(fixture_enter(fixture, 0));
    fixture_free(fixture);
}

/* What goes under the walk neither stops it nor stays. */
static void test_the_tree_changes_meanwhile(void **state)
{
    struct fixture *fixture = fixture_new(2, NULL);
    struct tree *tree = fixture->core->router.tree;
    struct client *client = fixture_connected(fixture, 1, "a");
    struct seen seen = {0};

    (void)state;
    for (unsigned i = 0; i < 2 * CENSUS_NODE_CAP; i++) {
        char filter[32];

        snprintf(filter, sizeof(filter), "t/%u", i);
        fixture_subscribe(client, filter, 0);
    }
    assert_true(walk(fixture, tree, &seen));
    for (unsigned i = 0; i < 2 * CENSUS_NODE_CAP; i++) {
        char filter[32];

        snprintf(filter, sizeof(filter), "t/%u", i);
        fixture_enter(fixture, 1);
        assert_true(fixture_unsubscribe(client, filter));
    }
    fixture_settle(fixture);
    /* The node where the walk stands, and its parent. */
    assert_int_equal(tree_len(tree), 2);
    assert_false(walk(fixture, tree, &seen));
    assert_int_equal(tree_len(tree), 0);
    fixture_free(fixture);
}

/* An end in the middle leaves no pin that the trees would wait for. */
static void test_the_end_in_the_middle(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct seen seen = {0};

    (void)state;
    retain_many(fixture, 2 * CENSUS_NODE_CAP);
    assert_true(walk(fixture, fixture->core->retained.tree, &seen));
    fixture_free(fixture);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subscribers_of_all_workers_are_counted),
        cmocka_unit_test(test_a_walk_comes_in_pieces),
        cmocka_unit_test(test_the_tree_changes_meanwhile),
        cmocka_unit_test(test_the_end_in_the_middle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
