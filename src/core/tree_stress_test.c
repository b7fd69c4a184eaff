#include "base/owner.h"
#include "base/stress_test.h"
#include "core/tree.h"

/*
 * Two threads grow and shrink one tree, two look at it, all without stopping each other. Each
 * writer makes one deep path after the other, then puts branches into every level of it, so that
 * its node is split again and again, and takes some of them out. A path stays for a while behind
 * the newest. Whoever reads must find every path that was there before it began and is still there
 * when it is through: by name, through a place inside its label, and exactly once in a walk over
 * everything.
 */

#define WRITER_LEN  2
#define READER_LEN  2
#define DEPTH       6
#define KEPT        12u
#define SEEN_LEN    64u
#define BRANCH_WORD UINT64_MAX

/* Shared. Paths from `first` up to before `end` are there. */
struct window {
    _Atomic uint32_t first CACHE_ALIGNED;
    _Atomic uint32_t end;
};

/* Owner: its thread. */
struct thread {
    struct rcu_reader reader;
    struct owner owner;
    struct dice dice;
    uint64_t rounds;
};

static struct rcu rcu;
static struct thread threads[WRITER_LEN + READER_LEN];
static struct window windows[WRITER_LEN];
static struct tree *tree;
static uint64_t end_ms;

static struct slice path_of(char text[80], unsigned writer, uint32_t index, unsigned depth,
                            const char *end)
{
    static const char *const levels[DEPTH] = {"device", "+", "a-longer-level", "", "x", "value"};
    size_t used = (size_t)snprintf(text, 80, "%u/%u", writer, index % 7);

    used += (size_t)snprintf(text + used, 80 - used, "/%u", index);
    for (unsigned i = 0; i < depth; i++) {
        used += (size_t)snprintf(text + used, 80 - used, "/%s", levels[i]);
    }
    used += (size_t)snprintf(text + used, 80 - used, "%s", end);
    return slice_of(text, used);
}

/* In one lock, as what changes the tree always is. */
static void set_word(struct slice path, uint64_t word)
{
    uint32_t number;
    int r;

    lock_take(tree_lock(tree));
    r = tree_add(tree, path, &number);
    assert(r == 0);
    atomic_store_explicit(&tree_node(tree, number)->word, word, memory_order_release);
    tree_prune(tree, number);
    lock_release(tree_lock(tree));
}

static void begin(unsigned number)
{
    struct thread *thread = &threads[number];

    thread->owner = (struct owner){.worker = (int)number, .reader = &thread->reader};
    owner_self = &thread->owner;
    rcu_online(&thread->reader);
}

static void end(unsigned number)
{
    rcu_offline(&threads[number].reader);
    owner_self = NULL;
}

static void next_iteration(struct thread *thread)
{
    rcu_quiescent(&thread->reader);
    rcu_reclaim(&thread->reader, SIZE_MAX);
}

static void drop_oldest(unsigned writer)
{
    uint32_t first = atomic_load(&windows[writer].first);
    char text[80];

    atomic_store(&windows[writer].first, first + 1);
    set_word(path_of(text, writer, first, DEPTH, ""), 0);
    for (unsigned depth = 0; depth < DEPTH; depth++) {
        set_word(path_of(text, writer, first, depth, "/z"), 0);
    }
}

static void write_for_a_while(unsigned writer)
{
    struct thread *thread = &threads[writer];
    char text[80];

    begin(writer);
    while (stress_now_ms() < end_ms) {
        uint32_t index = atomic_load(&windows[writer].end);

        set_word(path_of(text, writer, index, DEPTH, ""), index + 1);
        atomic_store(&windows[writer].end, index + 1);
        for (unsigned i = 0; i < DEPTH; i++) {
            unsigned depth = dice_below(&thread->dice, DEPTH);
            uint64_t word = dice_below(&thread->dice, 4) ? BRANCH_WORD : 0;

            set_word(path_of(text, writer, index, depth, "/z"), word);
            if (dice_below(&thread->dice, 3) == 0) {
                next_iteration(thread);
            }
        }
        if (index >= KEPT) {
            drop_oldest(writer);
        }
        next_iteration(thread);
        thread->rounds++;
    }
    end(writer);
}

/* Level by level, with a rest on the way. */
static uint32_t find_slowly(struct thread *thread, struct slice path)
{
    struct tree_levels levels;
    struct tree_place place = tree_root(tree);

    tree_cut(tree, path, &levels);
    for (unsigned i = 0; i < levels.len && place.number != TREE_NO_NODE; i++) {
        stress_spin(dice_below(&thread->dice, 100));
        place = tree_child(tree, place, levels.level[i], levels.hash[i]);
    }
    return tree_at(place);
}

static void look_up(struct thread *thread, unsigned writer)
{
    uint32_t first = atomic_load(&windows[writer].first);
    uint32_t len = atomic_load(&windows[writer].end) - first;
    uint32_t index = first + (len ? dice_below(&thread->dice, len) : 0);
    char text[80];
    struct slice path = path_of(text, writer, index, DEPTH, "");
    uint8_t found[80];
    uint64_t word = 0;
    uint32_t number;

    if (len == 0) {
        return;
    }
    number = dice_below(&thread->dice, 2) ? tree_find(tree, path) : find_slowly(thread, path);
    if (number != TREE_NO_NODE) {
        word = tree_word(tree, number);
    }
    if (index < atomic_load(&windows[writer].first)) {
        return;
    }
    assert(word == index + 1);
    assert(tree_path(tree, number, found, sizeof(found)) == path.len);
    assert(memcmp(found, path.data, path.len) == 0);
}

static unsigned writer_of(uint32_t number)
{
    uint8_t path[80];
    size_t len = tree_path(tree, number, path, sizeof(path));

    assert(len > 1 && len <= sizeof(path) && path[0] - '0' < WRITER_LEN);
    return (unsigned)(path[0] - '0');
}

static void walk_over_all(void)
{
    uint8_t seen[WRITER_LEN][SEEN_LEN] = {{0}};
    uint32_t firsts[WRITER_LEN];
    uint32_t ends[WRITER_LEN];

    for (unsigned i = 0; i < WRITER_LEN; i++) {
        firsts[i] = atomic_load(&windows[i].first);
        ends[i] = atomic_load(&windows[i].end);
    }
    for (uint32_t at = tree_next(tree, TREE_ROOT); at != TREE_NO_NODE; at = tree_next(tree, at)) {
        uint64_t word = tree_word(tree, at);

        if (word != 0 && word != BRANCH_WORD) {
            seen[writer_of(at)][(word - 1) % SEEN_LEN]++;
        }
    }
    for (unsigned i = 0; i < WRITER_LEN; i++) {
        uint32_t still = atomic_load(&windows[i].first);
        bool may_repeat = atomic_load(&windows[i].end) - firsts[i] >= SEEN_LEN;

        for (uint32_t index = MAX(still, firsts[i]); index < ends[i] && !may_repeat; index++) {
            assert(seen[i][index % SEEN_LEN] == 1);
        }
    }
}

static void read_for_a_while(unsigned number)
{
    struct thread *thread = &threads[number];

    begin(number);
    while (stress_now_ms() < end_ms) {
        for (unsigned i = 0; i < 20; i++) {
            look_up(thread, dice_below(&thread->dice, WRITER_LEN));
        }
        walk_over_all();
        next_iteration(thread);
        thread->rounds++;
    }
    end(number);
}

static void test_readers_find_all_while_nodes_are_split(void **state)
{
    struct stress_task tasks[WRITER_LEN + READER_LEN];
    struct hash_key key;

    (void)state;
    hash_key_make(&key, 7);
    rcu_init(&rcu);
    assert_int_equal(tree_new(&key, &tree), 0);
    end_ms = stress_now_ms() + STRESS_MS;
    for (unsigned i = 0; i < ARRAY_LEN(tasks); i++) {
        rcu_reader_init(&threads[i].reader, &rcu);
        threads[i].dice.state = i + 1;
        tasks[i] = (struct stress_task){
            .run = i < WRITER_LEN ? write_for_a_while : read_for_a_while,
            .number = i,
        };
    }
    stress_run(tasks, ARRAY_LEN(tasks));
    begin(0);
    for (unsigned i = 0; i < WRITER_LEN; i++) {
        while (atomic_load(&windows[i].first) < atomic_load(&windows[i].end)) {
            drop_oldest(i);
        }
    }
    assert_int_equal(tree_len(tree), 0);
    end(0);
    for (unsigned i = 0; i < ARRAY_LEN(tasks); i++) {
        print_message("thread %u: %lu rounds\n", i, threads[i].rounds);
        begin(i);
        end(i);
        owner_self = &threads[i].owner;
        rcu_reader_deinit(&threads[i].reader);
    }
    owner_self = NULL;
    tree = tree_free(tree);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readers_find_all_while_nodes_are_split),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
