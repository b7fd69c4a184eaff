#include "core/fixture.h"

/*
 * The limits of what waits for one client, and of what is in flight to it. Every message of these
 * tests has a payload of four bytes.
 */

static struct fixture *fixture_with(struct core_limits limits)
{
    limits.delivery_budget = 1000;
    limits.cleanup_budget = 10;
    return fixture_new(1, &limits);
}

/* A durable client that subscribes to "t". */
static struct client *connect_policy(struct fixture *fixture, const char *id, uint32_t window,
                                     uint8_t qos, enum settings_queue_policy policy)
{
    struct client *client = fixture_client(fixture, 0, id);
    struct session_request request = {
        .expiry_interval = 100, .window = window, .queue_policy = policy};

    assert_true(fixture_connect(client, &request) > 0);
    fixture_subscribe(client, "t", qos);
    return client;
}

static struct client *connect_newest(struct fixture *fixture, const char *id, uint32_t window,
                                     uint8_t qos)
{
    return connect_policy(fixture, id, window, qos, SETTINGS_QUEUE_DROP_NEWEST);
}

static void publish(struct fixture *fixture, uint32_t first, uint32_t last, uint8_t qos)
{
    for (uint32_t i = first; i <= last; i++) {
        fixture_publish(fixture, 0, "t", i, qos);
    }
}

static void acknowledge(struct client *client, uint16_t packet_id)
{
    struct shard *shard = fixture_enter(client->fixture, client->worker);

    assert_int_equal(session_on_puback(shard, client->session, packet_id), ACK_OK);
}

static uint64_t dropped(struct fixture *fixture)
{
    return metrics_get(fixture_enter(fixture, 0)->metrics, METRIC_DROPPED_QUEUE_FULL);
}

/* Nothing more is sent once so many bytes are in flight: the one that reaches it still is. */
static void test_bytes_in_flight(void **state)
{
    static const struct {
        uint64_t max;
        const char *at_once;
    } rows[] = {
        {0, "1q1@1 2q1@2 3q1@3 4q1@4"},
        {1, "1q1@1"                  },
        {4, "1q1@1"                  },
        {5, "1q1@1 2q1@2"            },
        {8, "1q1@1 2q1@2"            },
        {9, "1q1@1 2q1@2 3q1@3"      },
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture *fixture =
            fixture_with((struct core_limits){.max_inflight_bytes = rows[i].max});
        struct client *client = connect_newest(fixture, "a", 0, 1);

        publish(fixture, 1, 4, 1);
        fixture_expect(client, rows[i].at_once);
        fixture_free(fixture);
    }
}

static void test_bytes_in_flight_are_given_back(void **state)
{
    struct fixture *fixture = fixture_with((struct core_limits){.max_inflight_bytes = 8});
    struct client *client = connect_newest(fixture, "a", 0, 2);

    (void)state;
    publish(fixture, 1, 3, 2);
    publish(fixture, 4, 5, 1);
    fixture_expect(client, "1q2@1 2q2@2");
    /* PUBREC: the payload is not needed any more, and may be followed by another. */
    assert_int_equal(session_on_pubrec(fixture_enter(fixture, 0), client->session, 1, false),
                     ACK_OK);
    session_pump(fixture_enter(fixture, 0), client->session);
    fixture_expect(client, "3q2@3");
    assert_int_equal(session_on_pubrec(fixture_enter(fixture, 0), client->session, 2, true),
                     ACK_OK);
    fixture_expect(client, "4q1@4");
    acknowledge(client, 4);
    fixture_expect(client, "5q1@5");
    fixture_free(fixture);
}

/* A connection that comes again starts with nothing in flight. */
static void test_bytes_in_flight_start_again(void **state)
{
    struct fixture *fixture = fixture_with((struct core_limits){.max_inflight_bytes = 8});
    struct client *client = connect_newest(fixture, "a", 0, 1);
    struct session_request request = {.expiry_interval = 100};

    (void)state;
    publish(fixture, 1, 3, 1);
    fixture_expect(client, "1q1@1 2q1@2");
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    client = fixture_client(fixture, 0, "a");
    assert_int_equal(fixture_connect(client, &request), SESSION_RESUMED);
    fixture_expect(client, "1q1@1d 2q1@2d");
    acknowledge(client, 1);
    fixture_expect(client, "3q1@3");
    fixture_free(fixture);
}

static void test_bytes_that_wait(void **state)
{
    static const struct {
        uint64_t max;
        uint32_t kept; /* of 4 */
    } rows[] = {
        {0,  4},
        {1,  1},
        {4,  1},
        {5,  2},
        {8,  2},
        {12, 3},
        {13, 4},
        {99, 4}
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture *fixture =
            fixture_with((struct core_limits){.max_queued_bytes = rows[i].max});
        struct client *client = connect_newest(fixture, "a", 1, 1);

        publish(fixture, 1, 5, 1);
        assert_int_equal(dropped(fixture), 4 - rows[i].kept);
        for (uint16_t id = 1; id <= (uint16_t)rows[i].kept; id++) {
            acknowledge(client, id);
        }
        assert_int_equal(client->sent_len, 1 + rows[i].kept);
        assert_int_equal(client->sent[rows[i].kept].number, 1 + rows[i].kept);
        fixture_free(fixture);
    }
}

static void test_the_oldest_gives_way(void **state)
{
    struct fixture *fixture = fixture_with((struct core_limits){.max_queued = 2});
    struct client *client = connect_policy(fixture, "a", 2, 1, SETTINGS_QUEUE_DROP_OLDEST);

    (void)state;
    publish(fixture, 1, 7, 1);
    assert_int_equal(dropped(fixture), 3);
    fixture_expect(client, "1q1@1 2q1@2");
    acknowledge(client, 2); /* those in flight have kept their identifiers */
    acknowledge(client, 1);
    fixture_expect(client, "6q1@3 7q1@4");
    fixture_free(fixture);
}

/* What was sent once must be sent again: it is never the one that gives way. */
static void test_the_oldest_was_never_sent(void **state)
{
    struct fixture *fixture = fixture_with((struct core_limits){.max_queued = 3});
    struct client *client = connect_policy(fixture, "a", 2, 1, SETTINGS_QUEUE_DROP_OLDEST);
    struct session_request request = {.expiry_interval = 100};

    (void)state;
    publish(fixture, 1, 2, 1);
    fixture_expect(client, "1q1@1 2q1@2");
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    publish(fixture, 3, 9, 1);
    assert_int_equal(dropped(fixture), 4);
    client = fixture_client(fixture, 0, "a");
    assert_int_equal(fixture_connect(client, &request), SESSION_RESUMED);
    fixture_expect(client, "1q1@1d 2q1@2d 7q1@3 8q1@4 9q1@5");
    fixture_free(fixture);
}

/* All that waits was sent on an earlier connection: the new one is what is dropped. */
static void test_no_oldest_to_drop(void **state)
{
    struct fixture *fixture = fixture_with((struct core_limits){.max_queued = 2});
    struct client *client = connect_policy(fixture, "a", 3, 1, SETTINGS_QUEUE_DROP_OLDEST);
    struct session_request request = {
        .expiry_interval = 100, .window = 1, .queue_policy = SETTINGS_QUEUE_DROP_OLDEST};

    (void)state;
    publish(fixture, 1, 3, 1);
    fixture_expect(client, "1q1@1 2q1@2 3q1@3");
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    client = fixture_client(fixture, 0, "a");
    assert_int_equal(fixture_connect(client, &request), SESSION_RESUMED);
    publish(fixture, 4, 4, 1);
    assert_int_equal(dropped(fixture), 1);
    for (uint16_t id = 1; id <= 3; id++) {
        acknowledge(client, id);
    }
    fixture_expect(client, "1q1@1d 2q1@2d 3q1@3d");
    fixture_free(fixture);
}

static void test_the_client_gives_way(void **state)
{
    struct fixture *fixture = fixture_with((struct core_limits){.max_queued = 2});
    struct client *client = connect_policy(fixture, "a", 1, 1, SETTINGS_QUEUE_DISCONNECT);

    (void)state;
    publish(fixture, 1, 3, 1);
    assert_int_equal(client->overflows, 0);
    publish(fixture, 4, 4, 1);
    assert_int_equal(client->overflows, 1);
    assert_int_equal(dropped(fixture), 1);
    fixture_disconnect(client, SESSION_LEAVE_WITH_WILL);
    publish(fixture, 5, 5, 1); /* nobody is there to be disconnected */
    assert_int_equal(dropped(fixture), 2);
    assert_int_equal(client->overflows, 1);
    fixture_free(fixture);
}

/* One that comes back to a full queue gets through it first. */
static void test_a_client_that_is_behind_stays(void **state)
{
    struct fixture *fixture = fixture_with((struct core_limits){.max_queued = 2});
    struct client *client = connect_policy(fixture, "a", 1, 1, SETTINGS_QUEUE_DISCONNECT);
    struct session_request request = {
        .expiry_interval = 100, .window = 1, .queue_policy = SETTINGS_QUEUE_DISCONNECT};

    (void)state;
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    publish(fixture, 1, 3, 1);
    client = fixture_client(fixture, 0, "a");
    assert_int_equal(fixture_connect(client, &request), SESSION_RESUMED);
    publish(fixture, 4, 5, 1);
    assert_int_equal(dropped(fixture), 2);
    assert_int_equal(client->overflows, 0);
    acknowledge(client, 1);
    acknowledge(client, 2);
    acknowledge(client, 3);
    fixture_expect(client, "1q1@1 2q1@2 4q1@3");
    publish(fixture, 6, 9, 1); /* has caught up: this is its own doing */
    assert_int_equal(client->overflows, 1);
    fixture_free(fixture);
}

/* Also one that does not read what needs no acknowledgement. */
static void test_a_busy_client_gives_way(void **state)
{
    static const enum settings_queue_policy policies[] = {
        SETTINGS_QUEUE_DROP_NEWEST, SETTINGS_QUEUE_DROP_OLDEST, SETTINGS_QUEUE_DISCONNECT};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(policies); i++) {
        struct fixture *fixture = fixture_with((struct core_limits){.max_queued = 2});
        struct client *client = connect_policy(fixture, "a", 1, 0, policies[i]);

        client->verdict = PEER_BUSY;
        publish(fixture, 1, 1, 0);
        assert_int_equal(client->overflows, policies[i] == SETTINGS_QUEUE_DISCONNECT);
        assert_int_equal(metrics_get(fixture_enter(fixture, 0)->metrics, METRIC_DROPPED_BUSY), 1);
        fixture_free(fixture);
    }
}

/* QoS 0 for a client that is away: kept in order with the rest, under the same limit. */
static void test_plain_messages_wait(void **state)
{
    struct fixture *fixture =
        fixture_with((struct core_limits){.max_queued = 4, .queue_plain = true});
    struct client *client = connect_newest(fixture, "a", 1, 1);
    struct session_request request = {.expiry_interval = 100, .window = 1};

    (void)state;
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    publish(fixture, 1, 1, 0);
    publish(fixture, 2, 2, 1);
    publish(fixture, 3, 3, 0);
    publish(fixture, 4, 4, 1);
    publish(fixture, 5, 5, 0);
    assert_int_equal(dropped(fixture), 1);
    client = fixture_client(fixture, 0, "a");
    fixture_connect(client, &request);
    fixture_expect(client, "1 2q1@2");
    publish(fixture, 6, 6, 0); /* does not overtake the third */
    fixture_expect(client, "");
    acknowledge(client, 2);
    fixture_expect(client, "3 4q1@4");
    acknowledge(client, 4);
    fixture_expect(client, "6");
    publish(fixture, 7, 7, 0);
    fixture_expect(client, "7");
    fixture_free(fixture);
}

static void test_plain_messages_do_not_wait(void **state)
{
    static const struct {
        bool queue_plain;
        uint32_t expiry;
    } rows[] = {
        {false, 100},
        {true,  0  }
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture *fixture =
            fixture_with((struct core_limits){.queue_plain = rows[i].queue_plain});
        struct session_request request = {.expiry_interval = rows[i].expiry};
        struct client *client = fixture_client(fixture, 0, "a");

        fixture_connect(client, &request);
        fixture_subscribe(client, "t", 0);
        fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
        publish(fixture, 1, 1, 0);
        client = fixture_client(fixture, 0, "a");
        fixture_connect(client, &request);
        fixture_expect(client, "");
        fixture_free(fixture);
    }
}

static void test_the_subscription_decides_the_qos(void **state)
{
    static const struct {
        bool upgrades;
        uint8_t published;
        uint8_t asked;
        uint8_t sent;
    } rows[] = {
        {false, 0, 1, 0},
        {false, 1, 2, 1},
        {false, 2, 1, 1},
        {true,  0, 1, 1},
        {true,  1, 2, 2},
        {true,  0, 2, 2},
        {true,  2, 1, 1},
        {true,  2, 0, 0},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture *fixture =
            fixture_with((struct core_limits){.upgrade_qos = rows[i].upgrades});
        struct client *client = connect_newest(fixture, "a", 0, rows[i].asked);

        publish(fixture, 1, 1, rows[i].published);
        fixture_retain(fixture, 0, "r", 2, rows[i].published);
        fixture_subscribe(client, "r", rows[i].asked);
        fixture_settle(fixture);
        assert_int_equal(client->sent_len, 2);
        assert_int_equal(client->sent[0].head.qos, rows[i].sent);
        assert_int_equal(client->sent[1].head.qos, rows[i].sent);
        fixture_free(fixture);
    }
}

/* Values that are replayed wait while half of the bytes are taken: none is dropped. */
static void test_a_replay_waits_for_bytes(void **state)
{
    struct fixture *fixture = fixture_with((struct core_limits){.max_queued_bytes = 20});
    struct client *client = connect_newest(fixture, "a", 1, 1);
    char topic[8];

    (void)state;
    for (uint32_t i = 1; i <= 30; i++) {
        snprintf(topic, sizeof(topic), "r/%u", i);
        fixture_retain(fixture, 0, topic, i, 1);
    }
    fixture_subscribe(client, "r/#", 1);
    fixture_settle(fixture);
    for (uint16_t id = 1; id <= 30; id++) {
        acknowledge(client, id);
        fixture_settle(fixture);
    }
    assert_int_equal(client->sent_len, 30);
    assert_int_equal(dropped(fixture), 0);
    fixture_free(fixture);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_in_flight),
        cmocka_unit_test(test_bytes_in_flight_are_given_back),
        cmocka_unit_test(test_bytes_in_flight_start_again),
        cmocka_unit_test(test_bytes_that_wait),
        cmocka_unit_test(test_the_oldest_gives_way),
        cmocka_unit_test(test_the_oldest_was_never_sent),
        cmocka_unit_test(test_no_oldest_to_drop),
        cmocka_unit_test(test_the_client_gives_way),
        cmocka_unit_test(test_a_client_that_is_behind_stays),
        cmocka_unit_test(test_a_busy_client_gives_way),
        cmocka_unit_test(test_plain_messages_wait),
        cmocka_unit_test(test_plain_messages_do_not_wait),
        cmocka_unit_test(test_the_subscription_decides_the_qos),
        cmocka_unit_test(test_a_replay_waits_for_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
