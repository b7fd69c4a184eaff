#include "core/fixture.h"

#define WAIT_CAP   16
#define RECORD_CAP 256

/* A store that keeps when it is told to, and remembers what it was handed. */
struct slow_store {
    enum store_kind kinds[RECORD_CAP];
    unsigned record_len;
    bool is_handed_on; /* the last one */
    struct store_wait *waits[WAIT_CAP];
    unsigned wait_len;
};

static void on_put(void *context, struct shard *shard, const struct store_record *record)
{
    struct slow_store *store = context;

    assert_true(store->record_len < RECORD_CAP);
    assert_ptr_equal(owner_self, &shard->owner);
    store->kinds[store->record_len++] = record->kind;
    store->is_handed_on = record->is_handed_on;
}

static void on_await(void *context, struct store_wait *wait)
{
    struct slow_store *store = context;

    assert_true(store->wait_len < WAIT_CAP);
    store->waits[store->wait_len++] = wait;
}

static const struct store_ops slow_ops = {.put = on_put, .await = on_await};

static void commit(struct slow_store *store, bool is_kept)
{
    for (unsigned i = 0; i < store->wait_len; i++) {
        store_end_wait(store->waits[i], is_kept);
    }
    store->wait_len = 0;
}

/* And the acknowledgements that waited for it arrive. */
static void commit_and_settle(struct slow_store *store, struct fixture *fixture, bool is_kept)
{
    commit(store, is_kept);
    fixture_settle(fixture);
}

static unsigned count(const struct slow_store *store, enum store_kind kind)
{
    unsigned len = 0;

    for (unsigned i = 0; i < store->record_len; i++) {
        len += store->kinds[i] == kind;
    }
    return len;
}

static struct fixture *fixture_with_store(unsigned worker_len, const struct core_limits *limits,
                                          struct slow_store *store)
{
    struct fixture *fixture = fixture_new(worker_len, limits);

    *store = (struct slow_store){.record_len = 0};
    for (unsigned i = 0; i < worker_len; i++) {
        shard_set_store(fixture->workers[i].shard, &(struct store){&slow_ops, store});
    }
    return fixture;
}

/* Somebody who waits for a publication to be kept. */
struct publisher {
    struct ticket ticket; /* first member */
    bool is_over;
    bool is_kept;
};

static void on_kept(struct store_wait *wait)
{
    struct publisher *publisher = (struct publisher *)wait;

    assert_false(publisher->is_over);
    publisher->is_over = true;
    publisher->is_kept = wait->is_kept;
}

static void publish(struct fixture *fixture, struct publisher *publisher, bool retain)
{
    struct shard *shard = fixture_enter(fixture, 0);
    uint32_t number = 1;
    struct publication publication = fixture_publication(shard, "t", &number);

    *publisher = (struct publisher){.is_over = false};
    ticket_init(&publisher->ticket, shard, on_kept);
    publication.ticket = &publisher->ticket;
    publication.parts.qos = 1;
    publication.parts.retain = retain;
    assert_int_equal(shard_publish(shard, &publication),
                     shard->limits.search_steps ? PUBLISH_LEFT : PUBLISH_MATCHED);
    publication_deinit(&publication);
    ticket_release(shard, &publisher->ticket);
}

static struct client *durable_client(struct fixture *fixture, unsigned worker, const char *id)
{
    struct client *client = fixture_client(fixture, worker, id);
    struct session_request request = {.clean_start = true, .expiry_interval = SESSION_NEVER};

    assert_int_equal(fixture_connect(client, &request), SESSION_CREATED);
    fixture_subscribe(client, "t", 1);
    return client;
}

/* The wait begins when the last worker has handed over what it has to keep, whichever that is. */
static void test_every_worker_counts(void **state)
{
    static const unsigned orders[][2] = {
        {1, 2},
        {2, 1}
    };
    struct slow_store store;

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(orders) * 2; i++) {
        struct fixture *fixture = fixture_with_store(3, NULL, &store);
        struct publisher publisher;

        for (unsigned worker = 0; worker < 3; worker++) {
            durable_client(fixture, worker, (const char *[]){"a", "b", "c"}[worker]);
        }
        publish(fixture, &publisher, i >= ARRAY_LEN(orders));
        fixture_iterate(fixture, 0);
        assert_int_equal(store.wait_len, 0);
        fixture_iterate(fixture, orders[i % 2][0]);
        assert_int_equal(store.wait_len, 0);
        fixture_iterate(fixture, orders[i % 2][1]);
        assert_int_equal(store.wait_len, 1);
        assert_int_equal(count(&store, STORE_DELIVERY), 3);
        assert_int_equal(count(&store, STORE_RETAINED), i >= ARRAY_LEN(orders));
        fixture_settle(fixture);
        assert_false(publisher.is_over);
        commit(&store, true);
        assert_false(publisher.is_over);
        fixture_iterate(fixture, 0);
        assert_true(publisher.is_over && publisher.is_kept);
        fixture_free(fixture);
    }
}

static void test_fan_outs_count(void **state)
{
    struct core_limits limits = {.delivery_budget = 1, .at_once = 1, .cleanup_budget = 100};
    struct slow_store store;
    struct fixture *fixture = fixture_with_store(1, &limits, &store);
    struct publisher publisher;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        durable_client(fixture, 0, (const char *[]){"a", "b", "c"}[i]);
    }
    publish(fixture, &publisher, false);
    while (shard_is_in_fanout(fixture->workers[0].shard)) {
        assert_int_equal(store.wait_len, 0);
        fixture_iterate(fixture, 0);
    }
    assert_int_equal(store.wait_len, 1);
    assert_int_equal(count(&store, STORE_DELIVERY), 3);
    commit_and_settle(&store, fixture, false);
    assert_true(publisher.is_over && !publisher.is_kept);
    fixture_free(fixture);
}

/* So does a search that goes on. */
static void test_long_searches_count(void **state)
{
    struct core_limits limits = {
        .delivery_budget = 1, .at_once = 1, .cleanup_budget = 100, .search_steps = 1};
    struct slow_store store;
    struct fixture *fixture = fixture_with_store(2, &limits, &store);
    struct publisher publisher;

    (void)state;
    durable_client(fixture, 0, "a");
    durable_client(fixture, 1, "b");
    fixture_settle(fixture);
    publish(fixture, &publisher, false);
    fixture_iterate(fixture, 0);
    while (fixture_queue_len(&fixture->workers[1].mailbox) > 0 ||
           shard_is_in_fanout(fixture->workers[0].shard) ||
           shard_is_in_fanout(fixture->workers[1].shard)) {
        assert_int_equal(store.wait_len, 0);
        fixture_iterate(fixture, 0);
        fixture_iterate(fixture, 1);
    }
    assert_int_equal(store.wait_len, 1);
    assert_int_equal(count(&store, STORE_DELIVERY), 2);
    commit_and_settle(&store, fixture, true);
    assert_true(publisher.is_over && publisher.is_kept);
    fixture_free(fixture);
}

/* An entry that nobody handles any more gives its count back, too. */
static void test_the_end_lets_go(void **state)
{
    struct slow_store store;
    struct fixture *fixture = fixture_with_store(2, NULL, &store);
    struct publisher publisher;

    (void)state;
    durable_client(fixture, 1, "a");
    publish(fixture, &publisher, false);
    fixture_free(fixture);
    assert_int_equal(store.wait_len, 1);
}

static void test_only_durable_sessions_are_kept(void **state)
{
    struct slow_store store;
    struct fixture *fixture = fixture_with_store(1, NULL, &store);
    struct client *client = fixture_connected(fixture, 0, "a");
    struct publisher publisher;

    (void)state;
    fixture_subscribe(client, "t", 1);
    publish(fixture, &publisher, false);
    session_on_puback(fixture_enter(fixture, 0), client->session, 1);
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    assert_int_equal(store.record_len, 0);
    commit_and_settle(&store, fixture, true);
    fixture_free(fixture);
}

static void expect_kinds(struct slow_store *store, const enum store_kind *kinds, unsigned len)
{
    assert_int_equal(store->record_len, len);
    for (unsigned i = 0; i < len; i++) {
        assert_int_equal(store->kinds[i], kinds[i]);
    }
    store->record_len = 0;
}

#define EXPECT_KINDS(store, ...)                                  \
    expect_kinds((store), (const enum store_kind[]){__VA_ARGS__}, \
                 sizeof((const enum store_kind[]){__VA_ARGS__}) / sizeof(enum store_kind))

static void test_the_life_of_a_session(void **state)
{
    struct session_request request = {.expiry_interval = SESSION_NEVER};
    struct slow_store store;
    struct fixture *fixture = fixture_with_store(1, NULL, &store);
    struct client *client = durable_client(fixture, 0, "a");
    struct client *again = fixture_client(fixture, 0, "a");
    struct shard *shard = fixture_enter(fixture, 0);

    (void)state;
    fixture_subscribe(client, "t", 2);
    fixture_publish(fixture, 0, "t", 1, 1);
    fixture_publish(fixture, 0, "t", 2, 2);
    commit_and_settle(&store, fixture, true);
    session_on_puback(shard, client->session, 1);
    session_on_pubrec(shard, client->session, 2, false);
    session_on_pubrec(shard, client->session, 2, false);
    session_on_pubcomp(shard, client->session, 2);
    EXPECT_KINDS(&store, STORE_CONNECTED, STORE_DELIVERY, STORE_DELIVERY, STORE_DELIVERED,
                 STORE_PUBREC_CAME, STORE_DELIVERED);
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    fixture_connect(again, &request);
    EXPECT_KINDS(&store, STORE_CONNECTED, STORE_CONNECTED);
    request.expiry_interval = 0;
    fixture_connect(fixture_client(fixture, 0, "a"), &request);
    EXPECT_KINDS(&store, STORE_ENDED);
    fixture_free(fixture);
}

static int try_exactly_once(struct fixture *fixture, struct publisher *publisher, uint32_t number,
                            bool is_from_durable)
{
    struct shard *shard = fixture_enter(fixture, 0);
    struct publication publication = fixture_publication(shard, "t", &number);
    int r;

    *publisher = (struct publisher){.is_over = false};
    ticket_init(&publisher->ticket, shard, on_kept);
    publisher->ticket.is_from_durable = is_from_durable;
    publication.ticket = &publisher->ticket;
    publication.parts.qos = 2;
    r = shard_publish(shard, &publication);
    publication_deinit(&publication);
    ticket_release(shard, &publisher->ticket);
    return r;
}

static void publish_exactly_once(struct fixture *fixture, struct publisher *publisher,
                                 uint32_t number, bool is_from_durable)
{
    assert_int_equal(try_exactly_once(fixture, publisher, number, is_from_durable),
                     PUBLISH_MATCHED);
}

/* What is queued behind a held delivery waits, too; what gathers meanwhile waits for the next
 * commit. */
static void test_exactly_once_leaves_when_kept(void **state)
{
    struct slow_store store;
    struct fixture *fixture = fixture_with_store(2, NULL, &store);
    struct client *durable = durable_client(fixture, 1, "a");
    struct client *passing = fixture_connected(fixture, 1, "b");
    struct publisher publishers[3];

    (void)state;
    fixture_subscribe(durable, "t", 2);
    fixture_subscribe(passing, "t", 2);
    publish_exactly_once(fixture, &publishers[0], 1, true);
    fixture_settle(fixture);
    fixture_publish(fixture, 0, "t", 2, 1);
    fixture_settle(fixture);
    fixture_expect(durable, "");
    fixture_expect(passing, "");
    commit(&store, true);
    publish_exactly_once(fixture, &publishers[1], 3, false);
    fixture_settle(fixture);
    fixture_expect(durable, "1q2@1 2q1@2");
    fixture_expect(passing, "1q2@1 2q1@2 3q2@3");
    publish_exactly_once(fixture, &publishers[2], 4, true);
    fixture_settle(fixture);
    commit_and_settle(&store, fixture, true);
    fixture_expect(durable, "3q2@3");
    fixture_expect(passing, "4q2@4");
    commit_and_settle(&store, fixture, true);
    fixture_expect(durable, "4q2@4");
    fixture_free(fixture);
}

static void test_nothing_leaves_that_is_not_kept(void **state)
{
    struct slow_store store;
    struct fixture *fixture = fixture_with_store(1, NULL, &store);
    struct client *client = durable_client(fixture, 0, "a");
    struct publisher publisher;

    (void)state;
    fixture_subscribe(client, "t", 2);
    publish_exactly_once(fixture, &publisher, 1, false);
    commit_and_settle(&store, fixture, false);
    fixture_expect(client, "");
    assert_true(client->is_ended);
    assert_int_equal(client->reason, MQTT_IMPLEMENTATION_SPECIFIC_ERROR);
    fixture_free(fixture);
}

/* A session that is over before its held deliveries are kept. */
static void test_holds_of_ended_sessions(void **state)
{
    struct slow_store store;
    struct fixture *fixture = fixture_with_store(1, NULL, &store);
    struct client *client = fixture_connected(fixture, 0, "a");
    struct publisher publisher;

    (void)state;
    fixture_subscribe(client, "t", 2);
    publish_exactly_once(fixture, &publisher, 1, true);
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    commit_and_settle(&store, fixture, true);
    fixture_expect(client, "");
    fixture_free(fixture);
}

static void test_no_memory_to_hold(void **state)
{
    struct slow_store store;
    struct fixture *fixture = fixture_with_store(1, NULL, &store);
    struct client *client = durable_client(fixture, 0, "a");
    struct shard *shard = fixture->workers[0].shard;
    unsigned n = 0;
    bool is_lost;

    (void)state;
    fixture_subscribe(client, "t", 2);
    do {
        uint64_t before = metrics_get(shard->metrics, METRIC_DROPPED_NO_MEMORY);
        struct publisher publisher;
        int r;

        memory_fail_after(++n);
        r = try_exactly_once(fixture, &publisher, n, false);
        memory_fail_after(0);
        is_lost = r < 0 || metrics_get(shard->metrics, METRIC_DROPPED_NO_MEMORY) > before;
        commit_and_settle(&store, fixture, true);
        assert_int_equal(client->sent_len, !is_lost);
    } while (is_lost && n < 10);
    assert_in_range(n, 3, 9);
    fixture_free(fixture);
}

static void test_sessions_that_end_are_told(void **state)
{
    struct session_request request = {.clean_start = true, .expiry_interval = SESSION_NEVER};
    struct slow_store store;
    struct fixture *fixture = fixture_with_store(1, NULL, &store);

    (void)state;
    durable_client(fixture, 0, "a");
    fixture_connect(fixture_client(fixture, 0, "a"), &request);
    EXPECT_KINDS(&store, STORE_CONNECTED, STORE_ENDED, STORE_CONNECTED);
    fixture_free(fixture);
}

static void join_group(struct client *client)
{
    struct shard *shard = fixture_enter(client->fixture, client->worker);
    struct subscribed subscribed;

    assert_int_equal(share_subscribe(shard, slice_of_text("g"), slice_of_text("t"),
                                     (struct subscriber){client->session, 0, 2}, &subscribed),
                     0);
}

static struct client *member(struct fixture *fixture, unsigned worker, const char *id,
                             uint32_t expiry_interval)
{
    struct client *client = fixture_client(fixture, worker, id);
    struct session_request request = {.clean_start = true, .expiry_interval = expiry_interval};

    assert_int_equal(fixture_connect(client, &request), SESSION_CREATED);
    join_group(client);
    return client;
}

static void leave_group(struct client *client)
{
    assert_true(share_unsubscribe(fixture_enter(client->fixture, client->worker), client->session,
                                  slice_of_text("g"), slice_of_text("t")));
}

/* A crash at any moment leaves a message that is handed on with somebody. */
static void test_what_is_handed_on_is_the_groups(void **state)
{
    struct session_request request = {.clean_start = true, .expiry_interval = SESSION_NEVER};
    struct slow_store store;
    struct fixture *fixture = fixture_with_store(2, NULL, &store);
    struct client *client = member(fixture, 0, "a", SESSION_NEVER);

    (void)state;
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    fixture_publish(fixture, 0, "t", 1, 1);
    EXPECT_KINDS(&store, STORE_CONNECTED, STORE_CONNECTED, STORE_DELIVERY);
    member(fixture, 1, "b", SESSION_NEVER);
    store.record_len = 0;
    fixture_connect(fixture_client(fixture, 0, "a"), &request); /* ends the one before */
    EXPECT_KINDS(&store, STORE_HANDED_ON, STORE_ENDED, STORE_CONNECTED);
    fixture_settle(fixture);
    EXPECT_KINDS(&store, STORE_DELIVERY);
    assert_true(store.is_handed_on);
    fixture_free(fixture);
}

/* Nothing that is kept takes it. */
static void test_what_is_handed_on_in_vain_is_over(void **state)
{
    struct slow_store store;

    (void)state;
    for (unsigned other = 0; other <= 1; other++) {
        struct fixture *fixture = fixture_with_store(2, NULL, &store);
        struct client *client = member(fixture, 0, "a", SESSION_NEVER);

        client->session->window = 1;
        fixture_publish(fixture, 0, "t", 1, 1);
        fixture_publish(fixture, 0, "t", 2, 1);
        fixture_expect(client, "1q1@1");
        if (other) {
            member(fixture, 1, "b", 0);
        }
        store.record_len = 0;
        leave_group(client); /* keeps what it was sent */
        fixture_settle(fixture);
        EXPECT_KINDS(&store, STORE_HANDED_ON, STORE_UNSHARED);
        commit_and_settle(&store, fixture, true);
        fixture_free(fixture);
    }
}

static void test_every_end_is_told(void **state)
{
    struct core_limits limits = {.queue_plain = true,
                                 .max_queued = 3,
                                 .delivery_budget = 100,
                                 .at_once = 10,
                                 .cleanup_budget = 100};
    struct session_request request = {.expiry_interval = SESSION_NEVER,
                                      .queue_policy = SETTINGS_QUEUE_DROP_OLDEST};
    struct slow_store store;
    struct fixture *fixture = fixture_with_store(1, &limits, &store);
    struct client *client = fixture_client(fixture, 0, "a");

    (void)state;
    fixture_connect(client, &request);
    fixture_subscribe(client, "t", 1);
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    store.record_len = 0;
    fixture_publish(fixture, 0, "t", 1, 1);
    fixture_publish(fixture, 0, "t", 2, 0);
    fixture_publish(fixture, 0, "t", 3, 1);
    EXPECT_KINDS(&store, STORE_DELIVERY, STORE_DELIVERY, STORE_DELIVERY);
    fixture_publish(fixture, 0, "t", 4, 1);
    EXPECT_KINDS(&store, STORE_DROPPED, STORE_DELIVERY);
    client = fixture_client(fixture, 0, "a");
    fixture_connect(client, &request);
    fixture_expect(client, "2 3q1@1 4q1@2");
    EXPECT_KINDS(&store, STORE_CONNECTED, STORE_DROPPED); /* sent with QoS 0 */
    commit_and_settle(&store, fixture, true);
    fixture_free(fixture);
}

/* The next one gets the identifier of what was dropped: not before a crash can't give that back. */
static void test_exactly_once_waits_for_drops(void **state)
{
    struct core_limits limits = {
        .max_queued = 2, .delivery_budget = 100, .at_once = 10, .cleanup_budget = 100};
    struct session_request request = {.expiry_interval = SESSION_NEVER,
                                      .queue_policy = SETTINGS_QUEUE_DROP_OLDEST};
    struct slow_store store;
    struct fixture *fixture = fixture_with_store(1, &limits, &store);
    struct client *client = fixture_client(fixture, 0, "a");

    (void)state;
    fixture_connect(client, &request);
    fixture_subscribe(client, "t", 2);
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    fixture_publish(fixture, 0, "t", 1, 2);
    commit_and_settle(&store, fixture, true);
    fixture_publish(fixture, 0, "t", 2, 2);
    commit_and_settle(&store, fixture, true);
    fixture_publish(fixture, 0, "t", 3, 1);
    client = fixture_client(fixture, 0, "a");
    fixture_connect(client, &request);
    fixture_expect(client, "");
    commit_and_settle(&store, fixture, true);
    fixture_expect(client, "2q2@1 3q1@2");
    fixture_free(fixture);
}

/* DISCONNECT may say that a session that is kept ends with its connection. */
static void test_an_end_that_came_with_disconnect(void **state)
{
    struct slow_store store;
    struct fixture *fixture = fixture_with_store(1, NULL, &store);
    struct client *client = durable_client(fixture, 0, "a");

    (void)state;
    session_set_expiry(client->session, 0);
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    EXPECT_KINDS(&store, STORE_CONNECTED, STORE_ENDED);
    fixture_free(fixture);
}

/* The process ends, its sessions do not. */
static void test_the_end_of_all_ends_no_session(void **state)
{
    struct slow_store store;
    struct fixture *fixture = fixture_with_store(1, NULL, &store);

    (void)state;
    fixture_disconnect(member(fixture, 0, "a", SESSION_NEVER), SESSION_LEAVE_QUIETLY);
    fixture_publish(fixture, 0, "t", 1, 1);
    store.record_len = 0;
    fixture_free(fixture);
    assert_int_equal(store.record_len, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_worker_counts),
        cmocka_unit_test(test_fan_outs_count),
        cmocka_unit_test(test_long_searches_count),
        cmocka_unit_test(test_the_end_lets_go),
        cmocka_unit_test(test_only_durable_sessions_are_kept),
        cmocka_unit_test(test_the_life_of_a_session),
        cmocka_unit_test(test_sessions_that_end_are_told),
        cmocka_unit_test(test_exactly_once_leaves_when_kept),
        cmocka_unit_test(test_nothing_leaves_that_is_not_kept),
        cmocka_unit_test(test_holds_of_ended_sessions),
        cmocka_unit_test(test_no_memory_to_hold),
        cmocka_unit_test(test_what_is_handed_on_is_the_groups),
        cmocka_unit_test(test_what_is_handed_on_in_vain_is_over),
        cmocka_unit_test(test_every_end_is_told),
        cmocka_unit_test(test_exactly_once_waits_for_drops),
        cmocka_unit_test(test_an_end_that_came_with_disconnect),
        cmocka_unit_test(test_the_end_of_all_ends_no_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
