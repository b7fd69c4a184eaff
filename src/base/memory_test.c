#include "base/memory.h"
#include "base/test.h"

#include <malloc.h>
#include <pthread.h>
#include <string.h>

static void *resize_one(void)
{
    void *memory = memory_must_alloc(1);
    void *resized = memory_resize(memory, 100);

    if (!resized) {
        memory_free(memory);
    }
    return resized;
}

static void *alloc_one(void)
{
    return memory_alloc(1);
}

static void *alloc_zero_one(void)
{
    return memory_alloc_zero(1, 1);
}

static void *copy_one(void)
{
    return memory_copy_text("x");
}

static void *copy_slice_of_one(void)
{
    return memory_copy_slice(slice_of_text("x"));
}

static void *alloc_aligned_one(void)
{
    return memory_alloc_aligned(1);
}

static void *(*const allocators[])(void) = {alloc_one, alloc_zero_one,    resize_one,
                                            copy_one,  alloc_aligned_one, copy_slice_of_one};

/* Each of them counts, and the n-th alone fails. */
static void the_nth_fails_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(allocators); i++) {
        for (unsigned n = 1; n < 5; n++) {
            memory_fail_after(n);
            for (unsigned j = 1; j < 10; j++) {
                void *memory = allocators[j == n ? i : j % ARRAY_LEN(allocators)]();

                assert_int_equal(memory == NULL, j == n);
                memory_free(memory);
            }
        }
    }
}

static void zero_switches_it_off(void **state)
{
    void *memory;

    (void)state;
    memory_fail_after(1);
    memory_fail_after(0);
    memory = memory_alloc(1);
    assert_non_null(memory);
    assert_null(memory_free(memory));
    assert_null(memory_free(NULL));
}

static void what_must_be_had_does_not_fail(void **state)
{
    void *memory[3];

    (void)state;
    memory_fail_after(1);
    memory[0] = memory_must_alloc(10);
    memory[1] = memory_must_alloc_zero(1, 10);
    memory[2] = memory_must_alloc_aligned(10);
    assert_null(memory_alloc(1));
    for (unsigned i = 0; i < ARRAY_LEN(memory); i++) {
        assert_non_null(memory[i]);
        memory_free(memory[i]);
    }
}

static void *alloc_elsewhere(void *argument)
{
    (void)argument;
    return memory_alloc(1);
}

static void other_threads_do_not_notice(void **state)
{
    pthread_t thread;
    void *memory;

    (void)state;
    memory_fail_after(1);
    assert_int_equal(pthread_create(&thread, NULL, alloc_elsewhere, NULL), 0);
    assert_int_equal(pthread_join(thread, &memory), 0);
    assert_non_null(memory);
    memory_free(memory);
    assert_null(memory_alloc(1));
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static void zeroed_is_zero_and_aligned_is_aligned(void **state)
{
    static const size_t sizes[] = {0, 1, 63, 64, 65, 1000, 5000};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(sizes) * 4; i++) {
        size_t size = sizes[i % ARRAY_LEN(sizes)];
        uint8_t *aligned = memory_alloc_aligned(size);
        uint8_t *zeroed = memory_alloc_zero(1, size);

        assert_int_equal((uintptr_t)aligned % CACHE_LINE, 0);
        assert_true(is_zero(aligned, size) && is_zero(zeroed, size));
        /* The next round gets used memory. */
        memset(aligned, 0xFF, size);
        memset(zeroed, 0xFF, size);
        memory_free(aligned);
        memory_free(zeroed);
    }
}

static void text_is_copied_whole(void **state)
{
    char *copy = memory_copy_text("nightjar");

    (void)state;
    assert_string_equal(copy, "nightjar");
    memory_free(copy);
    copy = memory_copy_slice(slice_of((const uint8_t *)"nightjar", 5));
    assert_string_equal(copy, "night");
    memory_free(copy);
}

/* Rounded up to whole cache lines, this would be nothing at all. */
static void no_size_wraps_around(void **state)
{
    (void)state;
    assert_null(memory_alloc_aligned(SIZE_MAX));
    assert_null(memory_alloc_aligned(SIZE_MAX - CACHE_LINE + 2));
}

/* The bound */

#define LIMIT (1024u * 1024)

/* Blocks of `size` bytes until none is to be had; answers how many. */
static unsigned take_all(void **blocks, unsigned cap, size_t size)
{
    unsigned len = 0;

    while (len < cap && (blocks[len] = memory_alloc(size)) != NULL) {
        len++;
    }
    return len;
}

static void free_all(void **blocks, unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        memory_free(blocks[i]);
    }
}

/* As much as the bound allows, each time; short shortly before. */
static void a_bound_holds(void **state)
{
    static void *blocks[2 * LIMIT / 1000];

    (void)state;
    memory_set_limit(LIMIT);
    for (unsigned i = 0; i < 3; i++) {
        unsigned len;

        assert_false(memory_is_short());
        len = take_all(blocks, ARRAY_LEN(blocks), 1000);
        assert_in_range(len, LIMIT / 1100, LIMIT / 1000);
        assert_true(memory_is_short() && memory_is_spent());
        assert_null(memory_alloc_zero(10, 100));
        assert_null(memory_alloc_aligned(1000));
        free_all(blocks, len);
    }
    assert_null(memory_alloc(LIMIT + 1));
    assert_null(memory_alloc_zero(SIZE_MAX / 2, 4));
    assert_false(memory_is_short());
    memory_set_limit(0);
}

static void what_is_left_has_two_halves(void **state)
{
    static void *blocks[LIMIT / 1000];
    unsigned len = 0;
    unsigned between = 0;

    (void)state;
    memory_set_limit(LIMIT);
    assert_false(memory_is_spent());
    while (!memory_is_spent()) {
        blocks[len] = memory_alloc(1000);
        assert_non_null(blocks[len++]);
        between += memory_is_short() && !memory_is_spent();
    }
    assert_true(memory_is_short());
    assert_in_range(between, LIMIT / 32 / 1100, LIMIT / 32 / 1000 + 1);
    free_all(blocks, len);
    assert_false(memory_is_spent());
    memory_set_limit(0);
    assert_false(memory_is_spent());
}

static void growing_counts_once(void **state)
{
    void *memory = NULL;

    (void)state;
    memory_set_limit(LIMIT);
    for (unsigned i = 0; i < 10; i++) {
        for (size_t size = 1000; size < LIMIT / 2; size *= 2) {
            void *grown = memory_resize(memory, size);

            assert_non_null(grown);
            memory = grown;
        }
        memory = memory_resize(memory, 10);
        assert_non_null(memory);
    }
    assert_null(memory_resize(memory, LIMIT));
    memory_free(memory);
    memory_set_limit(0);
}

static void *fill_up(void *argument)
{
    static void *blocks[2 * LIMIT / 1000];
    unsigned *len = argument;

    *len = take_all(blocks, ARRAY_LEN(blocks), 1000);
    free_all(blocks, *len);
    return NULL;
}

/* What one thread has taken another one can't have, but for a step. */
static void a_bound_is_for_all_threads(void **state)
{
    static void *blocks[LIMIT / 2 / 1000];
    pthread_t thread;
    unsigned len;
    unsigned other_len;

    (void)state;
    memory_set_limit(LIMIT);
    len = take_all(blocks, ARRAY_LEN(blocks), 1000);
    assert_int_equal(len, ARRAY_LEN(blocks));
    assert_int_equal(pthread_create(&thread, NULL, fill_up, &other_len), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_in_range(other_len, (LIMIT / 2 - 66 * 1024) / 1100, (LIMIT / 2 + 66 * 1024) / 1000);
    free_all(blocks, len);
    memory_set_limit(0);
}

/* What was taken before there was a bound may be given back under it. */
static void earlier_memory_may_be_freed(void **state)
{
    void *early = memory_alloc(LIMIT);
    void *late;

    (void)state;
    memory_set_limit(LIMIT);
    memory_free(early);
    late = memory_alloc(LIMIT / 2);
    assert_non_null(late);
    assert_null(memory_free(late));
    memory_set_limit(0);
}

#define AHEAD (256 * 1024)

/* In 200 bytes each; answers how often the heap has grown. */
static unsigned take_step_by_step(void **blocks, unsigned len)
{
    size_t size = mallinfo2().arena;
    unsigned steps = 0;

    for (unsigned i = 0; i < len; i++) {
        size_t before = size;

        blocks[i] = memory_must_alloc(200);
        size = mallinfo2().arena;
        steps += size != before;
    }
    return steps;
}

struct heap_growth {
    size_t used; /* before */
    unsigned steps;
};

/* In a thread of its own: the heap of the first one grows in another way. */
static void *load_ahead(void *context)
{
    static void *blocks[10000];
    struct heap_growth *growth = context;
    void *others = memory_must_alloc(growth->used);

    memory_grow_ahead(AHEAD);
    growth->steps = take_step_by_step(blocks, ARRAY_LEN(blocks));
    free_all(blocks, ARRAY_LEN(blocks));
    memory_free(others);
    return NULL;
}

static unsigned steps_above(size_t used)
{
    struct heap_growth growth = {.used = used};
    pthread_t thread;

    mallopt(M_MMAP_THRESHOLD, 2 * AHEAD);
    mallopt(M_TRIM_THRESHOLD, 64 * AHEAD);
    assert_int_equal(pthread_create(&thread, NULL, load_ahead, &growth), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return growth.steps;
}

/* Two million bytes come in steps of 64 KiB, not of a page: where little is in use, as without.
 * Where a sanitizer has taken the allocator's place there are no steps. */
static void the_heap_grows_ahead(void **state)
{
    uint64_t most;

    (void)state;
    (void)memory_used(&most);
    assert_true(most < AHEAD * MEMORY_AHEAD_SHARE / 2);
    assert_true(steps_above(most) > 200 || mallinfo2().arena == 0);
    assert_in_range(steps_above((size_t)AHEAD * MEMORY_AHEAD_SHARE), 0,
                    10000 * 208 / (64 * 1024) + 2);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nth_fails_once),
        cmocka_unit_test(zero_switches_it_off),
        cmocka_unit_test(what_must_be_had_does_not_fail),
        cmocka_unit_test(other_threads_do_not_notice),
        cmocka_unit_test(zeroed_is_zero_and_aligned_is_aligned),
        cmocka_unit_test(text_is_copied_whole),
        cmocka_unit_test(no_size_wraps_around),
        cmocka_unit_test(a_bound_holds),
        cmocka_unit_test(what_is_left_has_two_halves),
        cmocka_unit_test(growing_counts_once),
        cmocka_unit_test(a_bound_is_for_all_threads),
        cmocka_unit_test(earlier_memory_may_be_freed),
        cmocka_unit_test(the_heap_grows_ahead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
