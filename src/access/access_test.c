#include "access/access.h"
#include "access/reading_test.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file with this text; the path is to be unlinked. */
static void write_file(const char *text, mode_t mode, char path[64])
{
    int fd;

    snprintf(path, 64, "/tmp/nightjar-access-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static struct settings settings_of(struct listener_settings *listeners, unsigned len)
{
    return (struct settings){
        .listeners = listeners,
        .listener_len = len,
        .access = {.password_iterations_max = 1000, .password_memory_max = 1000},
    };
}

/* What a listener with this password file has; NULL: it can't be had. */
static struct access *access_of(const char *text)
{
    char path[64];
    struct listener_settings listener = {.password_file = path};
    struct settings settings = settings_of(&listener, 1);
    struct access_set set;
    struct access *access;

    write_file(text, 0600, path);
    said[0] = '\0';
    if (access_load(&settings, &report, &set) != ACCESS_LOADED) {
        unlink(path);
        return NULL;
    }
    access = access_ref(set.accesses[0]);
    access_set_deinit(&set);
    unlink(path);
    return access;
}

/* Columns: the file (NULL: none), who comes, and what becomes of that. */
static void test_who_may_connect(void **state)
{
    static const struct {
        const char *file;
        bool allow_anonymous;
        const char *username; /* NULL: none was sent */
        bool has_password;
        enum access_verdict expected;
    } rows[] = {
  /* Without anything that could check a name, a name changes nothing. */
        {NULL,           true,  NULL,   false, ACCESS_YES},
        {NULL,           true,  "",     false, ACCESS_YES},
        {NULL,           true,  "anna", true,  ACCESS_YES},
        {NULL,           false, NULL,   false, ACCESS_NO },
        {NULL,           false, "",     false, ACCESS_NO },
        {NULL,           false, "anna", true,  ACCESS_NO },
        {"anna:" STORED, true,  NULL,   false, ACCESS_YES},
        {"anna:" STORED, true,  NULL,   true,  ACCESS_YES},
        {"anna:" STORED, true,  "anna", true,  ACCESS_ASK},
        {"anna:" STORED, true,  "bob",  true,  ACCESS_ASK},
        {"anna:" STORED, true,  "",     true,  ACCESS_ASK},
        {"anna:" STORED, true,  "anna", false, ACCESS_NO },
        {"anna:" STORED, true,  "bob",  false, ACCESS_NO },
        {"anna:" STORED, false, NULL,   false, ACCESS_NO },
        {"anna:" STORED, false, NULL,   true,  ACCESS_NO },
        {"anna:" STORED, false, "anna", true,  ACCESS_ASK},
        {"anna:" STORED, false, "anna", false, ACCESS_NO },
 /* An empty file is no missing one. */
        {"",             true,  NULL,   false, ACCESS_YES},
        {"",             true,  "anna", true,  ACCESS_NO },
        {"",             true,  "",     false, ACCESS_NO },
        {"",             false, NULL,   false, ACCESS_NO },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct listener_settings listener = {.allow_anonymous = rows[i].allow_anonymous};
        struct access *access = rows[i].file ? access_of(rows[i].file) : NULL;
        struct access_request request = {
            .access = access,
            .listener = &listener,
            .username = slice_of_text(rows[i].username ? rows[i].username : ""),
            .has_username = rows[i].username != NULL,
            .has_password = rows[i].has_password,
        };

        if (access_connect(&request) != rows[i].expected) {
            fail_msg("row %zu", i);
        }
        access_unref(access);
    }
}

static uint64_t credential_of(const struct access *access, const char *name)
{
    struct access_question question = access_question(access, slice_of_text(name));

    assert_true(question.is_known);
    return question.credential;
}

/* Who came in, by which file, and whether the next one lets it stay. */
static void test_who_may_stay(void **state)
{
    struct access *before = access_of("anna:" STORED "\nbob:" STORED);
    uint64_t anna = credential_of(before, "anna");
    const struct {
        const char *file;
        bool allow_anonymous;
        const char *username;
        uint64_t credential;
        bool expected;
    } rows[] = {
        {"anna:" STORED,                false, "anna", anna, true },
        {"bob:" OTHER "\nanna:" STORED, false, "anna", anna, true },
        {"anna:" OTHER,                 true,  "anna", anna, false},
        {"bob:" STORED,                 true,  "anna", anna, false},
        {"",                            true,  "anna", anna, false},
        {NULL,                          true,  "anna", anna, true },
        {NULL,                          false, "anna", anna, false},
 /* Came without a look at its password. */
        {"anna:" STORED,                true,  "anna", 0,    false},
        {"anna:" STORED,                true,  NULL,   0,    true },
        {"anna:" STORED,                false, NULL,   0,    false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct listener_settings listener = {.allow_anonymous = rows[i].allow_anonymous};
        struct access *access = rows[i].file ? access_of(rows[i].file) : NULL;
        struct access_request request = {
            .access = access,
            .listener = &listener,
            .username = slice_of_text(rows[i].username ? rows[i].username : ""),
            .has_username = rows[i].username != NULL,
        };

        if (access_still_may(&request, rows[i].credential) != rows[i].expected) {
            fail_msg("row %zu", i);
        }
        access_unref(access);
    }
    access_unref(before);
}

static void test_questions(void **state)
{
    struct access *access = access_of("anna:" STORED "\nbob:" OTHER);
    struct access_question anna = access_question(access, slice_of_text("anna"));
    struct access_question nobody = access_question(access, slice_of_text("nobody"));

    (void)state;
    assert_true(anna.is_known && anna.password && anna.credential != 0);
    assert_false(nobody.is_known);
    assert_non_null(nobody.password);
    assert_int_equal(nobody.credential, 0);
    access_unref(access);
}

/* One load for those who share a file, and none for who has none. */
static void test_shared(void **state)
{
    char path[64];
    char other[64];
    struct listener_settings listeners[] = {
        {.password_file = path},
        {.password_file = NULL},
        {.password_file = other},
        {.password_file = path},
    };
    struct settings settings = settings_of(listeners, 4);
    struct access_set set;

    (void)state;
    write_file("anna:" STORED, 0600, path);
    write_file("bob:" STORED, 0600, other);
    assert_int_equal(access_load(&settings, &report, &set), ACCESS_LOADED);
    assert_null(set.accesses[1]);
    assert_ptr_equal(set.accesses[0], set.accesses[3]);
    assert_ptr_not_equal(set.accesses[0], set.accesses[2]);
    access_set_deinit(&set);
    unlink(path);
    unlink(other);
}

/* Whatever is wrong with a file, there is no way in. */
static void test_bad_files(void **state)
{
    char path[64];
    struct listener_settings listeners[] = {{.password_file = path}, {.password_file = NULL}};
    struct settings settings = settings_of(listeners, 2);
    struct access_set set;
    char expected[256];

    (void)state;
    write_file("anna:" STORED "\nbob:x\n", 0600, path);
    said[0] = '\0';
    assert_int_equal(access_load(&settings, &report, &set), ACCESS_WRONG);
    snprintf(expected, sizeof(expected),
             "Error: The password of user 'bob' is none of $6$, $7$ and $argon2id$.\n"
             "Error found at %s:2.\n",
             path);
    assert_string_equal(said, expected);
    unlink(path);
    said[0] = '\0';
    assert_int_equal(access_load(&settings, &report, &set), ACCESS_WRONG);
    snprintf(expected, sizeof(expected),
             "Error: Unable to open password file '%s'. No such file or directory.\n", path);
    assert_string_equal(said, expected);
    listeners[0].password_file = "/tmp";
    said[0] = '\0';
    assert_int_equal(access_load(&settings, &report, &set), ACCESS_WRONG);
    assert_string_equal(said, "Error: The password file '/tmp' is a directory.\n");
}

static void test_readable_by_all(void **state)
{
    char path[64];
    struct listener_settings listener = {.password_file = path};
    struct settings settings = settings_of(&listener, 1);
    struct access_set set;

    (void)state;
    write_file("anna:" STORED, 0644, path);
    said[0] = '\0';
    assert_int_equal(access_load(&settings, &report, &set), ACCESS_LOADED);
    assert_non_null(strstr(said, "Warning: Everybody on this machine may read the password file"));
    access_set_deinit(&set);
    unlink(path);
}

static void test_no_memory(void **state)
{
    char path[64];
    struct listener_settings listener = {.password_file = path};
    struct settings settings = settings_of(&listener, 1);
    struct access_set set;
    unsigned failed = 0;
    int r;

    (void)state;
    write_file("anna:" STORED, 0600, path);
    do {
        said[0] = '\0';
        memory_fail_after(1 + failed);
        r = access_load(&settings, &report, &set);
        memory_fail_after(0);
        if (r != ACCESS_LOADED) {
            assert_int_equal(r, -ENOMEM);
            assert_string_equal(said, "Error: Out of memory for the files of users.\n");
            failed++;
        }
    } while (r != ACCESS_LOADED);
    assert_true(failed >= 5);
    access_set_deinit(&set);
    unlink(path);
}

static void test_what_may_be_published(void **state)
{
    static const struct {
        const char *topic;
        bool may;
    } rows[] = {
        {"a",                true },
        {"/",                true },
        {"SYS",              true },
        {"/$SYS",            true },
        {"a/$SYS/b",         true },
        {"$SY",              true },
        {"$SYSTEM",          true },
        {"$sys/a",           true },
        {"$other/a",         true },
        {"$CONTROLLER/a",    true },
        {"$SYS",             false},
        {"$SYS/",            false},
        {"$SYS/broker/load", false},
        {"$SYS//",           false},
        {"$CONTROL",         false},
        {"$CONTROL/broker",  false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct slice topic = bytes_copy(slice_of_text(rows[i].topic));

        assert_int_equal(access_publish(topic), rows[i].may ? MQTT_SUCCESS : MQTT_NOT_AUTHORIZED);
        bytes_free(topic);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_may_connect), cmocka_unit_test(test_who_may_stay),
        cmocka_unit_test(test_questions),       cmocka_unit_test(test_shared),
        cmocka_unit_test(test_bad_files),       cmocka_unit_test(test_readable_by_all),
        cmocka_unit_test(test_no_memory),       cmocka_unit_test(test_what_may_be_published),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
