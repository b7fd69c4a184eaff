#include "core/fixture.h"
#include "core/replay.h"
#include "core/session_extras.h"
#include "mqtt/topics.h"

static struct fixture *fixture_with_budget(unsigned worker_len, unsigned budget)
{
    struct core_limits limits = {.delivery_budget = budget, .cleanup_budget = 10};

    return fixture_new(worker_len, &limits);
}

/* Retains "PREFIX0" to "PREFIX(len-1)" with the values 1 to len. */
static void retain_many(struct fixture *fixture, const char *prefix, unsigned len)
{
    char topic[40];

    for (unsigned i = 0; i < len; i++) {
        snprintf(topic, sizeof(topic), "%s%u", prefix, i);
        fixture_retain(fixture, 0, topic, i + 1, 1);
    }
    fixture_settle(fixture);
}

/* Every value from 1 to len has come this often, as retained. */
static void expect_each(const struct client *client, unsigned len, unsigned times)
{
    assert_int_equal(client->sent_len, (size_t)len * times);
    for (unsigned i = 0; i < len; i++) {
        assert_int_equal(fixture_count(client, i + 1), times);
        assert_true(client->sent[i].head.retain);
    }
}

static void expect_over(struct fixture *fixture, const struct client *client)
{
    fixture_settle(fixture);
    assert_null(session_replays(client->session));
    assert_int_equal(fixture->workers[client->worker].shard->echo_len, 0);
}

static void test_filters_find_their_values(void **state)
{
    static const char *const topics[] = {
        "sport",      "sport/tennis", "sport/tennis/a", "/sport",  "finance",
        "$SYS",       "$SYS/a",       "a/$SYS",         "sport/",  "sport//a",
        "sporting/b", "a/b/c/d",      "b/b/c/d",        "a/x/c/d", "//"};
    static const char *const filters[] = {
        "#",       "sport/#", "sport/tennis/#", "+",       "+/+",       "/+",      "+/a",
        "sport/+", "$SYS/#",  "$SYS/+",         "+/$SYS",  "sport/+/a", "+/b/+/d", "+/+/c/d",
        "sport",   "none",    "none/#",         "a/+/c/#", "//",        "+/+/+",   "sport//#"};
    struct fixture *fixture = fixture_with_budget(1, 3);

    (void)state;
    for (uint32_t i = 0; i < ARRAY_LEN(topics); i++) {
        fixture_retain(fixture, 0, topics[i], i + 1, 0);
    }
    for (unsigned i = 0; i < ARRAY_LEN(filters); i++) {
        struct client *client = fixture_connected(fixture, 0, filters[i]);
        unsigned expected = 0;

        fixture_subscribe(client, filters[i], 0);
        expect_over(fixture, client);
        for (uint32_t j = 0; j < ARRAY_LEN(topics); j++) {
            bool matches = mqtt_filter_matches(slice_of_text(filters[i]), slice_of_text(topics[j]));

            assert_int_equal(fixture_count(client, j + 1), matches);
            expected += matches;
        }
        assert_int_equal(client->sent_len, expected);
    }
    fixture_free(fixture);
}

/* What can't bring anything is seen at once, and costs nothing afterwards. */
static void test_names_that_lead_nowhere_are_no_replay(void **state)
{
    static const char *const none[] = {"x", "x/#", "a/x/+", "a", "a/b", "a/b/c/e", "a/b/c/d/#"};
    static const char *const some[] = {"a/#", "a/b/#", "a/b/c", "a/b/c/#", "a/+", "+", "a/b/+/x"};
    struct fixture *fixture = fixture_with_budget(1, 100);
    struct client *client = fixture_connected(fixture, 0, "a");

    (void)state;
    fixture_retain(fixture, 0, "a/b/c", 1, 0);
    fixture_retain(fixture, 0, "a/b/d", 2, 0);
    for (unsigned i = 0; i < ARRAY_LEN(none); i++) {
        fixture_subscribe(client, none[i], 0);
        assert_null(session_replays(client->session));
    }
    for (unsigned i = 0; i < ARRAY_LEN(some); i++) {
        fixture_subscribe(client, some[i], 0);
        assert_non_null(session_replays(client->session));
        expect_over(fixture, client);
    }
    fixture_expect(client, "2r 1r 2r 1r 1r 1r");
    fixture_free(fixture);
}

static void test_slices_keep_to_the_budget(void **state)
{
    struct fixture *fixture = fixture_with_budget(1, 8);
    struct client *client = fixture_connected(fixture, 0, "a");

    (void)state;
    retain_many(fixture, "t/", 50);
    fixture_subscribe(client, "t/+", 0);
    fixture_expect(client, "");
    for (unsigned steps = 8; steps <= 48; steps += 8) {
        fixture_iterate(fixture, 0);
        assert_int_equal(client->sent_len, steps - 1); /* one step leads to "t" */
    }
    expect_over(fixture, client);
    expect_each(client, 50, 1);
    fixture_free(fixture);
}

static void test_deliveries_are_as_asked_for(void **state)
{
    struct fixture *fixture = fixture_with_budget(1, 100);
    struct client *client = fixture_connected(fixture, 0, "a");

    (void)state;
    fixture_retain(fixture, 0, "t", 1, 1);
    fixture_subscribe_with(client, "t", 0, 7, false);
    fixture_settle(fixture);
    fixture_expect(client, "1s7r");
    fixture_subscribe_with(client, "t", 2, 8, false);
    fixture_settle(fixture);
    fixture_expect(client, "1q1@1s8r");
    fixture_subscribe_with(client, "t", 2, 8, true);
    fixture_settle(fixture);
    fixture_expect(client, "");
    fixture_free(fixture);
}

/* A value that was retained before, and still lies in the mailbox, comes through the replay. */
static void test_holds_back_what_is_under_way(void **state)
{
    struct fixture *fixture = fixture_with_budget(2, 100);
    struct client *earlier = fixture_connected(fixture, 0, "a");
    struct client *later = fixture_connected(fixture, 0, "b");
    struct client *silent = fixture_connected(fixture, 0, "c");

    (void)state;
    fixture_subscribe(earlier, "t", 0);
    fixture_retain(fixture, 1, "t", 1, 0);
    fixture_subscribe(later, "t", 0);
    fixture_subscribe_with(silent, "t", 0, 0, true);
    fixture_retain(fixture, 1, "t", 2, 0);
    fixture_drain(fixture, 0);
    fixture_expect(earlier, "1 2");
    fixture_expect(later, "2");
    fixture_expect(silent, "2");
    fixture_settle(fixture);
    fixture_expect(later, ""); /* the value is newer than the subscription: it came live */
    expect_over(fixture, later);
    expect_over(fixture, silent);
    fixture_free(fixture);
}

/* The replay is over long before the message comes out of the mailbox. */
static void test_holds_back_until_the_mailbox_is_drained(void **state)
{
    struct fixture *fixture = fixture_with_budget(2, 100);
    struct shard *shard = fixture_enter(fixture, 0);
    struct client *earlier = fixture_connected(fixture, 0, "a");
    struct client *later = fixture_connected(fixture, 0, "b");

    (void)state;
    fixture_subscribe(earlier, "t", 0);
    fixture_retain(fixture, 1, "t", 1, 0);
    fixture_subscribe(later, "t", 0);
    fixture_enter(fixture, 0);
    shard_go_on(shard);
    fixture_expect(later, "1r");
    for (unsigned i = 0; i < 3; i++) { /* all pass quiescent points, nobody drains */
        for (unsigned j = 0; j < 2; j++) {
            rcu_quiescent(&fixture_enter(fixture, j)->reader);
        }
        rcu_reclaim(&fixture_enter(fixture, 0)->reader, SIZE_MAX);
    }
    fixture_push(&fixture->workers[0]);
    assert_int_equal(fixture_queue_len(&fixture->workers[0].mailbox), 2);
    assert_int_equal(shard->echo_len, 1);
    fixture_drain(fixture, 0);
    fixture_expect(earlier, "1");
    fixture_expect(later, "");
    expect_over(fixture, later);
    fixture_free(fixture);
}

static void test_grace_waits_for_every_worker(void **state)
{
    struct fixture *fixture = fixture_with_budget(2, 100);
    struct client *client = fixture_connected(fixture, 0, "a");

    (void)state;
    fixture_retain(fixture, 1, "t", 1, 0);
    fixture_subscribe(client, "t", 0);
    for (unsigned i = 0; i < 5; i++) {
        fixture_iterate(fixture, 0);
    }
    fixture_expect(client, "1r");
    assert_non_null(session_replays(client->session));
    fixture->refuses_room = true; /* the marker finds no room at first */
    for (unsigned i = 0; i < 5; i++) {
        fixture_iterate(fixture, 1);
        fixture_iterate(fixture, 0);
    }
    assert_non_null(session_replays(client->session));
    fixture->refuses_room = false;
    expect_over(fixture, client);
    fixture_free(fixture);
}

/* Nothing may be lost by replacing: what is under way comes live as well. */
static void test_replaced_subscription_takes_everything_live(void **state)
{
    struct fixture *fixture = fixture_with_budget(2, 100);
    struct client *client = fixture_connected(fixture, 0, "a");

    (void)state;
    fixture_subscribe(client, "t", 0);
    fixture_settle(fixture);
    fixture_retain(fixture, 1, "t", 1, 0);
    fixture_subscribe(client, "t", 0);
    fixture_settle(fixture);
    fixture_expect(client, "1 1r");
    fixture_free(fixture);
}

static void test_replacing_begins_again(void **state)
{
    struct fixture *fixture = fixture_with_budget(1, 8);
    struct client *client = fixture_connected(fixture, 0, "a");

    (void)state;
    retain_many(fixture, "t/", 30);
    fixture_subscribe(client, "t/+", 0);
    fixture_iterate(fixture, 0);
    assert_int_equal(client->sent_len, 7);
    client->sent_len = 0;
    fixture_subscribe_with(client, "t/+", 0, 3, false);
    expect_over(fixture, client);
    expect_each(client, 30, 1);
    for (unsigned i = 0; i < 30; i++) {
        assert_int_equal(client->sent[i].head.identifier, 3);
    }
    fixture_free(fixture);
}

/* Without values asked for (Retain Handling), those under way go on. */
static void test_replacing_silently_lets_go_on(void **state)
{
    struct fixture *fixture = fixture_with_budget(1, 8);
    struct client *client = fixture_connected(fixture, 0, "a");

    (void)state;
    retain_many(fixture, "t/", 30);
    fixture_subscribe(client, "t/+", 0);
    fixture_iterate(fixture, 0);
    fixture_subscribe_with(client, "t/+", 0, 3, true);
    expect_over(fixture, client);
    expect_each(client, 30, 1);
    fixture_free(fixture);
}

enum ending { END_UNSUBSCRIBE, END_SESSION, END_AFTER_THE_WALK, END_SHUTDOWN, ENDING_LEN };

static void end_in_the_middle(enum ending ending)
{
    struct fixture *fixture = fixture_with_budget(1, 8);
    struct client *client = fixture_connected(fixture, 0, "a");
    char other_topic[] = "other";

    retain_many(fixture, "t/", 30);
    fixture_subscribe(client, "t/+", 0);
    for (unsigned i = 0; i < (ending == END_AFTER_THE_WALK ? 5u : 2u); i++) {
        fixture_iterate(fixture, 0);
    }
    assert_int_equal(fixture->workers[0].shard->echo_len, ending == END_AFTER_THE_WALK);
    client->sent_len = 0;
    if (ending == END_UNSUBSCRIBE) {
        assert_true(fixture_unsubscribe(client, "t/+"));
        fixture_subscribe(client, other_topic, 0);
        fixture_retain(fixture, 0, other_topic, 99, 0);
        expect_over(fixture, client);
        fixture_expect(client, "99");
    } else if (ending != END_SHUTDOWN) {
        fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
        fixture_settle(fixture);
        fixture_expect(client, "");
        assert_int_equal(fixture->workers[0].shard->echo_len, 0);
    }
    fixture_free(fixture);
}

static void test_ends_in_the_middle(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ENDING_LEN; i++) {
        end_in_the_middle((enum ending)i);
    }
}

/* The node under the cursor loses its value, and all others do; the rest of the walk goes on. */
static void test_values_cleared_under_the_cursor(void **state)
{
    struct fixture *fixture = fixture_with_budget(1, 8);
    struct client *client = fixture_connected(fixture, 0, "a");
    char topic[16];

    (void)state;
    retain_many(fixture, "t/x/", 30);
    fixture_retain(fixture, 0, "z", 77, 0);
    fixture_subscribe_with(client, "#", 0, 1, false);
    fixture_iterate(fixture, 0);
    assert_true(client->sent_len >= 5);
    for (unsigned i = 0; i < 30; i++) {
        snprintf(topic, sizeof(topic), "t/x/%u", i);
        fixture_retain(fixture, 0, topic, 0, 0);
    }
    fixture_retain(fixture, 0, "t/y", 78, 0);
    expect_over(fixture, client);
    assert_int_equal(fixture_count(client, 77), 1);
    assert_int_equal(fixture_count(client, 78), 1);
    assert_int_equal(fixture_count(client, 0), 30);
    assert_int_equal(tree_len(fixture->core->retained.tree), 3);
    fixture_free(fixture);
}

static void test_waits_for_the_peer(void **state)
{
    struct fixture *fixture = fixture_with_budget(1, 100);
    struct client *client = fixture_connected(fixture, 0, "a");

    (void)state;
    retain_many(fixture, "t/", 30);
    client->pending = (size_t)64 * 1024;
    fixture_subscribe(client, "t/+", 0);
    fixture_settle(fixture);
    fixture_expect(client, "");
    client->pending--;
    fixture_settle(fixture);
    fixture_expect(client, "");
    session_on_room(fixture_enter(fixture, 0), client->session);
    expect_over(fixture, client);
    expect_each(client, 30, 1);
    fixture_free(fixture);
}

/* A peer whose output is written in the middle of a PUBLISH says at once that it has room. */
static void test_peers_that_write_early(void **state)
{
    static const char *const early[] = {"a", "aa", "ab", "ba", "aab", "bab", "aaa"};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(early); i++) {
        struct fixture *fixture = fixture_with_budget(1, 8);
        struct client *clients[3];
        size_t len = strlen(early[i]);

        retain_many(fixture, "t/", 30);
        for (unsigned j = 0; j < len; j++) {
            clients[j] = fixture_connected(fixture, 0, (char[]){(char)('x' + j), 0});
            clients[j]->writes_early = early[i][j] == 'a';
            fixture_subscribe(clients[j], "t/+", 0);
        }
        for (unsigned j = 0; j < len; j++) {
            expect_over(fixture, clients[j]);
            expect_each(clients[j], 30, 1);
            assert_true(list_is_empty(&fixture->workers[0].shard->replays));
        }
        fixture_free(fixture);
    }
}

/* Values of QoS 1 wait for the window and for the queue behind it; none is dropped. */
static void test_waits_for_acknowledgements(void **state)
{
    static const uint32_t max_queued[] = {0, 1, 2, 10, 1000};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(max_queued); i++) {
        struct core_limits limits = {
            .delivery_budget = 40, .cleanup_budget = 5, .max_queued = max_queued[i]};
        struct fixture *fixture = fixture_new(1, &limits);
        struct client *client = fixture_client(fixture, 0, "a");
        struct session_request request = {.window = 4};

        retain_many(fixture, "t/", 200);
        fixture_connect(client, &request);
        fixture_subscribe(client, "t/+", 1);
        fixture_settle(fixture);
        assert_int_equal(client->sent_len, 4);
        assert_true(outbound_queued(&client->session->outbound) <= 64);
        for (uint16_t id = 1; id <= 200; id++) {
            assert_int_equal(session_on_puback(fixture_enter(fixture, 0), client->session, id),
                             ACK_OK);
            fixture_settle(fixture);
        }
        expect_each(client, 200, 1);
        assert_int_equal(metrics_get(fixture->workers[0].shard->metrics, METRIC_DROPPED_QUEUE_FULL),
                         0);
        expect_over(fixture, client);
        fixture_free(fixture);
    }
}

/* A session that is away keeps its place, and goes on when it is back. */
static void test_goes_on_when_the_session_is_resumed(void **state)
{
    struct fixture *fixture = fixture_with_budget(1, 8);
    struct session_request request = {.expiry_interval = 100};
    struct client *client = fixture_client(fixture, 0, "a");
    struct client *again = fixture_client(fixture, 0, "a");

    (void)state;
    retain_many(fixture, "t/", 30);
    fixture_connect(client, &request);
    fixture_subscribe(client, "t/+", 0);
    fixture_iterate(fixture, 0);
    fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
    fixture_settle(fixture);
    assert_int_equal(client->sent_len, 7);
    assert_int_equal(fixture_connect(again, &request), SESSION_RESUMED);
    expect_over(fixture, again);
    assert_int_equal(again->sent_len, 23);
    fixture_free(fixture);
}

static void test_expired_values_are_not_sent(void **state)
{
    struct fixture *fixture = fixture_with_budget(1, 8);
    struct shard *shard = fixture_enter(fixture, 0);
    struct client *client = fixture_connected(fixture, 0, "a");
    uint32_t number = 5;
    struct publication publication = fixture_publication(shard, "t", &number);

    (void)state;
    publication.parts.retain = true;
    publication.parts.expires_at = shard_now(shard) + 2;
    assert_int_equal(shard_publish(shard, &publication), PUBLISH_UNMATCHED);
    publication_deinit(&publication);
    fixture_wait(fixture, 1999);
    fixture_subscribe(client, "t", 0);
    fixture_settle(fixture);
    fixture_expect(client, "5r");
    fixture_wait(fixture, 1);
    fixture_subscribe(client, "t", 0);
    fixture_settle(fixture);
    fixture_expect(client, "");
    assert_int_equal(metrics_get(shard->metrics, METRIC_RETAINED_EXPIRED), 1);
    assert_int_equal(core_count(fixture->core, METRIC_RETAINED), 0);
    fixture_free(fixture);
}

static void test_no_memory_replays_nothing(void **state)
{
    struct fixture *fixture = fixture_with_budget(1, 8);
    struct client *client = fixture_connected(fixture, 0, "a");
    struct replay_request request = {.filter = slice_of_text("t/+")};

    (void)state;
    retain_many(fixture, "t/", 3);
    fixture_subscribe_with(client, "t/+", 0, 0, true);
    expect_over(fixture, client);
    request.node = tree_find(fixture->core->router.tree, request.filter);
    memory_fail_after(1);
    assert_int_equal(replay_start(fixture_enter(fixture, 0), client->session, &request), -ENOMEM);
    memory_fail_after(0);
    expect_over(fixture, client);
    fixture_expect(client, "");
    fixture_free(fixture);
}

static void free_nothing(void *context, void *object)
{
    (void)context;
    (void)object;
}

/* Leaves no memory to remember one more retired object by. */
static void fill_retired(struct fixture *fixture)
{
    struct shard *shard = fixture_enter(fixture, 0);
    size_t before;

    do {
        before = rcu_waiting(&shard->reader);
        memory_fail_after(1);
        rcu_retire(&shard->reader, free_nothing, NULL, NULL);
    } while (rcu_waiting(&shard->reader) > before);
    memory_fail_after(1);
}

/* Then a replay can't be seen through its grace period: it stays with its session, counted out. */
static void test_no_memory_to_wait_for_the_grace_period(void **state)
{
    struct fixture *fixture = fixture_with_budget(1, 8);
    struct client *client = fixture_connected(fixture, 0, "a");
    struct client *other = fixture_connected(fixture, 0, "b");

    (void)state;
    retain_many(fixture, "t/", 3);
    fixture_subscribe(client, "t/+", 0);
    fill_retired(fixture);
    fixture_iterate(fixture, 0);
    memory_fail_after(0);
    expect_each(client, 3, 1);
    assert_int_equal(fixture->workers[0].shard->echo_len, 0);
    fixture_subscribe(other, "t/+", 0);
    fill_retired(fixture);
    fixture_disconnect(other, SESSION_LEAVE_QUIETLY);
    memory_fail_after(0);
    assert_int_equal(fixture->workers[0].shard->echo_len, 0);
    fixture_subscribe(client, "t/#", 0);
    fixture_settle(fixture);
    expect_each(client, 3, 2);
    fixture_free(fixture);
}

/* Stored by another worker that has not posted it yet: looked at again under the stripe's lock. */
static void test_waits_for_values_to_be_posted(void **state)
{
    struct fixture *fixture = fixture_with_budget(1, 8);
    struct client *client = fixture_connected(fixture, 0, "a");
    struct tree *tree = fixture->core->retained.tree;
    struct tree_edge own;
    struct tree_edge edge;
    uint32_t parent;

    (void)state;
    retain_many(fixture, "t/", 30);
    parent = tree_find(tree, slice_of_text("t"));
    for (uint32_t node = tree_first_child(tree, parent, &edge); node != TREE_NO_NODE;
         node = tree_next_sibling(tree, node, &own, &edge)) {
        struct message *message = (struct message *)(uintptr_t)tree_node(tree, node)->word;

        if (message->retained_number % 3 != 0) {
            message->retained_number |= MESSAGE_UNPOSTED;
        }
    }
    fixture_subscribe(client, "#", 0);
    expect_over(fixture, client);
    expect_each(client, 30, 1);
    for (uint32_t node = tree_first_child(tree, parent, &edge); node != TREE_NO_NODE;
         node = tree_next_sibling(tree, node, &own, &edge)) {
        assert_int_equal(tree_node(tree, node)->bits, 0);
    }
    fixture_free(fixture);
}

/*
 * The naive model: the history of all retained publications, and for each subscription how long it
 * was when the subscription was made. A topic that matches must have brought the value that it had
 * then, at most once and before everything else; then every later one, live. The old value may be
 * missing only where a later one has replaced it.
 */

#define TOPIC_LEN   60
#define SUB_LEN     8
#define HISTORY_CAP 4000

struct change {
    unsigned topic;
    uint32_t number;
};

struct subscription_model {
    struct client *client;
    char filter[40];
    unsigned since; /* length of the history */
};

struct model {
    struct fixture *fixture;
    char topics[TOPIC_LEN][40];
    struct change history[HISTORY_CAP];
    unsigned len;
    struct subscription_model subscriptions[SUB_LEN];
    unsigned subscription_len;
    uint64_t seed;
};

static void draw_path(struct model *model, char *path, bool is_filter)
{
    static const char *const levels[] = {"a", "b", "", "$s", "a-longer-level-x", "+", "+"};
    unsigned len = 1 + fixture_random(&model->seed, 4);

    do {
        path[0] = '\0';
        for (unsigned i = 0; i < len; i++) {
            strcat(path, i ? "/" : "");
            strcat(path, levels[fixture_random(&model->seed, is_filter ? 7 : 5)]);
        }
        if (is_filter && fixture_random(&model->seed, 3) == 0) {
            strcat(path, path[0] ? "/#" : "#");
        }
    } while (path[0] == '\0' || strlen(path) >= 40);
}

static void model_retain(struct model *model)
{
    unsigned topic = fixture_random(&model->seed, TOPIC_LEN);
    uint32_t number = fixture_random(&model->seed, 3) ? model->len + 1 : 0;
    unsigned worker = fixture_random(&model->seed, model->fixture->core->worker_len);

    if (model->len < HISTORY_CAP) {
        assert_true(fixture_retain(model->fixture, worker, model->topics[topic], number, 0) > 0);
        model->history[model->len++] = (struct change){topic, number};
    }
}

static void model_subscribe(struct model *model)
{
    struct subscription_model *subscription = &model->subscriptions[model->subscription_len];
    unsigned worker = fixture_random(&model->seed, model->fixture->core->worker_len);
    char path[96];
    char id[8];

    snprintf(id, sizeof(id), "%u", model->subscription_len++);
    draw_path(model, path, true);
    memcpy(subscription->filter, path, sizeof(subscription->filter));
    subscription->client = fixture_connected(model->fixture, worker, id);
    subscription->since = model->len;
    fixture_subscribe(subscription->client, subscription->filter, 0);
}

/* The next that the client was sent with this topic, behind `*at`. */
static const struct sent *next_sent(const struct client *client, const char *topic, size_t *at)
{
    while (*at < client->sent_len) {
        const struct sent *sent = &client->sent[(*at)++];

        if (strcmp(sent->topic, topic) == 0) {
            return sent;
        }
    }
    return NULL;
}

static uint32_t old_value(const struct model *model, unsigned topic, unsigned since)
{
    while (since > 0) {
        if (model->history[--since].topic == topic) {
            return model->history[since].number;
        }
    }
    return 0;
}

static void check_topic(const struct model *model, const struct subscription_model *subscription,
                        unsigned topic)
{
    uint32_t old = old_value(model, topic, subscription->since);
    size_t at = 0;
    const struct sent *sent = next_sent(subscription->client, model->topics[topic], &at);
    bool came = sent && sent->head.retain;
    bool changed = false;

    if (came) {
        assert_true(old != 0);
        assert_int_equal(sent->number, old);
        sent = next_sent(subscription->client, model->topics[topic], &at);
    }
    for (unsigned i = subscription->since; i < model->len; i++) {
        if (model->history[i].topic == topic) {
            changed = true;
            assert_non_null(sent);
            assert_false(sent->head.retain);
            assert_int_equal(sent->number, model->history[i].number);
            sent = next_sent(subscription->client, model->topics[topic], &at);
        }
    }
    assert_null(sent);
    assert_true(came || changed || old == 0);
}

static void model_check(const struct model *model)
{
    for (unsigned i = 0; i < model->subscription_len; i++) {
        const struct subscription_model *subscription = &model->subscriptions[i];
        struct slice filter = slice_of_text(subscription->filter);

        for (unsigned j = 0; j < TOPIC_LEN; j++) {
            size_t at = 0;

            if (mqtt_filter_matches(filter, slice_of_text(model->topics[j]))) {
                check_topic(model, subscription, j);
            } else {
                assert_null(next_sent(subscription->client, model->topics[j], &at));
            }
        }
    }
}

static bool model_has_topic(const struct model *model, unsigned len, const char *topic)
{
    for (unsigned i = 0; i < len; i++) {
        if (strcmp(model->topics[i], topic) == 0) {
            return true;
        }
    }
    return false;
}

static void model_init(struct model *model, uint64_t seed)
{
    char path[96];

    memset(model, 0, sizeof(*model));
    model->seed = seed;
    model->fixture = fixture_with_budget(1 + (unsigned)seed % 3, 1 + (unsigned)seed % 9);
    for (unsigned i = 0; i < TOPIC_LEN; i++) {
        do {
            draw_path(model, path, false);
        } while (model_has_topic(model, i, path));
        memcpy(model->topics[i], path, sizeof(model->topics[i]));
    }
}

static void test_random_changes_during_replays(void **state)
{
    static struct model model;

    (void)state;
    for (uint64_t seed = 1; seed <= 120; seed++) {
        model_init(&model, seed);
        for (unsigned i = 0; i < 300; i++) {
            uint32_t what = fixture_random(&model.seed, 40);

            if (what == 0 && i > 60 && model.subscription_len < SUB_LEN) {
                model_subscribe(&model);
            } else if (what < 20 || i < 60) {
                model_retain(&model);
            } else {
                fixture_iterate(model.fixture,
                                fixture_random(&model.seed, model.fixture->core->worker_len));
            }
        }
        fixture_settle(model.fixture);
        model_check(&model);
        for (unsigned i = 0; i < model.subscription_len; i++) {
            expect_over(model.fixture, model.subscriptions[i].client);
        }
        fixture_free(model.fixture);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filters_find_their_values),
        cmocka_unit_test(test_names_that_lead_nowhere_are_no_replay),
        cmocka_unit_test(test_slices_keep_to_the_budget),
        cmocka_unit_test(test_deliveries_are_as_asked_for),
        cmocka_unit_test(test_holds_back_what_is_under_way),
        cmocka_unit_test(test_holds_back_until_the_mailbox_is_drained),
        cmocka_unit_test(test_grace_waits_for_every_worker),
        cmocka_unit_test(test_replaced_subscription_takes_everything_live),
        cmocka_unit_test(test_replacing_begins_again),
        cmocka_unit_test(test_replacing_silently_lets_go_on),
        cmocka_unit_test(test_ends_in_the_middle),
        cmocka_unit_test(test_values_cleared_under_the_cursor),
        cmocka_unit_test(test_waits_for_the_peer),
        cmocka_unit_test(test_peers_that_write_early),
        cmocka_unit_test(test_waits_for_acknowledgements),
        cmocka_unit_test(test_goes_on_when_the_session_is_resumed),
        cmocka_unit_test(test_expired_values_are_not_sent),
        cmocka_unit_test(test_no_memory_replays_nothing),
        cmocka_unit_test(test_no_memory_to_wait_for_the_grace_period),
        cmocka_unit_test(test_waits_for_values_to_be_posted),
        cmocka_unit_test(test_random_changes_during_replays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
