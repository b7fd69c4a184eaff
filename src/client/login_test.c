#include "base/test.h"
#include "client/login.h"
#include "core/session.h"

static struct mqtt_connect connect_of(unsigned version, bool clean_start)
{
    return (struct mqtt_connect){
        .version = (uint8_t)version, .clean_start = clean_start, .keep_alive = 77};
}

static void set_number(struct mqtt_connect *connect, enum mqtt_property id, uint32_t value)
{
    connect->properties.present |= UINT64_C(1) << id;
    if (id == MQTT_SESSION_EXPIRY_INTERVAL) {
        connect->properties.session_expiry_interval = value;
    } else {
        connect->properties.receive_maximum = (uint16_t)value;
    }
}

/* What the life of a session is asked to be, in each version's way. */
static void test_expiry_interval(void **state)
{
    static const struct {
        unsigned version;
        bool clean_start;
        bool has_property;
        uint32_t asked;
        uint32_t expected;
    } rows[] = {
        {MQTT_3_1,   true,  false, 0,             0            },
        {MQTT_3_1,   false, false, 0,             SESSION_NEVER},
        {MQTT_3_1_1, true,  false, 0,             0            },
        {MQTT_3_1_1, false, false, 0,             SESSION_NEVER},
        {MQTT_5_0,   true,  false, 0,             0            },
        {MQTT_5_0,   false, false, 0,             0            },
        {MQTT_5_0,   true,  true,  0,             0            },
        {MQTT_5_0,   true,  true,  5,             5            },
        {MQTT_5_0,   false, true,  SESSION_NEVER, SESSION_NEVER},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct mqtt_connect connect = connect_of(rows[i].version, rows[i].clean_start);
        struct login *login;

        if (rows[i].has_property) {
            set_number(&connect, MQTT_SESSION_EXPIRY_INTERVAL, rows[i].asked);
        }
        assert_int_equal(login_new(&connect, slice_of_text("a"), &login), 0);
        assert_int_equal(login->expiry_interval, rows[i].expected);
        assert_int_equal(login->clean_start, rows[i].clean_start);
        assert_null(login_free(login));
    }
}

static void test_receive_maximum(void **state)
{
    struct mqtt_connect connect = connect_of(MQTT_5_0, true);
    struct login *login;

    (void)state;
    assert_int_equal(login_new(&connect, slice_of_text("a"), &login), 0);
    assert_int_equal(login->receive_maximum, 65535);
    login_free(login);
    set_number(&connect, MQTT_RECEIVE_MAXIMUM, 3);
    assert_int_equal(login_new(&connect, slice_of_text("a"), &login), 0);
    assert_int_equal(login->receive_maximum, 3);
    login_free(login);
}

/* Everything is a copy: nothing of the read buffer is needed any more. */
static void test_owns_id_and_rest(void **state)
{
    struct mqtt_connect connect = connect_of(MQTT_3_1_1, true);
    struct slice id = bytes_copy(slice_of_text("client"));
    struct slice rest = bytes_copy(slice_of_text("behind"));
    struct login *login;

    (void)state;
    assert_int_equal(login_new(&connect, id, &login), 0);
    assert_int_equal(login_keep_rest(login, slice_of(NULL, 0)), 0);
    assert_null(login->rest);
    assert_int_equal(login_keep_rest(login, rest), 0);
    bytes_free(id);
    bytes_free(rest);
    assert_int_equal(login->keep_alive, 77);
    assert_int_equal(login->id_len, 6);
    assert_memory_equal(login->id, "client", 6);
    assert_int_equal(login->rest_len, 6);
    assert_memory_equal(login->rest, "behind", 6);
    login_free(login);
}

static void test_longest_id(void **state)
{
    struct mqtt_connect connect = connect_of(MQTT_5_0, true);
    uint8_t *id = memory_must_alloc_zero(1, UINT16_MAX);
    struct login *login;

    (void)state;
    id[UINT16_MAX - 1] = 'z';
    assert_int_equal(login_new(&connect, slice_of(id, UINT16_MAX), &login), 0);
    assert_int_equal(login->id_len, UINT16_MAX);
    assert_int_equal(login->id[UINT16_MAX - 1], 'z');
    login_free(login);
    memory_free(id);
}

static void test_without_memory(void **state)
{
    struct mqtt_connect connect = connect_of(MQTT_5_0, true);
    struct login *login;

    (void)state;
    memory_fail_after(1);
    assert_int_equal(login_new(&connect, slice_of_text("a"), &login), -ENOMEM);
    assert_int_equal(login_new(&connect, slice_of_text("a"), &login), 0);
    memory_fail_after(1);
    assert_int_equal(login_keep_rest(login, slice_of_text("r")), -ENOMEM);
    assert_int_equal(login->rest_len, 0);
    login_free(login);
    assert_null(login_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expiry_interval),  cmocka_unit_test(test_receive_maximum),
        cmocka_unit_test(test_owns_id_and_rest), cmocka_unit_test(test_longest_id),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
