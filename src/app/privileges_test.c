#include "app/privileges.h"
#include "base/test.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct privileges privileges;
static char error[PRIVILEGES_ERROR_CAP];

/* What follows of these three, where the test runs as root. */
static int find(const char *user, const char *uid, const char *gid)
{
    unsetenv("PUID");
    unsetenv("PGID");
    unsetenv("SNAP_NAME");
    if (uid) {
        setenv("PUID", uid, 1);
    }
    if (gid) {
        setenv("PGID", gid, 1);
    }
    return privileges_find(user, &privileges, error);
}

static void skip_unless_root(void)
{
    if (geteuid() != 0) {
        skip();
    }
}

static void test_an_ordinary_user_stays(void **state)
{
    (void)state;
    if (geteuid() == 0) {
        assert_int_equal(setenv("SNAP_NAME", "mosquitto", 1), 0);
        assert_int_equal(privileges_find("no-such-user", &privileges, error), PRIVILEGES_OK);
    } else {
        assert_int_equal(find("no-such-user", "x", "y"), PRIVILEGES_OK);
    }
    assert_true(privileges.stay);
    assert_int_equal(privileges.uid, geteuid());
    assert_int_equal(privileges.gid, getegid());
}

static void test_the_user_of_the_configuration(void **state)
{
    const struct passwd *nobody = getpwnam("nobody");

    (void)state;
    skip_unless_root();
    assert(nobody);
    assert_int_equal(find("nobody", NULL, NULL), PRIVILEGES_OK);
    assert_false(privileges.stay);
    assert_int_equal(privileges.uid, nobody->pw_uid);
    assert_int_equal(privileges.gid, nobody->pw_gid);
    assert_string_equal(privileges.name, "nobody");
    assert_int_equal(find("root", NULL, NULL), PRIVILEGES_OK);
    assert_true(privileges.stay);
    assert_int_equal(find(NULL, NULL, NULL), PRIVILEGES_OK);
    assert_true(privileges.stay);
    assert_int_equal(find("mosquitto", NULL, NULL), PRIVILEGES_OK);
    assert_false(privileges.stay);
    assert_int_equal(find("no-such-user", NULL, NULL), PRIVILEGES_NO_USER);
    assert_string_equal(error, "Unable to drop privileges to 'no-such-user' because this user does "
                               "not exist.");
}

static void test_the_numbers_of_the_environment(void **state)
{
    (void)state;
    skip_unless_root();
    assert_int_equal(find("no-such-user", "1234567", NULL), PRIVILEGES_OK);
    assert_false(privileges.stay);
    assert_int_equal(privileges.uid, 1234567);
    assert_int_equal(privileges.gid, 1234567);
    assert_string_equal(privileges.name, "");
    assert_int_equal(find("nobody", NULL, "1234568"), PRIVILEGES_OK);
    assert_int_equal(privileges.gid, 1234568);
    assert_string_equal(privileges.name, "nobody");
    assert_int_equal(find("nobody", "1234567", "1234568"), PRIVILEGES_OK);
    assert_int_equal(privileges.uid, 1234567);
    assert_int_equal(privileges.gid, 1234568);
    assert_int_equal(find("nobody", "0", NULL), PRIVILEGES_OK);
    assert_true(privileges.stay);
}

static void test_what_is_no_number(void **state)
{
    static const char *const bad[] = {"", "-1", "x", "12x", " 12", "4294967295", "99999999999999"};

    (void)state;
    skip_unless_root();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(find("nobody", bad[i], NULL), PRIVILEGES_ENVIRONMENT);
        assert_ptr_equal(strstr(error, "Invalid PUID value ("), error);
        assert_int_equal(find("nobody", NULL, bad[i]), PRIVILEGES_ENVIRONMENT);
        assert_ptr_equal(strstr(error, "Invalid PGID value ("), error);
    }
}

/* 0 when this process is that user, and can't be another again. */
static int check_dropped(uid_t uid, gid_t gid)
{
    gid_t groups[64];
    uid_t uids[3];

    if (privileges_forbid_new() < 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) {
        return 1;
    }
    if (privileges_drop(&privileges, error) != 0) {
        return 2;
    }
    if (getresuid(&uids[0], &uids[1], &uids[2]) < 0 || uids[0] != uid || uids[1] != uid ||
        uids[2] != uid || getegid() != gid) {
        return 3;
    }
    if (setuid(0) == 0 || setgid(0) == 0 || getgroups(64, groups) != 1 || groups[0] != gid) {
        return 4;
    }
    return access("/proc/1/environ", R_OK) == 0 ? 5 : 0;
}

static void test_dropping(void **state)
{
    int status;
    pid_t child;

    (void)state;
    skip_unless_root();
    assert_int_equal(find(NULL, "1234567", "1234568"), PRIVILEGES_OK);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(check_dropped(1234567, 1234568));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* Whoever can't become another says so instead of going on as before. */
static void test_a_failing_drop(void **state)
{
    int status;
    pid_t child;

    (void)state;
    skip_unless_root();
    assert_int_equal(find(NULL, "1234567", NULL), PRIVILEGES_OK);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(privileges_drop(&privileges, error) != 0 ? 1
              : privileges_drop(&(struct privileges){.uid = 7654321}, error) == -EPERM &&
                      strstr(error, "whilst dropping privileges")
                  ? 0
                  : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_ordinary_user_stays),
        cmocka_unit_test(test_the_user_of_the_configuration),
        cmocka_unit_test(test_the_numbers_of_the_environment),
        cmocka_unit_test(test_what_is_no_number),
        cmocka_unit_test(test_dropping),
        cmocka_unit_test(test_a_failing_drop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
