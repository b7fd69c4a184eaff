#include "core/fixture.h"
#include "core/match.h"
#include "core/router.h"
#include "mqtt/topics.h"

#define CLIENT_LEN 9
#define FOUND_CAP  256
#define HEAP_TOPIC "no/level-that-is-on-the-heap"

/* What a match has found on one worker. */
struct found {
    const struct shard *shard;
    struct subscriber rows[FOUND_CAP];
    unsigned len;
};

static void find_visit(void *context, uint32_t node, uint64_t word)
{
    struct found *found = context;
    struct own_subscribers own = router_own(found->shard, word);

    assert_true(node != TREE_NO_NODE && word != 0);
    assert_true(found->len + own.len <= FOUND_CAP);
    if (own.len > 0 && !own.list) {
        assert_int_equal(own.len, 1);
        found->rows[found->len++] = own.single;
    }
    for (unsigned i = 0; own.list && i < own.len; i++) {
        found->rows[found->len++] = own.list->rows[i];
    }
}

static struct found match(struct fixture *fixture, unsigned worker, const char *topic)
{
    struct shard *shard = fixture_enter(fixture, worker);
    struct found found = {.shard = shard};
    struct slice slice = slice_of_text(topic);

    match_all_nodes(shard, slice, shard_topic_hash(shard, slice), find_visit, &found);
    return found;
}

static const struct subscriber *find_row(const struct found *found, const struct client *client)
{
    for (unsigned i = 0; i < found->len; i++) {
        if (found->rows[i].session == client->session) {
            return &found->rows[i];
        }
    }
    return NULL;
}

/* How many subscriptions match a topic on worker 0. */
static unsigned matches(struct fixture *fixture, const char *topic)
{
    return match(fixture, 0, topic).len;
}

static int subscribe(struct client *client, const char *filter, uint8_t options,
                     uint32_t identifier, struct subscribed *subscribed_out)
{
    struct shard *shard = fixture_enter(client->fixture, client->worker);

    return router_subscribe(shard, slice_of_text(filter), NULL,
                            (struct subscriber){client->session, identifier, options},
                            subscribed_out);
}

/* The kinds of a node's word: one subscriber, a list, several workers, and back. */
static void test_words_change_with_their_subscribers(void **state)
{
    struct fixture *fixture = fixture_new(3, NULL);
    struct client *a = fixture_connected(fixture, 0, "a");
    struct client *b = fixture_connected(fixture, 0, "b");
    struct client *c = fixture_connected(fixture, 2, "c");
    struct found found;

    (void)state;
    fixture_subscribe(a, "t", 1 | SUBSCRIBE_NO_LOCAL);
    found = match(fixture, 0, "t");
    assert_int_equal(found.len, 1);
    assert_int_equal(find_row(&found, a)->options, 1 | SUBSCRIBE_NO_LOCAL);
    assert_int_equal(match(fixture, 2, "t").len, 0);
    fixture_subscribe(b, "t", 2);
    found = match(fixture, 0, "t");
    assert_int_equal(found.len, 2);
    assert_int_equal(find_row(&found, a)->options, 1 | SUBSCRIBE_NO_LOCAL);
    assert_int_equal(find_row(&found, b)->options, 2);
    fixture_subscribe(c, "t", SUBSCRIBE_AS_PUBLISHED);
    assert_int_equal(match(fixture, 0, "t").len, 2);
    assert_int_equal(match(fixture, 1, "t").len, 0);
    found = match(fixture, 2, "t");
    assert_int_equal(find_row(&found, c)->options, SUBSCRIBE_AS_PUBLISHED);
    assert_true(fixture_unsubscribe(a, "t"));
    assert_true(fixture_unsubscribe(b, "t"));
    assert_int_equal(match(fixture, 0, "t").len, 0);
    assert_int_equal(match(fixture, 2, "t").len, 1);
    fixture_subscribe(a, "t", 0);
    assert_int_equal(match(fixture, 0, "t").len, 1);
    assert_true(fixture_unsubscribe(c, "t"));
    assert_true(fixture_unsubscribe(a, "t"));
    assert_false(fixture_unsubscribe(a, "t"));
    assert_int_equal(tree_len(fixture->core->router.tree), 0);
    assert_int_equal(fixture_subscriptions(fixture->core), 0);
    fixture_free(fixture);
}

static void test_replacing_changes_options_and_identifier(void **state)
{
    static const struct {
        uint8_t options;
        uint32_t identifier;
    } rows[] = {
        {0,                      0        },
        {2,                      0        },
        {1,                      5        },
        {2,                      268435455},
        {0,                      0        },
        {1 | SUBSCRIBE_NO_LOCAL, 0        }
    };
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *client = fixture_connected(fixture, 0, "a");
    struct client *other = fixture_connected(fixture, 0, "b");
    struct subscribed subscribed;

    (void)state;
    for (unsigned i = 0; i < 2 * ARRAY_LEN(rows); i++) {
        unsigned at = i % ARRAY_LEN(rows);
        struct found found;

        if (i == ARRAY_LEN(rows)) {
            fixture_subscribe(other, "a/+", 1);
        }
        assert_int_equal(
            subscribe(client, "a/+", rows[at].options, rows[at].identifier, &subscribed), 0);
        assert_int_equal(subscribed.replaced, i > 0);
        found = match(fixture, 0, "a/x");
        assert_int_equal(found.len, i < ARRAY_LEN(rows) ? 1 : 2);
        assert_int_equal(find_row(&found, client)->options, rows[at].options);
        assert_int_equal(find_row(&found, client)->identifier, rows[at].identifier);
    }
    assert_int_equal(fixture_subscriptions(fixture->core), 2);
    fixture_free(fixture);
}

/* Each step is seen by a match although the one before it was cached. */
static void test_cached_matches_see_every_change(void **state)
{
    static const struct {
        const char *filter;
        bool adds;
        unsigned matches; /* of "a/b" afterwards */
    } steps[] = {
        {"a/b",   true,  1},
        {"a/b",   false, 0},
        {"a/b",   true,  1},
        {"a/c",   true,  1},
        {"a/+",   true,  2},
        {"#",     true,  3},
        {"a/+",   false, 2},
        {"a/b/#", true,  3},
        {"a/b",   false, 2},
        {"#",     false, 1},
        {"+/+",   true,  2},
        {"a/b/#", false, 1},
        {"+/+",   false, 0},
        {"a/b",   true,  1},
    };
    struct fixture *fixture = fixture_new(2, NULL);
    struct client *client = fixture_connected(fixture, 0, "a");
    struct client *remote = fixture_connected(fixture, 1, "b");

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(steps); i++) {
        if (steps[i].adds) {
            fixture_subscribe(client, steps[i].filter, 0);
            fixture_subscribe(remote, steps[i].filter, 0);
        } else {
            assert_true(fixture_unsubscribe(client, steps[i].filter));
            assert_true(fixture_unsubscribe(remote, steps[i].filter));
        }
        for (unsigned again = 0; again < 3; again++) {
            assert_int_equal(match(fixture, 1, "a/b").len, steps[i].matches);
            assert_int_equal(matches(fixture, "a/b"), steps[i].matches);
        }
    }
    fixture_free(fixture);
}

/* What was cached has the node already, and finds who joins or leaves it in its word. */
static void test_joining_others_voids_no_cached_match(void **state)
{
    struct fixture *fixture = fixture_new(2, NULL);
    struct router *router = &fixture->core->router;
    struct client *clients[4];
    uint64_t version;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        clients[i] = fixture_connected(fixture, i / 2, (char[]){(char)('a' + i), 0});
    }
    fixture_subscribe(clients[0], "a/+", 0);
    version = router->wildcard_version;
    for (unsigned i = 1; i < 4; i++) {
        assert_int_equal(matches(fixture, "a/b"), i < 2 ? 1 : 2);
        fixture_subscribe(clients[i], "a/+", 0);
        assert_int_equal(match(fixture, 1, "a/b").len, i < 2 ? 0 : i - 1);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(router->wildcard_version, version);
        assert_true(fixture_unsubscribe(clients[i], "a/+"));
        assert_int_equal(matches(fixture, "a/b"), i < 1 ? 1 : 0);
    }
    assert_true(router->wildcard_version > version);
    fixture_free(fixture);
}

static void test_topics_with_more_nodes_than_the_cache_takes(void **state)
{
    static const char *const filters[] = {"a/b", "a/+", "+/b", "+/+", "#", "a/#", "+/#", "a/b/#"};
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *client = fixture_connected(fixture, 0, "a");

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(filters); i++) {
        fixture_subscribe(client, filters[i], 0);
        for (unsigned again = 0; again < 3; again++) {
            assert_int_equal(matches(fixture, "a/b"), i + 1);
        }
    }
    for (unsigned i = 0; i < ARRAY_LEN(filters); i++) {
        assert_true(fixture_unsubscribe(client, filters[i]));
        assert_int_equal(matches(fixture, "a/b"), ARRAY_LEN(filters) - 1 - i);
    }
    fixture_free(fixture);
}

/* Around the length that the cache takes; topics that differ in their last byte. */
static void test_long_topics(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *client = fixture_connected(fixture, 0, "a");
    char topic[300];

    (void)state;
    fixture_subscribe(client, "+/#", 0);
    for (size_t len = 80; len < sizeof(topic) - 1; len++) {
        memset(topic, 'x', len);
        topic[len] = '\0';
        assert_int_equal(matches(fixture, topic), 1);
        fixture_subscribe(client, topic, 0);
        assert_int_equal(matches(fixture, topic), 2);
        topic[len - 1] = 'y';
        assert_int_equal(matches(fixture, topic), 1);
        assert_int_equal(matches(fixture, topic), 1);
        topic[len - 1] = 'x';
        assert_int_equal(matches(fixture, topic), 2);
        assert_true(fixture_unsubscribe(client, topic));
        assert_int_equal(matches(fixture, topic), 1);
    }
    fixture_free(fixture);
}

static void test_internal_topics_hide_from_wildcards(void **state)
{
    static const struct {
        const char *topic;
        unsigned matches;
    } rows[] = {
        {"$SYS",     1},
        {"$SYS/a",   3},
        {"$SYS/a/b", 1},
        {"$",        0},
        {"a/$SYS",   3},
        {"a",        2}
    };
    static const char *const filters[] = {"#", "+/+", "+/#", "$SYS/#", "$SYS/+", "$SYS/a"};
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *client = fixture_connected(fixture, 0, "a");

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(filters); i++) {
        fixture_subscribe(client, filters[i], 0);
    }
    for (unsigned i = 0; i < 2 * ARRAY_LEN(rows); i++) {
        assert_int_equal(matches(fixture, rows[i / 2].topic), rows[i / 2].matches);
    }
    fixture_free(fixture);
}

/* Two ways of a cache set, and many topics in it: all answers stay right. */
static void test_topics_push_each_other_out_of_the_cache(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *client = fixture_connected(fixture, 0, "a");
    char topic[24];

    (void)state;
    fixture_subscribe(client, "t/5/+", 0);
    fixture_subscribe(client, "t/#", 0);
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(topic, sizeof(topic), "t/%u/x", i % 8000);
        assert_int_equal(matches(fixture, topic), i % 8000 == 5 ? 2 : 1);
    }
    fixture_free(fixture);
}

static void test_deepest_filters_and_topics(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *client = fixture_connected(fixture, 0, "a");
    char text[402];

    (void)state;
    for (size_t i = 0; i < 201; i++) {
        text[2 * i] = '+';
        text[2 * i + 1] = '/';
    }
    text[401] = '\0';
    fixture_subscribe(client, text, 0);
    text[400] = '#';
    fixture_subscribe(client, text, 0);
    for (size_t i = 0; i < 201; i++) {
        text[2 * i] = 'a';
    }
    fixture_subscribe(client, text, 0);
    assert_int_equal(matches(fixture, text), 3);
    text[399] = '\0'; /* 200 levels: '#' matches its parent */
    assert_int_equal(matches(fixture, text), 1);
    fixture_free(fixture);
}

/* Subscribes with each allocation refused in turn: nobody may see a half subscription. Answers how
 * many there are. */
static unsigned check_no_memory(struct client *client, const char *filter, uint32_t identifier)
{
    struct fixture *fixture = client->fixture;
    struct core *core = fixture->core;
    size_t nodes = tree_len(core->router.tree);
    size_t len = fixture_subscriptions(core);
    unsigned before = match(fixture, client->worker, HEAP_TOPIC).len;
    struct subscribed subscribed;
    unsigned n = 0;
    int r = -ENOMEM;

    while (r < 0) {
        memory_fail_after(++n);
        r = subscribe(client, filter, 1, identifier, &subscribed);
        memory_fail_after(0);
        if (r < 0) {
            assert_int_equal(r, -ENOMEM);
            assert_int_equal(tree_len(core->router.tree), nodes);
            assert_int_equal(fixture_subscriptions(core), len);
            assert_int_equal(match(fixture, client->worker, HEAP_TOPIC).len, before);
        }
        fixture_settle(fixture);
    }
    assert_false(subscribed.replaced);
    assert_int_equal(match(fixture, client->worker, HEAP_TOPIC).len, before + 1);
    return n - 1;
}

static void test_no_memory_subscribes_nobody(void **state)
{
    struct fixture *fixture = fixture_new(2, NULL);
    unsigned refused = 0;
    char id[8];

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        struct client *client;

        snprintf(id, sizeof(id), "%u", i);
        client = fixture_connected(fixture, i / 4, id);
        refused += check_no_memory(client, HEAP_TOPIC, 0);
        refused += check_no_memory(client, i % 2 ? "no/+" : "+/level-that-is-on-the-heap/#", i);
        refused += check_no_memory(client, "no/#", i % 3);
    }
    assert_true(refused > 20);
    fixture_free(fixture);
}

/* Its session may end without ever having another; the leak checker looks at what is left. */
static void test_no_memory_leaves_nothing(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct subscribed subscribed;
    unsigned refused = 0;
    char id[8];

    (void)state;
    for (unsigned n = 1; n <= 6; n++) {
        struct client *client;

        snprintf(id, sizeof(id), "%u", n);
        client = fixture_connected(fixture, 0, id);
        memory_fail_after(n);
        refused += subscribe(client, HEAP_TOPIC, 1, 9, &subscribed) < 0;
        memory_fail_after(0);
    }
    assert_true(refused > 2);
    fixture_free(fixture);
}

/* A replacement that needs a list is refused whole. */
static void test_no_memory_to_replace(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *client = fixture_connected(fixture, 0, "a");
    struct subscribed subscribed;
    struct found found;

    (void)state;
    fixture_subscribe(client, "t", 1);
    for (unsigned n = 1; n <= 2; n++) {
        memory_fail_after(n);
        assert_int_equal(subscribe(client, "t", 2, 9, &subscribed), -ENOMEM);
        memory_fail_after(0);
        found = match(fixture, 0, "t");
        assert_int_equal(found.len, 1);
        assert_int_equal(found.rows[0].options, 1);
        assert_int_equal(found.rows[0].identifier, 0);
    }
    fixture_free(fixture);
}

/* A naive list of subscriptions */

#define NAIVE_CAP    400
#define NAIVE_FILTER 40

struct naive {
    struct client *client;
    char filter[NAIVE_FILTER];
    uint8_t options;
    uint32_t identifier;
};

struct naive_list {
    struct fixture *fixture;
    struct client *clients[CLIENT_LEN];
    struct naive rows[NAIVE_CAP];
    unsigned len;
    uint64_t seed;
};

static void draw_path(struct naive_list *list, char *path, bool is_filter)
{
    static const char *const levels[] = {"a", "b", "", "$s", "a-longer-level-x", "+"};
    unsigned len = 1 + fixture_random(&list->seed, 4);

    do {
        path[0] = '\0';
        for (unsigned i = 0; i < len; i++) {
            strcat(path, i ? "/" : "");
            strcat(path, levels[fixture_random(&list->seed, is_filter ? 6 : 5)]);
        }
        if (is_filter && fixture_random(&list->seed, 4) == 0) {
            strcat(path, path[0] ? "/#" : "#");
        }
    } while (path[0] == '\0' || strlen(path) >= NAIVE_FILTER);
}

static struct naive *naive_find(struct naive_list *list, const struct client *client,
                                const char *filter)
{
    for (unsigned i = 0; i < list->len; i++) {
        if (list->rows[i].client == client && strcmp(list->rows[i].filter, filter) == 0) {
            return &list->rows[i];
        }
    }
    return NULL;
}

static void naive_subscribe(struct naive_list *list)
{
    struct client *client = list->clients[fixture_random(&list->seed, CLIENT_LEN)];
    uint32_t identifier = fixture_random(&list->seed, 3) ? 0 : fixture_random(&list->seed, 9);
    uint8_t options = (uint8_t)(fixture_random(&list->seed, 16) & ~3u);
    struct subscribed subscribed;
    char filter[2 * NAIVE_FILTER];
    struct naive *row;

    draw_path(list, filter, true);
    row = naive_find(list, client, filter);
    assert_int_equal(subscribe(client, filter, options, identifier, &subscribed), 0);
    assert_int_equal(subscribed.replaced, row != NULL);
    row = row ? row : &list->rows[list->len++];
    row->client = client;
    row->options = options;
    row->identifier = identifier;
    memcpy(row->filter, filter, NAIVE_FILTER);
}

static void naive_unsubscribe(struct naive_list *list)
{
    struct naive *row = &list->rows[fixture_random(&list->seed, list->len)];

    assert_true(fixture_unsubscribe(row->client, row->filter));
    assert_false(fixture_unsubscribe(row->client, row->filter));
    *row = list->rows[--list->len];
}

/* Takes a row that is this subscription out of what was found. */
static void take_found(struct found *found, const struct naive *row)
{
    for (unsigned i = 0; i < found->len; i++) {
        if (found->rows[i].session == row->client->session &&
            found->rows[i].identifier == row->identifier &&
            found->rows[i].options == row->options) {
            found->rows[i] = found->rows[--found->len];
            return;
        }
    }
    fail_msg("'%s' of %s was not found", row->filter, row->client->id);
}

static void naive_match(struct naive_list *list)
{
    char topic[2 * NAIVE_FILTER];
    struct found found[FIXTURE_WORKER_CAP];
    bool concerned[FIXTURE_WORKER_CAP] = {false};
    struct worker_set workers;
    struct shard *shard;

    draw_path(list, topic, false);
    for (unsigned i = 0; i < list->fixture->core->worker_len; i++) {
        found[i] = match(list->fixture, i, topic);
    }
    for (unsigned i = 0; i < list->len; i++) {
        const struct naive *row = &list->rows[i];

        if (mqtt_filter_matches(slice_of_text(row->filter), slice_of_text(topic))) {
            take_found(&found[row->client->worker], row);
            concerned[row->client->worker] = true;
        }
    }
    shard = fixture_enter(list->fixture, fixture_random(&list->seed, 3));
    assert_true(router_workers(shard, slice_of_text(topic),
                               shard_topic_hash(shard, slice_of_text(topic)), &workers));
    for (unsigned i = 0; i < FIXTURE_WORKER_CAP; i++) {
        assert_int_equal(found[i].len, 0);
        assert_int_equal(worker_set_has(&workers, i), concerned[i]);
    }
}

static void test_random_against_a_naive_list(void **state)
{
    static struct naive_list list;

    (void)state;
    memset(&list, 0, sizeof(list));
    list.fixture = fixture_new(FIXTURE_WORKER_CAP, NULL);
    list.seed = 5;
    for (unsigned i = 0; i < CLIENT_LEN; i++) {
        list.clients[i] = fixture_connected(list.fixture, i % 3, (char[]){(char)('a' + i), 0});
    }
    for (unsigned i = 0; i < 12000; i++) {
        uint32_t growing = i / 2000 % 2 ? 1 : 3;

        if (fixture_random(&list.seed, 4) < growing && list.len < NAIVE_CAP) {
            naive_subscribe(&list);
        } else if (list.len > 0) {
            naive_unsubscribe(&list);
        }
        naive_match(&list);
        if (i % 16 == 0) {
            fixture_settle(list.fixture);
        }
        assert_int_equal(fixture_subscriptions(list.fixture->core), list.len);
    }
    fixture_free(list.fixture);
}

/* What is known of who may do what with a topic goes with its entry in the cache: no other topic
 * gets it that is put in the same place. */
static void test_groups_stay_with_their_topic(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct shard *shard = fixture_enter(fixture, 0);
    struct match_found found;
    unsigned known_len = 0;

    (void)state;
    shard->limits.asks_rights = true;
    fixture_subscribe(fixture_connected(fixture, 0, "a"), "t/#", 0);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 1; i <= 6000; i++) {
            char text[16];
            struct slice topic = slice_of(text, (size_t)snprintf(text, sizeof(text), "t/%u", i));
            uint64_t hash = shard_topic_hash(shard, topic);

            assert_int_equal(matches(fixture, text), 1);
            assert_true(match_cached(shard, topic, hash, &found));
            assert_true(found.groups.reader == 0 || found.groups.reader == i);
            assert_int_equal(found.groups.writer, 2 * found.groups.reader);
            known_len += found.groups.reader == i;
            match_keep_groups(shard, topic, hash,
                              &(struct match_groups){.reader = i, .writer = 2 * (uint64_t)i});
        }
    }
    /* There is room for 4096 topics, and 6000 come by in turns. */
    assert_in_range(known_len, 100, 4096);
    fixture_free(fixture);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_change_with_their_subscribers),
        cmocka_unit_test(test_replacing_changes_options_and_identifier),
        cmocka_unit_test(test_cached_matches_see_every_change),
        cmocka_unit_test(test_joining_others_voids_no_cached_match),
        cmocka_unit_test(test_topics_with_more_nodes_than_the_cache_takes),
        cmocka_unit_test(test_long_topics),
        cmocka_unit_test(test_internal_topics_hide_from_wildcards),
        cmocka_unit_test(test_topics_push_each_other_out_of_the_cache),
        cmocka_unit_test(test_deepest_filters_and_topics),
        cmocka_unit_test(test_no_memory_subscribes_nobody),
        cmocka_unit_test(test_no_memory_leaves_nothing),
        cmocka_unit_test(test_no_memory_to_replace),
        cmocka_unit_test(test_groups_stay_with_their_topic),
        cmocka_unit_test(test_random_against_a_naive_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
