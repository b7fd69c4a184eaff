#include "base/test.h"
#include "core/fixture.h"
#include "core/inbound.h"

static void test_list_becomes_bitmap_and_goes(void **state)
{
    struct inbound inbound = {0};

    (void)state;
    assert_false(inbound_has(&inbound, 1));
    assert_false(inbound_remove(&inbound, 1));
    for (uint16_t id = 1; id <= 200; id++) {
        assert_int_equal(inbound_add(&inbound, id), 0);
        assert_int_equal(inbound.set->bits != NULL, id > 64);
    }
    for (uint16_t id = 200; id >= 1; id--) {
        assert_int_equal(inbound_len(&inbound), id);
        assert_true(inbound_remove(&inbound, id));
        assert_false(inbound_remove(&inbound, id));
        assert_int_equal(inbound.set != NULL, id > 1);
    }
    assert_null(inbound.set);
    assert_int_equal(inbound_add(&inbound, 65535), 0);
    assert_null(inbound.set->bits);
    assert_true(inbound_has(&inbound, 65535));
    inbound_deinit(&inbound);
    assert_false(inbound_has(&inbound, 65535));
}

/* A burst after the other costs no allocation, unless it is a long one. */
static void test_a_short_list_stays(void **state)
{
    static const struct {
        uint16_t len;
        bool stays;
    } rows[] = {
        {1,  true },
        {32, true },
        {33, false},
        {64, false},
        {65, false}
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct inbound inbound = {0};

        for (uint16_t id = 1; id <= rows[i].len; id++) {
            assert_int_equal(inbound_add(&inbound, id), 0);
        }
        for (uint16_t id = 1; id <= rows[i].len; id++) {
            assert_true(inbound_remove(&inbound, id));
        }
        assert_int_equal(inbound.set != NULL, rows[i].stays);
        inbound_deinit(&inbound);
        assert_null(inbound.set);
    }
}

/* A phase adds mostly, the next removes mostly: through both forms several times. */
static void test_random_against_bits(void **state)
{
    static bool has[65536];
    struct inbound inbound = {0};
    uint64_t seed = 1;
    unsigned len = 0;

    (void)state;
    for (unsigned i = 0; i < 40000; i++) {
        uint16_t id = (uint16_t)(65535 - fixture_random(&seed, 150));
        bool adds = fixture_random(&seed, 10) < (i / 2000 % 2 ? 2u : 8u);

        assert_int_equal(inbound_has(&inbound, id), has[id]);
        if (adds && !has[id]) {
            assert_int_equal(inbound_add(&inbound, id), 0);
            has[id] = true;
            len++;
        } else if (!adds) {
            assert_int_equal(inbound_remove(&inbound, id), has[id]);
            len -= has[id];
            has[id] = false;
        }
        assert_int_equal(inbound_len(&inbound), len);
    }
    inbound_deinit(&inbound);
}

static void test_no_memory_adds_nothing(void **state)
{
    struct inbound inbound = {0};

    (void)state;
    for (uint16_t id = 1; id <= 100; id++) {
        memory_fail_after(1);
        if (inbound_add(&inbound, id) == -ENOMEM) {
            assert_true(id == 1 || id == 65 || (id & (id - 2)) == 1);
            assert_false(inbound_has(&inbound, id));
            assert_int_equal(inbound_len(&inbound), id - 1);
            assert_int_equal(inbound_add(&inbound, id), 0);
        }
        memory_fail_after(0);
        for (uint16_t other = 1; other <= 100; other++) {
            assert_int_equal(inbound_has(&inbound, other), other <= id);
        }
    }
    inbound_deinit(&inbound);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_becomes_bitmap_and_goes),
        cmocka_unit_test(test_a_short_list_stays),
        cmocka_unit_test(test_random_against_bits),
        cmocka_unit_test(test_no_memory_adds_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
