#include "base/death_test.h"
#include "base/owner.h"

#include <pthread.h>

static void touch_as_nobody(void)
{
    owner_self = NULL;
    assert_owner(3);
}

static void touch_as_main(void)
{
    struct owner main_owner = {.worker = OWNER_NOBODY};

    owner_self = &main_owner;
    assert_owner(3);
}

static void touch_as_another(void)
{
    struct owner another = {.worker = 2};

    owner_self = &another;
    assert_owner(3);
}

static void touch_as_owner(void)
{
    struct owner owner = {.worker = 3};

    owner_self = &owner;
    assert_owner(3);
}

static void only_the_owner_may(void **state)
{
    (void)state;
    assert_true(is_deadly(touch_as_nobody));
    assert_true(is_deadly(touch_as_main));
    assert_true(is_deadly(touch_as_another));
    assert_false(is_deadly(touch_as_owner));
}

static void *owner_here(void *argument)
{
    (void)argument;
    return owner_self;
}

static void every_thread_has_its_own(void **state)
{
    struct owner owner = {.worker = 1};
    pthread_t thread;
    void *there = &owner;

    (void)state;
    assert_null(owner_self);
    owner_self = &owner;
    assert_int_equal(pthread_create(&thread, NULL, owner_here, NULL), 0);
    assert_int_equal(pthread_join(thread, &there), 0);
    assert_null(there);
    owner_self = NULL;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_owner_may),
        cmocka_unit_test(every_thread_has_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
