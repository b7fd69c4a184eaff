#include "base/log_ring.h"
#include "base/random_test.h"
#include "base/test.h"

#define CAP 1024

static struct log_ring *ring_new(void)
{
    static struct log_ring ring;

    assert_int_equal(log_ring_init(&ring, CAP - 100), 0);
    assert_int_equal(ring.cap, CAP);
    return &ring;
}

/* A record whose size and bytes follow from its number. */
static size_t make(uint8_t *record, unsigned number)
{
    size_t size = 1 + number * 7 % 100;

    memset(record, (int)(number % 251), size);
    return size;
}

static bool push(struct log_ring *ring, unsigned number)
{
    uint8_t record[128];

    return log_ring_push(ring, record, make(record, number));
}

static void expect(struct log_ring *ring, unsigned number)
{
    uint8_t expected[128];
    uint8_t record[128] = {0};
    size_t size = make(expected, number);

    assert_true(log_ring_has_record(ring));
    assert_int_equal(log_ring_peek(ring, record, sizeof(record)), size);
    assert_memory_equal(record, expected, size);
    log_ring_drop(ring);
}

/* Many times around, with every fill between empty and full. */
static void what_comes_first_leaves_first(void **state)
{
    struct log_ring *ring = ring_new();
    struct dice dice = {1};
    unsigned pushed = 0;
    unsigned taken = 0;

    (void)state;
    while (pushed < 20000) {
        unsigned turns = (unsigned)dice_below(&dice, 12);

        for (unsigned i = 0; i < turns && push(ring, pushed); i++) {
            pushed++;
        }
        turns = (unsigned)dice_below(&dice, 12);
        for (unsigned i = 0; i < turns && taken < pushed; i++) {
            expect(ring, taken++);
        }
        assert_int_equal(log_ring_is_empty(ring), taken == pushed);
        assert_int_equal(log_ring_has_record(ring), taken != pushed);
    }
    log_ring_deinit(ring);
}

static void what_finds_no_room_is_counted(void **state)
{
    struct log_ring *ring = ring_new();
    uint8_t record[56] = {1};
    unsigned len = 0;

    (void)state;
    while (log_ring_push(ring, record, sizeof(record))) {
        len++;
    }
    assert_int_equal(len, CAP / (sizeof(record) + 8));
    assert_int_equal(log_ring_used(ring), CAP);
    assert_false(log_ring_push(ring, record, 1));
    assert_int_equal(log_ring_take_lost(ring), 2);
    assert_int_equal(log_ring_take_lost(ring), 0);
    log_ring_drop(ring);
    assert_true(log_ring_push(ring, record, sizeof(record)));
    assert_int_equal(log_ring_take_lost(ring), 0);
    log_ring_deinit(ring);
}

/* A thread that was interrupted in the middle of a push holds up what is behind it, in order. */
static void an_incomplete_record_is_waited_for(void **state)
{
    struct log_ring *ring = ring_new();
    uint8_t record[16];

    (void)state;
    atomic_fetch_add(&ring->head, 16);
    assert_true(log_ring_push(ring, "second", 6));
    assert_false(log_ring_has_record(ring));
    assert_false(log_ring_is_empty(ring));
    memcpy(ring->bytes + 8, "first", 5);
    ring->bytes[0] = 5;
    assert_int_equal(log_ring_peek(ring, record, sizeof(record)), 5);
    assert_memory_equal(record, "first", 5);
    log_ring_drop(ring);
    assert_int_equal(log_ring_peek(ring, record, sizeof(record)), 6);
    assert_memory_equal(record, "second", 6);
    log_ring_drop(ring);
    log_ring_deinit(ring);
}

static void without_memory_there_is_no_ring(void **state)
{
    struct log_ring ring;

    (void)state;
    memory_fail_after(1);
    assert_int_equal(log_ring_init(&ring, CAP), -ENOMEM);
    memory_fail_after(0);
    log_ring_deinit(&ring);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_first_leaves_first),
        cmocka_unit_test(what_finds_no_room_is_counted),
        cmocka_unit_test(an_incomplete_record_is_waited_for),
        cmocka_unit_test(without_memory_there_is_no_ring),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
