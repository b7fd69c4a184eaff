#include "config/fixture.h"
#include "config/options.h"
#include "config/values.h"

/*
 * What holds for every row of the table: each test walks over all rows and takes the kind that it
 * is about.
 */

/* The names that Mosquitto 2.1 knows, aliases and prefixes among them. */
/* clang-format off */
static const char *const mosquitto_names[] = {
    "accept_protocol_versions", "acl_file", "address", "addresses", "allow_anonymous",
    "allow_duplicate_messages", "allow_zero_length_clientid", "auth_opt_", "auth_plugin",
    "auth_plugin_deny_special_chars", "auto_id_prefix", "autosave_interval",
    "autosave_on_changes", "bind_address", "bind_interface", "bridge_alpn",
    "bridge_attempt_unsubscribe", "bridge_bind_address", "bridge_cafile", "bridge_capath",
    "bridge_certfile", "bridge_ciphers", "bridge_ciphers_tls1.3", "bridge_identity",
    "bridge_insecure", "bridge_keyfile", "bridge_max_packet_size", "bridge_max_topic_alias",
    "bridge_outgoing_retain", "bridge_protocol_version", "bridge_psk", "bridge_receive_maximum",
    "bridge_reload_type", "bridge_require_ocsp", "bridge_session_expiry_interval",
    "bridge_tcp_keepalive", "bridge_tcp_user_timeout", "bridge_tls_use_os_certs",
    "bridge_tls_version", "cafile", "capath", "certfile", "check_retain_source", "ciphers",
    "ciphers_tls1.3", "cleansession", "clientid", "clientid_prefixes", "connection",
    "connection_messages", "crlfile", "dhparamfile", "disable_client_cert_date_checks",
    "enable_control_api", "enable_proxy_protocol", "global_max_clients",
    "global_max_connections", "global_plugin", "http_dir", "idle_timeout", "include_dir",
    "keepalive_interval", "keyfile", "listener", "listener_allow_anonymous",
    "listener_auto_id_prefix", "local_cleansession", "local_clientid", "local_password",
    "local_username", "log_dest", "log_facility", "log_timestamp", "log_timestamp_format",
    "log_type", "max_connections", "max_inflight_bytes", "max_inflight_messages",
    "max_keepalive", "max_packet_size", "max_qos", "max_queued_bytes", "max_queued_messages",
    "max_topic_alias", "max_topic_alias_broker", "maximum_qos", "memory_limit",
    "message_size_limit", "mount_point", "notification_topic", "notifications",
    "notifications_local_only", "packet_buffer_size", "password", "password_file",
    "per_listener_settings", "persistence", "persistence_file", "persistence_location",
    "persistent_client_expiration", "pid_file", "plugin", "plugin_load", "plugin_opt_",
    "plugin_use", "port", "protocol", "proxy_protocol_v2_require_tls", "psk_file", "psk_hint",
    "queue_qos0_messages", "remote_clientid", "remote_password", "remote_username",
    "require_certificate", "restart_timeout", "retain_available", "retain_expiry_interval",
    "retained_persistence", "retry_interval", "round_robin", "set_tcp_nodelay", "socket_domain",
    "start_type", "sys_interval", "threshold", "tls_engine", "tls_engine_kpass_sha1",
    "tls_keyform", "tls_version", "topic", "try_private", "upgrade_outgoing_qos",
    "use_identity_as_username", "use_subject_as_username", "use_username_as_clientid", "user",
    "username", "websockets_headers_size", "websockets_log_level", "websockets_origin",
};
/* clang-format on */

static const struct option *row_of(const char *name)
{
    for (size_t i = 0; i < option_len; i++) {
        if (strcmp(options[i].name, name) == 0) {
            return &options[i];
        }
    }
    return NULL;
}

static void test_every_name_of_mosquitto_has_a_row(void **state)
{
    size_t len = 0;

    (void)state;
    assert_int_equal(ARRAY_LEN(mosquitto_names), 141);
    for (size_t i = 0; i < ARRAY_LEN(mosquitto_names); i++) {
        const struct option *row = row_of(mosquitto_names[i]);

        if (!row || row->is_ours) {
            fail_msg("no row for %s", mosquitto_names[i]);
        }
    }
    for (size_t i = 0; i < option_len; i++) {
        len += options[i].is_ours ? 0 : 1;
    }
    assert_int_equal(len, 141);
}

static void test_rows_are_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < option_len; i++) {
        const struct option *row = &options[i];

        assert_ptr_equal(row_of(row->name), row); /* no name twice */
        if (row->alias_of) {
            assert_non_null(row_of(row->alias_of));
            assert_null(row_of(row->alias_of)->alias_of);
            assert_int_equal(row_of(row->alias_of)->is_prefix, row->is_prefix);
            continue;
        }
        assert_non_null(row->doc);
        assert_int_equal(row->doc[strlen(row->doc) - 1], '.');
        assert_null(strpbrk(row->doc, "|\n"));
        assert_true(!option_is_number(row) || row->min < row->max);
        assert_true(row->type != OPTION_CHOICE || row->choices);
        assert_true(row->status != OPTION_ONLY || row->only);
        assert_true(row->status != OPTION_ACCEPTED || row->note);
        assert_null(row->better ? strpbrk(row->better, "|\n") : NULL);
        assert_null(row->missing ? strpbrk(row->missing, "|\n") : NULL);
        if (row->status == OPTION_BUILT && row->type < OPTION_BLOCK) {
            assert_true(row->parse || row->storage != OPTION_STORE_NONE);
        }
    }
}

static void test_ranges_fit_their_fields(void **state)
{
    static const struct {
        int64_t min;
        int64_t max;
    } widths[] = {
        [OPTION_STORE_U8] = {0,         UINT8_MAX },
          [OPTION_STORE_U16] = {0,         UINT16_MAX},
        [OPTION_STORE_U32] = {0,         UINT32_MAX},
          [OPTION_STORE_U64] = {0,         INT64_MAX },
        [OPTION_STORE_I32] = {INT32_MIN, INT32_MAX },
    };

    (void)state;
    for (size_t i = 0; i < option_len; i++) {
        const struct option *row = &options[i];

        if (option_is_number(row) && row->storage != OPTION_STORE_NONE) {
            assert_true(row->min >= widths[row->storage].min);
            assert_true(row->max <= widths[row->storage].max);
        }
    }
}

static void test_names_are_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < option_len; i++) {
        const struct option *row = &options[i];
        const struct option *found = option_find(slice_of_text(row->name));

        assert_ptr_equal(found, row->alias_of ? row_of(row->alias_of) : row);
    }
    assert_null(option_find(slice_of_text("")));
    assert_null(option_find(slice_of_text("por")));
    assert_null(option_find(slice_of_text("ports")));
    assert_null(option_find(slice_of_text("plugin_opt")));
    assert_null(option_find(slice_of_text("PORT")));
    assert_ptr_equal(option_find(slice_of_text("plugin_opt_db_file")), row_of("plugin_opt_"));
    assert_ptr_equal(option_find(slice_of_text("auth_opt_x")), row_of("plugin_opt_"));
}

/* What must stand in the same file. */
static const char *companion_of(const struct option *row)
{
    return strcmp(row->name, "persistence") == 0 ? "allow_memory_only true\n" : "";
}

/* Reads one option in a block of its own. */
static void read_value(struct fixture *fixture, const struct option *row, const char *value)
{
    const char *block = row->scope == OPTION_LISTENER ? "listener 1883 127.0.0.1\n" : "";

    fixture_readf(fixture, "%s%s%s %s\n%s", block, row->name, row->is_prefix ? "name" : "", value,
                  companion_of(row));
}

static int64_t stored_number(const struct fixture *fixture, const struct option *row)
{
    const void *owner = row->scope == OPTION_GLOBAL
                            ? (const void *)fixture->settings
                            : (const void *)&fixture->settings->listeners[0];
    const void *field = (const char *)owner + row->offset;

    switch (row->storage) {
    case OPTION_STORE_BOOL: return *(const bool *)field;
    case OPTION_STORE_U8: return *(const uint8_t *)field;
    case OPTION_STORE_U16: return *(const uint16_t *)field;
    case OPTION_STORE_U32: return *(const uint32_t *)field;
    case OPTION_STORE_U64: return (int64_t) * (const uint64_t *)field;
    case OPTION_STORE_I32: return *(const int32_t *)field;
    case OPTION_STORE_ENUM: return *(const int *)field;
    default: fail(); return 0;
    }
}

static void expect_refused(struct fixture *fixture, const struct option *row, const char *value)
{
    char error[128];

    if (row->complaint) {
        const char *place = strstr(row->complaint, "%s");
        int len = place ? (int)(place - row->complaint) : (int)strlen(row->complaint);

        snprintf(error, sizeof(error), "E Error: %.*s%s%s\n", len, row->complaint,
                 place ? value : "", place ? place + 2 : "");
    } else {
        snprintf(error, sizeof(error), "E Error: Invalid %s value (%s).", row->name, value);
    }
    read_value(fixture, row, value);
    fixture_expect_error(fixture, error);
    fixture_expect_error(fixture, row->scope == OPTION_LISTENER ? "E Error found at x.conf:2.\n"
                                                                : "E Error found at x.conf:1.\n");
}

static bool has_value(const struct option *row)
{
    return !row->alias_of && row->status != OPTION_LATER;
}

static void expect_number(struct fixture *fixture, const struct option *row, int64_t number)
{
    char text[32];

    snprintf(text, sizeof(text), "%lld", (long long)number);
    read_value(fixture, row, text);
    fixture_expect_ok(fixture);
    if (strcmp(row->name, "max_inflight_messages") == 0 && number == 65535) {
        number = 0; /* another way to write it */
    }
    assert_int_equal(stored_number(fixture, row), number);
}

static void refuse_number(struct fixture *fixture, const struct option *row, int64_t number)
{
    char text[32];

    snprintf(text, sizeof(text), "%lld", (long long)number);
    expect_refused(fixture, row, text);
}

static void test_numbers_obey_their_ranges(void **state)
{
    static const char *const wrong[] = {
        "x", "1x", "1.5", "-", "0x", "08", "true", "99999999999999999999", "1,0"};
    struct fixture *fixture = fixture_new();

    (void)state;
    for (size_t i = 0; i < option_len; i++) {
        const struct option *row = &options[i];

        if (!has_value(row) || !option_is_number(row)) {
            continue;
        }
        for (size_t j = 0; j < ARRAY_LEN(wrong); j++) {
            expect_refused(fixture, row, wrong[j]);
        }
        if (row->min > INT64_MIN) {
            refuse_number(fixture, row, row->min - 1);
        }
        if (row->max < INT64_MAX) {
            refuse_number(fixture, row, row->max + 1);
        }
        if (row->status == OPTION_BUILT) {
            expect_number(fixture, row, row->min);
            expect_number(fixture, row, row->max);
        }
    }
    fixture_free(fixture);
}

static void test_numbers_may_be_hexadecimal_and_octal(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    fixture_readf(fixture, "max_queued_messages 0x1F\nmax_keepalive 010\n");
    fixture_expect_ok(fixture);
    assert_int_equal(fixture->settings->limits.max_queued_messages, 31);
    assert_int_equal(fixture->settings->limits.max_keepalive_s, 8);
    fixture_free(fixture);
}

static void test_bools_are_four_words(void **state)
{
    static const char *const wrong[] = {"yes", "TRUE", "True", "2", "on", "00", "t"};
    static const char *const right[] = {"false", "true", "0", "1"};
    struct fixture *fixture = fixture_new();

    (void)state;
    for (size_t i = 0; i < option_len; i++) {
        const struct option *row = &options[i];

        if (!has_value(row) || row->type != OPTION_BOOL) {
            continue;
        }
        for (size_t j = 0; j < ARRAY_LEN(wrong); j++) {
            expect_refused(fixture, row, wrong[j]);
        }
        for (size_t j = 0; j < ARRAY_LEN(right) && row->status == OPTION_BUILT; j++) {
            read_value(fixture, row, right[j]);
            fixture_expect_ok(fixture);
            assert_int_equal(stored_number(fixture, row), j % 2);
        }
    }
    fixture_free(fixture);
}

static void test_choices_are_their_words(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    for (size_t i = 0; i < option_len; i++) {
        const struct option *row = &options[i];

        if (!has_value(row) || row->type != OPTION_CHOICE) {
            continue;
        }
        expect_refused(fixture, row, "nonsense");
        for (const struct option_choice *c = row->choices; c->name; c++) {
            read_value(fixture, row, c->name);
            if (row->status == OPTION_BUILT) {
                fixture_expect_ok(fixture);
                assert_int_equal(stored_number(fixture, row), c->value);
            }
        }
    }
    fixture_free(fixture);
}

/* Never silently ignored: a line that names the option and says so. */
static void test_what_is_not_built_is_refused(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    for (size_t i = 0; i < option_len; i++) {
        const struct option *row = &options[i];
        char error[128];

        if (row->alias_of || row->status != OPTION_LATER || row->refused) {
            continue;
        }
        snprintf(error, sizeof(error),
                 "E Error: The %s%s option is not supported yet.\nE Error found at x.conf:",
                 row->name, row->is_prefix ? "name" : "");
        read_value(fixture, row, "1");
        fixture_expect_error(fixture, error);
    }
    fixture_free(fixture);
}

static const char *another_value(const struct option *row)
{
    if (row->type == OPTION_BOOL) {
        return value_is_equal(row, row->only, "true") ? "false" : "true";
    }
    if (row->type == OPTION_CHOICE) {
        return row->choices[1].name;
    }
    return "1";
}

static void test_what_is_built_for_one_value_takes_only_that(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    for (size_t i = 0; i < option_len; i++) {
        const struct option *row = &options[i];
        char error[128];

        if (row->alias_of || row->status != OPTION_ONLY) {
            continue;
        }
        read_value(fixture, row, row->only);
        fixture_expect_ok(fixture);
        assert_null(strstr(fixture->said, "W "));
        if (row->refused) {
            snprintf(error, sizeof(error), "%s is not supported: %s.\n", row->name, row->refused);
        } else {
            snprintf(error, sizeof(error), "%s %s is not supported yet, only %s %s.\n", row->name,
                     another_value(row), row->name, row->only);
        }
        read_value(fixture, row, another_value(row));
        fixture_expect_error(fixture, error);
    }
    fixture_free(fixture);
}

static void test_what_has_no_effect_warns(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    for (size_t i = 0; i < option_len; i++) {
        const struct option *row = &options[i];
        char warning[128];

        if (row->alias_of || row->status != OPTION_ACCEPTED) {
            continue;
        }
        snprintf(warning, sizeof(warning), "W Warning: The %s option has no effect: ", row->name);
        read_value(fixture, row,
                   row->type != OPTION_BOOL                              ? "7"
                   : row->only && value_is_equal(row, "true", row->only) ? "false"
                                                                         : "true");
        fixture_expect_ok(fixture);
        assert_true(row->is_silent == !strstr(fixture->said, warning));
        if (row->only) {
            read_value(fixture, row, row->only);
            fixture_expect_ok(fixture);
            assert_string_equal(fixture->said, "");
        }
    }
    fixture_free(fixture);
}

static void test_a_value_must_not_be_missing(void **state)
{
    static const char *const endings[] = {"", " ", "   \t ", "\r", " \r"};
    struct fixture *fixture = fixture_new();

    (void)state;
    for (size_t i = 0; i < option_len; i++) {
        const struct option *row = &options[i];
        char error[128];

        if (!has_value(row)) {
            continue;
        }
        snprintf(error, sizeof(error),
                 "E Error: Empty %s value in configuration.\nE Error found at x.conf:2.\n",
                 row->name);
        for (size_t j = 0; j < ARRAY_LEN(endings); j++) {
            fixture_readf(fixture, "listener 1\n%s%s\n", row->name, endings[j]);
            fixture_expect_error(fixture, error);
        }
    }
    fixture_free(fixture);
}

static bool is_plain_text(const struct option *row)
{
    return has_value(row) && row->storage == OPTION_STORE_TEXT;
}

static void test_a_text_is_given_once(void **state)
{
    struct fixture *fixture = fixture_new();
    char error[128];

    (void)state;
    for (size_t i = 0; i < option_len; i++) {
        const struct option *row = &options[i];

        if (!is_plain_text(row)) {
            continue;
        }
        fixture_readf(fixture, "listener 1\n%s a b\n%s a b\n", row->name, row->name);
        snprintf(error, sizeof(error),
                 "E Error: Duplicate %s value in configuration.\nE Error found at x.conf:3.\n",
                 row->name);
        if (row->replaces) {
            fixture_expect_ok(fixture);
        } else {
            fixture_expect_error(fixture, error);
        }
        fixture_readf(fixture, "listener 1\n%s \xff\n", row->name);
        fixture_expect_error(fixture, "E Error: Malformed UTF-8 in configuration.\n");
    }
    fixture_free(fixture);
}

/* A default that is written down changes nothing. */
static void test_defaults_are_values(void **state)
{
    struct fixture *unwritten = fixture_new();
    struct fixture *fixture = fixture_new();

    (void)state;
    fixture_readf(unwritten, "listener 1883 127.0.0.1\n");
    fixture_expect_ok(unwritten);
    for (size_t i = 0; i < option_len; i++) {
        const struct option *row = &options[i];

        if (!has_value(row) || row->status != OPTION_BUILT || !row->fallback || row->repeats) {
            continue;
        }
        fixture_readf(fixture, "listener 1883 127.0.0.1\n%s %s\n", row->name, row->fallback);
        fixture_expect_ok(fixture);
        if (row->storage == OPTION_STORE_TEXT || row->storage == OPTION_STORE_NONE) {
            continue;
        }
        assert_int_equal(stored_number(fixture, row), stored_number(unwritten, row));
    }
    fixture_free(unwritten);
    fixture_free(fixture);
}

/* Wherever a global option stands it concerns all, and one of a listener needs a listener. */
static void test_scopes(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    for (size_t i = 0; i < option_len; i++) {
        const struct option *row = &options[i];
        bool is_global = row->scope == OPTION_GLOBAL;

        if (!has_value(row) || row->status != OPTION_BUILT || row->type != OPTION_BOOL) {
            continue;
        }
        fixture_readf(fixture, "%s true\n%s", row->name, companion_of(row));
        fixture_expect_ok(fixture);
        assert_int_equal(fixture->settings->is_local_only, is_global);
        assert_int_equal(strstr(fixture->said, "creates the default listener") == NULL, is_global);
        fixture_readf(fixture, "listener 1900\n%s true\nlistener 1901\n%s", row->name,
                      companion_of(row));
        fixture_expect_ok(fixture);
        assert_int_equal(fixture->settings->listener_len, 2);
        assert_int_equal(stored_number(fixture, row), 1);
    }
    fixture_free(fixture);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_name_of_mosquitto_has_a_row),
        cmocka_unit_test(test_rows_are_whole),
        cmocka_unit_test(test_ranges_fit_their_fields),
        cmocka_unit_test(test_names_are_found),
        cmocka_unit_test(test_numbers_obey_their_ranges),
        cmocka_unit_test(test_numbers_may_be_hexadecimal_and_octal),
        cmocka_unit_test(test_bools_are_four_words),
        cmocka_unit_test(test_choices_are_their_words),
        cmocka_unit_test(test_what_is_not_built_is_refused),
        cmocka_unit_test(test_what_is_built_for_one_value_takes_only_that),
        cmocka_unit_test(test_what_has_no_effect_warns),
        cmocka_unit_test(test_a_value_must_not_be_missing),
        cmocka_unit_test(test_a_text_is_given_once),
        cmocka_unit_test(test_defaults_are_values),
        cmocka_unit_test(test_scopes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
