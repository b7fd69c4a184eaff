#include "core/fixture.h"
#include "core/retained.h"

#define LONG_TOPIC "a/topic-with-a-level-on-the-heap"

static bool has(struct fixture *fixture, const char *topic)
{
    return retained_has(&fixture->core->retained, slice_of_text(topic));
}

static struct message *value_of(struct fixture *fixture, const char *topic)
{
    const struct tree *tree = fixture->core->retained.tree;
    uint32_t node = tree_find(tree, slice_of_text(topic));

    return node ? (struct message *)(uintptr_t)tree_node(tree, node)->word : NULL;
}

static void test_values_come_and_go(void **state)
{
    static const struct {
        const char *topic;
        uint32_t number; /* 0 clears */
        size_t len;      /* topics with a value, afterwards */
        size_t nodes;
    } steps[] = {
        {"a/b/c",    1, 1, 1},
        {"a",        2, 2, 2},
        {"a/b/c",    3, 2, 2},
        {"a/b",      0, 2, 2},
        {"x",        0, 2, 2},
        {"a/b/c",    0, 1, 1},
        {"a/b/c",    0, 1, 1},
        {"a/b",      4, 2, 2},
        {"a",        0, 1, 2},
        {LONG_TOPIC, 5, 2, 3},
        {"a/b",      0, 1, 2},
        {LONG_TOPIC, 0, 0, 0},
    };
    struct fixture *fixture = fixture_new(1, NULL);
    struct retained *retained = &fixture->core->retained;

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(steps); i++) {
        assert_int_equal(fixture_retain(fixture, 0, steps[i].topic, steps[i].number, 1),
                         PUBLISH_UNMATCHED);
        assert_int_equal(has(fixture, steps[i].topic), steps[i].number != 0);
        assert_int_equal(core_count(fixture->core, METRIC_RETAINED), steps[i].len);
        assert_int_equal(tree_len(retained->tree), steps[i].nodes);
        assert_int_equal(retained->number, i + 1);
        if (steps[i].number) {
            assert_int_equal(message_retained_number(value_of(fixture, steps[i].topic)), i + 1);
            assert_true(message_is_posted(value_of(fixture, steps[i].topic)));
        }
        assert_false(has(fixture, "b"));
    }
    fixture_free(fixture);
}

static void test_live_subscribers_are_served_through_mailboxes(void **state)
{
    struct fixture *fixture = fixture_new(3, NULL);
    struct client *local = fixture_connected(fixture, 0, "a");
    struct client *remote = fixture_connected(fixture, 2, "b");
    struct client *as_published = fixture_connected(fixture, 2, "c");

    (void)state;
    fixture_subscribe(local, "t", 0);
    fixture_subscribe(remote, "#", 1);
    fixture_subscribe(as_published, "t", 1 | SUBSCRIBE_AS_PUBLISHED);
    assert_int_equal(fixture_retain(fixture, 0, "t", 1, 1), PUBLISH_MATCHED);
    fixture_expect(local, "");
    assert_int_equal(fixture_queue_len(&fixture->workers[0].mailbox), 1);
    assert_int_equal(fixture_queue_len(&fixture->workers[1].mailbox), 0);
    assert_int_equal(fixture_queue_len(&fixture->workers[2].mailbox), 1);
    assert_int_equal(fixture_retain(fixture, 0, "t", 0, 0), PUBLISH_MATCHED);
    fixture_settle(fixture);
    fixture_expect(local, "1 0");
    fixture_expect(remote, "1q1@1 0");
    fixture_expect(as_published, "1q1@1r 0r");
    fixture_free(fixture);
}

/* What was posted before stands in the mailboxes before it. */
static void test_pushes_what_was_posted_before(void **state)
{
    struct fixture *fixture = fixture_new(2, NULL);
    struct client *remote = fixture_connected(fixture, 1, "b");

    (void)state;
    fixture_subscribe(remote, "#", 0);
    fixture_publish(fixture, 0, "t", 1, 0);
    assert_int_equal(fixture_queue_len(&fixture->workers[1].mailbox), 0);
    fixture_retain(fixture, 0, "t", 2, 0);
    assert_int_equal(fixture_queue_len(&fixture->workers[1].mailbox), 2);
    fixture_publish(fixture, 0, "t", 3, 0);
    fixture_settle(fixture);
    fixture_expect(remote, "1 2 3");
    fixture_free(fixture);
}

static void expect_unchanged(struct fixture *fixture, const char *topic)
{
    const struct retained *retained = &fixture->core->retained;

    assert_false(has(fixture, topic));
    assert_int_equal(core_count(fixture->core, METRIC_RETAINED), 1);
    assert_int_equal(retained->number, 1);
    assert_int_equal(tree_len(retained->tree), 1);
    assert_int_equal(fixture_queue_len(&fixture->workers[0].mailbox), 0);
}

static void test_no_memory_changes_nothing(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *client = fixture_connected(fixture, 0, "a");
    unsigned n = 0;
    int r = -ENOMEM;

    (void)state;
    fixture_retain(fixture, 0, "a", 1, 0);
    fixture_subscribe_with(client, "#", 0, 0, true);
    fixture->refuses_room = true;
    assert_int_equal(fixture_retain(fixture, 0, LONG_TOPIC, 2, 0), -ENOMEM);
    fixture->refuses_room = false;
    expect_unchanged(fixture, LONG_TOPIC);
    while (r < 0) {
        memory_fail_after(++n);
        r = fixture_retain(fixture, 0, LONG_TOPIC, 2, 0);
        memory_fail_after(0);
        if (r < 0) {
            expect_unchanged(fixture, LONG_TOPIC);
            fixture_settle(fixture);
        }
    }
    assert_int_equal(r, PUBLISH_MATCHED);
    assert_true(n > 2);
    fixture_settle(fixture);
    fixture_expect(client, "2");
    fixture_free(fixture);
}

static void test_many_values_are_dropped_at_the_end(void **state)
{
    struct fixture *fixture = fixture_new(2, NULL);
    char topic[32];

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(topic, sizeof(topic), "t/%u/level-on-the-heap/%u", i % 40, i % 700);
        fixture_retain(fixture, i % 2, topic, i + 1, 0);
    }
    assert_true(core_count(fixture->core, METRIC_RETAINED) > 1000);
    fixture_free(fixture);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_come_and_go),
        cmocka_unit_test(test_live_subscribers_are_served_through_mailboxes),
        cmocka_unit_test(test_pushes_what_was_posted_before),
        cmocka_unit_test(test_no_memory_changes_nothing),
        cmocka_unit_test(test_many_values_are_dropped_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
