#include "base/address.h"
#include "base/memory.h"
#include "base/owner.h"
#include "base/stress_test.h"
#include "client/addresses.h"

/* Who has how many connections, and how soon more may come. */

#define MINUTE_MS 60000u

static struct owner self = {.worker = 0};

static struct addresses *new_addresses(void)
{
    struct addresses *addresses;
    struct hash_key key;

    owner_self = &self;
    hash_key_make(&key, 7);
    assert_int_equal(addresses_new(&key, &addresses), 0);
    return addresses;
}

static struct address address_of(const char *text)
{
    struct address address;

    assert_int_equal(address_parse(slice_of_text(text), &address), ADDRESS_OK);
    return address;
}

static int enter(struct addresses *addresses, const char *text, uint32_t rate, uint32_t connections,
                 uint64_t now_ms)
{
    struct addresses_limits limits = {.rate = rate, .connections = connections};
    struct address address = address_of(text);

    return addresses_enter(addresses, &address, &limits, now_ms);
}

static void leave(struct addresses *addresses, const char *text, uint64_t now_ms)
{
    struct address address = address_of(text);

    addresses_leave(addresses, &address, now_ms);
}

/* Connections of one address, and what belongs to it */

static void test_what_is_one_address(void **state)
{
    static const struct {
        const char *first;
        const char *second;
        bool is_one;
    } rows[] = {
        {"192.0.2.1",   "192.0.2.1",            true },
        {"192.0.2.1",   "192.0.2.2",            false},
        {"192.0.2.1",   "::ffff:192.0.2.1",     true },
        {"2001:db8::1", "2001:db8::1",          true },
        {"2001:db8::1", "2001:db8:0:0:f:f:f:f", true },
        {"2001:db8::1", "2001:db8:0:1::1",      false},
        {"2001:db8::1", "3001:db8::1",          false},
        {"0.0.0.1",     "0:1::",                false},
        {"32.1.13.184", "2001:db8::",           false}, /* the same first bytes */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(addresses_free) struct addresses *addresses = new_addresses();
        int expected = rows[i].is_one ? ADDRESSES_TOO_MANY : ADDRESSES_OK;

        assert_int_equal(enter(addresses, rows[i].first, 0, 1, 1), ADDRESSES_OK);
        assert_int_equal(enter(addresses, rows[i].second, 0, 1, 1), expected);
        leave(addresses, rows[i].first, 1);
        if (expected == ADDRESSES_OK) {
            leave(addresses, rows[i].second, 1);
        }
        assert_int_equal(addresses_len(addresses), 0);
    }
}

static void test_a_place_comes_back(void **state)
{
    CLEANUP(addresses_free) struct addresses *addresses = new_addresses();

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(enter(addresses, "192.0.2.1", 0, 3, 1), ADDRESSES_OK);
    }
    assert_int_equal(enter(addresses, "192.0.2.1", 0, 3, 1), ADDRESSES_TOO_MANY);
    leave(addresses, "192.0.2.1", 1);
    assert_int_equal(enter(addresses, "192.0.2.1", 0, 3, 1), ADDRESSES_OK);
    /* The limit that holds is that of the moment: it may change. */
    assert_int_equal(enter(addresses, "192.0.2.1", 0, 4, 1), ADDRESSES_OK);
    assert_int_equal(enter(addresses, "192.0.2.1", 0, 2, 1), ADDRESSES_TOO_MANY);
    for (unsigned i = 0; i < 4; i++) {
        leave(addresses, "192.0.2.1", 1);
    }
    assert_int_equal(addresses_len(addresses), 0);
}

/* One for all of them, and nobody else's. */
static void test_unix_sockets(void **state)
{
    CLEANUP(addresses_free) struct addresses *addresses = new_addresses();
    const struct addresses_limits limits = {.connections = 2};
    const struct address unix_socket = {.family = ADDRESS_UNIX};

    (void)state;
    assert_int_equal(enter(addresses, "0.0.0.0", 0, 2, 1), ADDRESSES_OK);
    assert_int_equal(enter(addresses, "::", 0, 2, 1), ADDRESSES_OK);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(addresses_enter(addresses, &unix_socket, &limits, 1), ADDRESSES_OK);
    }
    assert_int_equal(addresses_enter(addresses, &unix_socket, &limits, 1), ADDRESSES_TOO_MANY);
    leave(addresses, "0.0.0.0", 1);
    leave(addresses, "::", 1);
    addresses_leave(addresses, &unix_socket, 1);
    assert_int_equal(addresses_enter(addresses, &unix_socket, &limits, 1), ADDRESSES_OK);
    addresses_leave(addresses, &unix_socket, 1);
    addresses_leave(addresses, &unix_socket, 1);
    assert_int_equal(addresses_len(addresses), 0);
}

/* Rates */

/* As many as come in at this moment; each leaves at once. */
static unsigned burst(struct addresses *addresses, uint32_t rate, uint64_t now_ms)
{
    unsigned count = 0;

    while (enter(addresses, "192.0.2.1", rate, 0, now_ms) == ADDRESSES_OK) {
        leave(addresses, "192.0.2.1", now_ms);
        count++;
    }
    assert_int_equal(enter(addresses, "192.0.2.1", rate, 0, now_ms), ADDRESSES_TOO_FAST);
    return count;
}

static void test_a_minutes_worth(void **state)
{
    static const uint32_t rates[] = {1, 2, 3, 60, 61, 7000};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        CLEANUP(addresses_free) struct addresses *addresses = new_addresses();
        uint32_t rate = rates[i];
        uint64_t now_ms = 5;
        unsigned half = rate / 2;

        assert_int_equal(burst(addresses, rate, now_ms), rate);
        assert_int_equal(burst(addresses, rate, now_ms += MINUTE_MS), rate);
        assert_int_equal(burst(addresses, rate, now_ms += MINUTE_MS / 2), half);
        /* Never more than a minute's worth, however long it was quiet. */
        assert_int_equal(burst(addresses, rate, now_ms += (uint64_t)100 * MINUTE_MS), rate);
        /* What is refused costs nothing. */
        for (unsigned n = 0; n < 100; n++) {
            enter(addresses, "192.0.2.1", rate, 0, now_ms);
        }
        assert_int_equal(burst(addresses, rate, now_ms + MINUTE_MS), rate);
    }
}

/* Clocks of workers differ by an iteration. */
static void test_a_clock_behind(void **state)
{
    CLEANUP(addresses_free) struct addresses *addresses = new_addresses();

    (void)state;
    assert_int_equal(burst(addresses, 60, 100000), 60);
    assert_int_equal(burst(addresses, 60, 99000), 0);
    assert_int_equal(burst(addresses, 60, 101000), 1);
}

/* Memory */

static void put_number(char text[20], unsigned number)
{
    snprintf(text, 20, "10.%u.%u.%u", number >> 16 & 255, number >> 8 & 255, number & 255);
}

/* Entries go by themselves, while others come, and there are never more than a bound. */
static void test_memory_is_bounded(void **state)
{
    CLEANUP(addresses_free) struct addresses *addresses = new_addresses();
    char text[20];

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        put_number(text, i);
        assert_int_equal(enter(addresses, text, 1, 0, 1), ADDRESSES_OK);
        leave(addresses, text, 1);
        assert_true(addresses_len(addresses) <= 65536);
    }
    assert_true(addresses_len(addresses) > 60000);
    for (unsigned i = 0; i < 70000; i++) {
        put_number(text, i);
        assert_int_equal(enter(addresses, text, 0, 5, 1 + MINUTE_MS), ADDRESSES_OK);
        leave(addresses, text, 1 + MINUTE_MS);
    }
    assert_int_equal(addresses_len(addresses), 0);
}

static void test_without_memory(void **state)
{
    CLEANUP(addresses_free) struct addresses *addresses = new_addresses();

    (void)state;
    for (unsigned n = 1; n <= 2; n++) {
        memory_fail_after(n);
        assert_int_equal(enter(addresses, "192.0.2.1", 1, 1, 1), -ENOMEM);
        assert_int_equal(addresses_len(addresses), 0);
    }
    memory_fail_after(0);
    assert_int_equal(enter(addresses, "192.0.2.1", 1, 1, 1), ADDRESSES_OK);
    leave(addresses, "192.0.2.1", MINUTE_MS + 1);
}

/* Threads */

#define TASK_LEN 3
#define TURN_LEN 30000

static struct addresses *shared;
static _Atomic unsigned inside;
static struct owner owners[TASK_LEN];

static void visit(const char *text, const struct addresses_limits *limits, uint64_t now_ms)
{
    struct address address = address_of(text);

    if (addresses_enter(shared, &address, limits, now_ms) == ADDRESSES_OK) {
        addresses_leave(shared, &address, now_ms);
    }
}

/* One address that all want, never more of them than may, and others that come and expire. */
static void come_and_go(unsigned number)
{
    const struct addresses_limits limits = {.connections = TASK_LEN - 1};
    const struct addresses_limits rate = {.rate = 100};
    struct address wanted = address_of("192.0.2.1");
    char text[20];

    owners[number].worker = (int)number;
    owner_self = &owners[number];
    for (unsigned i = 0; i < TURN_LEN; i++) {
        put_number(text, i % 64);
        visit(text, &rate, i * 10);
        if (addresses_enter(shared, &wanted, &limits, i) == ADDRESSES_OK) {
            assert_true(atomic_fetch_add(&inside, 1) < TASK_LEN - 1);
            atomic_fetch_sub(&inside, 1);
            addresses_leave(shared, &wanted, i);
        }
    }
}

static void test_threads(void **state)
{
    struct stress_task tasks[TASK_LEN] = {0};

    (void)state;
    shared = new_addresses();
    for (unsigned i = 0; i < TASK_LEN; i++) {
        tasks[i] = (struct stress_task){.run = come_and_go, .number = i};
    }
    stress_run(tasks, TASK_LEN);
    owner_self = &self;
    assert_int_equal(enter(shared, "192.0.2.1", 0, 1, TURN_LEN), ADDRESSES_OK);
    leave(shared, "192.0.2.1", TURN_LEN);
    shared = addresses_free(shared);
}

/* Failed logins */

#define SECOND_MS 1000u

static int fail_login(struct addresses *addresses, const char *text, uint64_t now_ms)
{
    struct addresses_limits limits = {.failures = 3, .window_s = 10, .ban_s = 100};
    struct address address = address_of(text);

    return addresses_fail(addresses, &address, &limits, now_ms);
}

static int enter_checked(struct addresses *addresses, const char *text, uint64_t now_ms)
{
    struct addresses_limits limits = {.failures = 3, .window_s = 10, .ban_s = 100};
    struct address address = address_of(text);

    return addresses_enter(addresses, &address, &limits, now_ms);
}

static bool is_banned(struct addresses *addresses, const char *text, uint64_t now_ms)
{
    struct address address = address_of(text);

    return addresses_is_banned(addresses, &address, now_ms);
}

static void test_ban(void **state)
{
    CLEANUP(addresses_free) struct addresses *addresses = new_addresses();
    uint64_t now = 5 * SECOND_MS;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(enter_checked(addresses, "192.0.2.1", now), ADDRESSES_OK);
        assert_false(is_banned(addresses, "192.0.2.1", now));
        assert_int_equal(fail_login(addresses, "192.0.2.1", now),
                         i < 2 ? ADDRESSES_OK : ADDRESSES_BANNED);
        leave(addresses, "192.0.2.1", now);
    }
    assert_true(is_banned(addresses, "192.0.2.1", now));
    assert_false(is_banned(addresses, "192.0.2.2", now));
    assert_int_equal(enter_checked(addresses, "192.0.2.1", now), ADDRESSES_BANNED);
    assert_int_equal(enter_checked(addresses, "192.0.2.2", now), ADDRESSES_OK);
    /* Failures of a connection from before are no second ban, and do not prolong it. */
    assert_int_equal(fail_login(addresses, "192.0.2.1", now + 50 * SECOND_MS), ADDRESSES_OK);
    assert_int_equal(enter_checked(addresses, "192.0.2.1", now + 100 * SECOND_MS - 1),
                     ADDRESSES_BANNED);
    assert_int_equal(enter_checked(addresses, "192.0.2.1", now + 100 * SECOND_MS), ADDRESSES_OK);
    leave(addresses, "192.0.2.1", now + 100 * SECOND_MS);
    leave(addresses, "192.0.2.2", now + 100 * SECOND_MS);
    /* Switched off, it holds nobody. */
    fail_login(addresses, "192.0.2.3", now);
    fail_login(addresses, "192.0.2.3", now);
    assert_int_equal(fail_login(addresses, "192.0.2.3", now), ADDRESSES_BANNED);
    assert_int_equal(enter(addresses, "192.0.2.3", 0, 5, now), ADDRESSES_OK);
    leave(addresses, "192.0.2.3", now);
}

/* Slow ones are not counted together. */
static void test_window(void **state)
{
    CLEANUP(addresses_free) struct addresses *addresses = new_addresses();
    uint64_t now = 1;

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(fail_login(addresses, "192.0.2.1", now), ADDRESSES_OK);
        assert_int_equal(fail_login(addresses, "192.0.2.1", now + 9 * SECOND_MS), ADDRESSES_OK);
        now += 10 * SECOND_MS;
    }
    assert_int_equal(fail_login(addresses, "192.0.2.1", now), ADDRESSES_OK);
    assert_int_equal(fail_login(addresses, "192.0.2.1", now), ADDRESSES_OK);
    assert_int_equal(fail_login(addresses, "192.0.2.1", now), ADDRESSES_BANNED);
}

/* What has failed is forgotten in the end, and there is a bound on what is remembered. */
static void test_failures_are_forgotten(void **state)
{
    CLEANUP(addresses_free) struct addresses *addresses = new_addresses();
    char text[32];

    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        snprintf(text, sizeof(text), "10.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255);
        assert_int_equal(fail_login(addresses, text, 1), ADDRESSES_OK);
    }
    assert_true(addresses_len(addresses) <= 16 * 4096);
    for (unsigned i = 0; i < 100000; i++) {
        snprintf(text, sizeof(text), "11.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255);
        assert_int_equal(enter_checked(addresses, text, 1000 * SECOND_MS), ADDRESSES_OK);
        leave(addresses, text, 1000 * SECOND_MS);
    }
    assert_int_equal(addresses_len(addresses), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_one_address),
        cmocka_unit_test(test_a_place_comes_back),
        cmocka_unit_test(test_unix_sockets),
        cmocka_unit_test(test_a_minutes_worth),
        cmocka_unit_test(test_a_clock_behind),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_ban),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_failures_are_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
