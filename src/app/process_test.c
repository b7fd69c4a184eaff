#include "app/process.h"
#include "base/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/nightjar-process-test-XXXXXX";

static const char *path_in(const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static long read_pid(const char *path)
{
    FILE *file = fopen(path, "r");
    long pid = -1;

    assert(file);
    assert_true(fscanf(file, "%ld\n", &pid) == 1 || pid == -1);
    fclose(file);
    return pid;
}

static void test_pid_file(void **state)
{
    const char *path = path_in("pid");

    (void)state;
    assert_int_equal(process_write_pid(path, geteuid(), getegid()), 0);
    assert_int_equal(read_pid(path), getpid());
    process_remove_pid(path);
    assert_int_not_equal(access(path, F_OK), 0);
    process_remove_pid(path);
}

static void test_a_stale_pid_file_is_overwritten(void **state)
{
    const char *path = path_in("stale");
    FILE *file = fopen(path, "w");
    struct stat before;
    struct stat after;

    (void)state;
    assert(file);
    fputs("4194304 and much more than we write\n", file);
    fclose(file);
    assert_int_equal(stat(path, &before), 0);
    /* Not given away: it may be anybody's, by way of a link. */
    assert_int_equal(process_write_pid(path, 65534, 65534), 0);
    assert_int_equal(read_pid(path), getpid());
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_uid, after.st_uid);
    unlink(path);
}

static void test_a_pid_file_belongs_to_who_removes_it(void **state)
{
    const char *path = path_in("owned");
    struct stat file;

    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(process_write_pid(path, 65534, 65534), 0);
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_uid, 65534);
    assert_int_equal(file.st_gid, 65534);
    unlink(path);
}

static void test_where_no_pid_file_can_be(void **state)
{
    (void)state;
    assert_int_equal(process_write_pid(path_in("no/pid"), 0, 0), -ENOENT);
    assert_int_equal(process_write_pid(folder, 0, 0), -EISDIR);
    assert_int_equal(process_write_pid("/dev/full", 0, 0), -EIO);
    assert_int_equal(process_write_pid("/dev/null", geteuid(), getegid()), 0);
}

static void test_umask(void **state)
{
    static const char *const bad[] = {"", "8", "027x", "x", "-1", " 27", "1777", "99999999999999"};
    mode_t before = umask(022);

    (void)state;
    unsetenv("UMASK_SET");
    assert_int_equal(process_set_umask(), PROCESS_OK);
    assert_int_equal(umask(022), 022);
    setenv("UMASK_SET", "027", 1);
    assert_int_equal(process_set_umask(), PROCESS_OK);
    assert_int_equal(umask(022), 027);
    setenv("UMASK_SET", "7", 1);
    assert_int_equal(process_set_umask(), PROCESS_OK);
    assert_int_equal(umask(022), 07);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        setenv("UMASK_SET", bad[i], 1);
        assert_int_equal(process_set_umask(), PROCESS_BAD_UMASK);
        assert_int_equal(umask(022), 022);
    }
    unsetenv("UMASK_SET");
    umask(before);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pid_file),
        cmocka_unit_test(test_a_stale_pid_file_is_overwritten),
        cmocka_unit_test(test_a_pid_file_belongs_to_who_removes_it),
        cmocka_unit_test(test_where_no_pid_file_can_be),
        cmocka_unit_test(test_umask),
    };
    int failed;

    assert(mkdtemp(folder));
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return failed;
}
