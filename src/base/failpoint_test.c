#include "base/failpoint.h"
#include "base/hash.h"
#include "base/test.h"

#include <sys/wait.h>

/* The table is mapped before main(): the test starts itself anew with a file for it. */

static bool allocates(void)
{
    void *memory = memory_alloc(1);

    memory_free(memory);
    return memory != NULL;
}

static bool opens(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

static void must_allocate(void)
{
    memory_free(memory_must_alloc(1));
}

static struct failpoint_row *rows(void)
{
    return (struct failpoint_row *)(failpoint_table() + 1);
}

/* The index of the only point in this function of this file. */
static uint32_t find(const char *function)
{
    char wanted[64];
    uint32_t found = FAILPOINT_NONE;

    snprintf(wanted, sizeof(wanted), " %s ", function);
    for (uint32_t i = 0; i < failpoint_table()->len; i++) {
        if (strncmp(rows()[i].name, "base/failpoint_test.c:", 22) == 0 &&
            strstr(rows()[i].name, wanted)) {
            assert_int_equal(found, FAILPOINT_NONE);
            found = i;
        }
    }
    assert_int_not_equal(found, FAILPOINT_NONE);
    return found;
}

static void arm(uint32_t armed, uint32_t first, uint32_t times)
{
    struct failpoint_table *table = failpoint_table();

    table->passed = 0;
    table->first = first;
    table->times = times;
    table->armed = armed;
}

static void test_the_hit_that_was_asked_for_fails(void **state)
{
    uint32_t index = find("allocates");
    uint64_t hits = rows()[index].hits;
    uint64_t failed = rows()[index].failed;

    (void)state;
    arm(index, 3, 2);
    for (unsigned n = 1; n <= 6; n++) {
        errno = 0;
        assert_int_equal(allocates(), n != 3 && n != 4);
        assert_int_equal(errno, n == 3 || n == 4 ? ENOMEM : 0);
        assert_true(opens());
    }
    assert_int_equal(rows()[index].hits, hits + 6);
    assert_int_equal(rows()[index].failed, failed + 2);
}

static void test_kinds_of_points(void **state)
{
    (void)state;
    arm(FAILPOINT_MEMORY, 1, UINT32_MAX);
    assert_false(allocates());
    assert_true(opens());
    must_allocate();
    arm(FAILPOINT_ANY, 2, 1);
    assert_true(allocates());
    errno = 0;
    assert_false(opens());
    assert_int_equal(errno, EMFILE);
    arm(FAILPOINT_NONE, 1, UINT32_MAX);
    assert_true(allocates());
    assert_true(opens());
}

static void test_what_must_have_memory_ends(void **state)
{
    pid_t child;
    int status;

    (void)state;
    arm(find("must_allocate"), 1, 1);
    child = (fork)();
    if (child == 0) {
        must_allocate();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    arm(FAILPOINT_NONE, 1, 1);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

/* Those of the library that nothing here has come by are in the table as well. */
static void test_all_points_are_listed(void **state)
{
    struct hash_key key;
    unsigned others = 0;

    (void)state;
    hash_key_draw(&key); /* so that there is one */
    for (uint32_t i = 0; i < failpoint_table()->len; i++) {
        others += strncmp(rows()[i].name, "base/failpoint_test.c:", 22) != 0;
        for (uint32_t j = 0; j < i; j++) {
            assert_string_not_equal(rows()[i].name, rows()[j].name);
        }
    }
    assert_true(others >= 1);
}

static int with_table(char **arguments)
{
    char path[] = "/tmp/failpoint-test-XXXXXX";
    int fd = mkstemp(path);

    if (fd < 0 || setenv("NIGHTJAR_FAILPOINTS", path, 1) < 0) {
        return 1;
    }
    execv("/proc/self/exe", arguments);
    return 1;
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_hit_that_was_asked_for_fails),
        cmocka_unit_test(test_kinds_of_points),
        cmocka_unit_test(test_what_must_have_memory_ends),
        cmocka_unit_test(test_all_points_are_listed),
    };

    (void)count;
    if (!getenv("NIGHTJAR_FAILPOINTS")) {
        return with_table(arguments);
    }
    unlink(getenv("NIGHTJAR_FAILPOINTS"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
