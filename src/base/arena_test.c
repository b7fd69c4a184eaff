#include "base/arena.h"
#include "base/test.h"

static void test_pieces_are_zeroed_aligned_and_apart(void **state)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 4000, 4096, 100000, 3, 0, 64};
    uint8_t *pieces[ARRAY_LEN(sizes)];
    struct arena arena;

    (void)state;
    arena_init(&arena);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        pieces[i] = arena_alloc(&arena, sizes[i]);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        for (size_t j = 0; j < sizes[i]; j++) {
            assert_int_equal(pieces[i][j], 0);
        }
        memset(pieces[i], (int)i + 1, sizes[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (size_t j = 0; j < sizes[i]; j++) {
            assert_int_equal(pieces[i][j], i + 1);
        }
    }
    arena_deinit(&arena);
    arena_deinit(&arena);
}

static void test_small_pieces_share_blocks(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena);
    assert_non_null(arena_alloc(&arena, 1));
    memory_fail_after(1);
    for (int i = 0; i < 100; i++) {
        assert_non_null(arena_alloc(&arena, 32));
    }
    memory_fail_after(0);
    arena_deinit(&arena);
}

static void test_copies_end_with_a_terminator(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena);
    assert_string_equal(arena_copy_text(&arena, "nightjar"), "nightjar");
    assert_string_equal(arena_copy(&arena, slice_of("nightjar", 5)), "night");
    assert_string_equal(arena_copy(&arena, slice_of(NULL, 0)), "");
    arena_deinit(&arena);
}

static void test_too_much_is_refused(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena);
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc(&arena, SIZE_MAX - 40));
    assert_null(arena_alloc_array(&arena, SIZE_MAX / 2, 3));
    memory_fail_after(1);
    assert_null(arena_alloc(&arena, 1));
    assert_non_null(arena_alloc(&arena, 1));
    memory_fail_after(1);
    assert_null(arena_alloc(&arena, 10000));
    assert_non_null(arena_alloc(&arena, 1));
    memory_fail_after(0);
    arena_deinit(&arena);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(test_small_pieces_share_blocks),
        cmocka_unit_test(test_copies_end_with_a_terminator),
        cmocka_unit_test(test_too_much_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
