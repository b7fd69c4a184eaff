#include "core/fixture.h"
#include "core/shard.h"
#include "core/share.h"

/* Entries in a worker's mailbox, posted or pushed. */
static size_t mail(const struct fixture *fixture, unsigned from, unsigned to)
{
    const struct fixture_queue *pending = &fixture->workers[from].pending;
    size_t len = fixture_queue_len(&fixture->workers[to].mailbox);

    for (size_t i = pending->at; i < pending->len; i++) {
        len += pending->entries[i].to == to;
    }
    return len;
}

static void test_quiet_worker_serves_its_own_at_once(void **state)
{
    struct fixture *fixture = fixture_new(2, NULL);
    struct client *client = fixture_connected(fixture, 0, "a");

    (void)state;
    fixture_subscribe(client, "t", 2);
    memory_fail_after(1); /* QoS 0 makes no message */
    assert_int_equal(fixture_publish(fixture, 0, "t", 1, 0), PUBLISH_MATCHED);
    memory_fail_after(0);
    assert_int_equal(fixture_publish(fixture, 0, "t", 2, 2), PUBLISH_MATCHED);
    fixture_expect(client, "1 2q2@1");
    assert_int_equal(mail(fixture, 0, 0) + mail(fixture, 0, 1), 0);
    fixture_free(fixture);
}

/* What is posted already must not be overtaken. */
static void test_others_go_through_the_own_mailbox(void **state)
{
    struct fixture *fixture = fixture_new(2, NULL);
    struct client *client = fixture_connected(fixture, 0, "a");

    (void)state;
    fixture_subscribe(client, "t", 0);
    fixture->is_never_quiet = true;
    assert_int_equal(fixture_publish(fixture, 0, "t", 1, 0), PUBLISH_MATCHED);
    fixture->is_never_quiet = false;
    assert_int_equal(fixture_publish(fixture, 0, "t", 2, 0), PUBLISH_MATCHED);
    assert_int_equal(mail(fixture, 0, 0), 2);
    fixture_expect(client, "");
    fixture_publish(fixture, 1, "t", 3, 0);
    fixture_push(&fixture->workers[0]);
    fixture_push(&fixture->workers[1]);
    assert_int_equal(fixture_publish(fixture, 0, "t", 4, 0), PUBLISH_MATCHED);
    fixture_settle(fixture);
    fixture_expect(client, "1 2 3 4");
    fixture_publish(fixture, 0, "t", 5, 0);
    fixture_expect(client, "5");
    fixture_free(fixture);
}

static void test_each_worker_concerned_has_one_entry(void **state)
{
    struct fixture *fixture = fixture_new(3, NULL);
    struct client *clients[6];

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        clients[i] = fixture_connected(fixture, i % 2 ? 0 : 2, (char[]){(char)('a' + i), 0});
        fixture_subscribe(clients[i], i < 3 ? "t" : "+", 1);
    }
    assert_int_equal(fixture_publish(fixture, 1, "t", 1, 1), PUBLISH_MATCHED);
    assert_int_equal(mail(fixture, 1, 0), 1);
    assert_int_equal(mail(fixture, 1, 1), 0);
    assert_int_equal(mail(fixture, 1, 2), 1);
    fixture_push(&fixture->workers[1]);
    fixture_drain(fixture, 0);
    assert_int_equal(fixture_publish(fixture, 0, "t", 2, 0), PUBLISH_MATCHED);
    fixture_expect(clients[1], "1q1@1 2");
    fixture_settle(fixture);
    for (unsigned i = 0; i < 6; i += 2) {
        fixture_expect(clients[i], "1q1@1 2");
    }
    fixture_free(fixture);
}

/* It has left when the message arrives: the receiver matches for itself. */
static void test_receiver_matches_again(void **state)
{
    struct fixture *fixture = fixture_new(2, NULL);
    struct client *client = fixture_connected(fixture, 0, "a");
    struct client *other = fixture_connected(fixture, 0, "b");

    (void)state;
    fixture_subscribe(client, "t", 0);
    fixture_publish(fixture, 1, "t", 1, 0);
    assert_true(fixture_unsubscribe(client, "t"));
    fixture_subscribe(other, "#", 0);
    fixture_settle(fixture);
    fixture_expect(client, "");
    fixture_expect(other, "1");
    fixture_free(fixture);
}

/* As the first message to it does: the match cache knows who subscribes. */
static void look_up(struct fixture *fixture, unsigned worker, const char *topic)
{
    struct shard *shard = fixture_enter(fixture, worker);
    struct slice name = slice_of_text(topic);
    struct worker_set workers;

    assert_true(router_workers(shard, name, shard_topic_hash(shard, name), &workers));
}

static bool has_looked_up(struct fixture *fixture, unsigned worker, const char *topic)
{
    struct shard *shard = fixture_enter(fixture, worker);
    struct slice name = slice_of_text(topic);
    struct match_found found;

    return match_cached(shard, name, shard_topic_hash(shard, name), &found);
}

static void join(struct client *client, const char *group, const char *filter, uint8_t options)
{
    struct shard *shard = fixture_enter(client->fixture, client->worker);
    struct subscribed subscribed;

    assert_int_equal(share_subscribe(shard, slice_of_text(group), slice_of_text(filter),
                                     (struct subscriber){client->session, 0, options}, &subscribed),
                     0);
}

static void test_receiver_takes_what_was_found(void **state)
{
    struct fixture *fixture = fixture_new(2, NULL);
    struct client *client = fixture_connected(fixture, 0, "a");

    (void)state;
    fixture_subscribe(client, "t", 1);
    fixture_iterate(fixture, 1);
    look_up(fixture, 1, "t");
    fixture_publish(fixture, 1, "t", 1, 0);
    fixture_publish(fixture, 1, "t", 2, 1);
    fixture_settle(fixture);
    fixture_expect(client, "1 2q1@1");
    assert_false(has_looked_up(fixture, 0, "t"));
    fixture_free(fixture);
}

/* What may come between: a filter that matches, too; another one at the same node; other options;
 * somebody in its place; a group. */
static void test_what_was_found_is_not_taken_when_it_has_changed(void **state)
{
    static const struct {
        const char *filter; /* of the other one */
        bool leaves;
        bool changes_options;
        const char *expected;
        const char *expected_of_other;
    } rows[] = {
        {"#",          false, false, "1",     "1q1@1"},
        {"+",          true,  false, "",      "1q1@1"},
        {"t",          false, false, "1",     "1q1@1"},
        {"t",          true,  false, "",      "1q1@1"},
        {NULL,         false, true,  "1q1@1", ""     },
        {NULL,         true,  false, "",      ""     },
        {"$share/g/t", false, false, "1",     ""     },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture *fixture = fixture_new(2, NULL);
        struct client *client = fixture_connected(fixture, 0, "a");
        struct client *other = fixture_connected(fixture, 0, "b");

        fixture_subscribe(client, "t", 0);
        fixture_iterate(fixture, 1);
        look_up(fixture, 1, "t");
        fixture_publish(fixture, 1, "t", 1, 1);
        if (rows[i].leaves) {
            assert_true(fixture_unsubscribe(client, "t"));
        }
        if (rows[i].filter && rows[i].filter[0] == '$') {
            join(other, "g", "t", 1);
        } else if (rows[i].filter) {
            fixture_subscribe(other, rows[i].filter, 1);
        }
        if (rows[i].changes_options) {
            fixture_subscribe(client, "t", 1);
        }
        fixture_settle(fixture);
        fixture_expect(client, rows[i].expected);
        fixture_expect(other, rows[i].expected_of_other);
        fixture_free(fixture);
    }
}

/* The other side of a grace period, without looking into the mailbox: as behind a long fan-out. */
static void pass_grace(struct fixture *fixture)
{
    for (unsigned i = 0; i < 8; i++) {
        struct shard *shard = fixture_enter(fixture, i % 2);

        rcu_quiescent(&shard->reader);
        rcu_reclaim(&shard->reader, 100);
    }
}

static void test_number_that_came_again_is_not_taken(void **state)
{
    struct fixture *fixture = fixture_new(2, NULL);
    struct tree *tree = fixture->core->router.tree;
    struct client *client = fixture_connected(fixture, 0, "a");
    struct client *other = fixture_connected(fixture, 0, "b");
    uint32_t node;

    (void)state;
    fixture_subscribe(client, "t", 0);
    node = tree_find(tree, slice_of_text("t"));
    fixture_iterate(fixture, 1);
    look_up(fixture, 1, "t");
    fixture_publish(fixture, 1, "t", 1, 0);
    fixture_push(&fixture->workers[1]);
    assert_true(fixture_unsubscribe(client, "t"));
    pass_grace(fixture);
    fixture_subscribe(other, "u", 0);
    assert_int_equal(tree_find(tree, slice_of_text("u")), node);
    fixture_settle(fixture);
    fixture_expect(client, "");
    fixture_expect(other, "");
    fixture_free(fixture);
}

/* It is the only one, on either worker: nobody else holds a reference. */
static void test_who_keeps_a_message_has_its_only_reference(void **state)
{
    (void)state;
    for (unsigned worker = 0; worker < 2; worker++) {
        struct fixture *fixture = fixture_new(2, NULL);
        struct client *client = fixture_connected(fixture, 0, "a");
        struct delivery *delivery;

        fixture_subscribe(client, "t", 1);
        fixture_iterate(fixture, worker);
        look_up(fixture, worker, "t");
        fixture_publish(fixture, worker, "t", 1, 1);
        fixture_settle(fixture);
        fixture_expect(client, "1q1@1");
        delivery = outbound_find(&client->session->outbound, 1);
        assert_int_equal(delivery->message->refs, 1);
        assert_int_equal(session_on_puback(fixture_enter(fixture, 0), client->session, 1), ACK_OK);
        /* What can't be sent goes at once, and with it the message. */
        client->verdict = PEER_TOO_LARGE;
        fixture_publish(fixture, worker, "t", 2, 1);
        fixture_settle(fixture);
        assert_int_equal(outbound_len(&client->session->outbound), 0);
        fixture_free(fixture);
    }
}

/* Who can't be found in time gets it all the same: each worker has it to find out. */
static void test_long_search_is_left_to_the_workers(void **state)
{
    struct core_limits limits = {.delivery_budget = 1, .search_steps = 1, .cleanup_budget = 1};

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        bool is_retained = i % 2;
        uint8_t qos = i / 2 ? 1 : 0;
        struct fixture *fixture = fixture_new(3, &limits);
        struct client *client = fixture_connected(fixture, 2, "a");
        int (*publish)(struct fixture *, unsigned, const char *, uint32_t, uint8_t) =
            is_retained ? fixture_retain : fixture_publish;

        fixture_subscribe(client, "+", 1); /* one step more on the way */
        fixture_subscribe(client, "+/b", 1);
        fixture_settle(fixture);
        assert_int_equal(publish(fixture, 1, "a/b", 1, qos), PUBLISH_LEFT);
        assert_int_equal(mail(fixture, 1, 0), 1);
        assert_int_equal(mail(fixture, 1, 1), is_retained);
        assert_int_equal(mail(fixture, 1, 2), 1);
        assert_int_equal(publish(fixture, 1, "a/b", 2, qos), PUBLISH_LEFT);
        fixture_settle(fixture);
        fixture_expect(client, qos ? "1q1@1 2q1@2" : "1 2");
        fixture_free(fixture);
    }
}

/* What was noted as the last of the retained sequence while a search is under way comes once. */
static void test_long_search_and_replay(void **state)
{
    struct core_limits limits = {.delivery_budget = 1, .search_steps = 1, .cleanup_budget = 1};

    (void)state;
    for (unsigned slices = 0; slices < 12; slices++) {
        struct fixture *fixture = fixture_new(2, &limits);
        struct client *before = fixture_connected(fixture, 1, "a");
        struct client *after = fixture_connected(fixture, 1, "b");

        fixture_subscribe(before, "+", 1); /* steps more on the way */
        fixture_subscribe(before, "+/+", 1);
        fixture_subscribe(before, "+/+/c", 1);
        fixture_retain(fixture, 0, "a/b/c", 1, 1);
        fixture_iterate(fixture, 0);
        for (unsigned i = 0; i < slices; i++) {
            fixture_iterate(fixture, 1);
        }
        fixture_subscribe(after, "a/+/c", 1);
        fixture_settle(fixture);
        fixture_retain(fixture, 0, "a/b/c", 2, 1);
        fixture_settle(fixture);
        fixture_expect(before, "1q1@1 2q1@2");
        fixture_expect(after, "1q1@1r 2q1@2");
        fixture_free(fixture);
    }
}

static void test_unmatched(void **state)
{
    struct fixture *fixture = fixture_new(2, NULL);
    struct client *client = fixture_connected(fixture, 1, "a");

    (void)state;
    fixture_subscribe(client, "t", 0);
    memory_fail_after(1);
    assert_int_equal(fixture_publish(fixture, 0, "u", 1, 1), PUBLISH_UNMATCHED);
    memory_fail_after(0);
    assert_int_equal(fixture_retain(fixture, 0, "u", 1, 1), PUBLISH_UNMATCHED);
    assert_int_equal(fixture_retain(fixture, 0, "t", 1, 1), PUBLISH_MATCHED);
    assert_true(fixture_unsubscribe(client, "t"));
    assert_int_equal(fixture_publish(fixture, 0, "t", 1, 1), PUBLISH_UNMATCHED);
    fixture_free(fixture);
}

/* Refused whole: nobody has been sent anything, nothing has been posted. */
static void test_no_memory_refuses_whole(void **state)
{
    static const struct {
        uint8_t qos;
        bool retain;
        bool is_remote;
        bool room;
    } rows[] = {
        {1, false, false, true },
        {2, false, true,  true },
        {0, false, true,  true },
        {0, true,  false, true },
        {0, false, false, false},
        {1, true,  true,  false},
    };
    struct fixture *fixture = fixture_new(2, NULL);
    struct client *local = fixture_connected(fixture, 0, "a");
    struct client *remote = fixture_connected(fixture, 1, "b");

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        fixture_subscribe(local, "t", 2);
        if (rows[i].is_remote) {
            fixture_subscribe(remote, "t", 2);
        } else {
            fixture_unsubscribe(remote, "t");
        }
        fixture->refuses_room = !rows[i].room;
        memory_fail_after(rows[i].room ? 1 : 0);
        assert_int_equal(
            (rows[i].retain ? fixture_retain : fixture_publish)(fixture, 0, "t", 1, rows[i].qos),
            -ENOMEM);
        memory_fail_after(0);
        fixture->refuses_room = false;
        assert_int_equal(mail(fixture, 0, 0) + mail(fixture, 0, 1), 0);
        fixture_settle(fixture);
        fixture_expect(local, "");
        fixture_expect(remote, "");
    }
    fixture_free(fixture);
}

/* Replays and cleaning up have a share of every iteration, however busy. */
static void test_budget_of_an_iteration(void **state)
{
    struct core_limits limits = {.delivery_budget = 40, .cleanup_budget = 1};
    struct fixture *fixture = fixture_new(1, &limits);
    struct shard *shard = fixture_enter(fixture, 0);
    struct client *client = fixture_connected(fixture, 0, "a");
    char topic[8];

    (void)state;
    for (unsigned i = 0; i < 30; i++) {
        snprintf(topic, sizeof(topic), "%u", i);
        fixture_retain(fixture, 0, topic, i + 1, 0);
    }
    shard_begin(shard, fixture->now_ms);
    assert_int_equal(shard->budget, 40);
    assert_false(shard_has_work(shard));
    fixture_subscribe(client, "#", 0);
    assert_true(shard_has_work(shard));
    shard->budget = 0;
    shard_go_on(shard);
    assert_int_equal(client->sent_len, 11);
    fixture_settle(fixture);
    assert_int_equal(client->sent_len, 30);
    assert_false(shard_has_work(shard));
    fixture_free(fixture);
}

static void test_home_is_a_worker(void **state)
{
    struct fixture *fixture = fixture_new(3, NULL);
    unsigned counts[3] = {0};
    char id[8];

    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        unsigned home;

        snprintf(id, sizeof(id), "%u", i);
        home = core_home(fixture->core, slice_of_text(id));
        assert_true(home < 3);
        assert_int_equal(core_home(fixture->core, slice_of_text(id)), home);
        counts[home]++;
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_true(counts[i] > 800);
    }
    fixture_free(fixture);
}

static void test_no_memory_for_a_core(void **state)
{
    struct core_limits limits = {.delivery_budget = 1};
    struct hash_key key = {
        {1, 2}
    };
    struct core *core;

    (void)state;
    for (unsigned n = 1; n <= 6; n++) {
        memory_fail_after(n);
        assert_int_equal(core_new(&key, 1, &limits, &core), -ENOMEM);
    }
    memory_fail_after(7);
    assert_int_equal(core_new(&key, 1, &limits, &core), 0);
    memory_fail_after(0);
    assert_null(core_free(core));
    assert_null(core_free(NULL));
    assert_null(shard_free(NULL));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quiet_worker_serves_its_own_at_once),
        cmocka_unit_test(test_others_go_through_the_own_mailbox),
        cmocka_unit_test(test_each_worker_concerned_has_one_entry),
        cmocka_unit_test(test_receiver_matches_again),
        cmocka_unit_test(test_receiver_takes_what_was_found),
        cmocka_unit_test(test_what_was_found_is_not_taken_when_it_has_changed),
        cmocka_unit_test(test_number_that_came_again_is_not_taken),
        cmocka_unit_test(test_who_keeps_a_message_has_its_only_reference),
        cmocka_unit_test(test_long_search_is_left_to_the_workers),
        cmocka_unit_test(test_long_search_and_replay),
        cmocka_unit_test(test_unmatched),
        cmocka_unit_test(test_no_memory_refuses_whole),
        cmocka_unit_test(test_budget_of_an_iteration),
        cmocka_unit_test(test_home_is_a_worker),
        cmocka_unit_test(test_no_memory_for_a_core),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
