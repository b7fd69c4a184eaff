#include "base/owner.h"
#include "base/test.h"
#include "core/fixture.h"
#include "core/tree.h"

#define LONG_LEVEL "sixteen-letters-"

/* A tree and the one worker that reads and changes it. */
struct grove {
    struct rcu rcu;
    struct rcu_reader reader;
    struct owner owner;
    struct tree *tree;
};

static struct grove grove;

static int set_up(void **state)
{
    struct hash_key key;

    (void)state;
    hash_key_make(&key, 11);
    rcu_init(&grove.rcu);
    rcu_reader_init(&grove.reader, &grove.rcu);
    grove.owner = (struct owner){.reader = &grove.reader};
    owner_self = &grove.owner;
    rcu_online(&grove.reader);
    return tree_new(&key, &grove.tree);
}

static int tear_down(void **state)
{
    (void)state;
    rcu_offline(&grove.reader);
    rcu_reader_deinit(&grove.reader);
    grove.tree = tree_free(grove.tree);
    owner_self = NULL;
    return 0;
}

/* Everything removed so far is freed. */
static void reclaim(void)
{
    rcu_quiescent(&grove.reader);
    rcu_reclaim(&grove.reader, SIZE_MAX);
    assert_int_equal(rcu_waiting(&grove.reader), 0);
}

static int try_add(const char *path, uint32_t *number_out)
{
    int r;

    lock_take(tree_lock(grove.tree));
    r = tree_add(grove.tree, slice_of_text(path), number_out);
    if (r == 0) {
        tree_node(grove.tree, *number_out)->word = 1;
    }
    lock_release(tree_lock(grove.tree));
    return r;
}

/* Adds a path that is wanted: its word is set. */
static uint32_t add(const char *path)
{
    uint32_t number;

    assert_int_equal(try_add(path, &number), 0);
    return number;
}

static uint32_t find(const char *path)
{
    return tree_find(grove.tree, slice_of_text(path));
}

static uint32_t first_child(uint32_t number)
{
    struct tree_edge edge;

    return tree_first_child(grove.tree, number, &edge);
}

static uint32_t next_sibling(uint32_t number)
{
    struct tree_edge own;
    struct tree_edge edge;

    return tree_next_sibling(grove.tree, number, &own, &edge);
}

static void expect_label(uint32_t number, const char *parent, const char *label, unsigned len)
{
    struct tree_edge edge = tree_edge(grove.tree, number);

    assert_int_equal(edge.parent, parent ? find(parent) : TREE_ROOT);
    assert_int_equal(edge.len, len);
    assert_true(slice_is_equal(edge.label, slice_of_text(label)));
}

/* The path is not wanted any more. */
static void drop(const char *path)
{
    uint32_t number = find(path);

    lock_take(tree_lock(grove.tree));
    tree_node(grove.tree, number)->word = 0;
    tree_prune(grove.tree, number);
    lock_release(tree_lock(grove.tree));
}

static void expect_path(uint32_t number, const char *path)
{
    uint8_t buffer[4096];
    size_t len = tree_path(grove.tree, number, buffer, sizeof(buffer));

    assert_int_equal(len, strlen(path));
    assert_memory_equal(buffer, path, len);
    if (len > 0) {
        buffer[0] = '!';
        assert_int_equal(tree_path(grove.tree, number, buffer, len - 1), len);
        assert_int_equal(buffer[0], '!');
    }
}

static void test_levels_of_all_kinds(void **state)
{
    static const char *const paths[] = {
        "a",
        "/",
        "//",
        "a/",
        "/a",
        "a//b",
        "+",
        "#",
        "a/+/b",
        "a/#",
        "fifteen-letters",
        LONG_LEVEL,
        ("a/" LONG_LEVEL),
        (LONG_LEVEL "/a"),
        (LONG_LEVEL "/" LONG_LEVEL LONG_LEVEL),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        uint32_t number = add(paths[i]);

        assert_int_equal(add(paths[i]), number);
        for (size_t j = 0; j < ARRAY_LEN(paths); j++) {
            if (j <= i) {
                assert_true(find(paths[j]) != TREE_NO_NODE);
                expect_path(find(paths[j]), paths[j]);
            }
        }
    }
    assert_int_equal(find("b"), TREE_NO_NODE);
    assert_int_equal(find("a/b"), TREE_NO_NODE);
    assert_int_equal(find("sixteen-letters"), TREE_NO_NODE);
    assert_int_equal(tree_edge(grove.tree, find(LONG_LEVEL)).label.len, 16);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        drop(paths[i]);
        assert_true(i + 1 == ARRAY_LEN(paths) || tree_len(grove.tree) > 0);
    }
    assert_int_equal(tree_len(grove.tree), 0);
}

static void test_deepest_path(void **state)
{
    char path[2 * TREE_LEVEL_CAP];
    uint32_t number;
    uint32_t upper;

    (void)state;
    for (size_t i = 0; i < TREE_LEVEL_CAP; i++) {
        path[2 * i] = 'a';
        path[2 * i + 1] = '/';
    }
    path[2 * TREE_LEVEL_CAP - 1] = '\0';
    number = add(path);
    assert_int_equal(tree_len(grove.tree), 1);
    assert_int_equal(find(path), number);
    assert_int_equal(tree_edge(grove.tree, number).len, TREE_LEVEL_CAP);
    expect_path(number, path);
    for (size_t i = 1; i < TREE_LEVEL_CAP; i++) {
        path[2 * i - 1] = '\0';
        assert_int_equal(find(path), TREE_NO_NODE);
        upper = add(path);
        assert_int_equal(tree_parent(grove.tree, number), upper);
        path[2 * i - 1] = '/';
    }
    assert_int_equal(tree_len(grove.tree), TREE_LEVEL_CAP);
    expect_path(number, path);
    assert_int_equal(find(path), number);
    for (size_t i = TREE_LEVEL_CAP; i >= 1; i--) {
        path[2 * i - 1] = '\0';
        drop(path);
    }
    assert_int_equal(tree_len(grove.tree), 0);
}

static struct tree_place place_of(const char *path)
{
    struct tree_levels levels;
    struct tree_place place = tree_root(grove.tree);

    tree_cut(grove.tree, slice_of_text(path), &levels);
    for (unsigned i = 0; i < levels.len; i++) {
        assert_true(levels.hash[i] == tree_level_hash(grove.tree, levels.level[i]));
        place = tree_child(grove.tree, place, levels.level[i], levels.hash[i]);
    }
    return place;
}

static void test_wildcards_have_short_cuts(void **state)
{
    (void)state;
    add("a/b");
    assert_int_equal(tree_plus(grove.tree, tree_root(grove.tree)).number, TREE_NO_NODE);
    assert_int_equal(tree_hash(grove.tree, place_of("a")).number, TREE_NO_NODE);
    add("+/b");
    add("a/+");
    add("a/#");
    assert_int_equal(tree_plus(grove.tree, tree_root(grove.tree)).number, find("+/b"));
    assert_int_equal(tree_at(tree_plus(grove.tree, tree_root(grove.tree))), TREE_NO_NODE);
    assert_int_equal(tree_plus(grove.tree, place_of("a")).number, find("a/+"));
    assert_int_equal(tree_hash(grove.tree, place_of("a")).number, find("a/#"));
    assert_int_equal(tree_hash(grove.tree, tree_root(grove.tree)).number, TREE_NO_NODE);
    drop("a/+");
    assert_int_equal(tree_plus(grove.tree, place_of("a")).number, TREE_NO_NODE);
    assert_int_equal(tree_hash(grove.tree, place_of("a")).number, find("a/#"));
    drop("a/#");
    drop("a/b"); /* would stay if a wildcard's bit did */
    assert_int_equal(find("a"), TREE_NO_NODE);
    drop("+/b");
    assert_int_equal(tree_len(grove.tree), 0);
}

/* The part of a path that it shares with no other has no node of its own. */
static void test_labels(void **state)
{
    uint32_t deep = add("a/b//d/+/f");
    struct tree_place in_label = place_of("a/b");

    (void)state;
    assert_int_equal(tree_len(grove.tree), 1);
    expect_label(deep, NULL, "a/b//d/+/f", 6);
    assert_int_equal(in_label.number, deep);
    assert_int_equal(tree_at(in_label), TREE_NO_NODE);
    assert_int_equal(place_of("a/c").number, TREE_NO_NODE);
    assert_int_equal(place_of("a/bb").number, TREE_NO_NODE);
    assert_int_equal(place_of("a/").number, TREE_NO_NODE);
    assert_int_equal(tree_at(place_of("a/b//d/+/f")), deep);
    assert_int_equal(tree_plus(grove.tree, place_of("a/b//d")).number, deep);
    assert_int_equal(tree_plus(grove.tree, place_of("a/b/")).number, TREE_NO_NODE);
    assert_int_equal(tree_hash(grove.tree, place_of("a/b//d")).number, TREE_NO_NODE);
}

/* Every way to split, and what is split keeps its number. */
static void test_splits(void **state)
{
    uint32_t deep = add("a/b//d/+/f");
    uint32_t other = add("a/b//d/e");

    (void)state;
    assert_int_equal(tree_len(grove.tree), 3);
    expect_label(find("a/b//d"), NULL, "a/b//d", 4);
    expect_label(deep, "a/b//d", "+/f", 2);
    expect_label(other, "a/b//d", "e", 1);
    assert_int_equal(tree_plus(grove.tree, place_of("a/b//d")).number, deep);
    add("a/b");
    expect_label(find("a/b//d"), "a/b", "/d", 2);
    add("a/b//d/+");
    assert_int_equal(tree_at(tree_plus(grove.tree, place_of("a/b//d"))), find("a/b//d/+"));
    expect_label(deep, "a/b//d/+", "f", 1);
    add("a/" LONG_LEVEL "/" LONG_LEVEL "/x");
    add("a/" LONG_LEVEL "/y");
    expect_label(find("a/" LONG_LEVEL), "a", LONG_LEVEL, 1);
    expect_label(find("a/" LONG_LEVEL "/" LONG_LEVEL "/x"), "a/" LONG_LEVEL, LONG_LEVEL "/x", 2);
    assert_int_equal(tree_len(grove.tree), 9);
    assert_int_equal(find("a/b//d/+/f"), deep);
    expect_path(deep, "a/b//d/+/f");
    expect_path(other, "a/b//d/e");
    drop("a/b//d/e");
    drop("a/b//d/+/f");
    drop("a/b//d/+");
    assert_int_equal(find("a/b//d"), TREE_NO_NODE);
    assert_true(find("a/b") != TREE_NO_NODE);
}

/* Who is inside a label when it is split goes on in it. */
static void test_places_outlive_a_split(void **state)
{
    uint32_t deep = add("a/b/c");
    struct tree_place place = place_of("a");
    struct slice level = slice_of_text("b");

    (void)state;
    add("a/x");
    place = tree_child(grove.tree, place, level, tree_level_hash(grove.tree, level));
    assert_int_equal(place.number, deep);
    level = slice_of_text("c");
    place = tree_child(grove.tree, place, level, tree_level_hash(grove.tree, level));
    assert_int_equal(tree_at(place), deep);
    assert_true(place.hash == place_of("a/b/c").hash);
}

static void test_prune_waits_for_pins(void **state)
{
    uint32_t number = add("a/b/c");

    (void)state;
    assert_true(tree_pin(grove.tree, number));
    assert_true(tree_pin(grove.tree, number));
    drop("a/b/c");
    assert_int_equal(find("a/b/c"), number);
    tree_unpin(grove.tree, number);
    assert_int_equal(find("a/b/c"), number);
    tree_unpin(grove.tree, number);
    assert_int_equal(tree_len(grove.tree), 0);
    assert_false(tree_pin(grove.tree, number));
}

/* Whoever stands on a node that is removed still finds the next one. */
static void test_walks_go_on_from_a_removed_node(void **state)
{
    uint32_t first = add("x/1");
    uint32_t middle = add("x/2");
    uint32_t last = add("x/3");

    (void)state;
    assert_int_equal(first_child(find("x")), last);
    assert_int_equal(next_sibling(last), middle);
    drop("x/2");
    assert_false(tree_pin(grove.tree, middle));
    assert_int_equal(next_sibling(middle), first);
    drop("x/1");
    assert_int_equal(next_sibling(middle), first);
    assert_int_equal(next_sibling(first), TREE_NO_NODE);
    assert_int_equal(next_sibling(last), TREE_NO_NODE);
    assert_int_equal(first_child(find("x")), last);
}

/* The newest sibling comes first. */
static void test_looks_ahead_among_siblings(void **state)
{
    static const char *const paths[] = {"x/1", "x/2", "x/3", "x/4"};
    uint32_t last = TREE_NO_NODE;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        last = add(paths[i]);
        tree_node(grove.tree, last)->word = 1 + i;
    }
    for (unsigned distance = 0; distance < 4; distance++) {
        assert_int_equal(tree_look_ahead(grove.tree, last, distance), 4 - distance);
    }
    assert_int_equal(tree_look_ahead(grove.tree, last, 4), 0);
    assert_int_equal(tree_look_ahead(grove.tree, last, 9), 0);
    assert_int_equal(tree_look_ahead(grove.tree, TREE_ROOT, 1), 0);
}

/* A sibling that was split since is met as the node that stands in its place now. */
static void test_walks_go_on_to_a_split_node(void **state)
{
    uint32_t split = add("x/1/a");
    uint32_t removed = add("x/2");

    (void)state;
    drop("x/2");
    assert_int_equal(next_sibling(removed), split);
    add("x/1/b");
    assert_int_equal(next_sibling(removed), find("x/1"));
    assert_int_equal(next_sibling(split), TREE_NO_NODE);
    assert_int_equal(first_child(find("x")), find("x/1"));
    assert_int_equal(first_child(find("x/1")), find("x/1/b"));
    assert_int_equal(next_sibling(find("x/1/b")), split);
}

static void test_numbers_come_again_after_the_grace_period(void **state)
{
    uint32_t number = add("a");
    uint32_t other;

    (void)state;
    drop("a");
    other = add("b");
    assert_true(other != number);
    assert_int_equal(find("a"), TREE_NO_NODE);
    assert_int_equal(rcu_reclaim(&grove.reader, SIZE_MAX), 0);
    assert_true(add("c") != number);
    reclaim();
    assert_int_equal(add("d"), number);
    expect_path(number, "d");
}

static void test_no_memory_changes_nothing(void **state)
{
    static const char *const path = "a/" LONG_LEVEL "/x/" LONG_LEVEL LONG_LEVEL;
    uint32_t number = TREE_NO_NODE;
    unsigned refused = 0;
    int r = -ENOMEM;

    (void)state;
    add("a/" LONG_LEVEL "/y");
    while (r < 0) {
        memory_fail_after(refused + 1);
        r = try_add(path, &number);
        memory_fail_after(0);
        if (r < 0) {
            refused++;
            assert_int_equal(r, -ENOMEM);
            assert_int_equal(tree_len(grove.tree), 1);
            assert_int_equal(find("a/" LONG_LEVEL), TREE_NO_NODE);
            assert_true(find("a/" LONG_LEVEL "/y") != TREE_NO_NODE);
            reclaim();
        }
    }
    assert_int_equal(refused, 3); /* the new text, and two shards of edges */
    assert_int_equal(find(path), number);
    assert_int_equal(tree_len(grove.tree), 3);
}

/* Nodes lie in chunks of 1,024, and their edges in tables that grow: each may be refused. */
static void test_no_memory_while_the_tree_grows(void **state)
{
    unsigned refused = 0;
    uint32_t number;
    char path[32];

    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(path, sizeof(path), "n/%u", i);
        memory_fail_after(1);
        if (try_add(path, &number) < 0) {
            refused++;
            assert_int_equal(find(path), TREE_NO_NODE);
            assert_int_equal(tree_len(grove.tree), i > 1 ? i + 1 : i);
            number = add(path);
        }
        memory_fail_after(0);
        assert_int_equal(find(path), number);
    }
    assert_true(refused > 256 && refused < 1024);
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(path, sizeof(path), "n/%u", i * 7 % 5000);
        assert_true(find(path) != TREE_NO_NODE);
        drop(path);
        assert_int_equal(find(path), TREE_NO_NODE);
    }
    assert_int_equal(tree_len(grove.tree), 0);
}

static void test_no_memory_for_a_tree(void **state)
{
    struct hash_key key = {
        {1, 2}
    };
    struct tree *tree;

    (void)state;
    for (unsigned n = 1; n <= 2; n++) {
        memory_fail_after(n);
        assert_int_equal(tree_new(&key, &tree), -ENOMEM);
    }
    memory_fail_after(0);
    assert_null(tree_free(NULL));
}

/* A naive set of paths */

#define PATH_LEN 60

struct naive_path {
    char text[120];
    bool is_wanted;
    unsigned pins;
    uint32_t pinned; /* the node that is pinned */
};

struct naive {
    struct naive_path paths[PATH_LEN];
    uint64_t seed;
};

static void naive_draw(struct naive *naive, char *text)
{
    static const char *const levels[] = {"", "a", "b", "+", "#", "fifteen-letters", LONG_LEVEL};
    unsigned len = 1 + fixture_random(&naive->seed, 5);

    text[0] = '\0';
    for (unsigned i = 0; i < len; i++) {
        strcat(text, i ? "/" : "");
        strcat(text, levels[fixture_random(&naive->seed, ARRAY_LEN(levels))]);
    }
}

static bool naive_is_new(const struct naive *naive, unsigned at)
{
    for (unsigned i = 0; i < at; i++) {
        if (strcmp(naive->paths[i].text, naive->paths[at].text) == 0) {
            return false;
        }
    }
    return true;
}

static void naive_init(struct naive *naive, uint64_t seed)
{
    memset(naive, 0, sizeof(*naive));
    naive->seed = seed;
    for (unsigned i = 0; i < PATH_LEN; i++) {
        do {
            naive_draw(naive, naive->paths[i].text);
        } while (!naive_is_new(naive, i));
    }
}

static bool is_path_prefix(const char *prefix, size_t len, const char *path)
{
    return strncmp(prefix, path, len) == 0 && strlen(path) >= len &&
           (path[len] == '\0' || path[len] == '/');
}

static bool is_live(const struct naive_path *path)
{
    return path->is_wanted || path->pins > 0;
}

/* Whether the first `len` bytes of a path are a node's path, because of one of the first `count`.
 */
static bool naive_has(const struct naive *naive, unsigned count, const char *prefix, size_t len)
{
    for (unsigned i = 0; i < count; i++) {
        if (is_live(&naive->paths[i]) && is_path_prefix(prefix, len, naive->paths[i].text)) {
            return true;
        }
    }
    return false;
}

/* Every prefix counts once, for the first path that has it: there is no more than a node for each.
 */
static size_t naive_prefixes(const struct naive *naive)
{
    size_t count = 0;

    for (unsigned i = 0; i < PATH_LEN; i++) {
        const char *text = naive->paths[i].text;
        size_t len = 0;

        while (is_live(&naive->paths[i]) && len <= strlen(text)) {
            len += strcspn(text + len, "/");
            count += !naive_has(naive, i, text, len);
            len++;
        }
    }
    return count;
}

static unsigned children_of(uint32_t number)
{
    uint32_t before = TREE_NO_NODE;
    unsigned len = 0;

    for (uint32_t child = first_child(number); child != TREE_NO_NODE; child = next_sibling(child)) {
        assert_int_equal(tree_parent(grove.tree, child), number);
        assert_int_equal(tree_node(grove.tree, child)->previous, before);
        before = child;
        len += 1 + children_of(child);
    }
    return len;
}

static void naive_check(const struct naive *naive)
{
    for (unsigned i = 0; i < PATH_LEN; i++) {
        const struct naive_path *path = &naive->paths[i];
        uint32_t number = find(path->text);
        bool may_exist = naive_has(naive, PATH_LEN, path->text, strlen(path->text));

        assert_true(number != TREE_NO_NODE ? may_exist : !is_live(path));
        if (number != TREE_NO_NODE) {
            expect_path(number, path->text);
            assert_true(path->pins == 0 || path->pinned == number);
        }
    }
    assert_true(tree_len(grove.tree) <= naive_prefixes(naive));
    assert_int_equal(children_of(TREE_ROOT), tree_len(grove.tree));
}

static void naive_step(struct naive *naive)
{
    struct naive_path *path = &naive->paths[fixture_random(&naive->seed, PATH_LEN)];
    uint32_t what = fixture_random(&naive->seed, 10);
    uint32_t number = find(path->text);

    if (what < 3) {
        add(path->text);
        path->is_wanted = true;
    } else if (what < 6 && path->is_wanted) {
        drop(path->text);
        path->is_wanted = false;
    } else if (what < 8 && number != TREE_NO_NODE) {
        assert_true(tree_pin(grove.tree, number));
        path->pinned = number;
        path->pins++;
    } else if (what < 9 && path->pins > 0) {
        tree_unpin(grove.tree, path->pinned);
        path->pins--;
    } else if (what == 9) {
        reclaim();
    }
}

/* Empties the tree again. */
static void naive_end(struct naive *naive)
{
    for (unsigned i = 0; i < PATH_LEN; i++) {
        struct naive_path *path = &naive->paths[i];

        if (path->is_wanted) {
            drop(path->text);
            path->is_wanted = false;
        }
        for (; path->pins > 0; path->pins--) {
            tree_unpin(grove.tree, path->pinned);
        }
    }
}

static void test_random_against_a_naive_set(void **state)
{
    static struct naive naive;

    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        naive_init(&naive, seed);
        for (unsigned i = 0; i < 1500; i++) {
            naive_step(&naive);
            if (i % 10 == 0) {
                naive_check(&naive);
            }
        }
        naive_end(&naive);
        naive_check(&naive);
        assert_int_equal(tree_len(grove.tree), 0);
        reclaim();
    }
}

#define GROVE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        GROVE_TEST(test_levels_of_all_kinds),
        GROVE_TEST(test_deepest_path),
        GROVE_TEST(test_wildcards_have_short_cuts),
        GROVE_TEST(test_labels),
        GROVE_TEST(test_splits),
        GROVE_TEST(test_places_outlive_a_split),
        GROVE_TEST(test_prune_waits_for_pins),
        GROVE_TEST(test_walks_go_on_from_a_removed_node),
        GROVE_TEST(test_looks_ahead_among_siblings),
        GROVE_TEST(test_walks_go_on_to_a_split_node),
        GROVE_TEST(test_numbers_come_again_after_the_grace_period),
        GROVE_TEST(test_no_memory_changes_nothing),
        GROVE_TEST(test_no_memory_while_the_tree_grows),
        GROVE_TEST(test_no_memory_for_a_tree),
        GROVE_TEST(test_random_against_a_naive_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
