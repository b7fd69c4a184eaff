#include "config/fixture.h"
#include "config/options.h"
#include "config/reader.h"

#include <sys/stat.h>
#include <unistd.h>

/* What a text leads to: an error, or something said, or silence. */
struct reading {
    const char *text;
    const char *error; /* NULL: accepted */
    const char *said;  /* all that is said then */
};

static void check_readings(const struct reading *readings, size_t len)
{
    struct fixture *fixture = fixture_new();

    for (size_t i = 0; i < len; i++) {
        fixture_readf(fixture, "%s", readings[i].text);
        if (readings[i].error) {
            fixture_expect_error(fixture, readings[i].error);
            continue;
        }
        fixture_expect_ok(fixture);
        assert_string_equal(fixture->said, readings[i].said ? readings[i].said : "");
    }
    fixture_free(fixture);
}

static void test_lines(void **state)
{
    /* clang-format off */
    static const struct reading readings[] = {
        {.text = ""},
        {.text = "\n\n  \n\r\n   \r\n"},
        {.text = "#comment\n# port 99999\n#\n"},
        {.text = " # not at the front\n",
         .error = "E Error: Unknown configuration variable '#'.\nE Error found at x.conf:1.\n"},
        {.text = "   max_keepalive     100    \n"},
        {.text = "max_keepalive 100"},
        {.text = "max_keepalive 100\r\nmax_keepalive 200\r"},
        {.text = "max_keepalive 100\rmax_keepalive 200\n",
         .error = "E Error: Malformed UTF-8 in configuration."},
        {.text = "\n\nfoo bar\n",
         .error = "E Error: Unknown configuration variable 'foo'.\nE Error found at x.conf:3.\n"},
        {.text = "foo", .error = "E Error: Unknown configuration variable 'foo'.\n"},
        {.text = "\tmax_keepalive 1\n",
         .error = "E Error: Unknown configuration variable '\\x09max_keepalive'.\n"},
        {.text = "max_keepalive\t1\n",
         .error = "E Error: Unknown configuration variable 'max_keepalive\\x091'.\n"},
        {.text = "\xff\xfe# wide\n",
         .error = "E Error: Unknown configuration variable '\\xff\\xfe#'.\n"},
        {.text = "max_keepalive 1 # as long\n",
         .said = "W Warning: What stands behind the value of max_keepalive is ignored: # as long "
                 "(x.conf:1)\n"},
        {.text = "allow_anonymous true # as long\n",
         .said = "W Warning: What stands behind the value of allow_anonymous is ignored: # as "
                 "long (x.conf:1)\n"},
    };
    /* clang-format on */

    (void)state;
    check_readings(readings, ARRAY_LEN(readings));
}

static void test_all_that_is_not_supported_is_told_at_once(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    fixture_readf(fixture,
                  "global_plugin a\nplugin_use b\nenable_control_api true\nmax_keepalive 5\n");
    assert_int_equal(fixture->r, CONFIG_INVALID);
    assert_string_equal(
        fixture->said,
        "E Error: The global_plugin option is not supported yet.\n"
        "E Error found at x.conf:1.\n"
        "E Error: The plugin_use option is not supported yet.\n"
        "E Error found at x.conf:2.\n"
        "E Error: enable_control_api true is not supported yet, only enable_control_api false.\n"
        "E Error found at x.conf:3.\n");
    fixture_free(fixture);
}

static void test_binary_is_refused(void **state)
{
    struct fixture *fixture = fixture_new();
    char *text = memory_must_alloc(80000);

    (void)state;
    fixture_read_text(fixture, slice_of("max_keepalive 1\nuser a\0b\n", 25));
    fixture_expect_error(fixture, "E Error: A zero byte in the configuration: this is no text "
                                  "file.\nE Error found at x.conf:2.\n");
    memset(text, 'a', 80000);
    memcpy(text, "user ", 5);
    fixture_read_text(fixture, slice_of(text, 5 + 65536));
    fixture_expect_error(fixture, "E Error: Value too long in configuration.\n");
    fixture_read_text(fixture, slice_of(text, 5 + 65535));
    fixture_expect_ok(fixture);
    assert_int_equal(strlen(fixture->settings->process.user), 65535);
    memset(text, 'a', 80000);
    fixture_read_text(fixture, slice_of(text, 80000));
    fixture_expect_error(fixture, "aaa...'.\nE Error found at x.conf:1.\n");
    memory_free(text);
    fixture_free(fixture);
}

static void test_defaults(void **state)
{
    struct fixture *fixture = fixture_new();
    const struct settings *s;

    (void)state;
    fixture_readf(fixture, "listener 1883\n");
    fixture_expect_ok(fixture);
    s = fixture->settings;
    assert_string_equal(s->process.user, "mosquitto");
    assert_null(s->process.pid_file);
    assert_int_equal(s->process.workers, 0);
    assert_int_equal(s->log.destinations, SETTINGS_LOG_TO_STDERR);
    assert_int_equal(s->log.types, LOG_ERROR | LOG_WARNING | LOG_NOTICE | LOG_INFORMATION);
    assert_true(s->log.timestamp && s->log.connection_messages);
    assert_null(s->log.timestamp_format);
    assert_int_equal(s->log.facility, -1);
    assert_string_equal(s->log.syslog_path, "/dev/log");
    assert_int_equal(s->log.format, LOG_TEXT);
    assert_int_equal(s->limits.max_inflight_messages, 20);
    assert_int_equal(s->limits.max_queued_messages, 1000);
    assert_int_equal(s->limits.max_packet_size, 2000000);
    assert_int_equal(s->limits.max_keepalive_s, 0);
    assert_int_equal(s->limits.connect_timeout_s, 10);
    assert_int_equal(s->limits.persistent_client_expiration_s, 0);
    assert_true(s->clients.allow_zero_length_clientid && s->clients.retain_available);
    assert_string_equal(s->listeners[0].auto_id_prefix, "auto-");
    assert_int_equal(s->listeners[0].max_connections, -1);
    assert_int_equal(s->listeners[0].max_topic_alias, 10);
    assert_int_equal(s->listeners[0].domain, SETTINGS_DOMAIN_ANY);
    assert_int_equal(s->listeners[0].proxy.version, SETTINGS_PROXY_OFF);
    assert_int_equal(s->listeners[0].proxy.untrusted, SETTINGS_PROXY_REFUSE);
    assert_int_equal(s->listeners[0].proxy.timeout_s, 5);
    fixture_free(fixture);
}

static void test_log(void **state)
{
    /* clang-format off */
    static const struct reading readings[] = {
        {.text = "log_dest nonsense", .error = "E Error: Invalid log_dest value (nonsense).\n"},
        {.text = "log_dest file",
         .error = "E Error: Empty \"log_dest file\" value in configuration.\n"},
        {.text = "log_dest file a\nlog_dest file b",
         .error = "E Error: Duplicate \"log_dest file\" value.\nE Error found at x.conf:2.\n"},
        {.text = "log_dest dlt", .error = "E Error: log_dest dlt is not built in.\n"},
        {.text = "log_dest android", .error = "E Error: log_dest android is not built in.\n"},
        {.text = "log_facility 8", .error = "E Error: Invalid log_facility value (8)."},
        {.text = "log_format xml", .error = "E Error: Invalid log_format value (xml)."},
        {.text = "log_type nonsense", .error = "E Error: Invalid log_type value (nonsense).\n"},
        {.text = "log_dest stdout x",
         .said = "W Warning: What stands behind the value of log_dest is ignored: x "
                 "(x.conf:1)\n"},
    };
    /* clang-format on */
    struct fixture *fixture = fixture_new();

    (void)state;
    check_readings(readings, ARRAY_LEN(readings));

    fixture_readf(fixture, "log_dest stdout\nlog_dest file /var/log/a b.log\nlog_type debug\n"
                           "log_type error\nlog_timestamp_format %%H:%%M %%S\n"
                           "log_timestamp false\nconnection_messages 0\n");
    fixture_expect_ok(fixture);
    assert_int_equal(fixture->settings->log.destinations,
                     SETTINGS_LOG_TO_STDOUT | SETTINGS_LOG_TO_FILE);
    assert_string_equal(fixture->settings->log.file, "/var/log/a b.log");
    assert_int_equal(fixture->settings->log.types, LOG_DEBUG | LOG_ERROR);
    assert_string_equal(fixture->settings->log.timestamp_format, "%H:%M %S");
    assert_false(fixture->settings->log.timestamp);
    assert_false(fixture->settings->log.connection_messages);

    fixture_readf(fixture, "log_dest syslog\nlog_dest topic\nlog_facility 0\n"
                           "log_syslog_path /run/x\nlog_format json\n");
    fixture_expect_ok(fixture);
    assert_int_equal(fixture->settings->log.destinations,
                     SETTINGS_LOG_TO_SYSLOG | SETTINGS_LOG_TO_TOPICS);
    assert_int_equal(fixture->settings->log.facility, 0);
    assert_string_equal(fixture->settings->log.syslog_path, "/run/x");
    assert_int_equal(fixture->settings->log.format, LOG_JSON);

    fixture_readf(fixture, "log_dest none\nlog_type all\n");
    fixture_expect_ok(fixture);
    assert_int_equal(fixture->settings->log.destinations, 0);
    assert_int_equal(fixture->settings->log.types, LOG_ALL);

    fixture_readf(fixture, "log_type error\nlog_type none\nlog_type internal\n");
    fixture_expect_ok(fixture);
    assert_int_equal(fixture->settings->log.types, LOG_INTERNAL);
    fixture_free(fixture);
}

static void test_own_words(void **state)
{
    /* clang-format off */
    static const struct reading readings[] = {
        {.text = "max_inflight_messages 65536",
         .error = "E Error: max_inflight_messages must be <= 65535.\nE Error found at x.conf:1.\n"},
        {.text = "listener 1\nmax_qos 3",
         .error = "E Error: max_qos must be between 0 and 2 inclusive.\n"
                  "E Error found at x.conf:2.\n"},
        {.text = "listener 1\nmaximum_qos 3",
         .error = "E Error: max_qos must be between 0 and 2 inclusive.\n"},
        {.text = "listener 1\nmax_topic_alias 65536",
         .error = "E Error: Invalid max_topic_alias value in configuration.\n"},
        {.text = "listener 1\nsocket_domain x",
         .error = "E Error: Invalid socket_domain value \"x\" in configuration.\n"},
        {.text = "listener 1\nmount_point a/#",
         .error = "E Error: Invalid mount_point 'a/#'. Does it contain a wildcard character?\n"
                  "E Error found at x.conf:2.\n"},
        {.text = "listener 1\nmount_point +/a", .error = "E Error: Invalid mount_point '+/a'."},
        {.text = "listener 1\nmount_point $a b/\nmount_point c/"},
        {.text = "listener 1\nclientid_prefixes a",
         .said = "N The 'clientid_prefixes' option is now deprecated and will be removed in a "
                 "future version.\n"},
        {.text = "listener 1\nallow_duplicate_messages true",
         .said = "N The 'allow_duplicate_messages' option is now deprecated and will be removed in "
                 "a future version. The behaviour will default to true.\n"},
        {.text = "listener 1\nretry_interval soon",
         .said = "W Warning: The retry_interval option has no effect: messages are sent again only "
                 "when a client comes back. (x.conf:2)\n"},
    };
    /* clang-format on */

    (void)state;
    check_readings(readings, ARRAY_LEN(readings));
}

static void test_expiration(void **state)
{
    /* clang-format off */
    static const struct {
        const char *text;
        uint64_t seconds; /* 0: refused */
    } durations[] = {
        {"1s", 1},
        {"2h", 7200},
        {"3d", UINT64_C(3) * 86400},
        {"14w", UINT64_C(14) * 7 * 86400},
        {"2m", UINT64_C(60) * 86400},
        {"2y", UINT64_C(730) * 86400},
        {"0d", 0},
        {"-1d", 0},
        {"12", 0},
        {"d", 0},
        {"1x", 0},
        {"1dd", 0},
        {"1.5d", 0},
        {"d1", 0},
        {"9223372036854775807y", 0},
        {"99999999999999999999d", 0},
    };
    /* clang-format on */
    struct fixture *fixture = fixture_new();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(durations); i++) {
        fixture_readf(fixture, "persistent_client_expiration %s\n", durations[i].text);
        if (durations[i].seconds == 0) {
            fixture_expect_error(fixture, "E Error: Invalid persistent_client_expiration duration "
                                          "in configuration.\nE Error found at x.conf:1.\n");
            continue;
        }
        fixture_expect_ok(fixture);
        assert_true(fixture->settings->limits.persistent_client_expiration_s ==
                    durations[i].seconds);
    }
    fixture_free(fixture);
}

static void test_versions(void **state)
{
    static const struct {
        const char *text;
        unsigned versions; /* 0: refused */
    } cases[] = {
        {"3",        1 << 3                  },
        {"4",        1 << 4                  },
        {"5",        1 << 5                  },
        {"3,4,5",    1 << 3 | 1 << 4 | 1 << 5},
        {"5, 4",     1 << 4 | 1 << 5         },
        {"4 ,4",     1 << 4                  },
        {"",         0                       },
        {"2",        0                       },
        {"6",        0                       },
        {"4,",       0                       },
        {",4",       0                       },
        {"4 5",      0                       },
        {"4,5x",     0                       },
        {"mqttv311", 0                       },
    };
    struct fixture *fixture = fixture_new();

    (void)state;
    fixture_readf(fixture, "listener 1\n");
    fixture_expect_ok(fixture);
    assert_int_equal(fixture->settings->listeners[0].accept_versions, 1 << 3 | 1 << 4 | 1 << 5);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        fixture_readf(fixture, "listener 1\naccept_protocol_versions %s\n", cases[i].text);
        if (cases[i].versions == 0) {
            fixture_expect_error(fixture, "x.conf:2");
            continue;
        }
        fixture_expect_ok(fixture);
        assert_int_equal(fixture->settings->listeners[0].accept_versions, cases[i].versions);
    }
    fixture_free(fixture);
}

static void test_listener_lines(void **state)
{
    /* clang-format off */
    static const struct reading readings[] = {
        {.text = "listener 0", .error = "E Error: A listener with port 0 must provide a Unix "
                                        "socket path.\nE Error found at x.conf:1.\n"},
        {.text = "listener 0 # path", .error = "must provide a Unix socket path."},
        {.text = "listener 65536", .error = "E Error: Invalid port value (65536).\n"},
        {.text = "listener -1", .error = "E Error: Invalid port value (-1).\n"},
        {.text = "listener mqtt", .error = "E Error: Invalid port value (mqtt).\n"},
        {.text = "listener 1883x", .error = "E Error: Invalid port value (1883x).\n"},
        {.text = "listener 0 /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         .error = "must not be longer than 107 bytes."},
        {.text = "listener 1883 # everywhere"},
    };
    /* clang-format on */
    struct fixture *fixture = fixture_new();
    const struct listener_settings *listeners;

    (void)state;
    check_readings(readings, ARRAY_LEN(readings));

    fixture_readf(fixture, "listener 1883\nlistener 0x75c ::1 # here\nlistener 0 /run/a#b\n"
                           "listener 1885 example.org\n");
    fixture_expect_ok(fixture);
    assert_int_equal(fixture->settings->listener_len, 4);
    listeners = fixture->settings->listeners;
    assert_int_equal(listeners[0].port, 1883);
    assert_null(listeners[0].bind_address);
    assert_false(listeners[0].is_loopback);
    assert_int_equal(listeners[1].port, 1884);
    assert_string_equal(listeners[1].bind_address, "::1");
    assert_int_equal(listeners[2].port, 0);
    assert_null(listeners[2].bind_address);
    assert_string_equal(listeners[2].unix_path, "/run/a#b");
    assert_string_equal(listeners[3].bind_address, "example.org");
    fixture_free(fixture);
}

static void test_options_belong_to_the_latest_listener(void **state)
{
    struct fixture *fixture = fixture_new();
    const struct listener_settings *listeners;

    (void)state;
    fixture_readf(fixture, "listener 1883\nmax_connections 10\nsocket_domain ipv6\n"
                           "max_keepalive 60\nbind_interface lo\n"
                           "listener 1884\nmax_connections 20\ndefer_accept true\n"
                           "listen_backlog 100\nbind_interface eth0\n");
    fixture_expect_ok(fixture);
    listeners = fixture->settings->listeners;
    assert_int_equal(listeners[0].max_connections, 10);
    assert_int_equal(listeners[0].domain, SETTINGS_DOMAIN_IPV6);
    assert_int_equal(listeners[0].backlog, 4096);
    assert_false(listeners[0].defer_accept);
    assert_string_equal(listeners[0].bind_interface, "lo");
    assert_int_equal(listeners[1].max_connections, 20);
    assert_int_equal(listeners[1].domain, SETTINGS_DOMAIN_ANY);
    assert_int_equal(listeners[1].backlog, 100);
    assert_true(listeners[1].defer_accept);
    assert_string_equal(listeners[1].bind_interface, "eth0");
    fixture_free(fixture);
}

static void test_default_listener(void **state)
{
    struct fixture *fixture = fixture_new();
    const struct listener_settings *listeners;

    (void)state;
    fixture_readf(fixture, "max_connections 10\n");
    fixture_expect_ok(fixture);
    assert_string_equal(fixture->said,
                        "N The 'max_connections' option before any 'listener' creates the default "
                        "listener on port 1883. This will be disabled in the future. Please use "
                        "'listener' instead.\n");
    assert_int_equal(fixture->settings->listener_len, 1);
    assert_int_equal(fixture->settings->listeners[0].port, 1883);
    assert_int_equal(fixture->settings->listeners[0].max_connections, 10);
    assert_false(fixture->settings->is_local_only);

    fixture_readf(fixture, "max_connections 5\nlistener 1900\nport 1901\nmax_connections 10\n"
                           "bind_address 127.0.0.1\n");
    fixture_expect_ok(fixture);
    assert_non_null(strstr(fixture->said, "N The 'port' option is now deprecated and will be "
                                          "removed in a future version. Please use 'listener' "
                                          "instead.\n"));
    listeners = fixture->settings->listeners;
    assert_int_equal(fixture->settings->listener_len, 2);
    assert_int_equal(listeners[0].port, 1901);
    assert_string_equal(listeners[0].bind_address, "127.0.0.1");
    assert_int_equal(listeners[0].max_connections, 5);
    assert_int_equal(listeners[1].port, 1900);
    assert_int_equal(listeners[1].max_connections, 10);

    fixture_readf(fixture, "port 1900\nport 1901\n");
    fixture_expect_ok(fixture);
    assert_non_null(strstr(fixture->said, "W Warning: Default listener port specified multiple "
                                          "times. Only the latest will be used. (x.conf:2)\n"));
    assert_int_equal(fixture->settings->listeners[0].port, 1901);
    fixture_free(fixture);
}

static void test_who_may_come_without_a_name(void **state)
{
    /* clang-format off */
    static const struct {
        const char *text;
        bool is_local_only;
        bool allowed[2];
    } cases[] = {
        {"", true, {true}},
        {"allow_anonymous true\n", true, {true}},
        {"allow_anonymous false\n", true, {false}},
        {"listener 1883\n", false, {false}},
        {"listener 1883\nallow_anonymous true\n", false, {true}},
        {"port 1883\n", false, {false}},
        {"bind_address 127.0.0.1\n", false, {false}},
        {"max_qos 2\n", false, {false}},
        {"listener 1\nlistener_allow_anonymous true\nlistener 2\n", false, {true, false}},
        {"listener 1\nlistener_allow_anonymous false\nlistener 2\nallow_anonymous 1\n",
         false,
         {false, true}},
    };
    /* clang-format on */
    struct fixture *fixture = fixture_new();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        fixture_readf(fixture, "%s", cases[i].text);
        fixture_expect_ok(fixture);
        assert_int_equal(fixture->settings->is_local_only, cases[i].is_local_only);
        for (unsigned j = 0; j < fixture->settings->listener_len; j++) {
            assert_int_equal(fixture->settings->listeners[j].allow_anonymous, cases[i].allowed[j]);
        }
    }
    fixture_free(fixture);
}

static void test_prefix_of_given_ids(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    fixture_readf(fixture, "listener 1\nlistener 2\nlistener_auto_id_prefix b-\n"
                           "auto_id_prefix a-\n");
    fixture_expect_ok(fixture);
    assert_string_equal(fixture->settings->listeners[0].auto_id_prefix, "a-");
    assert_string_equal(fixture->settings->listeners[1].auto_id_prefix, "b-");
    fixture_readf(fixture, "auto_id_prefix %050d\n", 1);
    fixture_expect_ok(fixture);
    assert_int_equal(strlen(fixture->settings->listeners[0].auto_id_prefix), 50);
    fixture_readf(fixture, "auto_id_prefix %051d\n", 1);
    fixture_expect_error(fixture, "E Error: Invalid auto_id_prefix value (0000");
    fixture_free(fixture);
}

/* The same words, then about the listener that they stand behind. */
static void test_per_listener_settings(void **state)
{
    const struct listener_settings *listeners;
    struct fixture *fixture = fixture_new();

    (void)state;
    fixture_readf(fixture, "per_listener_settings true\n"
                           "listener 1\nallow_anonymous true\nauto_id_prefix a-\n"
                           "listener 2\nallow_zero_length_clientid false\n");
    fixture_expect_ok(fixture);
    assert_true(fixture->settings->clients.per_listener);
    listeners = fixture->settings->listeners;
    assert_true(listeners[0].allow_anonymous);
    assert_true(listeners[0].allow_zero_length_clientid);
    assert_string_equal(listeners[0].auto_id_prefix, "a-");
    assert_false(listeners[1].allow_anonymous);
    assert_false(listeners[1].allow_zero_length_clientid);
    assert_string_equal(listeners[1].auto_id_prefix, "auto-");

    fixture_readf(fixture, "per_listener_settings true\nper_listener_settings false\n"
                           "listener 1\nlistener 2\nallow_anonymous true\n");
    fixture_expect_ok(fixture);
    assert_false(fixture->settings->listeners[0].allow_anonymous);

    fixture_readf(fixture, "per_listener_settings false\nlistener 1\nallow_anonymous true\n"
                           "listener 2\nallow_zero_length_clientid false\n");
    fixture_expect_ok(fixture);
    assert_true(fixture->settings->listeners[1].allow_anonymous);
    assert_false(fixture->settings->listeners[0].allow_zero_length_clientid);

    fixture_readf(fixture, "per_listener_settings true\n");
    fixture_expect_ok(fixture);
    assert_true(fixture->settings->listeners[0].allow_anonymous);

    fixture_readf(fixture, "listener 1\nallow_anonymous true\nper_listener_settings true\n");
    fixture_expect_error(fixture, "E Error: per_listener_settings must be set before any other "
                                  "security settings.\nE Error found at x.conf:3.\n");
    fixture_readf(fixture, "per_listener_settings yes\n");
    fixture_expect_error(fixture, "E Error: Invalid per_listener_settings value (yes).");
    fixture_free(fixture);
}

/* State that is asked for and not kept: the start needs a word about that, and warns once. */
static void test_persistence(void **state)
{
    static const char debian[] = "persistence true\npersistence_location /var/lib/mosquitto/\n"
                                 "persistence_file x.db\nautosave_interval 60\n"
                                 "autosave_on_changes true\n";
    struct fixture *fixture = fixture_new();

    (void)state;
    fixture_readf(fixture, "%s", debian);
    assert_int_equal(fixture->r, CONFIG_INVALID);
    assert_string_equal(fixture->said, "E Error: Persistence is not supported yet. To start "
                                       "without it, set allow_memory_only true.\n"
                                       "E Error found at x.conf:1.\n");
    fixture_readf(fixture, "%sallow_memory_only true\n", debian);
    fixture_expect_ok(fixture);
    assert_string_equal(fixture->said, "W Warning: persistence has no effect: nothing survives the "
                                       "end of the process yet. (x.conf:1)\n");
    fixture_readf(fixture, "allow_memory_only true\npersistence false\n");
    fixture_expect_ok(fixture);
    assert_string_equal(fixture->said, "");
    fixture_free(fixture);
}

/* For whoever looks closer at the values than the reader does. */
static void test_places(void **state)
{
    const struct report_place *place;
    struct fixture *fixture = fixture_new();

    (void)state;
    fixture_readf(fixture, "user a\nlistener 1\nbind_interface lo\n\nlistener 2\n");
    fixture_expect_ok(fixture);
    place = option_place(fixture->settings->places, "user");
    assert_string_equal(place->file, "x.conf");
    assert_int_equal(place->line, 1);
    assert_int_equal(option_place(fixture->settings->places, "pid_file")->line, 0);
    assert_int_equal(option_place(fixture->settings->listeners[0].places, "listener")->line, 2);
    assert_int_equal(option_place(fixture->settings->listeners[0].places, "bind_interface")->line,
                     3);
    assert_int_equal(option_place(fixture->settings->listeners[1].places, "listener")->line, 5);
    fixture_readf(fixture, "user a\n");
    assert_int_equal(option_place(fixture->settings->listeners[0].places, "listener")->line, 0);
    fixture_free(fixture);
}

static void test_ports_of_the_command_line(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    fixture->request.ports[0] = 1900;
    fixture->request.ports[1] = 1901;
    fixture->request.port_len = 2;
    fixture_readf(fixture, "allow_anonymous false\n");
    fixture_expect_ok(fixture);
    assert_true(fixture->settings->is_local_only);
    assert_int_equal(fixture->settings->listener_len, 2);
    for (uint16_t i = 0; i < 2; i++) {
        assert_int_equal(fixture->settings->listeners[i].port, 1900 + i);
        assert_true(fixture->settings->listeners[i].is_loopback);
        assert_int_equal(fixture->settings->listeners[i].max_topic_alias, 10);
    }
    fixture_readf(fixture, "listener 1883\n");
    fixture_expect_ok(fixture);
    assert_int_equal(fixture->settings->listener_len, 1);
    assert_int_equal(fixture->settings->listeners[0].port, 1883);
    assert_string_equal(fixture->said, "W Warning: The ports of the command line are ignored, "
                                       "because the configuration has listeners.\n");
    fixture_free(fixture);
}

static void test_spellings_of_the_proxy_protocol(void **state)
{
    /* clang-format off */
    static const struct {
        const char *text;
        int version; /* -1: contradiction */
    } cases[] = {
        {"enable_proxy_protocol 1", SETTINGS_PROXY_V1},
        {"enable_proxy_protocol 2", SETTINGS_PROXY_V2},
        {"enable_proxy_protocol any", SETTINGS_PROXY_ANY},
        {"enable_proxy_protocol_v2 true", SETTINGS_PROXY_V2},
        {"enable_proxy_protocol_v2 false", SETTINGS_PROXY_OFF},
        {"enable_proxy_protocol 1\nenable_proxy_protocol_v2 false", SETTINGS_PROXY_V1},
        {"enable_proxy_protocol_v2 true\nenable_proxy_protocol 2", SETTINGS_PROXY_V2},
        {"enable_proxy_protocol_v2 true\nenable_proxy_protocol any", SETTINGS_PROXY_ANY},
        {"enable_proxy_protocol 1\nenable_proxy_protocol_v2 true", -1},
        {"enable_proxy_protocol 2\nenable_proxy_protocol_v2 false", -1},
        {"enable_proxy_protocol any\nenable_proxy_protocol_v2 false", -1},
    };
    /* clang-format on */
    struct fixture *fixture = fixture_new();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        fixture_readf(fixture, "listener 1883 127.0.0.1\n%s\n", cases[i].text);
        if (cases[i].version < 0) {
            fixture_expect_error(fixture, "at x.conf:2 contradicts enable_proxy_protocol_v2 ");
            fixture_expect_error(fixture, " at x.conf:3.\n");
            continue;
        }
        fixture_expect_ok(fixture);
        assert_string_equal(fixture->said, "");
        assert_int_equal(fixture->settings->listeners[0].proxy.version, cases[i].version);
    }
    fixture_free(fixture);
}

static void test_trusted_proxies(void **state)
{
    static const char *const right[] = {"10.0.0.1",    "10.0.0.0/8",      "0.0.0.0/0", "::/0",
                                        "2001:db8::1", "2001:db8::1/128", "unix"};
    static const char *const wrong[] = {"10.0.0",      "10.0.0.0/33", "10.0.0.0/",  "::/129",
                                        "example.org", "/8",          "10.0.0.0/a", "UNIX",
                                        "1.2.3.4/ 8",  "1.2.3.4/-1",  "all",        "10.0.0.1/8"};
    struct fixture *fixture = fixture_new();
    char text[512] = "listener 1883\nenable_proxy_protocol 2\n";
    char error[128];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        fixture_readf(fixture, "%sproxy_protocol_trusted %s\n", text, wrong[i]);
        snprintf(error, sizeof(error),
                 "E Error: Invalid proxy_protocol_trusted value (%s): ", wrong[i]);
        fixture_expect_error(fixture, error);
    }
    for (size_t i = 0; i < ARRAY_LEN(right); i++) {
        strcat(text, "proxy_protocol_trusted ");
        strcat(text, right[i]);
        strcat(text, "\n");
    }
    fixture_readf(fixture, "%s", text);
    fixture_expect_ok(fixture);
    assert_string_equal(fixture->said, "");
    assert_int_equal(fixture->settings->listeners[0].proxy.trusted_len, ARRAY_LEN(right));
    for (size_t i = 0; i < ARRAY_LEN(right); i++) {
        struct address_range range;

        assert_int_equal(address_range_parse(right[i], &range), ADDRESS_OK);
        assert_memory_equal(&fixture->settings->listeners[0].proxy.trusted[i], &range,
                            sizeof(range));
    }
    fixture_free(fixture);
}

static void test_warnings_about_the_proxy_protocol(void **state)
{
    static const char believes[] = "believes the PROXY header of everybody";
    /* clang-format off */
    static const struct {
        const char *text;
        const char *warning; /* NULL: none */
    } cases[] = {
        {"listener 1883\nenable_proxy_protocol 2\n", believes},
        {"listener 1883 10.0.0.1\nenable_proxy_protocol_v2 true\n", believes},
        {"enable_proxy_protocol 1\nport 1884\n", believes},
        {"listener 1883 127.0.0.7\nenable_proxy_protocol 2\n", NULL},
        {"listener 1883 ::1\nenable_proxy_protocol 2\n", NULL},
        {"listener 1883 localhost\nenable_proxy_protocol 2\n", NULL},
        {"listener 0 /run/x\nenable_proxy_protocol 2\n", NULL},
        {"listener 1883\nbind_interface lo\nenable_proxy_protocol 2\n", NULL},
        {"listener 1883\nenable_proxy_protocol 2\nproxy_protocol_trusted 10.1.1.1\n", NULL},
        {"listener 1883\nproxy_protocol_timeout 3\n",
         "proxy_protocol_timeout has no effect without enable_proxy_protocol. (x.conf:2)"},
        {"listener 1883\nproxy_protocol_common_name_slash true\n",
         "proxy_protocol_common_name_slash has no effect without enable_proxy_protocol. (x.conf:2)"},
        {"listener 1883\nproxy_protocol_trusted unix\n",
         "proxy_protocol_trusted has no effect without enable_proxy_protocol. (x.conf:2)"},
        {"listener 1883 ::1\nenable_proxy_protocol 2\nproxy_protocol_untrusted direct\n",
         "proxy_protocol_untrusted has no effect without proxy_protocol_trusted. (x.conf:3)"},
    };
    /* clang-format on */
    struct fixture *fixture = fixture_new();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        fixture_readf(fixture, "%s", cases[i].text);
        fixture_expect_ok(fixture);
        if (cases[i].warning) {
            assert_non_null(strstr(fixture->said, cases[i].warning));
        } else {
            assert_null(strstr(fixture->said, "W "));
        }
    }
    fixture_free(fixture);
}

/* A directory of its own, in which files are written and read. */
static void enter_directory(char *path)
{
    strcpy(path, "/tmp/nightjar-config-XXXXXX");
    assert_non_null(mkdtemp(path));
    assert_int_equal(chdir(path), 0);
    assert_int_equal(mkdir("conf.d", 0700), 0);
}

static void leave_directory(const char *path)
{
    char command[128];

    assert_int_equal(chdir("/"), 0);
    snprintf(command, sizeof(command), "rm -r %s", path);
    assert_int_equal(system(command), 0);
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");

    assert(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void read_path(struct fixture *fixture, const char *path)
{
    fixture->request.text = (struct slice){0};
    fixture->request.path = path;
    fixture_read(fixture);
}

static void test_files(void **state)
{
    struct fixture *fixture = fixture_new();
    char directory[64];

    (void)state;
    enter_directory(directory);
    read_path(fixture, "none.conf");
    fixture_expect_error(fixture, "E Error: Unable to open config file 'none.conf'. No such file");
    read_path(fixture, "conf.d");
    fixture_expect_error(fixture, "E Error: Config file 'conf.d' is a directory.\n");
    read_path(fixture, "/dev/zero");
    fixture_expect_error(fixture, "E Error: Config file '/dev/zero' is larger than ");
    read_path(fixture, "/dev/null");
    fixture_expect_ok(fixture);
    write_file("a.conf", "listener 1884\nfoo\n");
    read_path(fixture, "a.conf");
    fixture_expect_error(fixture, "E Error found at a.conf:2.\n");
    read_path(fixture, NULL);
    fixture_expect_ok(fixture);
    assert_true(fixture->settings->is_local_only);
    assert_int_equal(fixture->settings->listeners[0].port, 1883);
    leave_directory(directory);
    fixture_free(fixture);
}

static void test_included_files_come_in_order(void **state)
{
    static const char *const in_order[] = {"00", "01", "A", "AB", "Ab", "a",  "aA",
                                           "ab", "B",  "b", "x-", "x_", "x~", "\xc3\xa9"};
    struct fixture *fixture = fixture_new();
    char directory[64];
    char expected[1024] = "";

    (void)state;
    enter_directory(directory);
    for (size_t i = ARRAY_LEN(in_order); i-- > 0;) {
        char name[64];

        snprintf(name, sizeof(name), "conf.d/%s.conf", in_order[i]);
        write_file(name, "# nothing\n");
    }
    for (size_t i = 0; i < ARRAY_LEN(in_order); i++) {
        snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected),
                 "I Loading config file conf.d/%s.conf\n", in_order[i]);
    }
    write_file("conf.d/.conf", "nonsense\n");
    write_file("conf.d/x.conf~", "nonsense\n");
    write_file("conf.d/x.CONF", "nonsense\n");
    write_file("top.conf", "include_dir conf.d\n");
    read_path(fixture, "top.conf");
    fixture_expect_ok(fixture);
    assert_string_equal(fixture->said, expected);
    leave_directory(directory);
    fixture_free(fixture);
}

static void test_included_files_have_a_context_of_their_own(void **state)
{
    struct fixture *fixture = fixture_new();
    const struct listener_settings *listeners;
    char directory[64];

    (void)state;
    enter_directory(directory);
    write_file("top.conf", "listener 1\ninclude_dir conf.d/\nmax_connections 1\n");
    write_file("conf.d/a.conf", "max_connections 2\nlistener 3\n");
    write_file("conf.d/b.conf", "max_topic_alias 4\nmax_keepalive 5\ninclude_dir .\n");
    read_path(fixture, "top.conf");
    fixture_expect_ok(fixture);
    assert_non_null(strstr(fixture->said, "I Loading config file conf.d/a.conf\n"));
    assert_non_null(strstr(fixture->said, "W Warning: include_dir is ignored in a file that is "
                                          "itself included. (conf.d/b.conf:3)\n"));
    assert_int_equal(fixture->settings->listener_len, 3);
    listeners = fixture->settings->listeners;
    assert_int_equal(listeners[0].port, 1);
    assert_int_equal(listeners[0].max_connections, 1);
    assert_int_equal(listeners[1].port, 1883);
    assert_int_equal(listeners[1].max_connections, 2);
    assert_int_equal(listeners[1].max_topic_alias, 4);
    assert_int_equal(listeners[2].port, 3);
    assert_int_equal(listeners[2].max_topic_alias, 10);
    assert_int_equal(fixture->settings->limits.max_keepalive_s, 5);
    leave_directory(directory);
    fixture_free(fixture);
}

static void test_mistakes_in_included_files(void **state)
{
    struct fixture *fixture = fixture_new();
    char directory[64];

    (void)state;
    enter_directory(directory);
    write_file("top.conf", "\ninclude_dir conf.d\n");
    write_file("conf.d/a.conf", "user a\n");
    write_file("conf.d/b.conf", "\nuser b\n");
    read_path(fixture, "top.conf");
    fixture_expect_error(fixture, "E Error: Duplicate user value in configuration.\n"
                                  "E Error found at conf.d/b.conf:2.\n"
                                  "E Error found at top.conf:2.\n");
    write_file("conf.d/b.conf", "enable_proxy_protocol_v2 true\n");
    write_file("conf.d/c.conf", "\nenable_proxy_protocol 1\n");
    read_path(fixture, "top.conf");
    fixture_expect_error(fixture, "enable_proxy_protocol 1 at conf.d/c.conf:2 contradicts "
                                  "enable_proxy_protocol_v2 true at conf.d/b.conf:1.\n");
    assert_int_equal(mkdir("conf.d/d.conf", 0700), 0);
    read_path(fixture, "top.conf");
    fixture_expect_error(fixture, "E Error: Config file 'conf.d/d.conf' is a directory.\n"
                                  "E Error found at top.conf:2.\n");
    write_file("top.conf", "include_dir none\n");
    read_path(fixture, "top.conf");
    fixture_expect_error(fixture, "E Error: Unable to open include_dir 'none'. No such file or "
                                  "directory.\nE Error found at top.conf:1.\n");
    fixture_readf(fixture, "include_dir conf.d\n");
    fixture_expect_error(fixture, "include_dir needs a configuration file.");
    leave_directory(directory);
    fixture_free(fixture);
}

/* Whichever allocation fails: -ENOMEM, and the address sanitizer finds nothing left behind. */
static void test_every_allocation_may_fail(void **state)
{
    struct fixture *fixture = fixture_new();
    char directory[64];
    unsigned long n = 0;

    (void)state;
    enter_directory(directory);
    write_file("top.conf", "include_dir conf.d\nuser someone\npid_file /run/x\n"
                           "log_dest file /var/log/x\nlistener 1883 127.0.0.1\n"
                           "enable_proxy_protocol any\nproxy_protocol_trusted 10.0.0.1\n"
                           "proxy_protocol_trusted 10.0.0.2\nproxy_protocol_trusted unix\n"
                           "listener 0 /run/y\nlistener_auto_id_prefix b-\n");
    for (int i = 0; i < 40; i++) {
        char name[256];

        snprintf(name, sizeof(name), "conf.d/%0200d.conf", i);
        write_file(name, "max_connections 3\n");
    }
    fixture->request.path = "top.conf";
    do {
        memory_fail_after(++n);
        fixture_read(fixture);
        memory_fail_after(0);
        assert_true(fixture->r == -ENOMEM || fixture->r == 0);
        assert_null(strstr(fixture->said, "E "));
    } while (fixture->r != 0);
    assert_true(n > 12);
    assert_int_equal(fixture->settings->listener_len, 3);
    leave_directory(directory);
    fixture_free(fixture);
}

/* A text that fills blocks of the arena, so that many pieces are the first of a block. */
static void test_every_allocation_of_a_large_text_may_fail(void **state)
{
    struct fixture *fixture = fixture_new();
    char *text = memory_must_alloc_zero(1, 65536);
    unsigned long n = 0;

    (void)state;
    for (int i = 0; i < 40; i++) {
        sprintf(text + strlen(text),
                "listener %d host-%0500d.example\nenable_proxy_protocol 2\n"
                "proxy_protocol_trusted ::%d\nproxy_protocol_trusted 10.0.0.%d\n",
                i + 1, i, i, i);
    }
    do {
        memory_fail_after(++n);
        fixture_read_text(fixture, slice_of_text(text));
        memory_fail_after(0);
        assert_true(fixture->r == -ENOMEM || fixture->r == 0);
    } while (fixture->r != 0);
    assert_true(n > 20);
    memory_free(text);
    fixture_free(fixture);
}

static void test_settings_are_counted(void **state)
{
    struct fixture *fixture = fixture_new();
    struct settings *settings;

    (void)state;
    fixture_readf(fixture, "user someone\n");
    settings = settings_ref(fixture->settings);
    assert_ptr_equal(settings, fixture->settings);
    fixture_free(fixture);
    assert_string_equal(settings->process.user, "someone");
    assert_null(settings_unref(settings));
    assert_null(settings_unref(NULL));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_all_that_is_not_supported_is_told_at_once),
        cmocka_unit_test(test_binary_is_refused),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_own_words),
        cmocka_unit_test(test_expiration),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_listener_lines),
        cmocka_unit_test(test_options_belong_to_the_latest_listener),
        cmocka_unit_test(test_default_listener),
        cmocka_unit_test(test_who_may_come_without_a_name),
        cmocka_unit_test(test_prefix_of_given_ids),
        cmocka_unit_test(test_per_listener_settings),
        cmocka_unit_test(test_persistence),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_ports_of_the_command_line),
        cmocka_unit_test(test_spellings_of_the_proxy_protocol),
        cmocka_unit_test(test_trusted_proxies),
        cmocka_unit_test(test_warnings_about_the_proxy_protocol),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_included_files_come_in_order),
        cmocka_unit_test(test_included_files_have_a_context_of_their_own),
        cmocka_unit_test(test_mistakes_in_included_files),
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_every_allocation_of_a_large_text_may_fail),
        cmocka_unit_test(test_settings_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
