#include "base/memory.h"
#include "base/spares.h"
#include "base/test.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#define KEPT 4096u

static uint64_t used(void)
{
    uint64_t most;

    return memory_used(&most);
}

static int keep(void **state)
{
    (void)state;
    spares_keep(KEPT);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    spares_keep(0);
    memory_set_limit(0);
    return 0;
}

static void *filled(size_t size)
{
    void *memory = spares_alloc(size);

    assert_non_null(memory);
    return memset(memory, 'x', size);
}

static void the_latest_comes_first(void **state)
{
    void *first = filled(100);
    void *second = filled(100);

    (void)state;
    spares_free(first, 100);
    spares_free(second, 100);
    assert_ptr_equal(filled(100), second);
    assert_ptr_equal(filled(100), first);
    spares_free(first, 100);
    spares_free(second, 100);
}

/* Sizes that the allocator rounds to the same share their spares; others don't. */
static void each_size_has_its_own(void **state)
{
    void *small = filled(24);
    void *large = filled(25);

    (void)state;
    spares_free(small, 24);
    spares_free(large, 25);
    assert_ptr_equal(filled(40), large);
    assert_ptr_equal(filled(9), small);
    spares_free(large, 40);
    spares_free(small, 9);
}

static void the_smallest_and_the_largest(void **state)
{
    static const size_t sizes[] = {1, 8, 23, SPARES_SIZE_MAX - 1, SPARES_SIZE_MAX};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        void *memory = filled(sizes[i]);

        spares_free(memory, sizes[i]);
        assert_ptr_equal(filled(sizes[i]), memory);
        assert_null(spares_free(memory, sizes[i]));
    }
    assert_null(spares_free(NULL, 1));
}

static void no_more_is_kept_than_may_be(void **state)
{
    void *memory[KEPT / 512 * 2];

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(memory); i++) {
        memory[i] = filled(500);
    }
    for (unsigned i = 0; i < ARRAY_LEN(memory); i++) {
        spares_free(memory[i], 500);
    }
    assert_in_range(spares_kept(), KEPT - 512, KEPT);
    spares_keep(0);
    assert_int_equal(spares_kept(), 0);
}

static void what_is_kept_counts_as_free(void **state)
{
    uint64_t before = used();
    void *memory = filled(100);
    uint64_t with = used();

    (void)state;
    assert_true(with > before);
    spares_free(memory, 100);
    assert_int_equal(used(), before);
    assert_ptr_equal(filled(100), memory);
    assert_int_equal(used(), with);
    spares_free(memory, 100);
    spares_keep(0);
    assert_int_equal(used(), before);
}

static void a_large_one_is_not_kept(void **state)
{
    (void)state;
    spares_free(filled(SPARES_SIZE_MAX + 1), SPARES_SIZE_MAX + 1);
    assert_int_equal(spares_kept(), 0);
    spares_free(filled(SPARES_SIZE_MAX), SPARES_SIZE_MAX);
    assert_true(spares_kept() >= SPARES_SIZE_MAX);
}

static void who_was_not_told_keeps_nothing(void **state)
{
    (void)state;
    spares_keep(0);
    spares_free(filled(100), 100);
    assert_int_equal(spares_kept(), 0);
}

/* A block that is kept is given out under the same bound as a new one. */
static void the_bound_holds_for_what_is_kept(void **state)
{
    uint64_t before;
    void *memory = filled(100);

    (void)state;
    spares_free(memory, 100);
    before = used();
    memory_set_limit(before + 50);
    assert_null(spares_alloc(100));
    memory_set_limit(before + 1000);
    assert_ptr_equal(filled(100), memory);
    spares_free(memory, 100);
}

static void without_memory_there_is_none(void **state)
{
    (void)state;
    memory_fail_after(1);
    assert_null(spares_alloc(100));
    memory_fail_after(1);
    assert_null(spares_alloc(SPARES_SIZE_MAX + 1));
    spares_free(filled(100), 100);
    memory_fail_after(1);
    assert_null(spares_alloc(100));
    assert_true(spares_kept() > 0);
}

/* More than two threads hand over at once. */
#define MANY      2000u
#define MANY_SIZE 100u
#define MANY_KEPT ((size_t)256 * 1024)

static void *many[MANY];
static sem_t freed;
static sem_t is_over;

static void *free_many(void *context)
{
    (void)context;
    spares_keep(MANY_KEPT);
    for (unsigned i = 0; i < MANY; i++) {
        spares_free(many[i], MANY_SIZE);
    }
    sem_post(&freed);
    sem_wait(&is_over);
    spares_keep(0);
    return NULL;
}

static int compare_pointers(const void *a, const void *b)
{
    uintptr_t one = (uintptr_t) * (void *const *)a;
    uintptr_t other = (uintptr_t) * (void *const *)b;

    return (one > other) - (one < other);
}

static bool is_one_of_many(const void *memory)
{
    return bsearch(&memory, many, MANY, sizeof(many[0]), compare_pointers) != NULL;
}

/* Asks for some while another thread has too many; answers how many it got of those. */
static unsigned get_some(size_t kept, unsigned len)
{
    pthread_t thread;
    unsigned got = 0;

    spares_keep(kept);
    for (unsigned i = 0; i < MANY; i++) {
        many[i] = filled(MANY_SIZE);
    }
    qsort(many, MANY, sizeof(many[0]), compare_pointers);
    assert_int_equal(sem_init(&freed, 0, 0), 0);
    assert_int_equal(sem_init(&is_over, 0, 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, free_many, NULL), 0);
    sem_wait(&freed);
    for (unsigned i = 0; i < len; i++) {
        void *memory = filled(MANY_SIZE);

        got += is_one_of_many(memory);
        memory_free(memory);
    }
    sem_post(&is_over);
    pthread_join(thread, NULL);
    sem_destroy(&freed);
    sem_destroy(&is_over);
    return got;
}

static void what_one_frees_another_gets(void **state)
{
    unsigned got = get_some(MANY_KEPT, 400);

    (void)state;
    assert_int_equal(got, 400);
    assert_true(spares_kept() > 0);
}

/* Nor does who may keep less than would come. */
static void who_keeps_nothing_gets_nothing(void **state)
{
    (void)state;
    assert_int_equal(get_some(0, 1), 0);
    assert_int_equal(get_some(KEPT, 1), 0);
    assert_int_equal(spares_kept(), 0);
}

/* Who leaves many has them back when nobody else takes them. */
static void who_has_left_some_finds_them(void **state)
{
    (void)state;
    spares_keep(MANY_KEPT);
    for (unsigned i = 0; i < MANY; i++) {
        many[i] = filled(MANY_SIZE);
    }
    qsort(many, MANY, sizeof(many[0]), compare_pointers);
    for (unsigned i = 0; i < MANY; i++) {
        spares_free(many[i], MANY_SIZE);
    }
    assert_true(spares_kept() < (size_t)MANY * MANY_SIZE);
    for (unsigned i = 0; i < MANY; i++) {
        void *memory = filled(MANY_SIZE);

        assert_true(is_one_of_many(memory));
    }
    assert_int_equal(spares_kept(), 0);
    for (unsigned i = 0; i < MANY; i++) {
        memory_free(many[i]);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_latest_comes_first, keep, drop),
        cmocka_unit_test_setup_teardown(each_size_has_its_own, keep, drop),
        cmocka_unit_test_setup_teardown(the_smallest_and_the_largest, keep, drop),
        cmocka_unit_test_setup_teardown(no_more_is_kept_than_may_be, keep, drop),
        cmocka_unit_test_setup_teardown(a_large_one_is_not_kept, keep, drop),
        cmocka_unit_test_setup_teardown(who_was_not_told_keeps_nothing, keep, drop),
        cmocka_unit_test_setup_teardown(what_is_kept_counts_as_free, keep, drop),
        cmocka_unit_test_setup_teardown(the_bound_holds_for_what_is_kept, keep, drop),
        cmocka_unit_test_setup_teardown(without_memory_there_is_none, keep, drop),
        cmocka_unit_test_setup_teardown(what_one_frees_another_gets, keep, drop),
        cmocka_unit_test_setup_teardown(who_keeps_nothing_gets_nothing, keep, drop),
        cmocka_unit_test_setup_teardown(who_has_left_some_finds_them, keep, drop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
