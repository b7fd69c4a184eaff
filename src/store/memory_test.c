#include "base/test.h"
#include "store/memory.h"

static void test_keeps_nothing(void **state)
{
    struct store store = store_memory();

    (void)state;
    assert_false(store_keeps(&store));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
