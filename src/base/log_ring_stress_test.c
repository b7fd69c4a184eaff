#include "base/log_ring.h"
#include "base/stress_test.h"

/*
 * Several push as fast as they can, into a ring that is full most of the time; one takes. Each
 * record is whole, those of one sender come in their order, and what did not come was counted.
 */

#define SENDER_LEN 4

struct record {
    uint64_t number; /* of the sender's records that found room */
    unsigned sender;
    unsigned len;
    uint8_t bytes[100];
};

static struct log_ring ring;
static _Atomic bool is_over;
static _Atomic unsigned done_len;
static _Atomic uint64_t refused;
static uint64_t received[SENDER_LEN];

static void send(unsigned sender)
{
    struct dice dice = {sender + 1};
    struct record record = {.sender = sender};

    while (!atomic_load_explicit(&is_over, memory_order_relaxed)) {
        record.len = (unsigned)dice_below(&dice, sizeof(record.bytes));
        memset(record.bytes, (int)sender, record.len);
        if (log_ring_push(&ring, &record, offsetof(struct record, bytes) + record.len)) {
            record.number++;
        } else {
            atomic_fetch_add(&refused, 1);
        }
    }
    atomic_fetch_add(&done_len, 1);
}

static void receive_all(void)
{
    struct record record;
    size_t size;

    while ((size = log_ring_peek(&ring, &record, sizeof(record))) > 0) {
        assert(size == offsetof(struct record, bytes) + record.len);
        assert(record.number == received[record.sender]);
        for (unsigned i = 0; i < record.len; i++) {
            assert(record.bytes[i] == record.sender);
        }
        received[record.sender]++;
        log_ring_drop(&ring);
    }
}

static void receive(unsigned number)
{
    uint64_t end = stress_now_ms() + STRESS_MS;

    (void)number;
    while (stress_now_ms() < end) {
        receive_all();
    }
    atomic_store(&is_over, true);
    while (atomic_load(&done_len) < SENDER_LEN) {
        receive_all();
    }
    receive_all();
    assert(log_ring_is_empty(&ring));
}

static void records_are_whole_and_in_order(void **state)
{
    struct stress_task tasks[SENDER_LEN + 1] = {{.run = receive}};

    (void)state;
    assert_int_equal(log_ring_init(&ring, 4096), 0);
    for (unsigned i = 0; i < SENDER_LEN; i++) {
        tasks[i + 1] = (struct stress_task){.run = send, .number = i};
    }
    stress_run(tasks, SENDER_LEN + 1);
    for (unsigned i = 0; i < SENDER_LEN; i++) {
        assert_true(received[i] > 0);
    }
    assert_int_equal(log_ring_take_lost(&ring), atomic_load(&refused));
    log_ring_deinit(&ring);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(records_are_whole_and_in_order)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
