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
    assert_true(tree_level(grove.tree, find(LONG_LEVEL)).len == 16);
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

    (void)state;
    for (size_t i = 0; i < TREE_LEVEL_CAP; i++) {
        path[2 * i] = 'a';
        path[2 * i + 1] = '/';
    }
    path[2 * TREE_LEVEL_CAP - 1] = '\0';
    number = add(path);
    assert_int_equal(tree_len(grove.tree), TREE_LEVEL_CAP);
    assert_int_equal(find(path), number);
    expect_path(number, path);
    path[2 * TREE_LEVEL_CAP - 3] = '\0'; /* its parent has no word of its own */
    assert_int_equal(find(path), tree_parent(grove.tree, number));
    path[2 * TREE_LEVEL_CAP - 3] = '/';
    drop(path);
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
    assert_int_equal(tree_plus(grove.tree, tree_root(grove.tree)).number, find("+"));
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
    assert_int_equal(tree_first_child(grove.tree, find("x")), last);
    assert_int_equal(tree_next_sibling(grove.tree, last), middle);
    drop("x/2");
    assert_false(tree_pin(grove.tree, middle));
    assert_int_equal(tree_next_sibling(grove.tree, middle), first);
    drop("x/1");
    assert_int_equal(tree_next_sibling(grove.tree, middle), first);
    assert_int_equal(tree_next_sibling(grove.tree, first), TREE_NO_NODE);
    assert_int_equal(tree_next_sibling(grove.tree, last), TREE_NO_NODE);
    assert_int_equal(tree_first_child(grove.tree, find("x")), last);
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
    static const char *const path = "new/" LONG_LEVEL "/x/" LONG_LEVEL LONG_LEVEL;
    uint32_t number = TREE_NO_NODE;
    unsigned refused = 0;
    int r = -ENOMEM;

    (void)state;
    add("a/b");
    while (r < 0) {
        memory_fail_after(refused + 1);
        r = try_add(path, &number);
        memory_fail_after(0);
        if (r < 0) {
            refused++;
            assert_int_equal(r, -ENOMEM);
            assert_int_equal(tree_len(grove.tree), 2);
            assert_int_equal(find("new"), TREE_NO_NODE);
            reclaim();
        }
    }
    assert_true(refused >= 2);
    assert_int_equal(find(path), number);
    assert_int_equal(tree_len(grove.tree), 6);
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
            assert_int_equal(tree_len(grove.tree), i ? i + 1 : 0);
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

/* Every prefix counts once: for the first path that has it. */
static size_t naive_len(const struct naive *naive)
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

    for (uint32_t child = tree_first_child(grove.tree, number); child != TREE_NO_NODE;
         child = tree_next_sibling(grove.tree, child)) {
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
        bool exists = naive_has(naive, PATH_LEN, path->text, strlen(path->text));

        assert_int_equal(number != TREE_NO_NODE, exists);
        if (exists) {
            expect_path(number, path->text);
            assert_true(path->pins == 0 || path->pinned == number);
        }
    }
    assert_int_equal(tree_len(grove.tree), naive_len(naive));
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
        GROVE_TEST(test_prune_waits_for_pins),
        GROVE_TEST(test_walks_go_on_from_a_removed_node),
        GROVE_TEST(test_numbers_come_again_after_the_grace_period),
        GROVE_TEST(test_no_memory_changes_nothing),
        GROVE_TEST(test_no_memory_while_the_tree_grows),
        GROVE_TEST(test_no_memory_for_a_tree),
        GROVE_TEST(test_random_against_a_naive_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
