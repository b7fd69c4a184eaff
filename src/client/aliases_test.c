#include "base/memory.h"
#include "base/test.h"
#include "client/aliases.h"

#include <stdio.h>

static struct slice topic_of(char text[24], unsigned number)
{
    snprintf(text, 24, "topic/%u", number);
    return slice_of_text(text);
}

static void test_first_come_first_served(void **state)
{
    struct aliases *aliases = NULL;
    char text[24];

    (void)state;
    assert_int_equal(aliases_find(aliases, slice_of_text("topic/1"), 1), 0);
    for (unsigned i = 1; i <= 10; i++) {
        assert_int_equal(aliases_add(&aliases, 10, topic_of(text, i), i), i);
    }
    assert_int_equal(aliases_add(&aliases, 10, slice_of_text("late"), 11), 0);
    for (unsigned i = 1; i <= 10; i++) {
        assert_int_equal(aliases_find(aliases, topic_of(text, i), i), i);
    }
    assert_int_equal(aliases_find(aliases, slice_of_text("late"), 11), 0);
    assert_null(aliases_free(aliases));
}

/* Equal hashes are told apart by the topic, and an equal topic counts only with its hash. */
static void test_equal_hashes(void **state)
{
    struct aliases *aliases = NULL;
    char text[24];

    (void)state;
    for (unsigned i = 1; i <= 100; i++) {
        assert_int_equal(aliases_add(&aliases, UINT16_MAX, topic_of(text, i), 7), i);
    }
    for (unsigned i = 1; i <= 100; i++) {
        assert_int_equal(aliases_find(aliases, topic_of(text, i), 7), i);
    }
    assert_int_equal(aliases_find(aliases, topic_of(text, 5), 8), 0);
    aliases_free(aliases);
}

static void test_as_many_as_there_are(void **state)
{
    struct aliases *aliases = NULL;
    char text[24];

    (void)state;
    for (unsigned i = 1; i <= UINT16_MAX; i++) {
        assert_int_equal(aliases_add(&aliases, UINT16_MAX, topic_of(text, i), i * 2654435761u), i);
    }
    assert_int_equal(aliases_add(&aliases, UINT16_MAX, slice_of_text("late"), 0), 0);
    for (unsigned i = 1; i <= UINT16_MAX; i++) {
        assert_int_equal(aliases_find(aliases, topic_of(text, i), i * 2654435761u), i);
    }
    aliases_free(aliases);
}

/* Without memory a topic has no alias, and those that have one keep it. */
static void test_without_memory(void **state)
{
    struct aliases *aliases = NULL;
    char text[24];
    unsigned len = 0;

    (void)state;
    while (len < 20) {
        for (unsigned long n = 1; n <= 2; n++) {
            memory_fail_after(n);
            if (aliases_add(&aliases, 100, topic_of(text, len + 1), len) != 0) {
                len++;
            }
            memory_fail_after(0);
            for (unsigned i = 0; i < len; i++) {
                assert_int_equal(aliases_find(aliases, topic_of(text, i + 1), i), i + 1);
            }
        }
        assert_int_equal(aliases_add(&aliases, 100, topic_of(text, len + 1), len), len + 1);
        len++;
    }
    aliases_free(aliases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_come_first_served),
        cmocka_unit_test(test_equal_hashes),
        cmocka_unit_test(test_as_many_as_there_are),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
