#include "app/check.h"
#include "config/fixture.h"

#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/nightjar-check-test-XXXXXX";

/* A check of this configuration, in which %s is a folder of ours; what it says is in the fixture.
 */
static int check(struct fixture *fixture, const char *format)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    fixture_readf(fixture, format, folder);
#pragma GCC diagnostic pop
    fixture_expect_ok(fixture);
    fixture->len = 0;
    fixture->said[0] = '\0';
    return check_settings(fixture->settings, &fixture->request.report);
}

static void test_what_is_right(void **state)
{
    static const char *const right[] = {
        "max_keepalive 5\n",
        "listener 1\nlistener 2 127.0.0.1\nlistener 3 localhost\n",
        "pid_file %s/pid\n",
        "log_dest file %s/log\n",
        "listener 0 %s/socket\n",
        "listener 1\nbind_interface lo\n",
        "user root\n",
        "pid_file /dev/null\nlog_dest file /dev/null\n",
    };
    struct fixture *fixture = fixture_new();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(right); i++) {
        assert_int_equal(check(fixture, right[i]), CHECK_OK);
        assert_string_equal(fixture->said, "");
    }
    fixture_free(fixture);
}

static void test_what_is_wrong(void **state)
{
    static const struct {
        const char *text;
        const char *says;
    } wrong[] = {
        {"# %s\npid_file /nowhere/at/all/pid\n",
         "E Error: Unable to write pid file '/nowhere/at/all/pid': No such file or directory.\n"
         "E Error found at x.conf:2.\n"                                                                          },
        {"pid_file %s\n",                                      "': Is a directory.\nE Error found at x.conf:1.\n"},
        {"log_dest stdout\nlog_dest file /nowhere/log\n",
         "E Error: Unable to open log file /nowhere/log for writing: No such file or directory.\n"
         "E Error found at x.conf:2.\n"                                                                          },
        {"listener 1883 192.0.2.77\n",
         "E Error: Cannot assign requested address (192.0.2.77 port 1883)\n"
         "E Error found at x.conf:1.\n"                                                                          },
        {"listener 1\n\nlistener 1883 no.such.host.invalid\n",
         "(no.such.host.invalid port 1883)\nE Error found at x.conf:3.\n"                                        },
        {"listener 1883 127.0.0.1\nsocket_domain ipv6\n",
         "(127.0.0.1 port 1883)\nE Error found at x.conf:1.\n"                                                   },
        {"listener 1\nbind_interface nonesuch0\n",
         "E Error: There is no network interface 'nonesuch0'.\nE Error found at x.conf:2.\n"                     },
        {"listener 0 /nowhere/at/all/socket\n",
         "E Error: No such file or directory (unix socket /nowhere/at/all/socket)\n"
         "E Error found at x.conf:1.\n"                                                                          },
        {"listener 0 %s\n",                                    "E Error: File exists (unix socket /tmp/"         },
    };
    struct fixture *fixture = fixture_new();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_int_equal(check(fixture, wrong[i].text), CHECK_WRONG);
        if (!strstr(fixture->said, wrong[i].says)) {
            fail_msg("%s: %s", wrong[i].text, fixture->said);
        }
    }
    fixture_free(fixture);
}

static void test_the_user(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    if (geteuid() == 0) {
        assert_int_equal(check(fixture, "\nuser no-such-user\n"), CHECK_WRONG);
        assert_string_equal(fixture->said, "E Error: Unable to drop privileges to 'no-such-user' "
                                           "because this user does not exist.\n"
                                           "E Error found at x.conf:2.\n");
    } else {
        assert_int_equal(check(fixture, "user no-such-user\n"), CHECK_OK);
    }
    fixture_free(fixture);
}

/* One look at all of it: nobody wants to learn of his mistakes one by one. */
static void test_everything_is_told_at_once(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    assert_int_equal(check(fixture, "pid_file /nowhere/a\nlog_dest file /nowhere/b\n"
                                    "listener 1 192.0.2.77\nlistener 0 /nowhere/c\n"),
                     CHECK_WRONG);
    for (unsigned line = 1; line <= 4; line++) {
        char text[64];

        snprintf(text, sizeof(text), "E Error found at x.conf:%u.\n", line);
        assert_non_null(strstr(fixture->said, text));
    }
    fixture_free(fixture);
}

/* A look leaves nothing behind and takes nothing from anybody. */
static void test_nothing_is_made(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    assert_int_equal(check(fixture, "pid_file %s/pid\nlistener 1 127.0.0.1\n"), CHECK_OK);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
    fixture_free(fixture);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_right),   cmocka_unit_test(test_what_is_wrong),
        cmocka_unit_test(test_the_user),        cmocka_unit_test(test_everything_is_told_at_once),
        cmocka_unit_test(test_nothing_is_made),
    };
    int failed;

    assert(mkdtemp(folder));
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return failed;
}
