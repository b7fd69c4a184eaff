#include "core/fixture.h"
#include "core/membership.h"
#include "core/session_extras.h"
#include "core/share.h"
#include "core/share_post.h"

#define GROUP "g"
#define TOPIC "t/a"

static struct client *connect_with(struct fixture *fixture, unsigned worker, const char *id,
                                   uint32_t expiry, uint32_t window)
{
    struct client *client = fixture_client(fixture, worker, id);
    struct session_request request = {.expiry_interval = expiry, .window = window};

    assert_true(fixture_connect(client, &request) > 0);
    return client;
}

static int join_with(struct client *client, const char *group, const char *filter, uint8_t options,
                     uint32_t identifier)
{
    struct shard *shard = fixture_enter(client->fixture, client->worker);
    struct subscribed subscribed;

    return share_subscribe(shard, slice_of_text(group), slice_of_text(filter),
                           (struct subscriber){client->session, identifier, options}, &subscribed);
}

static void join(struct client *client, const char *filter, uint8_t qos)
{
    assert_int_equal(join_with(client, GROUP, filter, qos, 0), 0);
}

static bool leave(struct client *client, const char *group, const char *filter)
{
    return share_unsubscribe(fixture_enter(client->fixture, client->worker), client->session,
                             slice_of_text(group), slice_of_text(filter));
}

/* A member of the usual group, with a session that ends with its connection. */
static struct client *member(struct fixture *fixture, unsigned worker, const char *id, uint8_t qos,
                             uint32_t window)
{
    struct client *client = connect_with(fixture, worker, id, 0, window);

    join(client, TOPIC, qos);
    return client;
}

static void publish(struct fixture *fixture, unsigned worker, uint32_t number, uint8_t qos)
{
    assert_int_equal(fixture_publish(fixture, worker, TOPIC, number, qos), PUBLISH_MATCHED);
    fixture_settle(fixture);
}

static void acknowledge(struct client *client, uint16_t packet_id)
{
    struct shard *shard = fixture_enter(client->fixture, client->worker);

    assert_int_equal(session_on_puback(shard, client->session, packet_id), ACK_OK);
}

static uint64_t dropped(struct fixture *fixture)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < fixture->core->worker_len; i++) {
        sum += metrics_get(fixture->workers[i].shard->metrics, METRIC_DROPPED_UNSHARED);
    }
    return sum;
}

static uint64_t dropped_full(struct fixture *fixture)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < fixture->core->worker_len; i++) {
        sum += metrics_get(fixture->workers[i].shard->metrics, METRIC_DROPPED_QUEUE_FULL);
    }
    return sum;
}

/* Turns */

#define TURN_MEMBERS 7

static struct client *taker_of(struct client **clients, unsigned len, uint32_t number)
{
    struct client *taker = NULL;

    for (unsigned i = 0; i < len; i++) {
        unsigned count = fixture_count(clients[i], number);

        assert_true(count <= 1 && (count == 0 || !taker));
        taker = count ? clients[i] : taker;
    }
    assert_non_null(taker);
    return taker;
}

/* Whoever publishes, and wherever: each of seven gets every seventh message. */
static void test_strict_turn_over_all_workers(void **state)
{
    (void)state;
    for (uint8_t qos = 0; qos < 3; qos++) {
        struct fixture *fixture = fixture_new(3, NULL);
        struct client *clients[TURN_MEMBERS];

        for (unsigned i = 0; i < TURN_MEMBERS; i++) {
            clients[i] =
                member(fixture, i % 4 < 3 ? i % 4 : 0, (char[]){(char)('a' + i), 0}, qos, 0);
        }
        for (uint32_t number = 1; number <= 10 * TURN_MEMBERS; number++) {
            assert_int_equal(fixture_publish(fixture, number / 3 % 3, TOPIC, number, qos),
                             PUBLISH_MATCHED);
        }
        fixture_settle(fixture);
        for (uint32_t number = 1; number + TURN_MEMBERS <= 10 * TURN_MEMBERS; number++) {
            assert_ptr_equal(taker_of(clients, TURN_MEMBERS, number),
                             taker_of(clients, TURN_MEMBERS, number + TURN_MEMBERS));
        }
        for (unsigned i = 0; i < TURN_MEMBERS; i++) {
            assert_int_equal(clients[i]->sent_len, 10);
        }
        fixture_free(fixture);
    }
}

static void test_each_takes_it_at_its_own_qos(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *a = connect_with(fixture, 0, "a", 0, 0);
    struct client *b = connect_with(fixture, 0, "b", 0, 0);

    (void)state;
    assert_int_equal(join_with(a, GROUP, TOPIC, 0, 5), 0);
    assert_int_equal(join_with(b, GROUP, TOPIC, 2 | SUBSCRIBE_AS_PUBLISHED, 7), 0);
    for (uint32_t number = 1; number <= 4; number++) {
        assert_int_equal(fixture_retain(fixture, 0, TOPIC, number, 1), PUBLISH_MATCHED);
        fixture_settle(fixture);
    }
    fixture_expect(a, "1s5 3s5");
    fixture_expect(b, "2q1@1s7r 4q1@2s7r");
    assert_int_equal(join_with(a, GROUP, TOPIC, 1, 6), 0);
    publish(fixture, 0, 5, 2);
    fixture_expect(a, "5q1@1s6");
    fixture_free(fixture);
}

/* Groups of one filter and of others, and ordinary subscriptions, all get a copy. */
static void test_groups_and_others_side_by_side(void **state)
{
    struct fixture *fixture = fixture_new(2, NULL);
    struct client *a = connect_with(fixture, 0, "a", 0, 0);
    struct client *b = connect_with(fixture, 1, "b", 0, 0);

    (void)state;
    assert_int_equal(join_with(a, "g", "t/+", 0, 1), 0);
    assert_int_equal(join_with(b, "h", "t/+", 0, 2), 0);
    assert_int_equal(join_with(b, "g", "t/#", 0, 3), 0);
    assert_int_equal(join_with(a, "a-name-longer-than-a-node-takes", "t/+", 0, 4), 0);
    assert_int_equal(fixture_subscribe_with(a, "t/+", 0, 5, true), 0);
    assert_int_equal(fixture->core->router.share_len, 4);
    publish(fixture, 0, 1, 0);
    assert_int_equal(a->sent_len, 3);
    assert_int_equal(b->sent_len, 2);
    assert_true(leave(a, "g", "t/+"));
    assert_false(leave(a, "g", "t/+"));
    assert_false(leave(a, "h", "t/+"));
    assert_false(leave(a, "nobody", "t/+"));
    assert_true(fixture_unsubscribe(a, "t/+"));
    publish(fixture, 1, 2, 0);
    assert_int_equal(a->sent_len, 4);
    assert_int_equal(b->sent_len, 4);
    assert_true(leave(b, "h", "t/+"));
    publish(fixture, 1, 3, 0);
    assert_int_equal(a->sent_len, 5);
    assert_int_equal(b->sent_len, 5);
    /* A group's own node is nothing that a topic finds. */
    assert_int_equal(fixture_publish(fixture, 0, "t", 4, 0), PUBLISH_MATCHED);
    assert_int_equal(fixture_publish(fixture, 0, "t/a/g", 4, 0), PUBLISH_MATCHED);
    assert_int_equal(fixture_publish(fixture, 0, "$share/g/t/+", 4, 0), PUBLISH_UNMATCHED);
    fixture_free(fixture);
}

static void test_joining_a_group_voids_no_cached_match(void **state)
{
    struct fixture *fixture = fixture_new(2, NULL);
    struct router *router = &fixture->core->router;
    struct client *clients[3];
    uint64_t version;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        clients[i] = connect_with(fixture, i % 2, (char[]){(char)('a' + i), 0}, 0, 0);
    }
    assert_int_equal(fixture_publish(fixture, 0, TOPIC, 1, 0), PUBLISH_UNMATCHED);
    join(clients[0], "t/+", 0);
    version = router->wildcard_version;
    publish(fixture, 0, 2, 0);
    fixture_expect(clients[0], "2");
    join(clients[1], "t/+", 0);
    assert_int_equal(join_with(clients[2], "other", "t/+", 0, 0), 0);
    publish(fixture, 0, 3, 0);
    fixture_expect(clients[1], "3");
    fixture_expect(clients[2], "3");
    assert_true(leave(clients[0], GROUP, "t/+"));
    assert_true(leave(clients[1], GROUP, "t/+"));
    assert_int_equal(router->wildcard_version, version);
    publish(fixture, 0, 4, 0);
    fixture_expect(clients[2], "4");
    assert_true(leave(clients[2], "other", "t/+"));
    assert_true(router->wildcard_version > version);
    assert_int_equal(fixture_publish(fixture, 0, TOPIC, 5, 0), PUBLISH_UNMATCHED);
    fixture_free(fixture);
}

static void test_deepest_filter(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *client = connect_with(fixture, 0, "a", 0, 0);
    char filter[402];

    (void)state;
    for (size_t i = 0; i < 201; i++) {
        filter[2 * i] = '+';
        filter[2 * i + 1] = '/';
    }
    filter[401] = '\0';
    join(client, filter, 0);
    memset(filter, 'a', 1);
    for (size_t i = 0; i < 201; i++) {
        filter[2 * i] = 'a';
    }
    assert_int_equal(fixture_publish(fixture, 0, filter, 1, 0), PUBLISH_MATCHED);
    fixture_expect(client, "1");
    fixture_free(fixture);
}

/* Who is able */

/* Within an iteration everybody has its turn; after one, a full member is passed over. */
static void test_a_full_member_is_passed_over(void **state)
{
    (void)state;
    for (unsigned worker = 0; worker < 2; worker++) {
        struct fixture *fixture = fixture_new(2, NULL);
        struct client *a = member(fixture, 0, "a", 1, 1);
        struct client *b = member(fixture, worker, "b", 1, 0);

        for (uint32_t number = 1; number <= 4; number++) {
            fixture_publish(fixture, 0, TOPIC, number, 1);
        }
        fixture_settle(fixture);
        fixture_expect(a, "1q1@1");
        fixture_expect(b, "2q1@1 4q1@2");
        for (uint32_t number = 5; number <= 7; number++) {
            publish(fixture, 0, number, 1);
        }
        fixture_expect(b, "5q1@3 6q1@4 7q1@5");
        acknowledge(a, 1);
        fixture_expect(a, "3q1@2");
        publish(fixture, 0, 8, 1);
        fixture_expect(b, "8q1@6");
        acknowledge(a, 2);
        publish(fixture, 0, 9, 1);
        publish(fixture, 0, 10, 1);
        assert_int_equal(a->sent_len, 1);
        assert_int_equal(b->sent_len, 1);
        fixture_free(fixture);
    }
}

/* How many members of a group of TOPIC are told able on worker 0. */
static uint32_t able_len(struct fixture *fixture)
{
    struct shard *shard = fixture_enter(fixture, 0);
    uint32_t node = tree_find(fixture->core->router.tree, slice_of_text(TOPIC "/#" GROUP));

    return share_len(router_share(shard, node), 0, SHARE_ABLE);
}

/* Its acknowledgement may lie in the socket until the next iteration has read it. */
static void test_full_for_a_whole_iteration(void **state)
{
    struct fixture *fixture = fixture_new(2, NULL);

    (void)state;
    member(fixture, 0, "a", 1, 1);
    assert_int_equal(fixture_publish(fixture, 1, TOPIC, 1, 1), PUBLISH_MATCHED);
    fixture_iterate(fixture, 1);
    fixture_iterate(fixture, 0);
    assert_int_equal(able_len(fixture), 1);
    assert_true(shard_has_work(fixture_enter(fixture, 0)));
    fixture_iterate(fixture, 0);
    assert_int_equal(able_len(fixture), 0);
    assert_false(shard_has_work(fixture_enter(fixture, 0)));
    fixture_free(fixture);
}

/* So does one whose output is not read. */
static void test_a_peer_that_is_behind_is_passed_over(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *a = member(fixture, 0, "a", 0, 0);
    struct client *b = member(fixture, 0, "b", 0, 0);

    (void)state;
    a->pending = 1 << 20;
    for (uint32_t number = 1; number <= 5; number++) {
        publish(fixture, 0, number, 0);
    }
    fixture_expect(a, "1");
    fixture_expect(b, "2 3 4 5");
    a->pending = 0;
    session_on_room(fixture_enter(fixture, 0), a->session);
    for (uint32_t number = 6; number <= 9; number++) {
        publish(fixture, 0, number, 0);
    }
    assert_int_equal(a->sent_len, 2);
    assert_int_equal(b->sent_len, 2);
    fixture_free(fixture);
}

/* All are full: it waits with one that is connected, as long as that has room in its queue. */
static void test_a_full_group_queues(void **state)
{
    struct core_limits limits = {
        .max_queued = 2, .delivery_budget = 100, .at_once = 10, .cleanup_budget = 10};
    struct fixture *fixture = fixture_new(2, &limits);
    struct client *a = member(fixture, 0, "a", 1, 1);
    struct client *b = member(fixture, 1, "b", 1, 1);

    (void)state;
    for (uint32_t number = 1; number <= 6; number++) {
        publish(fixture, 0, number, 1);
    }
    assert_int_equal(dropped_full(fixture), 0);
    publish(fixture, 0, 7, 1);
    publish(fixture, 1, 8, 0);
    assert_int_equal(dropped_full(fixture), 1);
    assert_int_equal(dropped(fixture), 0);
    for (uint16_t i = 1; i <= 3; i++) {
        acknowledge(a, i);
        acknowledge(b, i);
    }
    for (uint32_t number = 1; number <= 6; number++) {
        assert_int_equal(fixture_count(a, number) + fixture_count(b, number), 1);
    }
    assert_int_equal(fixture_count(a, 8) + fixture_count(b, 8), 1);
    fixture_free(fixture);
}

static void test_it_waits_where_a_session_is_kept(void **state)
{
    struct fixture *fixture = fixture_new(3, NULL);
    struct client *a = connect_with(fixture, 1, "a", 100, 0);
    struct client *b = connect_with(fixture, 2, "b", 100, 0);
    struct client *again;

    (void)state;
    join(a, TOPIC, 2);
    join(b, TOPIC, 1);
    fixture_disconnect(a, SESSION_LEAVE_QUIETLY);
    for (uint32_t number = 1; number <= 3; number++) {
        publish(fixture, 0, number, 2);
    }
    fixture_expect(b, "1q1@1 2q1@2 3q1@3");
    fixture_disconnect(b, SESSION_LEAVE_QUIETLY);
    for (uint32_t number = 4; number <= 7; number++) {
        publish(fixture, 0, number, 1);
    }
    publish(fixture, 0, 8, 0);
    assert_int_equal(dropped(fixture), 1);
    again = connect_with(fixture, 1, "a", 100, 0);
    assert_int_equal(again->sent_len, 2);
    publish(fixture, 0, 9, 0);
    publish(fixture, 0, 10, 0);
    assert_int_equal(fixture_count(again, 9), 1);
    assert_int_equal(fixture_count(again, 10), 1);
    b = connect_with(fixture, 2, "b", 100, 0);
    assert_int_equal(b->sent_len, 5);
    fixture_free(fixture);
}

/* When nobody can take it a member's own limits decide, wherever it waits. */
static void test_a_full_queue_of_one_that_is_away(void **state)
{
    struct core_limits limits = {
        .max_queued = 2, .delivery_budget = 100, .at_once = 10, .cleanup_budget = 10};
    struct fixture *fixture = fixture_new(2, &limits);
    struct client *a = connect_with(fixture, 1, "a", 100, 0);

    (void)state;
    join(a, TOPIC, 1);
    a->session->queue_policy = SETTINGS_QUEUE_DROP_OLDEST;
    fixture_disconnect(a, SESSION_LEAVE_QUIETLY);
    for (uint32_t number = 1; number <= 4; number++) {
        publish(fixture, 0, number, 1);
    }
    publish(fixture, 0, 5, 0);
    assert_int_equal(dropped_full(fixture), 2);
    assert_int_equal(dropped(fixture), 1);
    a = connect_with(fixture, 1, "a", 100, 0);
    fixture_expect(a, "3q1@1 4q1@2");
    fixture_free(fixture);
}

/* Members of QoS 0 that are away keep nothing. */
static void test_nothing_waits_at_qos_0(void **state)
{
    struct fixture *fixture = fixture_new(2, NULL);
    struct client *a = connect_with(fixture, 0, "a", 100, 0);
    struct client *b = connect_with(fixture, 1, "b", 100, 0);

    (void)state;
    join(a, TOPIC, 0);
    join(b, TOPIC, 1);
    fixture_disconnect(a, SESSION_LEAVE_QUIETLY);
    fixture_disconnect(b, SESSION_LEAVE_QUIETLY);
    for (uint32_t number = 1; number <= 4; number++) {
        publish(fixture, 0, number, 1);
    }
    b = connect_with(fixture, 1, "b", 100, 0);
    fixture_expect(b, "1q1@1 2q1@2 3q1@3 4q1@4");
    assert_int_equal(dropped(fixture), 0);
    fixture_free(fixture);
}

/* The member leaves while the message is on its way: another worker's member gets it. */
static void test_gone_before_it_arrives(void **state)
{
    (void)state;
    for (unsigned how = 0; how < 3; how++) {
        struct fixture *fixture = fixture_new(3, NULL);
        struct client *a = connect_with(fixture, 1, "a", how == 2 ? 100 : 0, 0);
        struct client *b;

        join(a, TOPIC, 1);
        assert_int_equal(fixture_publish(fixture, 0, TOPIC, 1, 1), PUBLISH_MATCHED);
        b = member(fixture, 2, "b", 1, 0);
        if (how == 0) {
            assert_true(leave(a, GROUP, TOPIC));
        } else {
            fixture_disconnect(a, SESSION_LEAVE_QUIETLY);
        }
        fixture_settle(fixture);
        fixture_expect(b, "1q1@1");
        fixture_expect(a, "");
        assert_int_equal(dropped(fixture), 0);
        fixture_free(fixture);
    }
}

static void test_dropped_when_nobody_is_left(void **state)
{
    struct fixture *fixture = fixture_new(3, NULL);
    struct client *a = member(fixture, 1, "a", 1, 0);

    (void)state;
    assert_int_equal(fixture_publish(fixture, 0, TOPIC, 1, 1), PUBLISH_MATCHED);
    assert_true(leave(a, GROUP, TOPIC));
    assert_int_equal(fixture_publish(fixture, 0, TOPIC, 2, 1), PUBLISH_UNMATCHED);
    fixture_settle(fixture);
    assert_int_equal(dropped(fixture), 1);
    fixture_expect(a, "");
    fixture_free(fixture);
}

/* A session in more groups than are told at once; each finds out by itself, and back. */
static void test_a_member_of_many_groups(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *a = connect_with(fixture, 0, "a", 0, 1);
    struct client *b = connect_with(fixture, 0, "b", 0, 0);
    char group[8];

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        snprintf(group, sizeof(group), "g%u", i);
        assert_int_equal(join_with(a, group, TOPIC, 1, 0), 0);
        assert_int_equal(join_with(b, group, TOPIC, 1, 0), 0);
    }
    publish(fixture, 0, 1, 1);
    assert_int_equal(a->sent_len + outbound_queued(&a->session->outbound), 100);
    publish(fixture, 0, 2, 1);
    publish(fixture, 0, 3, 1);
    assert_int_equal(fixture_count(b, 2) + fixture_count(b, 3), 200);
    for (uint16_t id = 1; id <= 100; id++) {
        acknowledge(a, id);
    }
    assert_int_equal(session_membership(a->session)->passed_len, 0);
    for (unsigned i = 0; i < 100; i += 2) {
        snprintf(group, sizeof(group), "g%u", i);
        assert_true(leave(a, group, TOPIC));
    }
    publish(fixture, 0, 4, 1);
    publish(fixture, 0, 5, 1);
    assert_int_equal(fixture_count(b, 4) + fixture_count(b, 5) + a->sent_len - 100 +
                         outbound_queued(&a->session->outbound),
                     200);
    fixture_disconnect(a, SESSION_LEAVE_QUIETLY);
    fixture_settle(fixture);
    publish(fixture, 0, 6, 1);
    assert_int_equal(fixture_count(b, 6), 100);
    fixture_free(fixture);
}

static void test_leaving_groups_that_pass_it_over(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *a = connect_with(fixture, 0, "a", 0, 1);
    const struct membership *membership;
    char group[8];

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        snprintf(group, sizeof(group), "g%u", i);
        assert_int_equal(join_with(a, group, TOPIC, 1, 0), 0);
    }
    publish(fixture, 0, 1, 1);
    membership = session_membership(a->session);
    assert_int_equal(membership->passed_len, 6);
    assert_int_equal(join_with(a, GROUP, TOPIC, 1, 0), 0);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(group, sizeof(group), "g%u", 2 * i);
        assert_true(leave(a, group, TOPIC));
        assert_int_equal(membership->passed_len, 5 - i);
    }
    assert_int_equal(membership->len, 4);
    for (uint16_t id = 1; id <= 6; id++) {
        /* What waited for groups that it left is nobody's. */
        session_on_puback(fixture_enter(fixture, 0), a->session, id);
    }
    assert_int_equal(membership->passed_len, 0);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(group, sizeof(group), "g%u", 2 * i + 1);
        assert_true(leave(a, group, TOPIC));
    }
    assert_true(leave(a, GROUP, TOPIC));
    assert_null(session_membership(a->session));
    fixture_free(fixture);
}

/* One that was away has its turn again. */
static void test_back_again(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *a = connect_with(fixture, 0, "a", 100, 0);
    struct client *b = member(fixture, 0, "b", 1, 0);

    (void)state;
    join(a, TOPIC, 1);
    fixture_disconnect(a, SESSION_LEAVE_QUIETLY);
    assert_int_equal(able_len(fixture), 1);
    publish(fixture, 0, 1, 1);
    publish(fixture, 0, 2, 1);
    fixture_expect(b, "1q1@1 2q1@2");
    a = connect_with(fixture, 0, "a", 100, 0);
    publish(fixture, 0, 3, 1);
    publish(fixture, 0, 4, 1);
    assert_int_equal(a->sent_len, 1);
    assert_int_equal(b->sent_len, 1);
    fixture_free(fixture);
}

/* Leaving */

/* What was begun is completed, what waited goes to others [MQTT-3.10.4-3]. */
static void test_unsubscribing_hands_on_what_was_not_sent(void **state)
{
    struct fixture *fixture = fixture_new(2, NULL);
    struct client *a = member(fixture, 0, "a", 1, 2);
    struct client *other = fixture_connected(fixture, 1, "other");
    struct client *b;

    (void)state;
    fixture_subscribe(a, TOPIC, 1);
    fixture_subscribe(other, TOPIC, 0);
    for (uint32_t number = 1; number <= 3; number++) {
        publish(fixture, 0, number, 1);
    }
    fixture_expect(a, "1q1@1 1q1@2");
    b = member(fixture, 1, "b", 1, 0);
    assert_true(leave(a, GROUP, TOPIC));
    assert_int_equal(outbound_queued_bytes(&a->session->outbound), 2 * sizeof(uint32_t));
    fixture_settle(fixture);
    fixture_expect(b, "2q1@1 3q1@2");
    fixture_expect(other, "1 2 3");
    for (uint16_t id = 1; id <= 4; id++) {
        acknowledge(a, id);
    }
    fixture_expect(a, "2q1@3 3q1@4");
    assert_int_equal(dropped(fixture), 0);
    fixture_free(fixture);
}

/* How a session with unacknowledged deliveries ends. */
enum ending { ENDS_BY_DISCONNECT, ENDS_BY_TAKEOVER, ENDS_BY_EXPIRY, ENDS_LATER, ENDING_LEN };

static void end_session(struct client *client, enum ending ending)
{
    struct fixture *fixture = client->fixture;
    struct client *next = fixture_client(fixture, client->worker, client->id);
    struct session_request request = {.clean_start = true};

    if (ending == ENDS_BY_TAKEOVER) {
        assert_int_equal(fixture_connect(next, &request), SESSION_CREATED);
        return;
    }
    if (ending == ENDS_LATER) {
        assert_true(leave(client, GROUP, TOPIC));
    }
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    if (ending == ENDS_BY_EXPIRY) {
        fixture_wait(fixture, 5000);
    }
}

/* Six messages: 1 is acknowledged, 2 released, 3 and 4 are in flight, 5 and 6 wait. */
static void test_the_end_of_a_session_hands_on(void **state)
{
    (void)state;
    for (unsigned ending = 0; ending < ENDING_LEN; ending++) {
        for (unsigned worker = 0; worker < 2; worker++) {
            struct fixture *fixture = fixture_new(2, NULL);
            struct client *a = connect_with(fixture, 0, "a", ending == ENDS_BY_EXPIRY ? 2 : 0, 4);
            struct client *b = connect_with(fixture, worker, "b", 0, 0);
            static const uint8_t qos[] = {1, 2, 1, 2, 1, 2};

            join(a, TOPIC, 2);
            for (uint32_t i = 0; i < 6; i++) {
                fixture_publish(fixture, 0, TOPIC, i + 1, qos[i]);
            }
            fixture_expect(a, "1q1@1 2q2@2 3q1@3 4q2@4");
            join(b, TOPIC, 2);
            a->session->window = 3; /* the acknowledgement lets nothing more go */
            acknowledge(a, 1);
            assert_int_equal(session_on_pubrec(fixture_enter(fixture, 0), a->session, 2, false),
                             ACK_OK);
            end_session(a, ending);
            fixture_settle(fixture);
            assert_int_equal(fixture_count(b, 1) + fixture_count(b, 2) + fixture_count(b, 4), 0);
            assert_int_equal(fixture_count(b, 3), 1);
            assert_int_equal(fixture_count(b, 5), 1);
            assert_int_equal(fixture_count(b, 6), 1);
            assert_int_equal(b->sent_len, 3);
            assert_int_equal(dropped(fixture), 0);
            fixture_free(fixture);
        }
    }
}

/* What a leaving member kept for too long goes to nobody [MQTT-3.3.2-5]. */
static void test_what_has_expired_is_not_handed_on(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *a = member(fixture, 0, "a", 1, 1);
    struct client *b;

    (void)state;
    for (uint32_t number = 1; number <= 3; number++) {
        struct shard *shard = fixture_enter(fixture, 0);
        struct publication publication = fixture_publication(shard, TOPIC, &number);

        publication.parts.qos = 1;
        publication.parts.expires_at = shard_now(shard) + (number == 2 ? 2 : 60);
        assert_int_equal(shard_publish(shard, &publication), PUBLISH_MATCHED);
        publication_deinit(&publication);
    }
    fixture_settle(fixture);
    fixture_expect(a, "1q1@1");
    fixture_wait(fixture, 5000);
    b = member(fixture, 0, "b", 0, 0);
    assert_true(leave(a, GROUP, TOPIC));
    fixture_settle(fixture);
    fixture_expect(b, "3");
    assert_int_equal(metrics_get(fixture_enter(fixture, 0)->metrics, METRIC_DROPPED_EXPIRED), 1);
    fixture_free(fixture);
}

/* More than an iteration's clean-up may hand on goes on in the next. */
static void test_handing_on_in_slices(void **state)
{
    struct core_limits limits = {.delivery_budget = 50, .at_once = 10, .cleanup_budget = 20};
    struct fixture *fixture = fixture_new(1, &limits);
    struct client *a = member(fixture, 0, "a", 1, 1);
    struct client *b;

    (void)state;
    for (uint32_t number = 1; number <= 300; number++) {
        fixture_publish(fixture, 0, TOPIC, number, 1);
    }
    b = member(fixture, 0, "b", 1, 0);
    fixture_disconnect(a, SESSION_LEAVE_QUIETLY);
    assert_true(shard_has_work(fixture_enter(fixture, 0)));
    fixture_iterate(fixture, 0);
    fixture_iterate(fixture, 0);
    assert_true(b->sent_len > 0 && b->sent_len < 100);
    fixture_settle(fixture);
    for (uint32_t number = 1; number <= 300; number++) {
        assert_int_equal(b->sent[number - 1].number, number);
    }
    fixture_free(fixture);
}

/* The session that is over still stands in groups until it is cleaned up: it gets nothing. */
static void test_a_session_that_is_over_gets_nothing(void **state)
{
    struct core_limits limits = {.delivery_budget = 50, .at_once = 10, .cleanup_budget = 1};
    struct fixture *fixture = fixture_new(1, &limits);
    struct client *a = member(fixture, 0, "a", 1, 0);
    struct client *b = member(fixture, 0, "b", 1, 0);

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        char filter[8];

        snprintf(filter, sizeof(filter), "x/%u", i);
        fixture_subscribe(a, filter, 0);
    }
    fixture_disconnect(a, SESSION_LEAVE_QUIETLY);
    for (uint32_t number = 1; number <= 4; number++) {
        fixture_publish(fixture, 0, TOPIC, number, 1);
    }
    fixture_expect(b, "1q1@1 2q1@2 3q1@3 4q1@4");
    fixture_settle(fixture);
    fixture_free(fixture);
}

/* A refusal is an acknowledgement, too [MQTT-4.8.2-6]. */
static void test_a_refused_message_goes_nowhere_else(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *a = member(fixture, 0, "a", 2, 0);
    struct client *b;

    (void)state;
    publish(fixture, 0, 1, 2);
    b = member(fixture, 0, "b", 2, 0);
    assert_int_equal(session_on_pubrec(fixture_enter(fixture, 0), a->session, 1, true), ACK_OK);
    fixture_disconnect(a, SESSION_LEAVE_QUIETLY);
    fixture_settle(fixture);
    fixture_expect(b, "");
    fixture_free(fixture);
}

/* Many groups */

#define MANY 300

/* More turns than an iteration may serve go on from a cursor, before the ordinary subscribers. */
static void test_many_groups_in_slices(void **state)
{
    struct core_limits limits = {.delivery_budget = 7, .at_once = 64, .cleanup_budget = 100};
    struct fixture *fixture = fixture_new(2, &limits);
    struct client *a = connect_with(fixture, 0, "a", 0, 0);
    struct client *b = connect_with(fixture, 1, "b", 0, 0);
    char group[8];

    (void)state;
    fixture_subscribe(a, "#", 0);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(group, sizeof(group), "g%u", i);
        assert_int_equal(join_with(a, group, TOPIC, 0, 1), 0);
        assert_int_equal(join_with(b, group, TOPIC, 0, 1), 0);
    }
    fixture_iterate(fixture, 0);
    fixture_publish(fixture, 0, TOPIC, 1, 0);
    assert_true(shard_is_in_fanout(fixture_enter(fixture, 0)));
    assert_int_equal(a->sent_len, 7);
    fixture_publish(fixture, 0, TOPIC, 2, 0);
    fixture_settle(fixture);
    for (uint32_t number = 1; number <= 2; number++) {
        assert_int_equal(fixture_count(a, number) + fixture_count(b, number), MANY + 1);
    }
    /* The end with turns unserved. */
    fixture_publish(fixture, 0, TOPIC, 3, 0);
    fixture_free(fixture);
}

/*
 * Where the publishing worker can't find all groups in time each is dealt by the worker that has
 * the charge of it: one copy for each group, in strict turn, whoever publishes.
 */
static void test_long_search_deals_each_group_once(void **state)
{
    struct core_limits limits = {
        .delivery_budget = 3, .at_once = 2, .cleanup_budget = 100, .search_steps = 1};
    struct fixture *fixture = fixture_new(3, &limits);
    struct client *clients[6];
    struct client *plain = connect_with(fixture, 1, "plain", 0, 0);
    char name[8];

    (void)state;
    fixture_subscribe(plain, "+/a", 0);
    for (unsigned i = 0; i < 6; i++) {
        snprintf(name, sizeof(name), "%u", i);
        clients[i] = connect_with(fixture, i % 3, name, 0, 0);
        for (unsigned group = 0; group < 20; group++) {
            snprintf(name, sizeof(name), "g%u", group);
            assert_int_equal(join_with(clients[i], name, group % 2 ? "t/+" : "+/a", 1, group + 1),
                             0);
        }
    }
    fixture_settle(fixture);
    for (uint32_t number = 1; number <= 60; number++) {
        fixture_publish(fixture, number % 3, TOPIC, number, number % 2);
        fixture_settle(fixture);
        assert_int_equal(fixture_count(plain, number), 1);
    }
    for (unsigned i = 0; i < 6; i++) {
        unsigned lens[20] = {0};

        assert_int_equal(clients[i]->sent_len, 20 * 60 / 6);
        for (size_t n = 0; n < clients[i]->sent_len; n++) {
            lens[clients[i]->sent[n].head.identifier - 1]++;
        }
        for (unsigned group = 0; group < 20; group++) {
            assert_int_equal(lens[group], 60 / 6);
        }
    }
    assert_int_equal(dropped(fixture), 0);
    fixture_free(fixture);
}

/* The turns that a worker has dealt and not pushed yet. */
static unsigned turns_pending(const struct fixture *fixture, unsigned worker)
{
    const struct fixture_queue *queue = &fixture->workers[worker].pending;
    unsigned turns = 0;

    for (size_t i = queue->at; i < queue->len; i++) {
        const struct share_post *shared = queue->entries[i].object;

        turns += queue->entries[i].kind == POST_SHARED ? shared->len : 0;
    }
    return turns;
}

static void join_numbered(struct client *client, unsigned group)
{
    char name[8];

    snprintf(name, sizeof(name), "g%u", group);
    assert_int_equal(join_with(client, name, TOPIC, 0, group + 1), 0);
}

static void leave_numbered(struct client *client, unsigned group)
{
    char name[8];

    snprintf(name, sizeof(name), "g%u", group);
    assert_true(leave(client, name, TOPIC));
}

/* How many of its copies of a message a client had as a member of one group. */
static unsigned copies_of_group(const struct client *client, uint32_t number, unsigned group)
{
    unsigned copies = 0;

    for (size_t i = 0; i < client->sent_len; i++) {
        copies += client->sent[i].number == number && client->sent[i].head.identifier == group + 1;
    }
    return copies;
}

/*
 * More groups at one filter than may be dealt at once: some leave and come back meanwhile, and so
 * many come that the set is made anew without its holes. Those that stay get one copy each, those
 * that go one or none, and so do those that come.
 */
static void test_groups_of_one_filter_in_slices(void **state)
{
    struct core_limits limits = {
        .delivery_budget = 7, .at_once = 2, .cleanup_budget = 100, .search_steps = 8};
    struct fixture *fixture = fixture_new(2, &limits);
    struct client *clients[] = {connect_with(fixture, 0, "a", 0, 0),
                                connect_with(fixture, 1, "b", 0, 0)};
    bool has_left[2 * MANY] = {false};
    unsigned busy = 0;
    uint64_t seed = 1;

    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        join_numbered(clients[i % 2], i);
    }
    fixture_settle(fixture);
    assert_int_equal(fixture_publish(fixture, 0, TOPIC, 1, 1), PUBLISH_LEFT);
    for (unsigned round = 0; fixture_has_work(fixture); round++) {
        unsigned worker = round % 2;
        struct shard *shard = fixture_enter(fixture, worker);
        unsigned gone = fixture_random(&seed, MANY);
        unsigned before = turns_pending(fixture, worker); /* of those that left */
        unsigned turns;

        shard_begin(shard, fixture->now_ms);
        fanout_go_on(shard);
        turns = turns_pending(fixture, worker) - before;
        assert_true(turns <= limits.delivery_budget);
        busy += turns > 0;
        fixture_iterate(fixture, worker);
        if (round < MANY) {
            join_numbered(clients[worker], MANY + round);
            leave_numbered(clients[gone % 2], gone);
            has_left[gone] = true;
            if (round % 2) {
                join_numbered(clients[gone % 2], gone);
            } else {
                join_numbered(clients[1 - gone % 2], gone);
                leave_numbered(clients[1 - gone % 2], gone);
                join_numbered(clients[gone % 2], gone);
            }
        }
    }
    assert_true(busy > 2);
    for (unsigned i = 0; i < 2 * MANY; i++) {
        unsigned copies = copies_of_group(clients[0], 1, i) + copies_of_group(clients[1], 1, i);

        assert_true(copies <= 1 && (copies == 1 || i >= MANY || has_left[i]));
    }
    /* Everybody leaves in the middle; and the end with nodes that are not dealt yet. */
    fixture_publish(fixture, 0, TOPIC, 2, 0);
    fixture_iterate(fixture, 0);
    for (unsigned i = 0; i < MANY; i++) {
        leave_numbered(clients[i % 2], i);
    }
    fixture_settle(fixture);
    for (unsigned i = 0; i < MANY; i++) {
        join_numbered(clients[i % 2], i);
    }
    fixture_publish(fixture, 0, TOPIC, 3, 0);
    fixture_iterate(fixture, 0);
    fixture_free(fixture);
}

/* Refused whole, and where it is accepted what can't be handed over is counted. */
static void test_long_search_without_memory(void **state)
{
    struct core_limits limits = {.delivery_budget = 100, .cleanup_budget = 100, .search_steps = 1};
    struct fixture *fixture = fixture_new(2, &limits);
    struct client *a = member(fixture, 0, "a", 1, 0);
    struct client *b = connect_with(fixture, 1, "b", 0, 0);
    unsigned refused = 0;
    unsigned got = 0;
    unsigned lost = 0;

    (void)state;
    assert_int_equal(join_with(b, "other", TOPIC, 1, 0), 0);
    fixture_settle(fixture);
    for (uint32_t number = 1; number <= 20; number++) {
        memory_fail_after(number);
        refused += fixture_publish(fixture, 0, TOPIC, number, 1) < 0;
        fixture_settle(fixture);
        memory_fail_after(0);
        got += fixture_count(a, number) + fixture_count(b, number);
        lost = (unsigned)core_count(fixture->core, METRIC_DROPPED_NO_MEMORY);
        assert_int_equal(2 * refused + got + lost, 2 * number);
    }
    assert_true(refused > 2 && lost > 1 && got > 20);
    fixture_free(fixture);
}

/* Turns of the publisher's own worker are served with the message, however many; where something
 * older waits they wait behind it. */
static void test_own_turns(void **state)
{
    struct fixture *fixture = fixture_new(2, NULL);
    struct client *a = connect_with(fixture, 0, "a", 0, 0);
    char group[8];

    (void)state;
    for (uint32_t len = 1; len <= 2 * SHARE_OWN_CAP; len++) {
        snprintf(group, sizeof(group), "g%u", len);
        assert_int_equal(join_with(a, group, TOPIC, 1, len), 0);
        fixture->is_never_quiet = false;
        assert_int_equal(fixture_publish(fixture, 0, TOPIC, 2 * len, 1), PUBLISH_MATCHED);
        assert_int_equal(fixture_count(a, 2 * len), len);
        fixture->is_never_quiet = true;
        assert_int_equal(fixture_publish(fixture, 0, TOPIC, 2 * len + 1, 1), PUBLISH_MATCHED);
        assert_int_equal(fixture_count(a, 2 * len + 1), 0);
        fixture_settle(fixture);
        assert_int_equal(fixture_count(a, 2 * len + 1), len);
    }
    fixture_free(fixture);
}

/* As for ordinary subscribers (core/fanout_test.c): a long payload that several receive is shared.
 */
static void test_own_turns_refer_to_a_large_payload(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *a = connect_with(fixture, 0, "a", 0, 0);
    uint32_t payload[MESSAGE_COPY_MAX / 4 + 1] = {1};
    struct publication publication;

    (void)state;
    for (unsigned len = 1; len <= 3; len++) {
        if (len < 3) {
            assert_int_equal(join_with(a, len == 1 ? "g" : "h", TOPIC, 0, 0), 0);
        } else {
            assert_true(leave(a, "h", TOPIC));
            fixture_subscribe(a, TOPIC, 0);
        }
        publication = fixture_publication(fixture_enter(fixture, 0), TOPIC, payload);
        publication.parts.payload = slice_of(payload, sizeof(payload));
        assert_int_equal(shard_publish(fixture_enter(fixture, 0), &publication), PUBLISH_MATCHED);
        assert_int_equal(publication.message != NULL, len > 1);
        publication_deinit(&publication);
    }
    assert_int_equal(fixture_count(a, 1), 5);
    fixture_free(fixture);
}

/* Groups come and go around those that stay, over many sizes of the set. */
static void test_groups_come_and_go(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *client = connect_with(fixture, 0, "a", 0, 0);
    bool is_in[MANY] = {false};
    unsigned len = 0;
    uint64_t seed = 3;
    char group[8];

    (void)state;
    for (uint32_t number = 1; number <= 4000; number++) {
        unsigned i = fixture_random(&seed, number % 1000 < 500 ? MANY : 20);

        snprintf(group, sizeof(group), "g%u", i);
        if (is_in[i]) {
            assert_true(leave(client, group, TOPIC));
        } else {
            assert_int_equal(join_with(client, group, TOPIC, 0, 0), 0);
        }
        len += is_in[i] ? -1u : 1u;
        is_in[i] = !is_in[i];
        client->sent_len = 0;
        assert_int_equal(fixture_publish(fixture, 0, TOPIC, number, 0),
                         len ? PUBLISH_MATCHED : PUBLISH_UNMATCHED);
        fixture_iterate(fixture, 0);
        assert_int_equal(fixture_count(client, number), len);
        assert_int_equal(fixture->core->router.share_len, len);
    }
    fixture_free(fixture);
}

/* No memory */

static void test_no_memory_joins_nobody(void **state)
{
    struct fixture *fixture = fixture_new(2, NULL);
    struct router *router = &fixture->core->router;
    unsigned refused = 0;

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        struct client *client = connect_with(fixture, i % 2, (char[]){(char)('a' + i), 0}, 0, 0);
        static const char *const groups[] = {"g", "a-name-longer-than-a-node-takes"};
        int r = -ENOMEM;

        if (i >= 4) {
            fixture_subscribe(client, i == 4 ? "other/filter" : "t/+/longer-than-a-node-takes", 0);
        }
        for (unsigned n = 1; r < 0; n++) {
            size_t nodes = tree_len(router->tree);
            size_t len = fixture_subscriptions(fixture->core);

            memory_fail_after(n);
            r = join_with(client, groups[i / 2 % 2], i < 4 ? TOPIC : "t/+/longer-than-a-node-takes",
                          1, 0);
            memory_fail_after(0);
            refused += r < 0;
            assert_true(r == 0 || r == -ENOMEM);
            /* A node may have come where the filter's path branched off. */
            assert_true(r == 0 || tree_len(router->tree) - nodes <= 1);
            assert_int_equal(fixture_subscriptions(fixture->core), r == 0 ? len + 1 : len);
            fixture_settle(fixture);
        }
    }
    assert_true(refused > 20);
    fixture_free(fixture);
}

/* A refused PUBLISH reached nobody; one that is handed on without memory is dropped and counted. */
static void publish_without_memory(bool waits)
{
    struct fixture *fixture = fixture_new(2, NULL);
    struct client *a = connect_with(fixture, 0, "a", 0, 0);
    struct client *b = connect_with(fixture, 1, "b", 0, 0);
    unsigned refused = 0;
    char group[8];

    fixture->is_never_quiet = waits;
    for (unsigned i = 0; i < 9; i++) {
        snprintf(group, sizeof(group), "g%u", i);
        assert_int_equal(join_with(i % 2 ? a : b, group, TOPIC, 1, 0), 0);
    }
    for (uint32_t number = 1; number <= 20; number++) {
        bool retains = number > 10;
        int r;

        memory_fail_after(number > 10 ? number - 10 : number);
        r = retains ? fixture_retain(fixture, 0, TOPIC, number, 0)
                    : fixture_publish(fixture, 0, TOPIC, number, 0);
        memory_fail_after(0);
        fixture_settle(fixture);
        assert_true(r == PUBLISH_MATCHED || r == -ENOMEM);
        refused += r < 0;
        assert_int_equal(fixture_count(a, number) + fixture_count(b, number), r < 0 ? 0 : 9);
    }
    assert_true(refused > 10);
    fixture_free(fixture);
}

/* Its own worker's turns, too, which need memory only where something older waits. */
static void test_no_memory_to_publish(void **state)
{
    (void)state;
    publish_without_memory(false);
    publish_without_memory(true);
}

/* Random */

#define RANDOM_IDS      8
#define RANDOM_MESSAGES 6000

struct random_run {
    struct fixture *fixture;
    struct client *clients[RANDOM_IDS]; /* NULL: not connected */
    bool is_member[RANDOM_IDS];
    uint8_t qos[RANDOM_MESSAGES + 1];
    uint64_t seed;
};

static void random_connect(struct random_run *run, unsigned i)
{
    struct client *client = fixture_client(run->fixture, i % 3, (char[]){(char)('a' + i), 0});
    struct session_request request = {
        .clean_start = i >= 4 && fixture_random(&run->seed, 2) == 0,
        .expiry_interval = i < 4 || fixture_random(&run->seed, 2) ? SESSION_NEVER : 0,
        .window = fixture_random(&run->seed, 4),
    };

    if (fixture_connect(client, &request) == SESSION_CREATED) {
        run->is_member[i] = false;
    }
    run->clients[i] = client;
    if (i < 4 || fixture_random(&run->seed, 2)) {
        join(client, TOPIC, 2);
        run->is_member[i] = true;
    }
}

/* Those of the first four stay members for ever. */
static void random_change(struct random_run *run)
{
    unsigned i = fixture_random(&run->seed, RANDOM_IDS);
    struct client *client = run->clients[i];

    if (!client) {
        random_connect(run, i);
    } else if (i >= 4 && run->is_member[i] && fixture_random(&run->seed, 2)) {
        assert_true(leave(client, GROUP, TOPIC));
        run->is_member[i] = false;
    } else if (fixture_random(&run->seed, 2)) {
        fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
        run->clients[i] = NULL;
    } else {
        random_connect(run, i);
    }
}

/* Acknowledges some of what is in flight, to the end. */
static void random_acknowledge(struct random_run *run, uint32_t chance)
{
    unsigned i = fixture_random(&run->seed, RANDOM_IDS);
    struct client *client = run->clients[i];

    for (size_t at = 0; client && at < client->sent_len; at++) {
        struct shard *shard = fixture_enter(run->fixture, client->worker);
        struct sent *sent = &client->sent[at];

        if (sent->head.packet_id == 0 || fixture_random(&run->seed, 100) >= chance) {
            continue;
        }
        if (sent->is_pubrel) {
            session_on_pubcomp(shard, client->session, sent->head.packet_id);
        } else if (sent->head.qos == 1) {
            session_on_puback(shard, client->session, sent->head.packet_id);
        } else if (session_on_pubrec(shard, client->session, sent->head.packet_id, false) ==
                   ACK_OK) {
            session_on_pubcomp(shard, client->session, sent->head.packet_id);
        }
        client->sent[at].head.packet_id = 0;
    }
}

/* First sendings: a repeat to the same session is none. */
static unsigned count_first(const struct fixture *fixture, uint32_t number)
{
    unsigned count = 0;

    for (const struct client *client = fixture->clients; client; client = client->next) {
        for (size_t i = 0; i < client->sent_len; i++) {
            count += client->sent[i].number == number && !client->sent[i].head.dup;
        }
    }
    return count;
}

/* Every message reaches one member; QoS 1 another when the first has left without a word. */
static void random_run(struct random_run *run)
{
    run->fixture = fixture_new(3, NULL);
    for (unsigned i = 0; i < RANDOM_IDS; i++) {
        random_connect(run, i);
    }
    for (uint32_t number = 1; number <= RANDOM_MESSAGES; number++) {
        run->qos[number] = (uint8_t)(1 + fixture_random(&run->seed, 2));
        fixture_publish(run->fixture, fixture_random(&run->seed, 3), TOPIC, number,
                        run->qos[number]);
        if (fixture_random(&run->seed, 6) == 0) {
            random_change(run);
        }
        if (fixture_random(&run->seed, 2) == 0) {
            random_acknowledge(run, 60);
        }
        if (fixture_random(&run->seed, 3) == 0) {
            fixture_iterate(run->fixture, fixture_random(&run->seed, 3));
        }
    }
}

static bool is_drained(struct random_run *run)
{
    for (unsigned i = 0; i < RANDOM_IDS; i++) {
        if (outbound_len(&run->clients[i]->session->outbound) > 0) {
            return false;
        }
    }
    return true;
}

static void random_finish(struct random_run *run)
{
    unsigned rounds = 0;

    for (unsigned i = 0; i < RANDOM_IDS; i++) {
        if (!run->clients[i]) {
            random_connect(run, i);
        }
    }
    do {
        random_acknowledge(run, 100);
        fixture_settle(run->fixture);
        assert_true(++rounds < 100000);
    } while (!is_drained(run));
}

static void test_random_no_message_is_lost(void **state)
{
    static struct random_run run;

    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        memset(&run, 0, sizeof(run));
        run.seed = seed;
        random_run(&run);
        random_finish(&run);
        assert_int_equal(dropped(run.fixture), 0);
        for (uint32_t number = 1; number <= RANDOM_MESSAGES; number++) {
            unsigned count = count_first(run.fixture, number);

            assert_true(count >= 1);
            assert_true(count == 1 || run.qos[number] == 1);
        }
        fixture_free(run.fixture);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strict_turn_over_all_workers),
        cmocka_unit_test(test_each_takes_it_at_its_own_qos),
        cmocka_unit_test(test_groups_and_others_side_by_side),
        cmocka_unit_test(test_joining_a_group_voids_no_cached_match),
        cmocka_unit_test(test_deepest_filter),
        cmocka_unit_test(test_a_full_member_is_passed_over),
        cmocka_unit_test(test_full_for_a_whole_iteration),
        cmocka_unit_test(test_leaving_groups_that_pass_it_over),
        cmocka_unit_test(test_back_again),
        cmocka_unit_test(test_a_peer_that_is_behind_is_passed_over),
        cmocka_unit_test(test_a_full_group_queues),
        cmocka_unit_test(test_it_waits_where_a_session_is_kept),
        cmocka_unit_test(test_a_full_queue_of_one_that_is_away),
        cmocka_unit_test(test_nothing_waits_at_qos_0),
        cmocka_unit_test(test_gone_before_it_arrives),
        cmocka_unit_test(test_dropped_when_nobody_is_left),
        cmocka_unit_test(test_a_member_of_many_groups),
        cmocka_unit_test(test_unsubscribing_hands_on_what_was_not_sent),
        cmocka_unit_test(test_the_end_of_a_session_hands_on),
        cmocka_unit_test(test_what_has_expired_is_not_handed_on),
        cmocka_unit_test(test_handing_on_in_slices),
        cmocka_unit_test(test_a_session_that_is_over_gets_nothing),
        cmocka_unit_test(test_a_refused_message_goes_nowhere_else),
        cmocka_unit_test(test_many_groups_in_slices),
        cmocka_unit_test(test_long_search_deals_each_group_once),
        cmocka_unit_test(test_groups_of_one_filter_in_slices),
        cmocka_unit_test(test_long_search_without_memory),
        cmocka_unit_test(test_own_turns),
        cmocka_unit_test(test_own_turns_refer_to_a_large_payload),
        cmocka_unit_test(test_groups_come_and_go),
        cmocka_unit_test(test_no_memory_joins_nobody),
        cmocka_unit_test(test_no_memory_to_publish),
        cmocka_unit_test(test_random_no_message_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
