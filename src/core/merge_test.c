#include "core/fixture.h"
#include "core/merge.h"

static struct fixture *merging_fixture(unsigned budget)
{
    struct core_limits limits = {
        .delivery_budget = budget, .at_once = 4, .cleanup_budget = 5, .merges = true};

    return fixture_new(1, &limits);
}

static void subscribe(struct client *client, const char *filter, uint8_t options,
                      uint32_t identifier)
{
    assert_int_equal(fixture_subscribe_with(client, filter, options, identifier, true), 0);
}

/* Three times to "t/a", and somebody else once. */
static void subscribe_overlapping(struct client *client, struct client *other)
{
    subscribe(client, "t/#", 0, 0);
    subscribe(client, "t/a", 2, 0);
    subscribe(client, "+/a", 1, 0);
    subscribe(other, "t/a", 0, 0);
}

static void test_one_copy_at_the_highest_qos(void **state)
{
    struct fixture *fixture = merging_fixture(1000);
    struct client *client = fixture_connected(fixture, 0, "a");
    struct client *other = fixture_connected(fixture, 0, "b");

    (void)state;
    subscribe_overlapping(client, other);
    fixture_publish(fixture, 0, "t/a", 1, 2);
    fixture_expect(client, "1q2@1");
    fixture_expect(other, "1");
    fixture_publish(fixture, 0, "t/b", 2, 1);
    fixture_expect(client, "2");
    fixture_publish(fixture, 0, "t/a", 3, 0);
    fixture_expect(client, "3");
    fixture_expect(other, "3");
    fixture_free(fixture);
}

/* A search in slices finds all before the first copy is made. */
static void test_one_copy_of_a_long_search(void **state)
{
    struct core_limits limits = {.delivery_budget = 1, .search_steps = 1, .merges = true};
    struct fixture *fixture = fixture_new(1, &limits);
    struct client *client = fixture_connected(fixture, 0, "a");
    struct client *other = fixture_connected(fixture, 0, "b");

    (void)state;
    subscribe_overlapping(client, other);
    fixture_publish(fixture, 0, "t/a", 1, 2);
    fixture_publish(fixture, 0, "t/a", 2, 1);
    fixture_settle(fixture);
    fixture_expect(client, "1q2@1 2q1@2");
    fixture_expect(other, "1 2");
    fixture_free(fixture);
}

/* The first identifier is the delivery's, the others stand in front of the properties. */
static void test_all_identifiers(void **state)
{
    struct fixture *fixture = merging_fixture(1000);
    struct client *client = fixture_connected(fixture, 0, "a");

    (void)state;
    subscribe(client, "t/a", 1, 7);
    subscribe(client, "t/#", 1, 300);
    subscribe(client, "+/a", 1, 0);
    subscribe(client, "#", 1, 7);
    fixture_publish(fixture, 0, "t/a", 1, 1);
    assert_int_equal(client->sent_len, 1);
    assert_int_equal(client->sent[0].head.qos, 1);
    assert_int_equal(client->sent[0].properties_len, 2 + 3);
    fixture_free(fixture);
}

static void test_no_local_takes_only_itself_out(void **state)
{
    struct fixture *fixture = merging_fixture(1000);
    struct client *client = fixture_connected(fixture, 0, "a");
    struct shard *shard = fixture_enter(fixture, 0);
    uint32_t number = 1;
    struct publication publication = fixture_publication(shard, "t/a", &number);

    (void)state;
    publication.parts.origin = session_origin(client->session);
    publication.parts.qos = 2;
    subscribe(client, "t/a", 2 | SUBSCRIBE_NO_LOCAL, 1);
    subscribe(client, "#", 1, 2);
    assert_int_equal(shard_publish(shard, &publication), PUBLISH_MATCHED);
    publication_deinit(&publication);
    fixture_expect(client, "1q1@1s2");
    subscribe(client, "#", 1 | SUBSCRIBE_NO_LOCAL, 2);
    publication = fixture_publication(shard, "t/a", &number);
    publication.parts.origin = session_origin(client->session);
    assert_int_equal(shard_publish(shard, &publication), PUBLISH_MATCHED);
    publication_deinit(&publication);
    fixture_expect(client, "");
    fixture_free(fixture);
}

/* Two for each of these: the one copy comes where the session is met first, whenever that is. */
static void test_over_several_slices(void **state)
{
    static const char *const filters[] = {"t/a", "t/#", "+/a", "#"};
    struct fixture *fixture = merging_fixture(3);
    struct client *clients[20];

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(clients); i++) {
        char id[8];

        snprintf(id, sizeof(id), "%u", i);
        clients[i] = fixture_connected(fixture, 0, id);
        for (unsigned j = 0; j < 3; j++) {
            subscribe(clients[i], filters[(i + j) % ARRAY_LEN(filters)], 0, i * 10 + j + 1);
        }
    }
    fixture_publish(fixture, 0, "t/a", 1, 0);
    assert_true(shard_is_in_fanout(fixture_enter(fixture, 0)));
    /* One leaves a filter in the middle, one all of them, and a third session ends. */
    assert_true(fixture_unsubscribe(clients[17], filters[1]));
    for (unsigned j = 0; j < 3; j++) {
        assert_true(fixture_unsubscribe(clients[18], filters[(18 + j) % ARRAY_LEN(filters)]));
    }
    fixture_disconnect(clients[19], SESSION_LEAVE_QUIETLY);
    fixture_settle(fixture);
    for (unsigned i = 0; i < 18; i++) {
        assert_int_equal(fixture_count(clients[i], 1), 1);
    }
    assert_true(fixture_count(clients[18], 1) <= 1);
    assert_true(fixture_count(clients[19], 1) <= 1);
    fixture_free(fixture);
}

static void test_many_identifiers(void **state)
{
    struct merge merge;

    (void)state;
    merge_init(&merge, NULL, NULL);
    for (uint32_t i = 1; i <= 100; i++) {
        merge_add(&merge, i, 0, i == 50);
    }
    assert_int_equal(merge.len, 100);
    assert_int_equal(merge.identifiers[99], 100);
    assert_true(merge.retain && merge.is_any && !merge.out_of_memory);
    merge_deinit(&merge);
}

/* Counted, and nothing half made is sent. */
static void test_no_memory(void **state)
{
    struct fixture *fixture = merging_fixture(1000);
    struct client *client = fixture_connected(fixture, 0, "a");
    uint64_t dropped = 0;
    uint64_t sent = 0;

    (void)state;
    subscribe(client, "t/a", 0, 7);
    subscribe(client, "t/#", 0, 8);
    for (unsigned n = 1; n < 8; n++) {
        struct shard *shard = fixture_enter(fixture, 0);

        memory_fail_after(n);
        fixture_publish(fixture, 0, "t/a", n, 0);
        memory_fail_after(0);
        fixture_settle(fixture);
        sent += fixture_count(client, n) > 0;
        dropped = metrics_get(shard->metrics, METRIC_DROPPED_NO_MEMORY);
        assert_int_equal(dropped + sent, n);
    }
    assert_true(dropped > 0);
    fixture_free(fixture);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_copy_at_the_highest_qos),
        cmocka_unit_test(test_one_copy_of_a_long_search),
        cmocka_unit_test(test_all_identifiers),
        cmocka_unit_test(test_no_local_takes_only_itself_out),
        cmocka_unit_test(test_over_several_slices),
        cmocka_unit_test(test_many_identifiers),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
