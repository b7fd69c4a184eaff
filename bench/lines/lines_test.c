#include "base/test.h"
#include "lines.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

/*
 * Compiled with the hooks that it is about. Two threads take turns, which are handed on with
 * semaphores: the C library has no hooks, so the turns themselves are not counted.
 */

#define TURNS 100
#define ADDED 1000000

struct cell {
    _Alignas(64) uint64_t words[8];
};

static struct cell cells[4];
static struct cell fresh[TURNS + 1];
static struct cell *fresh_next = fresh;
static struct {
    _Alignas(64) _Atomic uint64_t word;
} shared;

static const struct turns {
    const char *what;
    void (*mine)(void);
    void (*theirs)(void);
    struct lines_count count; /* of TURNS turns of each, when both have had the line before */
} * turns;

static sem_t is_mine, is_theirs;

static void write_first(void)
{
    cells[0].words[0]++;
}

static void write_neighbour(void)
{
    cells[0].words[7]++;
}

static void write_other(void)
{
    cells[1].words[0]++;
}

/* Not optimised away: the other writes it. */
static void read_first(void)
{
    cells[1].words[1] = cells[0].words[0];
}

static void write_only(void)
{
    cells[0].words[0] = 7;
}

static void copy_lines(void)
{
    memcpy(&cells[2], &cells[0], 2 * sizeof(cells[0]));
}

static void move_line(void)
{
    memmove(&cells[2], &cells[0], sizeof(cells[0]));
}

static void compare_line(void)
{
    cells[2].words[0] = (uint64_t)memcmp(&cells[0], &cells[1], sizeof(cells[0]));
}

static void write_fresh(void)
{
    fresh_next->words[0] = 1;
    fresh_next++;
}

/* From the middle of a line to the middle of the next. */
static void set_two(void)
{
    memset(&cells[2].words[4], 1, sizeof(cells[0]));
}

static void copy_struct(void)
{
    cells[2] = cells[0];
}

static void add_atomic(void)
{
    atomic_fetch_add_explicit(&shared.word, 1, memory_order_relaxed);
}

static void load_atomic(void)
{
    atomic_load_explicit(&shared.word, memory_order_relaxed);
}

static void store_atomic(void)
{
    atomic_store_explicit(&shared.word, 1, memory_order_release);
}

static void store_fenced(void)
{
    atomic_store_explicit(&shared.word, 1, memory_order_seq_cst);
}

static void swap_atomic(void)
{
    uint64_t expected = 0; /* as a rule in vain: it is taken all the same */

    atomic_compare_exchange_strong(&shared.word, &expected, 5);
}

static void nothing(void)
{
}

/* clang-format off */
static const struct turns cases[] = {
    {"a line goes to and fro", write_only, write_only, {.writes = 2 * TURNS}},
    {"each has its own", write_first, write_other, {0}},
    {"two words of one line", write_first, write_neighbour, {.writes = 2 * TURNS, .reads = 2 * TURNS}},
    {"one writes, one reads", write_only, read_first, {.writes = TURNS, .reads = TURNS}},
    {"both read", read_first, read_first, {.writes = 2 * TURNS}}, /* what they read into */
    {"nobody else", write_first, nothing, {0}},
    {"two lines are copied", copy_lines, copy_lines, {.writes = 4 * TURNS}},
    {"what is copied", copy_lines, write_only, {.writes = TURNS, .reads = TURNS}},
    {"what is moved", move_line, write_only, {.writes = TURNS, .reads = TURNS}},
    {"what is compared", compare_line, write_only, {.writes = TURNS, .reads = TURNS}},
    {"what it is compared with", compare_line, write_other, {.writes = TURNS, .reads = TURNS}},
    {"memory that nobody had", write_fresh, nothing, {0}},
    {"two lines are set", set_two, set_two, {.writes = 4 * TURNS}},
    {"a structure is copied", copy_struct, write_only, {.writes = TURNS, .reads = TURNS}},
    {"both lock", add_atomic, add_atomic, {.writes = 2 * TURNS, .locked = 2 * TURNS}},
    {"locked by one alone", add_atomic, nothing, {.locked = TURNS}},
    {"an atomic is read", store_atomic, load_atomic, {.writes = TURNS, .reads = TURNS}},
    {"a store with a fence", store_fenced, nothing, {.locked = TURNS}},
    {"a comparison in vain", swap_atomic, load_atomic, {.writes = TURNS, .reads = TURNS, .locked = TURNS}},
};
/* clang-format on */

static void *other_thread(void *argument)
{
    for (size_t i = 0; i <= TURNS; i++) {
        sem_wait(&is_theirs);
        turns->theirs();
        sem_post(&is_mine);
    }
    return argument;
}

static void take_turn(void)
{
    turns->mine();
    sem_post(&is_theirs);
    sem_wait(&is_mine);
}

static struct lines_count count_turns(void)
{
    struct lines_count before, after;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, other_thread, NULL), 0);
    take_turn();
    before = lines_count();
    for (size_t i = 0; i < TURNS; i++) {
        take_turn();
    }
    pthread_join(thread, NULL);
    after = lines_count();
    return (struct lines_count){after.writes - before.writes, after.reads - before.reads,
                                after.locked - before.locked};
}

static void counts_what_threads_share(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct lines_count count;

        turns = &cases[i];
        count = count_turns();
        if (count.writes != turns->count.writes || count.reads != turns->count.reads ||
            count.locked != turns->count.locked) {
            fail_msg("%s: %ju writes, %ju reads, %ju locked", turns->what, (uintmax_t)count.writes,
                     (uintmax_t)count.reads, (uintmax_t)count.locked);
        }
    }
}

static pthread_barrier_t start;

static void *add_often(void *argument)
{
    pthread_barrier_wait(&start);
    for (size_t i = 0; i < ADDED; i++) {
        add_atomic();
    }
    return argument;
}

/* They are counted, and they do what they should. */
static void atomics_stay_atomic(void **state)
{
    pthread_t threads[2];

    (void)state;
    atomic_store(&shared.word, 0);
    pthread_barrier_init(&start, NULL, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, add_often, NULL), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&start);
    assert_int_equal(atomic_load(&shared.word), 2 * ADDED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_what_threads_share),
        cmocka_unit_test(atomics_stay_atomic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
