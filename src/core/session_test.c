#include "core/fixture.h"
#include "core/session.h"

static struct shard *shard_of(struct fixture *fixture)
{
    return fixture_enter(fixture, 0);
}

static struct fixture *fixture_with_queue(uint32_t max_queued)
{
    struct core_limits limits = {
        .delivery_budget = 100, .cleanup_budget = 10, .max_queued = max_queued};

    return fixture_new(1, &limits);
}

/* A client with this expiry, and a will to "will" with this number unless 0. */
static struct client *connect_with(struct fixture *fixture, const char *id, uint32_t expiry,
                                   uint32_t will, uint32_t will_delay)
{
    struct client *client = fixture_client(fixture, 0, id);
    struct session_request request = {
        .expiry_interval = expiry,
        .will = will ? fixture_message("will", will, 0, false) : NULL,
        .will_delay = will_delay,
        .will_expiry = SESSION_NEVER,
    };

    assert_true(fixture_connect(client, &request) > 0);
    return client;
}

static struct client *witness_of_wills(struct fixture *fixture)
{
    struct client *witness = fixture_connected(fixture, 0, "witness");

    fixture_subscribe(witness, "will", 0);
    return witness;
}

/* Life */

static void test_connecting_again(void **state)
{
    static const struct {
        uint32_t expiry; /* of the first connection */
        bool is_gone;    /* it has left before the second comes */
        bool clean_start;
        int verdict;
    } rows[] = {
        {0,             true,  false, SESSION_CREATED},
        {0,             true,  true,  SESSION_CREATED},
        {0,             false, false, SESSION_CREATED},
        {0,             false, true,  SESSION_CREATED},
        {100,           true,  false, SESSION_RESUMED},
        {100,           true,  true,  SESSION_CREATED},
        {100,           false, false, SESSION_RESUMED},
        {100,           false, true,  SESSION_CREATED},
        {SESSION_NEVER, true,  false, SESSION_RESUMED},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture *fixture = fixture_new(1, NULL);
        struct client *first = connect_with(fixture, "a", rows[i].expiry, 0, 0);
        struct client *second = fixture_client(fixture, 0, "a");
        struct session_request request = {.clean_start = rows[i].clean_start, .expiry_interval = 7};

        fixture_subscribe(first, "t", 1);
        if (rows[i].is_gone) {
            fixture_disconnect(first, SESSION_LEAVE_QUIETLY);
        }
        assert_int_equal(fixture_connect(second, &request), rows[i].verdict);
        assert_true(first->is_ended);
        assert_int_equal(first->reason, rows[i].is_gone ? 0 : MQTT_SESSION_TAKEN_OVER);
        assert_false(second->is_ended);
        assert_ptr_equal(session_client(second->session), second);
        assert_memory_equal(session_id(second->session).data, "a", 1);
        assert_int_equal(fixture_publish(fixture, 0, "t", 1, 1),
                         rows[i].verdict == SESSION_RESUMED ? PUBLISH_MATCHED : PUBLISH_UNMATCHED);
        fixture_expect(second, rows[i].verdict == SESSION_RESUMED ? "1q1@1" : "");
        assert_int_equal(shard_of(fixture)->sessions.len, 1);
        fixture_free(fixture);
    }
}

/* An interval is over at the first whole second behind it, never before. */
static void test_expiry_is_never_early(void **state)
{
    static const struct {
        uint32_t interval;
        uint32_t left_at_ms;
        uint32_t over_at_ms;
    } rows[] = {
        {1,    10000, 11000  },
        {1,    10001, 12000  },
        {1,    10999, 12000  },
        {5,    10500, 16000  },
        {700,  10500, 711000 },
        {1100, 10999, 1111000},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture *fixture = fixture_new(1, NULL);
        struct client *client = connect_with(fixture, "a", rows[i].interval, 0, 0);
        struct shard *shard = shard_of(fixture);

        fixture_wait(fixture, rows[i].left_at_ms - 10000);
        fixture_subscribe(client, "t", 0);
        fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
        fixture_wait(fixture, rows[i].over_at_ms - rows[i].left_at_ms - 1);
        assert_int_equal(shard->sessions.len, 1);
        assert_int_equal(metrics_get(shard->metrics, METRIC_SESSIONS_EXPIRED), 0);
        fixture_wait(fixture, 1);
        assert_int_equal(shard->sessions.len, 0);
        assert_int_equal(metrics_get(shard->metrics, METRIC_SESSIONS_EXPIRED), 1);
        assert_int_equal(fixture_subscriptions(fixture->core), 0);
        fixture_free(fixture);
    }
}

static void test_expiry_can_change_at_the_end(void **state)
{
    static const struct {
        uint32_t at_first;
        uint32_t at_last;
        bool stays; /* after 100 s */
    } rows[] = {
        {200, 0,             false},
        {1,   200,           true },
        {1,   SESSION_NEVER, true },
        {200, 99,            false}
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture *fixture = fixture_new(1, NULL);
        struct client *client = connect_with(fixture, "a", rows[i].at_first, 0, 0);

        session_set_expiry(client->session, rows[i].at_last);
        fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
        fixture_wait(fixture, 100000);
        assert_int_equal(shard_of(fixture)->sessions.len, rows[i].stays);
        fixture_free(fixture);
    }
}

/* Its timer waits for those of others: who comes first ends it, and that is an expiry, too. */
static void test_expiry_that_a_connection_finds(void **state)
{
    (void)state;
    for (unsigned clean_start = 0; clean_start < 2; clean_start++) {
        struct fixture *fixture = fixture_new(1, NULL);
        struct client *client = connect_with(fixture, "a", 1, 0, 0);
        struct session_request request = {.clean_start = clean_start, .expiry_interval = 1};

        fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
        fixture->now_ms += 5000;
        shard_begin(shard_of(fixture), fixture->now_ms);
        client = fixture_client(fixture, 0, "a");
        assert_int_equal(fixture_connect(client, &request), SESSION_CREATED);
        assert_int_equal(metrics_get(shard_of(fixture)->metrics, METRIC_SESSIONS_EXPIRED), 1);
        fixture_free(fixture);
    }
}

/* The new will is not sent when the old one's time comes. */
static void test_coming_back_stops_the_clock(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *witness = witness_of_wills(fixture);
    struct client *client = connect_with(fixture, "a", 4, 1, 3);

    (void)state;
    fixture_disconnect(client, SESSION_LEAVE_WITH_WILL);
    fixture_wait(fixture, 2000);
    connect_with(fixture, "a", 4, 2, 3);
    fixture_wait(fixture, 10000);
    fixture_expect(witness, "");
    assert_int_equal(shard_of(fixture)->sessions.len, 2);
    assert_int_equal(metrics_get(shard_of(fixture)->metrics, METRIC_SESSIONS_EXPIRED), 0);
    fixture_free(fixture);
}

/* Its id is free at once, its subscriptions go in slices and bring nothing any more. */
static void test_large_session_ends_in_slices(void **state)
{
    struct fixture *fixture = fixture_with_queue(0);
    struct client *client = fixture_connected(fixture, 0, "a");
    struct client *again;
    char filter[16];

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        snprintf(filter, sizeof(filter), "t/%u", i);
        fixture_subscribe(client, filter, 0);
    }
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    for (unsigned left = 90; left > 0; left -= 10) {
        assert_int_equal(fixture_subscriptions(fixture->core), left);
        assert_true(shard_has_work(shard_of(fixture)));
        fixture_iterate(fixture, 0);
    }
    again = fixture_connected(fixture, 0, "a");
    for (unsigned i = 0; i < 100; i++) {
        snprintf(filter, sizeof(filter), "t/%u", i);
        fixture_publish(fixture, 0, filter, 1, 0);
    }
    fixture_settle(fixture);
    fixture_expect(again, "");
    assert_int_equal(tree_len(fixture->core->router.tree), 0);
    fixture_free(fixture);
}

static uint64_t count_of(struct fixture *fixture, enum metric metric)
{
    return metrics_get(shard_of(fixture)->metrics, metric);
}

/* A client that has gone, for whom so many messages wait. */
static struct session *leave_queue(struct fixture *fixture, const char *id, unsigned len,
                                   uint8_t qos)
{
    struct client *client = connect_with(fixture, id, 100, 0, 0);
    struct session *session = client->session;

    fixture_subscribe(client, "t", qos);
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    for (unsigned i = 1; i <= len; i++) {
        shard_begin(shard_of(fixture), fixture->now_ms);
        fixture_publish(fixture, 0, "t", i, qos);
    }
    assert_int_equal(outbound_waiting(&session->outbound), len);
    return session;
}

/* The next session with the id has nothing of it, and no part in its end. */
static void test_long_queue_is_freed_in_slices(void **state)
{
    struct fixture *fixture = fixture_with_queue(0);
    struct client *again = fixture_client(fixture, 0, "a");
    struct session_request request = {.clean_start = true, .expiry_interval = 100};

    (void)state;
    leave_queue(fixture, "a", 350, 1);
    assert_int_equal(count_of(fixture, METRIC_AWAY_PACKETS), 350);
    shard_begin(shard_of(fixture), fixture->now_ms);
    assert_int_equal(fixture_connect(again, &request), SESSION_CREATED);
    assert_int_equal(count_of(fixture, METRIC_AWAY_PACKETS), 0);
    fixture_subscribe(again, "t", 1);
    for (unsigned left = 334; left > 100; left -= 100) {
        assert_int_equal(count_of(fixture, METRIC_STORED_MESSAGES), left);
        assert_true(shard_has_work(shard_of(fixture)));
        fixture_iterate(fixture, 0);
    }
    fixture_publish(fixture, 0, "t", 1000, 1);
    fixture_settle(fixture);
    fixture_expect(again, "1000q1@1");
    assert_int_equal(count_of(fixture, METRIC_STORED_MESSAGES), 1);
    assert_false(shard_has_work(shard_of(fixture)));
    fixture_free(fixture);
}

/* An end costs, so many at once are more than an iteration does. */
static void test_many_sessions_end_in_slices(void **state)
{
    struct fixture *fixture = fixture_with_queue(0);
    char id[8];

    (void)state;
    for (unsigned i = 0; i < 300; i++) {
        struct client *client;

        snprintf(id, sizeof(id), "%u", i);
        client = connect_with(fixture, id, 1, 0, 0);
        fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    }
    fixture->now_ms += 10000;
    for (unsigned left = 300; left > 0;) {
        uint64_t before = count_of(fixture, METRIC_SESSIONS_EXPIRED);
        uint64_t ended;

        fixture_iterate(fixture, 0);
        ended = count_of(fixture, METRIC_SESSIONS_EXPIRED) - before;
        assert_in_range(ended, 1, 100);
        left -= (unsigned)ended;
    }
    assert_int_equal(shard_of(fixture)->sessions.len, 0);
    fixture_free(fixture);
}

/* Each walks when its session ends. */
static void test_replays_stop_in_slices(void **state)
{
    struct fixture *fixture = fixture_with_queue(0);
    struct client *client = fixture_connected(fixture, 0, "a");
    struct session *session = client->session;
    char filter[16];

    (void)state;
    fixture_retain(fixture, 0, "r", 1, 0);
    fixture_settle(fixture);
    client->pending = SIZE_MAX;
    for (unsigned i = 0; i < 50; i++) {
        snprintf(filter, sizeof(filter), "+/%u/#", i);
        fixture_subscribe(client, filter, 0);
    }
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    for (unsigned left = 40; left > 0; left -= 10) {
        assert_int_equal(shard_of(fixture)->replay_table.len, left);
        assert_int_equal(session->subscriptions.len, 50);
        fixture_iterate(fixture, 0);
    }
    fixture_settle(fixture);
    assert_int_equal(fixture_subscriptions(fixture->core), 0);
    fixture_free(fixture);
}

/* So many come in this iteration, in order. */
static void expect_numbers(struct client *client, uint32_t first, uint32_t len)
{
    assert_int_equal(client->sent_len, len);
    for (uint32_t i = 0; i < len; i++) {
        assert_int_equal(client->sent[i].number, first + i);
    }
    client->sent_len = 0;
}

/* What comes live meanwhile is behind it. */
static void test_long_queue_is_sent_in_slices(void **state)
{
    (void)state;
    for (uint8_t qos = 0; qos <= 2; qos++) {
        struct core_limits limits = {
            .delivery_budget = 100, .at_once = 64, .cleanup_budget = 10, .queue_plain = true};
        struct fixture *fixture = fixture_new(1, &limits);
        struct session *session = leave_queue(fixture, "a", 350, qos);
        struct client *client = fixture_client(fixture, 0, "a");

        shard_begin(shard_of(fixture), fixture->now_ms);
        assert_int_equal(fixture_connect(client, &(struct session_request){.expiry_interval = 100}),
                         SESSION_RESUMED);
        expect_numbers(client, 1, 101);
        fixture_publish(fixture, 0, "t", 351, qos);
        expect_numbers(client, 102, 1);
        assert_true(shard_has_work(shard_of(fixture)));
        fixture_iterate(fixture, 0);
        expect_numbers(client, 103, 100);
        fixture_iterate(fixture, 0);
        fixture_iterate(fixture, 0);
        expect_numbers(client, 203, 149);
        assert_int_equal(outbound_queued(&session->outbound), 0);
        assert_false(shard_has_work(shard_of(fixture)));
        fixture_free(fixture);
    }
}

/* Two that come back are served in turns. What was published for the second came to both. */
static void test_long_queues_take_turns(void **state)
{
    struct fixture *fixture = fixture_with_queue(0);
    struct client *clients[2];

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        leave_queue(fixture, i ? "b" : "a", 250, 1);
    }
    for (unsigned i = 0; i < 2; i++) {
        shard_of(fixture)->budget = 0;
        clients[i] = connect_with(fixture, i ? "b" : "a", 100, 0, 0);
    }
    assert_int_equal(clients[0]->sent_len + clients[1]->sent_len, 2);
    fixture_iterate(fixture, 0);
    expect_numbers(clients[0], 1, 101);
    expect_numbers(clients[1], 1, 1);
    fixture_iterate(fixture, 0);
    expect_numbers(clients[0], 102, 0);
    expect_numbers(clients[1], 2, 100);
    fixture_settle(fixture);
    assert_int_equal(clients[0]->sent_len, 500 - 101);
    expect_numbers(clients[1], 102, 149);
    fixture_free(fixture);
}

/* Whoever leaves in the middle of it finds the rest when he comes back. */
static void test_leaving_a_queue_in_the_middle(void **state)
{
    struct fixture *fixture = fixture_with_queue(0);
    struct session *session = leave_queue(fixture, "a", 250, 1);
    struct client *client;

    (void)state;
    shard_begin(shard_of(fixture), fixture->now_ms);
    client = connect_with(fixture, "a", 100, 0, 0);
    expect_numbers(client, 1, 101);
    for (unsigned i = 1; i <= 101; i++) {
        shard_of(fixture)->budget = 0;
        assert_int_equal(session_on_puback(shard_of(fixture), session, (uint16_t)i), ACK_OK);
    }
    expect_numbers(client, 102, 101);
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    fixture_settle(fixture);
    client = connect_with(fixture, "a", 100, 0, 0);
    fixture_settle(fixture);
    expect_numbers(client, 102, 149);
    fixture_free(fixture);
}

static void test_no_memory_to_connect(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *client = fixture_client(fixture, 0, "a");
    struct session_request request = {.clean_start = true, .expiry_interval = 9};
    unsigned n = 0;
    int r = -ENOMEM;

    (void)state;
    while (r < 0) {
        memory_fail_after(++n);
        r = fixture_connect(client, &request);
        memory_fail_after(0);
        assert_int_equal(shard_of(fixture)->sessions.len, r > 0);
    }
    assert_int_equal(n, 3); /* the session, and the table's first buckets */
    memory_fail_after(1);
    assert_int_equal(fixture_connect(fixture_client(fixture, 0, "a"), &request), -ENOMEM);
    memory_fail_after(0);
    assert_false(client->is_ended);
    assert_ptr_equal(session_client(client->session), client);
    fixture_free(fixture);
}

/* One that resumes is refused as well, and leaves the session as it was. */
static void test_no_memory_for_a_will(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct session_request request = {
        .expiry_interval = 9,
        .will = fixture_message("will", 1, 0, false),
        .will_delay = 5,
        .will_expiry = SESSION_NEVER,
    };
    struct client *client = fixture_client(fixture, 0, "a");
    struct client *next = fixture_client(fixture, 0, "a");
    struct session *session;

    (void)state;
    memory_fail_after(3); /* the session, the table's first buckets, the extras */
    assert_int_equal(fixture_connect(client, &request), -ENOMEM);
    memory_fail_after(0);
    assert_int_equal(shard_of(fixture)->sessions.len, 0);
    client = connect_with(fixture, "a", 9, 0, 0);
    assert_null(client->session->extras);
    memory_fail_after(1);
    assert_int_equal(fixture_connect(next, &request), -ENOMEM);
    memory_fail_after(0);
    assert_false(client->is_ended);
    assert_ptr_equal(session_client(client->session), client);
    assert_int_equal(fixture_connect(next, &request), SESSION_RESUMED);
    assert_true(client->is_ended);
    session = next->session;
    assert_non_null(session->extras);
    fixture_disconnect(next, SESSION_LEAVE_QUIETLY);
    assert_null(session->extras);
    fixture_free(fixture);
}

static struct fixture *fixture_with_sessions(unsigned worker_len, uint32_t max_sessions)
{
    struct core_limits limits = {
        .delivery_budget = 100, .cleanup_budget = 10, .max_sessions = max_sessions};

    return fixture_new(worker_len, &limits);
}

static int try_to_connect(struct fixture *fixture, unsigned worker, const char *id,
                          bool clean_start)
{
    struct session_request request = {.clean_start = clean_start, .expiry_interval = 100};

    return fixture_connect(fixture_client(fixture, worker, id), &request);
}

/* Whatever worker they live on, and whether their clients are there or not. */
static void test_so_many_sessions_and_no_more(void **state)
{
    struct fixture *fixture = fixture_with_sessions(2, 2);
    struct client *away = fixture_client(fixture, 0, "away");
    struct session_request request = {.expiry_interval = 100};

    (void)state;
    assert_int_equal(fixture_connect(away, &request), SESSION_CREATED);
    fixture_disconnect(away, SESSION_LEAVE_QUIETLY);
    assert_int_equal(try_to_connect(fixture, 1, "here", false), SESSION_CREATED);
    assert_int_equal(try_to_connect(fixture, 0, "third", false), SESSION_TOO_MANY);
    assert_int_equal(try_to_connect(fixture, 1, "third", true), SESSION_TOO_MANY);
    assert_int_equal(try_to_connect(fixture, 0, "away", false), SESSION_RESUMED);
    assert_int_equal(try_to_connect(fixture, 1, "here", true), SESSION_CREATED);
    assert_int_equal(try_to_connect(fixture, 0, "third", false), SESSION_TOO_MANY);
    assert_int_equal(fixture->core->session_len, 2);
    fixture_free(fixture);
}

/* However a session ends, or fails to begin. */
static void test_places_come_back(void **state)
{
    struct fixture *fixture = fixture_with_sessions(1, 1);
    struct client *client;

    (void)state;
    for (unsigned long n = 1; n <= 2; n++) {
        memory_fail_after(n);
        assert_int_equal(try_to_connect(fixture, 0, "a", false), -ENOMEM);
        memory_fail_after(0);
    }
    client = connect_with(fixture, "b", 0, 0, 0);
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    client = connect_with(fixture, "c", 5, 0, 0);
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    assert_int_equal(try_to_connect(fixture, 0, "d", false), SESSION_TOO_MANY);
    fixture_wait(fixture, 6000);
    assert_int_equal(fixture->core->session_len, 0);
    assert_int_equal(try_to_connect(fixture, 0, "d", false), SESSION_CREATED);
    fixture_free(fixture);
}

/* Wills */

enum leaving {
    LEAVE_QUIETLY,
    LEAVE_SUDDENLY,
    LEAVE_BY_RESUMING, /* another connection takes the session over */
    LEAVE_BY_CLEAN_START
};

static void leave(struct fixture *fixture, struct client *client, enum leaving leaving)
{
    struct session_request request = {.clean_start = leaving == LEAVE_BY_CLEAN_START,
                                      .expiry_interval = 50};

    if (leaving == LEAVE_QUIETLY) {
        fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    } else if (leaving == LEAVE_SUDDENLY) {
        fixture_disconnect(client, SESSION_LEAVE_WITH_WILL);
    } else {
        assert_true(fixture_connect(fixture_client(fixture, 0, client->id), &request) > 0);
        assert_true(client->is_ended);
    }
}

static void test_wills(void **state)
{
    static const struct {
        uint32_t expiry;
        uint32_t delay;
        enum leaving leaving;
        bool comes_at_once;
        uint32_t comes_at; /* seconds later; 0 = never */
    } rows[] = {
        {0,             0,             LEAVE_QUIETLY,        false, 0},
        {100,           5,             LEAVE_QUIETLY,        false, 0},
        {0,             0,             LEAVE_SUDDENLY,       true,  0},
        {0,             5,             LEAVE_SUDDENLY,       true,  0}, /* the session's end is earlier than the delay's */
        {100,           0,             LEAVE_SUDDENLY,       true,  0},
        {100,           5,             LEAVE_SUDDENLY,       false, 5},
        {5,             100,           LEAVE_SUDDENLY,       false, 5},
        {5,             SESSION_NEVER, LEAVE_SUDDENLY,       false, 5},
        {SESSION_NEVER, 5,             LEAVE_SUDDENLY,       false, 5},
        {100,           0,             LEAVE_BY_RESUMING,    true,  0},
        {100,           5,             LEAVE_BY_RESUMING,    false, 0}, /* resumed before the delay is over */
        {100,           0,             LEAVE_BY_CLEAN_START, true,  0},
        {100,           5,             LEAVE_BY_CLEAN_START, true,  0}, /* the old session ends */
        {0,             5,             LEAVE_BY_RESUMING,    true,  0},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture *fixture = fixture_new(1, NULL);
        struct client *witness = witness_of_wills(fixture);
        struct client *client = connect_with(fixture, "a", rows[i].expiry, 3, rows[i].delay);

        leave(fixture, client, rows[i].leaving);
        fixture_expect(witness, rows[i].comes_at_once ? "3" : "");
        fixture_wait(fixture, rows[i].comes_at ? rows[i].comes_at * 1000 - 1 : 0);
        fixture_expect(witness, "");
        fixture_wait(fixture, rows[i].comes_at ? 1 : 0);
        fixture_expect(witness, rows[i].comes_at ? "3" : "");
        fixture_wait(fixture, 120000);
        fixture_expect(witness, "");
        fixture_free(fixture);
    }
}

static void test_waiting_will_meets_a_new_connection(void **state)
{
    static const struct {
        bool clean_start;
        const char *will;
    } rows[] = {
        {false, "" },
        {true,  "3"}
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture *fixture = fixture_new(1, NULL);
        struct client *witness = witness_of_wills(fixture);
        struct client *client = connect_with(fixture, "a", 100, 3, 5);
        struct session_request request = {.clean_start = rows[i].clean_start};

        fixture_disconnect(client, SESSION_LEAVE_WITH_WILL);
        fixture_wait(fixture, 3000);
        fixture_connect(fixture_client(fixture, 0, "a"), &request);
        fixture_expect(witness, rows[i].will);
        fixture_wait(fixture, 10000);
        fixture_expect(witness, "");
        fixture_free(fixture);
    }
}

/* A session that has sent its will still expires, and the other way round. */
static void test_will_then_expiry(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *witness = witness_of_wills(fixture);

    (void)state;
    fixture_disconnect(connect_with(fixture, "a", 8, 3, 5), SESSION_LEAVE_WITH_WILL);
    fixture_wait(fixture, 7999);
    fixture_expect(witness, "3");
    assert_int_equal(shard_of(fixture)->sessions.len, 2);
    fixture_wait(fixture, 1);
    assert_int_equal(shard_of(fixture)->sessions.len, 1);
    fixture_free(fixture);
}

/* The Message Expiry Interval of a will begins when the will is sent. */
static void test_will_expires_from_its_publication_on(void **state)
{
    static const struct {
        unsigned back_after_ms;
        const char *will;
    } rows[] = {
        {14999, "3q1@1"},
        {15000, ""     }
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture *fixture = fixture_new(1, NULL);
        struct client *away = connect_with(fixture, "away", 100, 0, 0);
        struct client *client = fixture_client(fixture, 0, "a");
        struct session_request request = {.expiry_interval = 100,
                                          .will = fixture_message("will", 3, 1, false),
                                          .will_delay = 10,
                                          .will_expiry = 5};

        fixture_subscribe(away, "will", 1);
        fixture_disconnect(away, SESSION_LEAVE_QUIETLY);
        fixture_connect(client, &request);
        fixture_disconnect(client, SESSION_LEAVE_WITH_WILL);
        fixture_wait(fixture, rows[i].back_after_ms);
        away = connect_with(fixture, "away", 100, 0, 0);
        fixture_expect(away, rows[i].will);
        fixture_free(fixture);
    }
}

/* Without room the will is tried again every second; the session waits for it. */
static void test_will_without_memory_is_tried_again(void **state)
{
    static const struct {
        uint32_t expiry;
        uint32_t delay;
    } rows[] = {
        {0,   0  },
        {0,   5  },
        {100, 0  },
        {1,   100},
        {100, 1  }
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture *fixture = fixture_new(1, NULL);
        struct client *witness = witness_of_wills(fixture);
        struct client *client = connect_with(fixture, "a", rows[i].expiry, 3, rows[i].delay);

        fixture->refuses_room = true;
        fixture_disconnect(client, SESSION_LEAVE_WITH_WILL);
        fixture_wait(fixture, 5000);
        assert_int_equal(shard_of(fixture)->sessions.len, 2);
        fixture_expect(witness, "");
        fixture->refuses_room = false;
        fixture_wait(fixture, 1000);
        fixture_expect(witness, "3");
        assert_int_equal(shard_of(fixture)->sessions.len, rows[i].expiry == 100 ? 2 : 1);
        fixture_free(fixture);
    }
}

/* A connection whose predecessor's will can't be sent is refused, and nothing has changed. */
static void test_take_over_without_memory_is_refused(void **state)
{
    (void)state;
    for (unsigned clean_start = 0; clean_start < 2; clean_start++) {
        struct fixture *fixture = fixture_new(1, NULL);
        struct client *witness = witness_of_wills(fixture);
        struct client *client = connect_with(fixture, "a", 100, 3, 0);
        struct session_request request = {.clean_start = clean_start};
        struct client *second = fixture_client(fixture, 0, "a");

        fixture->refuses_room = true;
        assert_int_equal(fixture_connect(second, &request), -ENOMEM);
        fixture->refuses_room = false;
        assert_false(client->is_ended);
        assert_ptr_equal(session_client(client->session), client);
        assert_int_equal(shard_of(fixture)->sessions.len, 2);
        fixture_expect(witness, "");
        fixture_disconnect(client, SESSION_LEAVE_WITH_WILL);
        fixture_expect(witness, "3");
        fixture_free(fixture);
    }
}

/* Deliveries */

static void test_deliveries_follow_the_subscription(void **state)
{
    static const struct {
        uint8_t published; /* QoS */
        uint8_t options;
        uint32_t identifier;
        const char *expected;
    } rows[] = {
        {0, 0,                  0,  "5"       },
        {0, 2,                  0,  "5"       },
        {1, 0,                  0,  "5"       },
        {1, 1,                  0,  "5q1@1"   },
        {1, 2,                  0,  "5q1@1"   },
        {2, 1,                  0,  "5q1@1"   },
        {2, 2,                  0,  "5q2@1"   },
        {0, 0,                  9,  "5s9"     },
        {2, 2,                  77, "5q2@1s77"},
        {0, SUBSCRIBE_NO_LOCAL, 0,  "5"       },
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture *fixture = fixture_new(1, NULL);
        struct client *client = fixture_connected(fixture, 0, "a");

        fixture_subscribe_with(client, "t", rows[i].options, rows[i].identifier, false);
        fixture_publish(fixture, 0, "t", 5, rows[i].published);
        fixture_expect(client, rows[i].expected);
        fixture_free(fixture);
    }
}

/* By the client's id, whichever session that has. */
static void test_no_local(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *client = fixture_connected(fixture, 0, "a");
    struct client *other = fixture_connected(fixture, 0, "b");
    struct shard *shard = shard_of(fixture);
    uint32_t number = 5;
    struct publication publication = fixture_publication(shard, "t", &number);

    (void)state;
    fixture_subscribe(client, "t", SUBSCRIBE_NO_LOCAL);
    fixture_subscribe(client, "+", 0);
    fixture_subscribe(other, "t", SUBSCRIBE_NO_LOCAL);
    publication.parts.origin = session_origin(client->session);
    assert_int_equal(shard_publish(shard, &publication), PUBLISH_MATCHED);
    publication_deinit(&publication);
    fixture_expect(client, "5");
    fixture_expect(other, "5");
    fixture_free(fixture);
}

static void test_resuming_sends_again_what_was_not_acknowledged(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct session_request request = {.expiry_interval = 100, .window = 3};
    struct client *client = fixture_client(fixture, 0, "a");
    struct client *again = fixture_client(fixture, 0, "a");

    (void)state;
    fixture_connect(client, &request);
    fixture_subscribe(client, "t", 2);
    for (uint32_t i = 1; i <= 5; i++) {
        fixture_publish(fixture, 0, "t", i, i == 2 ? 2 : 1);
    }
    fixture_publish(fixture, 0, "t", 6, 0);
    fixture_expect(client, "1q1@1 2q2@2 3q1@3 6");
    assert_int_equal(session_on_pubrec(shard_of(fixture), client->session, 2, false), ACK_OK);
    assert_int_equal(session_on_puback(shard_of(fixture), client->session, 3), ACK_OK);
    fixture_expect(client, "4q1@4");
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    fixture_publish(fixture, 0, "t", 7, 2);
    fixture_publish(fixture, 0, "t", 8, 0); /* nobody is there to have it */
    assert_int_equal(fixture_connect(again, &request), SESSION_RESUMED);
    fixture_expect(again, "1q1@1d rel@2 4q1@4d");
    assert_int_equal(session_on_puback(shard_of(fixture), again->session, 1), ACK_OK);
    assert_int_equal(session_on_pubcomp(shard_of(fixture), again->session, 2), ACK_OK);
    fixture_expect(again, "5q1@5 7q2@6");
    fixture_free(fixture);
}

/* Each acknowledgement in each state of a delivery. */
enum ack { ACK_PUBACK, ACK_PUBREC, ACK_PUBREC_ERROR, ACK_PUBCOMP };

static enum ack_verdict acknowledge(struct client *client, enum ack ack, uint16_t packet_id)
{
    struct shard *shard = shard_of(client->fixture);

    switch (ack) {
    case ACK_PUBACK: return session_on_puback(shard, client->session, packet_id);
    case ACK_PUBREC: return session_on_pubrec(shard, client->session, packet_id, false);
    case ACK_PUBREC_ERROR: return session_on_pubrec(shard, client->session, packet_id, true);
    case ACK_PUBCOMP: break;
    }
    return session_on_pubcomp(shard, client->session, packet_id);
}

static void test_acknowledgements(void **state)
{
    static const struct {
        uint8_t qos;
        bool is_released; /* PUBREC has come before */
        enum ack ack;
        enum ack_verdict verdict;
        bool is_over;
    } rows[] = {
        {1, false, ACK_PUBACK,       ACK_OK,      true },
        {1, false, ACK_PUBREC,       ACK_UNKNOWN, false},
        {1, false, ACK_PUBCOMP,      ACK_UNKNOWN, false},
        {2, false, ACK_PUBACK,       ACK_UNKNOWN, false},
        {2, false, ACK_PUBREC,       ACK_OK,      false},
        {2, false, ACK_PUBREC_ERROR, ACK_OK,      true },
        {2, false, ACK_PUBCOMP,      ACK_UNKNOWN, false},
        {2, true,  ACK_PUBREC,       ACK_OK,      false},
        {2, true,  ACK_PUBCOMP,      ACK_OK,      true },
        {2, true,  ACK_PUBACK,       ACK_UNKNOWN, false},
        {2, true,  ACK_PUBREC_ERROR, ACK_OK,      true },
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture *fixture = fixture_new(1, NULL);
        struct client *client = fixture_client(fixture, 0, "a");
        struct session_request request = {.window = 1};

        fixture_connect(client, &request);
        fixture_subscribe(client, "t", 2);
        fixture_publish(fixture, 0, "t", 1, rows[i].qos);
        fixture_publish(fixture, 0, "t", 2, 1);
        if (rows[i].is_released) {
            assert_int_equal(acknowledge(client, ACK_PUBREC, 1), ACK_OK);
        }
        client->sent_len = 0;
        assert_int_equal(acknowledge(client, rows[i].ack, 1), rows[i].verdict);
        fixture_expect(client, rows[i].is_over ? "2q1@2" : "");
        if (rows[i].is_over) {
            assert_int_equal(acknowledge(client, rows[i].ack, 1), ACK_UNKNOWN);
        }
        for (uint16_t id = 3; id < 7; id++) {
            assert_int_equal(acknowledge(client, (enum ack)(id - 3), id), ACK_UNKNOWN);
            assert_int_equal(acknowledge(client, (enum ack)(id - 3), 0), ACK_UNKNOWN);
        }
        fixture_free(fixture);
    }
}

/* What was dropped, and why. */

static void expect_dropped(struct fixture *fixture, unsigned metric, unsigned len)
{
    const struct metrics *metrics = shard_of(fixture)->metrics;

    for (unsigned i = METRIC_DROPPED_QUEUE_FULL; i <= METRIC_DROPPED_NO_MEMORY; i++) {
        assert_int_equal(metrics_get(metrics, i), i == metric ? len : 0);
    }
}

static void expect_away(struct fixture *fixture, unsigned len)
{
    const struct metrics *metrics = shard_of(fixture)->metrics;

    assert_int_equal(metrics_get(metrics, METRIC_AWAY_PACKETS), len);
    /* A number of four bytes, "t", and four more. */
    assert_int_equal(metrics_get(metrics, METRIC_AWAY_BYTES), len * 9);
}

/* The limit is for what waits behind the window, connected or not. */
static void test_queue_limit(void **state)
{
    struct fixture *fixture = fixture_with_queue(3);
    struct session_request request = {.expiry_interval = 100, .window = 2};
    struct client *client = fixture_client(fixture, 0, "a");
    struct client *again = fixture_client(fixture, 0, "a");

    (void)state;
    fixture_connect(client, &request);
    fixture_subscribe(client, "t", 1);
    for (uint32_t i = 1; i <= 7; i++) {
        fixture_publish(fixture, 0, "t", i, 1);
    }
    fixture_expect(client, "1q1@1 2q1@2");
    expect_dropped(fixture, METRIC_DROPPED_QUEUE_FULL, 2);
    assert_int_equal(session_on_puback(shard_of(fixture), client->session, 2), ACK_OK);
    expect_away(fixture, 0);
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    expect_away(fixture, 4);
    fixture_publish(fixture, 0, "t", 8, 1);
    expect_away(fixture, 5);
    fixture_publish(fixture, 0, "t", 9, 1);
    expect_dropped(fixture, METRIC_DROPPED_QUEUE_FULL, 3);
    expect_away(fixture, 5);
    fixture_connect(again, &request);
    expect_away(fixture, 0);
    fixture_expect(again, "1q1@1d 3q1@3d");
    for (uint16_t id = 1; id <= 6; id++) {
        session_on_puback(shard_of(fixture), again->session, id);
    }
    fixture_expect(again, "4q1@4 5q1@5 8q1@6");
    fixture_publish(fixture, 0, "t", 10, 1);
    fixture_disconnect(again, SESSION_LEAVE_QUIETLY);
    expect_away(fixture, 1);
    fixture_wait(fixture, 100000);
    expect_away(fixture, 0);
    fixture_free(fixture);
}

static void publish_that_expires(struct fixture *fixture, uint32_t number, uint32_t seconds)
{
    struct shard *shard = shard_of(fixture);
    struct publication publication = fixture_publication(shard, "t", &number);

    publication.parts.qos = 1;
    publication.parts.expires_at = shard_now(shard) + seconds;
    assert_int_equal(shard_publish(shard, &publication), PUBLISH_MATCHED);
    publication_deinit(&publication);
}

/* Holds 5.0: MQTT-3.3.2-5. */
static void test_expired_deliveries_are_skipped(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *client = connect_with(fixture, "a", 100, 0, 0);

    (void)state;
    fixture_subscribe(client, "t", 1);
    publish_that_expires(fixture, 1, 3); /* sent already: it is sent again all the same */
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    publish_that_expires(fixture, 2, 3);
    publish_that_expires(fixture, 3, 4);
    fixture_publish(fixture, 0, "t", 4, 1);
    fixture_wait(fixture, 3999);
    client = connect_with(fixture, "a", 100, 0, 0);
    fixture_expect(client, "1q1@1d 3q1@3 4q1@4");
    expect_dropped(fixture, METRIC_DROPPED_EXPIRED, 1);
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    fixture_free(fixture);
}

/* Holds 5.0: MQTT-3.1.2-25. */
static void test_too_large_deliveries_are_skipped(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *client = connect_with(fixture, "a", 100, 0, 0);

    (void)state;
    fixture_subscribe(client, "t", 2);
    fixture_publish(fixture, 0, "t", 1, 2);
    client->verdict = PEER_TOO_LARGE;
    fixture_publish(fixture, 0, "t", 2, 0);
    fixture_publish(fixture, 0, "t", 3, 1);
    client->verdict = PEER_SENT;
    fixture_publish(fixture, 0, "t", 4, 1);
    fixture_expect(client, "1q2@1 4q1@3");
    expect_dropped(fixture, METRIC_DROPPED_TOO_LARGE, 2);
    assert_int_equal(session_on_puback(shard_of(fixture), client->session, 2), ACK_UNKNOWN);
    fixture_free(fixture);
}

static void test_what_a_peer_can_not_see_is_skipped(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *client = connect_with(fixture, "a", 100, 0, 0);

    (void)state;
    fixture_subscribe(client, "t", 2);
    client->verdict = PEER_OUTSIDE;
    fixture_publish(fixture, 0, "t", 1, 0);
    fixture_publish(fixture, 0, "t", 2, 2);
    client->verdict = PEER_SENT;
    fixture_publish(fixture, 0, "t", 3, 1);
    fixture_expect(client, "3q1@2");
    expect_dropped(fixture, METRIC_DROPPED_OUTSIDE, 2);
    fixture_free(fixture);
}

static void test_busy_peers_lose_qos_0_alone(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *client = fixture_connected(fixture, 0, "a");

    (void)state;
    fixture_subscribe(client, "t", 1);
    client->verdict = PEER_BUSY;
    fixture_publish(fixture, 0, "t", 1, 0);
    client->verdict = PEER_SENT;
    fixture_publish(fixture, 0, "t", 2, 0);
    fixture_expect(client, "2");
    expect_dropped(fixture, METRIC_DROPPED_BUSY, 1);
    fixture_free(fixture);
}

static void test_no_memory_for_the_queue(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *client = fixture_connected(fixture, 0, "a");

    (void)state;
    fixture_subscribe(client, "t", 1);
    memory_fail_after(2); /* the message is made, its place in the queue is not */
    assert_int_equal(fixture_publish(fixture, 0, "t", 1, 1), PUBLISH_MATCHED);
    memory_fail_after(0);
    fixture_expect(client, "");
    expect_dropped(fixture, METRIC_DROPPED_NO_MEMORY, 1);
    fixture_publish(fixture, 0, "t", 2, 1);
    fixture_expect(client, "2q1@1");
    fixture_free(fixture);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connecting_again),
        cmocka_unit_test(test_expiry_is_never_early),
        cmocka_unit_test(test_expiry_can_change_at_the_end),
        cmocka_unit_test(test_expiry_that_a_connection_finds),
        cmocka_unit_test(test_coming_back_stops_the_clock),
        cmocka_unit_test(test_large_session_ends_in_slices),
        cmocka_unit_test(test_long_queue_is_freed_in_slices),
        cmocka_unit_test(test_many_sessions_end_in_slices),
        cmocka_unit_test(test_replays_stop_in_slices),
        cmocka_unit_test(test_long_queue_is_sent_in_slices),
        cmocka_unit_test(test_long_queues_take_turns),
        cmocka_unit_test(test_leaving_a_queue_in_the_middle),
        cmocka_unit_test(test_no_memory_to_connect),
        cmocka_unit_test(test_so_many_sessions_and_no_more),
        cmocka_unit_test(test_places_come_back),
        cmocka_unit_test(test_no_memory_for_a_will),
        cmocka_unit_test(test_wills),
        cmocka_unit_test(test_waiting_will_meets_a_new_connection),
        cmocka_unit_test(test_will_then_expiry),
        cmocka_unit_test(test_will_expires_from_its_publication_on),
        cmocka_unit_test(test_will_without_memory_is_tried_again),
        cmocka_unit_test(test_take_over_without_memory_is_refused),
        cmocka_unit_test(test_deliveries_follow_the_subscription),
        cmocka_unit_test(test_no_local),
        cmocka_unit_test(test_resuming_sends_again_what_was_not_acknowledged),
        cmocka_unit_test(test_acknowledgements),
        cmocka_unit_test(test_queue_limit),
        cmocka_unit_test(test_expired_deliveries_are_skipped),
        cmocka_unit_test(test_too_large_deliveries_are_skipped),
        cmocka_unit_test(test_what_a_peer_can_not_see_is_skipped),
        cmocka_unit_test(test_busy_peers_lose_qos_0_alone),
        cmocka_unit_test(test_no_memory_for_the_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
