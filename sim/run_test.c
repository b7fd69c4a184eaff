#include "base/test.h"
#include "sim/run.h"

/*
 * A run follows from its seed and from nothing else: every byte that the server reads and writes is
 * the same, whatever the process has run before, with TLS at that, and whatever the clock says.
 */

#define SEED_LEN 12

static struct run_result run_seed(uint64_t seed)
{
    struct choice choice;
    struct run_params params;

    choice_from_seed(&choice, seed);
    run_draw(&choice, &params);
    params.tls_permille = seed % 3 == 0 ? 0 : 600;
    params.web_permille = 300;
    params.proxy_permille = 200;
    return run(&choice, &params);
}

static void test_same_again(void **state)
{
    struct run_result results[SEED_LEN];

    (void)state;
    for (unsigned i = 0; i < SEED_LEN; i++) {
        results[i] = run_seed(i + 1);
    }
    for (unsigned i = SEED_LEN; i > 0; i--) {
        struct run_result again = run_seed(i);

        assert_int_equal(again.steps, results[i - 1].steps);
        assert_int_equal(again.digest, results[i - 1].digest);
        assert_true(i == 1 || again.digest != results[i - 2].digest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
