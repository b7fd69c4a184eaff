#include "core/fanout.h"
#include "core/fixture.h"

#define TOPIC "t/a"

/* Their subscribers are six lists, or sessions that stand alone; all match TOPIC. */
static const char *const filters[] = {"t/a", "t/+", "+/a", "+/+", "t/#", "#"};

#define FILTER_LEN ARRAY_LEN(filters)
#define SLICE      7

static struct fixture *small_fixture(void)
{
    struct core_limits limits = {
        .delivery_budget = SLICE, .at_once = 64, .run = 100, .cleanup_budget = 5};

    return fixture_new(1, &limits);
}

/* Each list has so many of its rows served in turn. */
static struct fixture *turning_fixture(unsigned run, unsigned search_steps)
{
    struct core_limits limits = {.delivery_budget = SLICE,
                                 .at_once = 64,
                                 .run = run,
                                 .cleanup_budget = 5,
                                 .search_steps = search_steps};

    return fixture_new(1, &limits);
}

/* Of a search so many steps are taken at once. */
static struct fixture *short_searching_fixture(unsigned search_steps)
{
    return turning_fixture(0, search_steps);
}

/* `len` clients that subscribe to a filter. */
static void connect_many(struct fixture *fixture, const char *filter, struct client **clients,
                         unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        char id[24];

        snprintf(id, sizeof(id), "%s-%u", filter, i);
        clients[i] = fixture_connected(fixture, 0, id);
        fixture_subscribe(clients[i], filter, 0);
    }
}

/* One slice of the fan-out under way, with a whole budget. */
static void go_on(struct fixture *fixture)
{
    struct shard *shard = fixture_enter(fixture, 0);

    shard_begin(shard, fixture->now_ms);
    fanout_go_on(shard);
}

static unsigned count_all(struct client *const *clients, unsigned len, uint32_t number)
{
    unsigned count = 0;

    for (unsigned i = 0; i < len; i++) {
        count += fixture_count(clients[i], number);
    }
    return count;
}

static void test_few_are_served_at_once(void **state)
{
    struct fixture *fixture = small_fixture();
    struct client *clients[64];

    (void)state;
    connect_many(fixture, "t/a", clients, 64);
    assert_int_equal(fixture_publish(fixture, 0, TOPIC, 1, 0), PUBLISH_MATCHED);
    assert_false(shard_is_in_fanout(fixture_enter(fixture, 0)));
    assert_int_equal(fixture_enter(fixture, 0)->budget, 0);
    assert_int_equal(count_all(clients, 64, 1), 64);
    assert_int_equal(fixture_publish(fixture, 0, TOPIC, 2, 0), PUBLISH_MATCHED);
    assert_int_equal(count_all(clients, 64, 2), 64);
    fixture_free(fixture);
}

/* What is served in one go is cheap, as long as all of it may be written. */
static void test_what_is_charged(void **state)
{
    enum { BUDGET = 1000 };
    static const struct {
        unsigned client_len;
        unsigned left;
    } rows[] = {
        {65,                                  BUDGET - 17                                 },
        {BUDGET / (SHARD_WRITE_COST + 1),     BUDGET - BUDGET / (SHARD_WRITE_COST + 1) / 4},
        {BUDGET / (SHARD_WRITE_COST + 1) + 1, BUDGET - BUDGET / (SHARD_WRITE_COST + 1) - 1},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct core_limits limits = {.delivery_budget = BUDGET, .at_once = 64, .cleanup_budget = 5};
        struct fixture *fixture = fixture_new(1, &limits);
        struct shard *shard = fixture_enter(fixture, 0);
        struct client *clients[BUDGET / SHARD_WRITE_COST];

        connect_many(fixture, TOPIC, clients, rows[i].client_len);
        shard_begin(shard, fixture->now_ms);
        assert_int_equal(fixture_publish(fixture, 0, TOPIC, 1, 0), PUBLISH_MATCHED);
        assert_int_equal(shard->budget, rows[i].left);
        assert_int_equal(count_all(clients, rows[i].client_len, 1), rows[i].client_len);
        fixture_free(fixture);
    }
}

static void test_many_are_served_in_slices(void **state)
{
    struct fixture *fixture = small_fixture();
    struct shard *shard = fixture_enter(fixture, 0);
    struct client *clients[65];

    (void)state;
    connect_many(fixture, "t/a", clients, 64);
    connect_many(fixture, "#", clients + 64, 1);
    shard_begin(shard, fixture->now_ms);
    assert_int_equal(fixture_publish(fixture, 0, TOPIC, 1, 0), PUBLISH_MATCHED);
    for (unsigned served = SLICE; served < 65; served += SLICE) {
        assert_true(shard_is_in_fanout(shard));
        assert_true(shard_has_work(shard));
        assert_int_equal(count_all(clients, 65, 1), served);
        go_on(fixture);
    }
    assert_false(shard_is_in_fanout(shard));
    assert_int_equal(shard->fanout.cap, 0);
    for (unsigned i = 0; i < 65; i++) {
        fixture_expect(clients[i], "1");
    }
    fixture_free(fixture);
}

/* Clients with the same filters: those that a slice has come to are nearly through, so that each is
 * written to once or twice, and not in every slice. What a slice may not use is left for others. */
static void test_same_filters_are_served_together(void **state)
{
    struct core_limits limits = {
        .delivery_budget = 160, .at_once = 64, .slice = 40, .run = 2, .cleanup_budget = 5};
    struct fixture *fixture = fixture_new(1, &limits);
    struct client *clients[20];
    size_t before[ARRAY_LEN(clients)] = {0};
    unsigned writes = 0;

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(clients); i++) {
        char id[8];

        snprintf(id, sizeof(id), "%u", i);
        clients[i] = fixture_connected(fixture, 0, id);
        for (unsigned j = 0; j < FILTER_LEN; j++) {
            fixture_subscribe(clients[i], filters[j], 0);
        }
    }
    shard_begin(fixture_enter(fixture, 0), fixture->now_ms);
    fixture_publish(fixture, 0, TOPIC, 1, 0);
    assert_int_equal(fixture_enter(fixture, 0)->budget, 120);
    for (;;) {
        for (unsigned i = 0; i < ARRAY_LEN(clients); i++) {
            writes += clients[i]->sent_len > before[i];
            before[i] = clients[i]->sent_len;
        }
        if (!shard_is_in_fanout(fixture_enter(fixture, 0))) {
            break;
        }
        go_on(fixture);
    }
    for (unsigned i = 0; i < ARRAY_LEN(clients); i++) {
        assert_int_equal(fixture_count(clients[i], 1), FILTER_LEN);
    }
    assert_true(writes <= ARRAY_LEN(clients) * 3 / 2);
    fixture_free(fixture);
}

/* A message that arrives meanwhile waits its turn behind the fan-out. */
static void test_order_is_kept_behind_a_fanout(void **state)
{
    struct fixture *fixture = small_fixture();
    struct client *clients[100];

    (void)state;
    connect_many(fixture, "t/a", clients, 100);
    fixture_publish(fixture, 0, TOPIC, 1, 1);
    fixture_publish(fixture, 0, TOPIC, 2, 0);
    fixture_retain(fixture, 0, TOPIC, 3, 0);
    fixture_publish(fixture, 0, TOPIC, 4, 0);
    fixture_settle(fixture);
    for (unsigned i = 0; i < 100; i++) {
        fixture_expect(clients[i], "1 2 3 4");
    }
    fixture_free(fixture);
}

/* One copy is as good as a message, unless the packet has memory of its own. */
static void test_large_payloads_are_referenced(void **state)
{
    static const struct {
        unsigned client_len;
        size_t payload_len;
        bool has_room;
        bool makes_message;
    } rows[] = {
        {1, MESSAGE_COPY_MAX,     true,  false},
        {1, MESSAGE_COPY_MAX + 1, true,  true },
        {1, MESSAGE_COPY_MAX + 1, false, false},
        {2, MESSAGE_COPY_MAX,     false, false},
        {2, MESSAGE_COPY_MAX + 1, false, true },
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct fixture *fixture = small_fixture();
        struct shard *shard = fixture_enter(fixture, 0);
        struct message *room = message_room_new(strlen(TOPIC) + rows[i].payload_len);
        uint32_t number = 1;
        struct publication publication = fixture_publication(shard, TOPIC, &number);
        struct client *clients[2];

        connect_many(fixture, TOPIC, clients, rows[i].client_len);
        memcpy(room->data, TOPIC, strlen(TOPIC));
        memset(room->data + strlen(TOPIC), 0, rows[i].payload_len);
        memcpy(room->data + strlen(TOPIC), &number, sizeof(number));
        publication.parts.topic = slice_of(room->data, strlen(TOPIC));
        publication.parts.payload = slice_of(room->data + strlen(TOPIC), rows[i].payload_len);
        publication.room = rows[i].has_room ? room : NULL;
        assert_int_equal(shard_publish(shard, &publication), PUBLISH_MATCHED);
        assert_int_equal(publication.message != NULL, rows[i].makes_message);
        assert_int_equal(count_all(clients, rows[i].client_len, 1), rows[i].client_len);
        if (!rows[i].has_room || publication.room) {
            message_room_free(room);
        }
        publication_deinit(&publication);
        fixture_free(fixture);
    }
}

static void test_without_memory_all_are_served_at_once(void **state)
{
    struct fixture *fixture = small_fixture();
    struct client *clients[110];

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        connect_many(fixture, filters[i], clients + i * 15, i == 5 ? 35 : 15);
    }
    for (unsigned n = 1; n <= 2; n++) {
        memory_fail_after(n);
        assert_int_equal(fixture_publish(fixture, 0, TOPIC, n, 0), PUBLISH_MATCHED);
        memory_fail_after(0);
        assert_false(shard_is_in_fanout(fixture_enter(fixture, 0)));
        assert_int_equal(count_all(clients, 110, n), 110);
    }
    fixture_free(fixture);
}

/* More targets than are made room for at first, the second room refused. */
static void test_without_memory_for_more_targets(void **state)
{
    struct fixture *fixture = small_fixture();
    struct client *client = fixture_connected(fixture, 0, "a");
    char topic[] = "a/b/c/d/e/f/g";
    char filter[16];

    (void)state;
    for (unsigned bits = 0; bits < 128; bits++) {
        for (unsigned i = 0; i < 7; i++) {
            snprintf(filter + 2 * i, 3, "%c/", bits >> i & 1 ? '+' : topic[2 * i]);
        }
        filter[13] = '\0';
        fixture_subscribe(client, filter, 0);
    }
    for (unsigned n = 3; n <= 6; n++) {
        memory_fail_after(n);
        assert_int_equal(fixture_publish(fixture, 0, topic, n, 0), PUBLISH_MATCHED);
        memory_fail_after(0);
        assert_int_equal(shard_is_in_fanout(fixture_enter(fixture, 0)), n >= 6);
        fixture_settle(fixture);
        assert_int_equal(fixture_count(client, n), 128);
    }
    fixture_free(fixture);
}

/* Who stands alone at a node and leaves before its turn is not served. */
static void test_alone_and_gone(void **state)
{
    struct fixture *fixture = small_fixture();
    struct client *clients[100];
    struct client *alone;

    (void)state;
    connect_many(fixture, "#", clients, 100);
    connect_many(fixture, "t/a", &alone, 1);
    fixture_publish(fixture, 0, TOPIC, 1, 0);
    assert_true(fixture_unsubscribe(alone, "t/a"));
    fixture_settle(fixture);
    assert_int_equal(count_all(clients, 100, 1), 100);
    fixture_expect(alone, "");
    fixture_free(fixture);
}

/* The same when somebody has joined it meanwhile: the node's word has become a list. */
static void test_alone_then_joined_and_gone(void **state)
{
    struct fixture *fixture = small_fixture();
    struct client *clients[100];
    struct client *alone;
    struct client *later;

    (void)state;
    connect_many(fixture, "#", clients, 100);
    connect_many(fixture, "t/a", &alone, 1);
    fixture_publish(fixture, 0, TOPIC, 1, 0);
    later = fixture_connected(fixture, 0, "later");
    fixture_subscribe(later, "t/a", 0);
    assert_true(fixture_unsubscribe(alone, "t/a"));
    fixture_settle(fixture);
    assert_int_equal(count_all(clients, 100, 1), 100);
    fixture_expect(alone, "");
    fixture_expect(later, "");
    fixture_free(fixture);
}

/* Who has come back when its turn comes is served as it subscribes by then; and a place in the tree
 * that it has left is nobody else's before that. */
static void test_alone_gone_and_back(void **state)
{
    struct fixture *fixture = small_fixture();
    struct client *clients[100];
    struct client *back;
    struct client *elsewhere;

    (void)state;
    connect_many(fixture, "#", clients, 100);
    connect_many(fixture, "t/a", &back, 1);
    connect_many(fixture, "+/a", &elsewhere, 1);
    fixture_publish(fixture, 0, TOPIC, 1, 0);
    assert_true(fixture_unsubscribe(back, "t/a"));
    assert_true(fixture_unsubscribe(elsewhere, "+/a"));
    fixture_iterate(fixture, 0);
    fixture_iterate(fixture, 0);
    assert_true(shard_is_in_fanout(fixture_enter(fixture, 0)));
    assert_int_equal(fixture_subscribe_with(back, "t/a", 0, 7, true), 0);
    for (unsigned i = 0; i < 20; i++) {
        char filter[16];

        snprintf(filter, sizeof(filter), "x/%u", i);
        fixture_subscribe(elsewhere, filter, 0);
    }
    fixture_settle(fixture);
    fixture_expect(back, "1s7");
    fixture_expect(elsewhere, "");
    fixture_free(fixture);
}

/* Sessions end, in lists and alone, while a fan-out still has them: nothing is queued for them. */
static void test_sessions_end_while_they_are_held(void **state)
{
    struct fixture *fixture = small_fixture();
    struct client *clients[100];
    struct client *alone;

    (void)state;
    connect_many(fixture, "#", clients, 100);
    connect_many(fixture, "t/a", &alone, 1);
    for (unsigned i = 0; i < 100; i++) {
        fixture_subscribe(clients[i], "#", 1);
    }
    fixture_subscribe(alone, "t/a", 1);
    fixture_publish(fixture, 0, TOPIC, 1, 1);
    fixture_disconnect(alone, SESSION_LEAVE_QUIETLY);
    for (unsigned i = 0; i < 100; i++) {
        fixture_disconnect(clients[i], SESSION_LEAVE_QUIETLY);
    }
    fixture_settle(fixture);
    assert_int_equal(count_all(clients, 100, 1), SLICE);
    fixture_expect(alone, "");
    assert_int_equal(tree_len(fixture->core->router.tree), 0);
    fixture_free(fixture);
}

static void test_clear_lets_go_of_everything(void **state)
{
    struct fixture *fixture = small_fixture();
    struct client *clients[100];
    struct client *alone;

    (void)state;
    connect_many(fixture, "#", clients, 100);
    connect_many(fixture, "t/a", &alone, 1);
    fixture_publish(fixture, 0, TOPIC, 1, 0);
    assert_true(shard_is_in_fanout(fixture_enter(fixture, 0)));
    fixture_free(fixture);
}

/* Searches in slices */

#define DEEP_TOPIC "a/a/a/a/a/a/a/a"
#define DEEP_STEPS 511 /* of its search, when somebody subscribes to all of its filters */

/* All that match DEEP_TOPIC without '#'; the first is the topic itself, the last '+' alone. */
static void subscribe_to_all(struct client *client)
{
    char filter[] = DEEP_TOPIC;

    for (unsigned bits = 0; bits < 256; bits++) {
        for (unsigned i = 0; i < 8; i++) {
            filter[2 * i] = bits >> i & 1 ? '+' : 'a';
        }
        fixture_subscribe(client, filter, 0);
    }
}

/* Nobody waits for the end of the search but who comes behind it; an iteration takes no more steps
 * than it has the budget for. */
static void test_long_search_in_slices(void **state)
{
    struct fixture *fixture = short_searching_fixture(100);
    struct shard *shard = fixture_enter(fixture, 0);
    struct client *client = fixture_connected(fixture, 0, "a");
    struct client *other = fixture_connected(fixture, 0, "b");
    unsigned iterations = 0;

    (void)state;
    subscribe_to_all(client);
    fixture_subscribe(other, "t", 0);
    shard_begin(shard, fixture->now_ms);
    assert_int_equal(fixture_publish(fixture, 0, DEEP_TOPIC, 1, 0), PUBLISH_LEFT);
    assert_int_equal(fixture_publish(fixture, 0, "t", 2, 0), PUBLISH_MATCHED);
    assert_true(shard->fanout.is_searching);
    while (shard->fanout.is_searching) {
        assert_true(shard_has_work(shard));
        assert_int_equal(client->sent_len + other->sent_len, 0);
        fixture_iterate(fixture, 0);
        iterations++;
    }
    assert_in_range(iterations, DEEP_STEPS / (2 * SLICE), DEEP_STEPS / (2 * SLICE) + 1);
    fixture_settle(fixture);
    assert_int_equal(fixture_count(client, 1), 256);
    fixture_expect(other, "2");
    fixture_free(fixture);
}

/* One that finds little is not made again. */
static void test_long_search_is_remembered(void **state)
{
    struct fixture *fixture = short_searching_fixture(100);
    struct shard *shard = fixture_enter(fixture, 0);
    struct client *client = fixture_connected(fixture, 0, "a");
    struct client *other = fixture_connected(fixture, 0, "b");

    (void)state;
    subscribe_to_all(client);
    fixture_subscribe(other, DEEP_TOPIC "/b", 0);
    fixture_subscribe(other, "+/+/+/+/+/+/+/+/+", 0);
    fixture_publish(fixture, 0, DEEP_TOPIC "/b", 1, 0);
    assert_true(shard->fanout.is_searching);
    fixture_settle(fixture);
    fixture_expect(other, "1 1");
    fixture_publish(fixture, 0, DEEP_TOPIC "/b", 2, 0);
    fixture_expect(other, "2 2");
    /* What has changed in the middle of a search makes its answer void. */
    fixture_publish(fixture, 0, DEEP_TOPIC "/c", 3, 0);
    fixture_iterate(fixture, 0);
    assert_true(shard->fanout.is_searching);
    fixture_subscribe(other, "a/#", 0);
    fixture_settle(fixture);
    other->sent_len = 0;
    fixture_publish(fixture, 0, DEEP_TOPIC "/c", 4, 0);
    assert_true(shard->fanout.is_searching);
    fixture_settle(fixture);
    fixture_expect(other, "4 4");
    fixture_free(fixture);
}

/* Whoever is there from the first slice to the last gets it once; who has left gets nothing. */
static void test_changes_during_a_search(void **state)
{
    struct fixture *fixture = short_searching_fixture(1);
    struct client *client = fixture_connected(fixture, 0, "a");
    struct client *stays = fixture_connected(fixture, 0, "b");
    struct client *leaves = fixture_connected(fixture, 0, "c");
    struct client *ends = fixture_connected(fixture, 0, "d");

    (void)state;
    subscribe_to_all(client);
    fixture_subscribe(stays, DEEP_TOPIC, 0);
    fixture_subscribe(stays, "+/+/+/+/+/+/+/#", 0);
    fixture_subscribe(leaves, "a/#", 0);
    fixture_subscribe(leaves, "+/#", 0);
    fixture_subscribe(ends, "#", 0);
    fixture_publish(fixture, 0, DEEP_TOPIC, 1, 0);
    fixture_iterate(fixture, 0);
    assert_true(fixture_unsubscribe(leaves, "a/#"));
    assert_true(fixture_unsubscribe(leaves, "+/#"));
    fixture_disconnect(ends, SESSION_LEAVE_QUIETLY);
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    fixture_settle(fixture);
    fixture_expect(stays, "1 1");
    fixture_expect(leaves, "");
    fixture_expect(ends, "");
    fixture_expect(client, "");
    assert_int_equal(fixture_enter(fixture, 0)->fanout.cap, 0);
    fixture_free(fixture);
}

/* The first room for targets is refused, or the second: then the search counts for nothing. */
static void test_long_search_without_memory(void **state)
{
    struct fixture *fixture = short_searching_fixture(100);
    struct client *client = fixture_connected(fixture, 0, "a");

    (void)state;
    subscribe_to_all(client);
    for (unsigned n = 1; n <= 2; n++) {
        fixture_publish(fixture, 0, DEEP_TOPIC, n, 0);
        memory_fail_after(n);
        while (shard_is_in_fanout(fixture_enter(fixture, 0))) {
            assert_int_equal(client->sent_len, 0);
            go_on(fixture);
        }
        memory_fail_after(0);
        assert_int_equal(fixture_count(client, n), 256);
        client->sent_len = 0;
    }
    fixture_free(fixture);
}

static void test_the_end_in_a_search(void **state)
{
    struct fixture *fixture = short_searching_fixture(100);
    struct client *client = fixture_connected(fixture, 0, "a");

    (void)state;
    subscribe_to_all(client);
    fixture_publish(fixture, 0, DEEP_TOPIC, 1, 0);
    fixture_iterate(fixture, 0);
    assert_true(fixture_enter(fixture, 0)->fanout.len > 0);
    fixture_free(fixture);
}

/*
 * The naive model: for each client and filter, whether it was subscribed when the message was
 * published, and what it had been sent when it left. A delivery tells its filter by its identifier;
 * identifier 0, that of subscribers who may stand alone, is used once in a client.
 */

#define CLIENT_LEN 90

enum part { PART_NEVER, PART_STAYS, PART_LEFT, PART_LATER };

struct subscription_model {
    enum part part;
    unsigned frozen; /* times that it had been served when it left */
    bool is_in;
};

struct client_model {
    struct client *client;
    unsigned plain; /* the filter that has no identifier */
    struct subscription_model filters[FILTER_LEN];
};

struct model {
    struct fixture *fixture;
    struct client_model clients[CLIENT_LEN];
    uint64_t seed;
    uint32_t number;
    unsigned generation;
};

static uint32_t identifier_of(const struct client_model *of, unsigned filter)
{
    return filter == of->plain ? 0 : filter + 1;
}

static unsigned served(const struct model *model, const struct client_model *of, unsigned filter)
{
    unsigned count = 0;

    for (size_t i = 0; i < of->client->sent_len; i++) {
        const struct sent *sent = &of->client->sent[i];

        count +=
            sent->number == model->number && sent->head.identifier == identifier_of(of, filter);
    }
    return count;
}

static void model_join(struct model *model, struct client_model *of, unsigned filter)
{
    struct subscription_model *subscription = &of->filters[filter];

    assert_int_equal(
        fixture_subscribe_with(of->client, filters[filter], 0, identifier_of(of, filter), true), 0);
    if (!subscription->is_in) {
        subscription->part =
            shard_is_in_fanout(fixture_enter(model->fixture, 0)) ? PART_LATER : PART_STAYS;
        subscription->is_in = true;
    }
}

static void model_left(struct model *model, struct client_model *of, unsigned filter)
{
    struct subscription_model *subscription = &of->filters[filter];

    if (subscription->is_in) {
        subscription->is_in = false;
        subscription->part = PART_LEFT;
        subscription->frozen = served(model, of, filter);
    }
}

static void model_leave(struct model *model, struct client_model *of, unsigned filter)
{
    assert_int_equal(fixture_unsubscribe(of->client, filters[filter]), of->filters[filter].is_in);
    model_left(model, of, filter);
}

static void model_connect(struct model *model, struct client_model *of)
{
    char id[24];

    snprintf(id, sizeof(id), "%u", model->generation++);
    of->client = fixture_connected(model->fixture, 0, id);
    of->plain = fixture_random(&model->seed, FILTER_LEN / 2);
    memset(of->filters, 0, sizeof(of->filters));
}

/* Once for all who stayed, never again for those who left, never twice for anybody. */
static void model_check_client(const struct model *model, const struct client_model *of)
{
    for (unsigned i = 0; i < FILTER_LEN; i++) {
        const struct subscription_model *subscription = &of->filters[i];
        unsigned count = served(model, of, i);

        switch (subscription->part) {
        case PART_NEVER: assert_int_equal(count, 0); break;
        case PART_STAYS: assert_int_equal(count, 1); break;
        case PART_LEFT: assert_int_equal(count, subscription->frozen); break;
        case PART_LATER: assert_true(count <= 1); break;
        }
        assert_true(count <= 1);
    }
}

/* The whole session ends; what it was sent is checked now, for its client is replaced. */
static void model_end_session(struct model *model, struct client_model *of)
{
    fixture_disconnect(of->client, SESSION_LEAVE_QUIETLY);
    model_connect(model, of);
}

/* Somebody who subscribes to a filter, if anybody does. */
static struct client_model *draw_subscriber(struct model *model, unsigned filter)
{
    unsigned at = fixture_random(&model->seed, CLIENT_LEN);
    unsigned end = at + CLIENT_LEN;

    while (at < end && !model->clients[at % CLIENT_LEN].filters[filter].is_in) {
        at++;
    }
    return &model->clients[at % CLIENT_LEN];
}

/* The first half of the filters has few subscribers, the other half many. */
static void model_change(struct model *model)
{
    bool is_rare = fixture_random(&model->seed, 4) == 0;
    unsigned filter = fixture_random(&model->seed, (unsigned)FILTER_LEN / 2) +
                      (is_rare ? 0 : (unsigned)FILTER_LEN / 2);
    struct client_model *of = &model->clients[fixture_random(&model->seed, CLIENT_LEN)];
    uint32_t what = fixture_random(&model->seed, 40);

    if (what < 20) {
        model_join(model, of, filter);
    } else if (what < 39) {
        model_leave(model, is_rare ? draw_subscriber(model, filter) : of, filter);
    } else {
        model_end_session(model, of);
    }
}

static void model_round(struct model *model, unsigned changes)
{
    struct shard *shard = fixture_enter(model->fixture, 0);

    for (unsigned i = 0; i < CLIENT_LEN; i++) {
        model->clients[i].client->sent_len = 0;
        for (unsigned j = 0; j < FILTER_LEN; j++) {
            struct subscription_model *subscription = &model->clients[i].filters[j];

            subscription->part = subscription->is_in ? PART_STAYS : PART_NEVER;
        }
    }
    model->number++;
    fixture_publish(model->fixture, 0, TOPIC, model->number, 0);
    while (shard_is_in_fanout(shard)) {
        for (unsigned i = fixture_random(&model->seed, changes + 1); i > 0; i--) {
            model_change(model);
        }
        fixture_iterate(model->fixture, 0);
    }
    for (unsigned i = 0; i < CLIENT_LEN; i++) {
        model_check_client(model, &model->clients[i]);
    }
    for (unsigned i = 0; i < 30; i++) {
        model_change(model);
    }
    fixture_settle(model->fixture);
}

static void test_random_changes_between_slices(void **state)
{
    static struct model model;

    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        memset(&model, 0, sizeof(model));
        model.fixture = turning_fixture(1 + (unsigned)seed % 5, (unsigned)seed % 4);
        model.seed = seed;
        for (unsigned i = 0; i < CLIENT_LEN; i++) {
            model_connect(&model, &model.clients[i]);
        }
        for (unsigned i = 0; i < 300; i++) {
            model_change(&model);
        }
        for (unsigned i = 0; i < 40; i++) {
            model_round(&model, 1u << i % 6);
        }
        fixture_free(model.fixture);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_are_served_at_once),
        cmocka_unit_test(test_what_is_charged),
        cmocka_unit_test(test_many_are_served_in_slices),
        cmocka_unit_test(test_same_filters_are_served_together),
        cmocka_unit_test(test_order_is_kept_behind_a_fanout),
        cmocka_unit_test(test_large_payloads_are_referenced),
        cmocka_unit_test(test_without_memory_all_are_served_at_once),
        cmocka_unit_test(test_without_memory_for_more_targets),
        cmocka_unit_test(test_alone_and_gone),
        cmocka_unit_test(test_alone_gone_and_back),
        cmocka_unit_test(test_alone_then_joined_and_gone),
        cmocka_unit_test(test_sessions_end_while_they_are_held),
        cmocka_unit_test(test_clear_lets_go_of_everything),
        cmocka_unit_test(test_long_search_in_slices),
        cmocka_unit_test(test_long_search_is_remembered),
        cmocka_unit_test(test_changes_during_a_search),
        cmocka_unit_test(test_long_search_without_memory),
        cmocka_unit_test(test_the_end_in_a_search),
        cmocka_unit_test(test_random_changes_between_slices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
