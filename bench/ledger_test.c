#include "base/test.h"
#include "bench/ledger.h"

#define PAYLOAD_SIZE 24

struct arrival {
    uint32_t subscriber;
    uint32_t publisher;
    uint32_t number;
};

struct ledger_case {
    const char *what;
    enum ledger_shape shape;
    uint64_t lost, doubled, stray;
    size_t len;
    struct arrival arrivals[6];
};

/* clang-format off */
static const struct ledger_case cases[] = {
    {"pairs, all well", LEDGER_PAIRS, 0, 0, 0, 4, {{0, 0, 0}, {1, 1, 0}, {0, 0, 1}, {1, 1, 1}}},
    {"a gap", LEDGER_PAIRS, 2, 0, 0, 2, {{0, 0, 0}, {0, 0, 3}}},
    {"the first is missing", LEDGER_PAIRS, 1, 0, 0, 1, {{0, 0, 1}}},
    {"twice", LEDGER_PAIRS, 0, 1, 0, 3, {{0, 0, 0}, {0, 0, 0}, {0, 0, 1}}},
    {"out of order", LEDGER_PAIRS, 1, 1, 0, 3, {{0, 0, 0}, {0, 0, 2}, {0, 0, 1}}},
    {"somebody else's", LEDGER_PAIRS, 0, 0, 1, 2, {{0, 1, 0}, {0, 0, 0}}},
    {"no such publisher", LEDGER_PAIRS, 0, 0, 1, 1, {{0, 7, 0}}},
    {"to everyone", LEDGER_FAN_OUT, 0, 0, 0, 4, {{0, 0, 0}, {1, 0, 0}, {2, 0, 0}, {0, 0, 1}}},
    {"one of them misses one", LEDGER_FAN_OUT, 1, 0, 0, 3, {{0, 0, 0}, {1, 0, 1}, {0, 0, 1}}},
    {"from everyone", LEDGER_FAN_IN, 0, 0, 0, 4, {{0, 0, 0}, {0, 2, 0}, {0, 1, 0}, {0, 2, 1}}},
    {"one of them, any order", LEDGER_ONE_OF, 0, 0, 0, 4, {{0, 1, 1}, {2, 1, 0}, {1, 1, 2}, {1, 0, 0}}},
    {"one of them, twice", LEDGER_ONE_OF, 0, 2, 0, 4, {{0, 1, 1}, {2, 1, 1}, {1, 1, 0}, {2, 1, 0}}},
    {"one of them, gone", LEDGER_ONE_OF, 2, 0, 0, 3, {{0, 1, 0}, {2, 1, 66}, {1, 1, 65}}},
    {"one of them loses one", LEDGER_FAN_IN, 1, 0, 0, 3, {{0, 0, 0}, {0, 2, 1}, {0, 1, 0}}},
};
/* clang-format on */

static struct slice make_payload(uint8_t *at, const struct arrival *arrival)
{
    struct ledger_stamp stamp = {.publisher = arrival->publisher, .number = arrival->number};

    memset(at, LEDGER_FILL, PAYLOAD_SIZE);
    memcpy(at, &stamp, sizeof(stamp));
    return slice_of(at, PAYLOAD_SIZE);
}

static void books(void **state)
{
    uint8_t payload[PAYLOAD_SIZE];
    struct ledger_stamp stamp;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct ledger_case *c = &cases[i];
        struct ledger ledger;

        print_message("%s\n", c->what);
        ledger_init(&ledger, c->shape, 3, PAYLOAD_SIZE);
        for (size_t k = 0; k < c->len; k++) {
            struct slice bytes = make_payload(payload, &c->arrivals[k]);

            (void)ledger_book(&ledger, c->arrivals[k].subscriber, bytes, &stamp);
        }
        assert_int_equal(ledger.received, c->len);
        assert_int_equal(ledger.lost, c->lost);
        assert_int_equal(ledger.doubled, c->doubled);
        assert_int_equal(ledger.stray, c->stray);
        assert_int_equal(ledger_is_clean(&ledger), c->lost + c->doubled + c->stray == 0);
        ledger_deinit(&ledger);
    }
}

static void notices_a_changed_payload(void **state)
{
    static const struct arrival first = {0, 0, 0};
    uint8_t payload[PAYLOAD_SIZE];
    struct slice bytes = make_payload(payload, &first);
    struct ledger_stamp stamp;
    struct ledger ledger;

    (void)state;
    ledger_init(&ledger, LEDGER_PAIRS, 1, PAYLOAD_SIZE);
    assert_false(ledger_book(&ledger, 0, slice_of(payload, PAYLOAD_SIZE - 1), &stamp));
    assert_false(ledger_book(&ledger, 0, slice_of(payload, 3), &stamp));
    payload[PAYLOAD_SIZE - 1] ^= 1;
    assert_false(ledger_book(&ledger, 0, bytes, &stamp));
    assert_int_equal(ledger.stray, 3);
    payload[PAYLOAD_SIZE - 1] ^= 1;
    assert_true(ledger_book(&ledger, 0, bytes, &stamp));
    ledger_deinit(&ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(books),
        cmocka_unit_test(notices_a_changed_payload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
