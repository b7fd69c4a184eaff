#include "config/changes.h"
#include "config/fixture.h"
#include "config/values.h"

/* Two configurations, and what was said of the difference. */
struct comparison {
    struct fixture *now;
    struct fixture *next;
    struct fixture *said; /* only its lines are of use */
    struct changes changes;
};

static struct comparison compare(const char *now, const char *next)
{
    struct comparison c = {fixture_new(), fixture_new(), fixture_new(), {0}};

    fixture_readf(c.now, "%s", now);
    fixture_expect_ok(c.now);
    fixture_readf(c.next, "%s", next);
    fixture_expect_ok(c.next);
    assert_int_equal(
        changes_settle(c.now->settings, c.next->settings, &c.said->request.report, &c.changes), 0);
    return c;
}

static void comparison_free(struct comparison *c)
{
    fixture_free(c->now);
    fixture_free(c->next);
    fixture_free(c->said);
}

static void expect_said(const char *now, const char *next, const char *said)
{
    struct comparison c = compare(now, next);

    assert_string_equal(c.said->said, said);
    comparison_free(&c);
}

static void test_nothing_changes(void **state)
{
    static const char *const texts[] = {
        "",
        "max_keepalive 600\nuser nobody\nlog_dest stderr\nlog_dest file /x\nlog_type all\n",
        "listener 1\nlistener 2 127.0.0.1\nproxy_protocol_trusted 10.0.0.0/8\nlistener 0 /x\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct comparison c = compare(texts[i], texts[i]);

        assert_string_equal(c.said->said, "");
        assert_int_equal(c.changes.len, 0);
        for (unsigned j = 0; j < c.next->settings->listener_len; j++) {
            assert_int_equal(c.changes.listeners[j], j);
            assert_true(c.changes.stays[j]);
        }
        comparison_free(&c);
    }
}

static void test_values_that_change(void **state)
{
    (void)state;
    expect_said("", "max_keepalive 600\n", "I max_keepalive 0 -> 600\n");
    expect_said("log_type error\nlog_type warning\n", "log_type all\n",
                "I log_type error warning -> all\n");
    expect_said("log_dest none\n", "log_dest stdout\nlog_dest file /var/log/x\n",
                "I log_dest none -> stdout file /var/log/x\n");
    expect_said("persistent_client_expiration 1h\n", "",
                "I persistent_client_expiration 3600s -> \n");
    expect_said("clientid_prefixes a\n", "clientid_prefixes b\n", "I clientid_prefixes a -> b\n");
    expect_said("listener 1\n", "listener 1\nmax_connections 5\nmax_qos 1\n",
                "I listener 1: max_connections -1 -> 5\nI listener 1: max_qos 2 -> 1\n");
    expect_said("listener 1 ::1\n", "listener 1 ::1\naccept_protocol_versions 4,5\n",
                "I listener 1 ::1: accept_protocol_versions 3,4,5 -> 4,5\n");
    expect_said("listener 1\nenable_proxy_protocol 2\nproxy_protocol_trusted unix\n",
                "listener 1\nenable_proxy_protocol any\nproxy_protocol_trusted unix\n"
                "proxy_protocol_trusted 10.0.0.0/8\n",
                "I listener 1: enable_proxy_protocol 2 -> any\n"
                "I listener 1: proxy_protocol_trusted unix -> unix 10.0.0.0/8\n");
}

/* The next settings say what is, not what was asked for. */
static void test_values_that_need_a_restart(void **state)
{
    struct comparison c = compare("workers 2\npid_file /a\nlistener 1\nlisten_backlog 5\n",
                                  "workers 3\nuser nobody\nlistener 1\nlisten_backlog 6\n");

    (void)state;
    assert_string_equal(c.said->said, "W Warning: user: needs a restart.\n"
                                      "W Warning: pid_file: needs a restart.\n"
                                      "W Warning: workers: needs a restart.\n"
                                      "W Warning: listener 1: listen_backlog: needs a restart.\n");
    assert_int_equal(c.changes.len, 4);
    assert_int_equal(c.next->settings->process.workers, 2);
    assert_string_equal(c.next->settings->process.user, "mosquitto");
    assert_string_equal(c.next->settings->process.pid_file, "/a");
    assert_int_equal(c.next->settings->listeners[0].backlog, 5);
    fixture_free(TAKE(c.now)); /* the texts are its own */
    assert_string_equal(c.next->settings->process.pid_file, "/a");
    fixture_free(c.next);
    fixture_free(c.said);
}

/* What is at once for everybody leaves those who come as they are. */
static void test_what_is_new_for_connections(void **state)
{
    static const struct {
        const char *now;
        const char *next;
        bool renews[2];
    } rows[] = {
        {"listener 1\nlistener 2\n",
         "listener 1\nlistener 2\nlog_type all\nmemory_limit 1\n",                 {false, false}},
        {"listener 1\nlistener 2\n", "listener 1\nlistener 2\nmax_keepalive 60\n", {true, true}  },
        {"listener 1\nlistener 2\n", "listener 1\nmax_qos 1\nlistener 2\n",        {true, false} },
        {"listener 1\nlistener 2\n", "listener 1\nlisten_backlog 5\nlistener 2\n", {false, false}},
        {"listener 1\nlistener 2\n",
         "listener 1\nlistener_allow_anonymous true\nlistener 2\n",                {true, false} },
        {"listener 1\nlistener 2\n", "listener 3\nlistener 2\n",                   {false, false}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct comparison c = compare(rows[i].now, rows[i].next);

        assert_int_equal(c.changes.renews[0], rows[i].renews[0]);
        assert_int_equal(c.changes.renews[1], rows[i].renews[1]);
        comparison_free(&c);
    }
}

static void test_listeners_come_and_go(void **state)
{
    struct comparison c = compare("listener 1\nlistener 2 127.0.0.1\nlistener 3\nlistener 0 /a\n",
                                  "listener 0 /a\nlistener 3 ::1\nlistener 1\n"
                                  "listener 4 ::1\n");
    static const unsigned listeners[] = {3, CHANGES_NONE, 0, CHANGES_NONE};
    static const bool stays[] = {true, false, false, true};

    (void)state;
    assert_string_equal(c.said->said, "I listener 3 ::1: opens\nI listener 4 ::1: opens\n"
                                      "I listener 2 127.0.0.1: closes\nI listener 3: closes\n");
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(c.changes.listeners[i], listeners[i]);
        assert_int_equal(c.changes.stays[i], stays[i]);
    }
    assert_int_equal(c.changes.len, 4);
    comparison_free(&c);
}

/* Of several at one place each finds its own; else the socket stays as it is. */
static void test_interfaces(void **state)
{
    static const char *const two = "listener 1\nbind_interface a\nlistener 1\nbind_interface b\n";
    struct comparison c =
        compare(two, "listener 1\nbind_interface b\nlistener 1\nbind_interface a\n");

    (void)state;
    assert_string_equal(c.said->said, "");
    assert_int_equal(c.changes.listeners[0], 1);
    assert_int_equal(c.changes.listeners[1], 0);
    comparison_free(&c);
    expect_said(two, "listener 1\nbind_interface b\n", "I listener 1: closes\n");
    expect_said("listener 1\n", "listener 1\nsocket_domain ipv4\n",
                "W Warning: listener 1: socket_domain: needs a restart.\n");
}

/* Two that are written alike are two. */
static void test_equal_listeners_are_matched_one_to_one(void **state)
{
    struct comparison c = compare("listener 1\nlistener 1\n", "listener 1\n");

    (void)state;
    assert_int_equal(c.changes.listeners[0], 0);
    assert_true(c.changes.stays[0]);
    assert_false(c.changes.stays[1]);
    comparison_free(&c);
    c = compare("listener 1\n", "listener 1\nlistener 1\n");
    assert_int_equal(c.changes.listeners[0], 0);
    assert_int_equal(c.changes.listeners[1], CHANGES_NONE);
    comparison_free(&c);
}

/* A value that is formatted can be read again, and is the same then. */
static void test_texts_are_values(void **state)
{
    static const char base[] = "listener 1883 127.0.0.1\n";
    struct fixture *fixture = fixture_new();

    (void)state;
    fixture_readf(fixture, "%s", base);
    fixture_expect_ok(fixture);
    for (size_t i = 0; i < option_len; i++) {
        const struct option *option = &options[i];
        struct option_source source = {fixture->settings, &fixture->settings->listeners[0]};
        char line[256];
        char *text;

        assert_int_equal(option->parse != NULL, option->format != NULL);
        if (option->alias_of || option->status != OPTION_BUILT || option->repeats ||
            option->scope == OPTION_DEFAULT_LISTENER ||
            (!option->parse && option->storage == OPTION_STORE_NONE)) {
            continue;
        }
        /* What needs a restart is copied, which takes a field. */
        assert_true(option->reload != OPTION_NEVER || !option->parse);
        assert_int_equal(value_format(option, &source, &text), 0);
        snprintf(line, sizeof(line), "%s%s %s\n", base, option->name, text);
        if (*text) {
            expect_said(base, line, "");
        }
        free(text);
    }
    fixture_free(fixture);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_changes),
        cmocka_unit_test(test_values_that_change),
        cmocka_unit_test(test_values_that_need_a_restart),
        cmocka_unit_test(test_what_is_new_for_connections),
        cmocka_unit_test(test_listeners_come_and_go),
        cmocka_unit_test(test_interfaces),
        cmocka_unit_test(test_equal_listeners_are_matched_one_to_one),
        cmocka_unit_test(test_texts_are_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
