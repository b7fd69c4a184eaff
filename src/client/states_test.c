#include "base/death_test.h"
#include "client/states.h"
#include "mqtt/packets.h"

#include <string.h>

/* Columns: what a state may become, a letter each; and the packets that it takes. */
struct expected {
    enum client_state state;
    const char *name;
    const char *next;
    const char *packets;
};

#define LETTERS "pflmrvcg"

/* clang-format off */
static const struct expected table[] = {
    {CLIENT_PROXY,   "proxy",   "fc", ""},
    {CLIENT_FRESH,   "fresh",   "lmc", "CONNECT"},
    {CLIENT_LOGIN,   "login",   "fmc", ""},
    {CLIENT_MOVING,  "moving",  "rc", ""},
    {CLIENT_READY,   "ready",   "vc",
     "PUBLISH PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE UNSUBSCRIBE PINGREQ DISCONNECT"},
    {CLIENT_LEAVING, "leaving", "c",  ""},
    {CLIENT_CLOSING, "closing", "g",  ""},
    {CLIENT_LINGERING, "lingering", "", ""},
};
/* clang-format on */

static bool names(const char *list, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = strstr(list, name); at; at = strstr(at + 1, name)) {
        if ((at == list || at[-1] == ' ') && (at[len] == '\0' || at[len] == ' ')) {
            return true;
        }
    }
    return false;
}

static void test_each_state_takes_its_packets_alone(void **state)
{
    (void)state;
    assert_int_equal(ARRAY_LEN(table), CLIENT_STATE_LEN);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        assert_string_equal(client_state_row(table[i].state)->name, table[i].name);
        for (unsigned type = 0; type < MQTT_PACKET_TYPE_CAP; type++) {
            bool is_expected =
                mqtt_packet_find(type) &&
                names(table[i].packets, mqtt_packet_name((enum mqtt_packet_type)type));

            assert_int_equal(client_state_allows(table[i].state, type), is_expected);
        }
    }
}

static enum client_state change_from;
static enum client_state change_to;

static void change(void)
{
    uint8_t value = (uint8_t)change_from;

    client_state_change(&value, change_to);
    assert(value == change_to);
}

static void test_only_the_tables_changes_are_possible(void **state)
{
    (void)state;
    for (size_t from = 0; from < ARRAY_LEN(table); from++) {
        for (size_t to = 0; to < ARRAY_LEN(table); to++) {
            bool is_allowed = strchr(table[from].next, LETTERS[to]) != NULL;

            change_from = table[from].state;
            change_to = table[to].state;
            assert_int_equal(is_deadly(change), !is_allowed);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_state_takes_its_packets_alone),
        cmocka_unit_test(test_only_the_tables_changes_are_possible),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
