#include "core/fixture.h"
#include "core/search.h"
#include "mqtt/topics_naive.h"

#include <limits.h>

/* The filters of a tree, each of one client, and how often a search has met them. */
#define FILTER_LEN 120
#define LEVEL_LEN  4

struct forest {
    struct fixture *fixture;
    struct client *client;
    uint64_t seed;
    char filters[FILTER_LEN][24];
    bool is_there[FILTER_LEN];
    bool has_changed[FILTER_LEN]; /* since the search began */
    unsigned met[FILTER_LEN];
};

/* Few levels, so that much matches. */
static void make_filter(struct forest *forest, char text[24])
{
    static const char *const levels[] = {"a", "b", "+", "+", ""};
    unsigned len = 1 + fixture_random(&forest->seed, LEVEL_LEN);

    text[0] = '\0';
    for (unsigned i = 0; i < len; i++) {
        strcat(text, i > 0 ? "/" : "");
        strcat(text, levels[fixture_random(&forest->seed, ARRAY_LEN(levels))]);
    }
    if (text[0] == '\0' || fixture_random(&forest->seed, 4) == 0) {
        strcat(text, text[0] ? "/#" : "#");
    }
}

static bool is_known(const struct forest *forest, unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        if (strcmp(forest->filters[i], forest->filters[len]) == 0) {
            return true;
        }
    }
    return false;
}

static void toggle(struct forest *forest, unsigned i)
{
    if (forest->is_there[i]) {
        assert_true(fixture_unsubscribe(forest->client, forest->filters[i]));
    } else {
        fixture_subscribe(forest->client, forest->filters[i], 0);
    }
    forest->is_there[i] = !forest->is_there[i];
    forest->has_changed[i] = true;
}

static void forest_init(struct forest *forest, uint64_t seed)
{
    *forest = (struct forest){.fixture = fixture_new(1, NULL), .seed = seed};
    forest->client = fixture_connected(forest->fixture, 0, "a");
    for (unsigned i = 0; i < FILTER_LEN; i++) {
        do {
            make_filter(forest, forest->filters[i]);
        } while (is_known(forest, i));
        if (fixture_random(&forest->seed, 2)) {
            toggle(forest, i);
        }
    }
}

static struct tree *tree_of(const struct forest *forest)
{
    return forest->fixture->core->router.tree;
}

static void meet(void *context, uint32_t node, uint64_t word)
{
    struct forest *forest = context;
    char path[64];
    size_t len = tree_path(tree_of(forest), node, (uint8_t *)path, sizeof(path));

    assert_true(word != 0 && len < sizeof(path));
    path[len] = '\0';
    for (unsigned i = 0; i < FILTER_LEN; i++) {
        forest->met[i] += strcmp(forest->filters[i], path) == 0;
    }
}

/* Some come and some go, between two slices; what has gone is freed. */
static void change_some(struct forest *forest)
{
    for (unsigned n = fixture_random(&forest->seed, 4); n > 0; n--) {
        toggle(forest, fixture_random(&forest->seed, FILTER_LEN));
    }
    fixture_settle(forest->fixture);
}

static void check_met(const struct forest *forest, struct slice topic)
{
    for (unsigned i = 0; i < FILTER_LEN; i++) {
        bool matches = naive_matches(slice_of_text(forest->filters[i]), topic);

        if (!matches || (!forest->has_changed[i] && !forest->is_there[i])) {
            assert_int_equal(forest->met[i], 0);
        } else if (!forest->has_changed[i]) {
            assert_int_equal(forest->met[i], 1);
        } else {
            assert_in_range(forest->met[i], 0, 1);
        }
    }
}

/* With each size of slices, and whatever changes between them. */
static void test_slices(void **state)
{
    static const char *const topics[] = {"a", "a/b", "a/b/a", "b//a/b", "$a/b", "/", "a/a/a/a/a"};

    (void)state;
    for (unsigned round = 0; round < 140; round++) {
        struct slice topic = slice_of_text(topics[round % ARRAY_LEN(topics)]);
        struct forest forest;
        struct search search;
        unsigned slice = 1 + round % 5;
        bool is_over = false;

        forest_init(&forest, round);
        memset(forest.has_changed, 0, sizeof(forest.has_changed));
        search_init(&search);
        while (!is_over) {
            unsigned steps = slice;

            is_over = search_go_on(&search, tree_of(&forest), topic, &steps,
                                   (struct search_visitor){meet, &forest});
            assert_true(is_over ? steps <= slice : steps == slice);
            if (round % 2) {
                change_some(&forest);
            }
        }
        check_met(&forest, topic);
        fixture_free(forest.fixture);
    }
}

static void count(void *context, uint32_t node, uint64_t word)
{
    assert_true(node != TREE_NO_NODE && word != 0);
    ++*(unsigned *)context;
}

/* Slices take the same steps as one search does, and no more. */
static void test_steps(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *client = fixture_connected(fixture, 0, "a");
    struct slice topic = slice_of_text("a/a/a/a/a/a/a/a/a/a");
    struct tree *tree = fixture->core->router.tree;
    unsigned steps = UINT_MAX;
    unsigned found = 0;
    char filter[32];

    (void)state;
    for (unsigned i = 0; i < 1024; i++) {
        for (unsigned at = 0; at < 10; at++) {
            filter[2 * at] = i >> at & 1 ? 'a' : '+';
            filter[2 * at + 1] = '/';
        }
        strcpy(filter + 19, "");
        fixture_subscribe(client, filter, 0);
    }
    assert_true(search_at_once(tree, topic, &steps, (struct search_visitor){count, &found}));
    assert_int_equal(found, 1024);
    assert_int_equal(steps, 2047);
    for (unsigned max = 1; max < steps; max = max * 2 + 1) {
        struct search search;
        unsigned sum = 0;
        unsigned some = max;
        bool is_over;

        found = 0;
        assert_false(search_at_once(tree, topic, &some, (struct search_visitor){count, &found}));
        assert_int_equal(some, max);
        found = 0;
        search_init(&search);
        do {
            some = max;
            is_over =
                search_go_on(&search, tree, topic, &some, (struct search_visitor){count, &found});
            sum += some;
        } while (!is_over);
        assert_int_equal(found, 1024);
        assert_int_equal(sum, steps);
    }
    fixture_free(fixture);
}

/* A node for each level. */
static void subscribe_all_the_way(struct client *client, char text[402], char level)
{
    for (size_t i = 0; i < 201; i++) {
        text[2 * i] = level;
        text[2 * i + 1] = '\0';
        fixture_subscribe(client, text, 0);
        text[2 * i + 1] = i < 200 ? '/' : '\0';
    }
}

/* As deep as topics may be. */
static void test_deepest(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);
    struct client *client = fixture_connected(fixture, 0, "a");
    struct search search;
    unsigned found = 0;
    unsigned slices = 0;
    unsigned steps;
    char text[402];

    (void)state;
    memset(text, '/', sizeof(text));
    text[401] = '\0';
    subscribe_all_the_way(client, text, '+');
    subscribe_all_the_way(client, text, 'a');
    search_init(&search);
    do {
        steps = 1;
        slices++;
    } while (!search_go_on(&search, fixture->core->router.tree, slice_of_text(text), &steps,
                           (struct search_visitor){count, &found}));
    assert_int_equal(found, 2);
    assert_int_equal(slices, 1 + 2 * 201);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_deepest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
