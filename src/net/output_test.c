#include "base/death_test.h"
#include "base/random_test.h"
#include "net/output.h"

/*
 * Against a naive output, which is one string of bytes. Messages hold a run of bytes that tells
 * where it begins.
 */

#define NAIVE_CAP   (1u << 20)
#define MESSAGE_LEN 4

struct fixture {
    struct output_pool pool;
    struct output output;
    struct dice dice;
    struct message *messages[MESSAGE_LEN];
    uint8_t *naive;
    size_t begin;
    size_t end;
    uint8_t next; /* byte that is written next */
};

static struct message *make_message(size_t size, uint8_t first)
{
    struct message_parts parts = {.topic = slice_of_text("t"), .expires_at = MESSAGE_NEVER};
    uint8_t *payload = memory_must_alloc(size);
    struct message *message;

    for (size_t i = 0; i < size; i++) {
        payload[i] = (uint8_t)(first + i * 7);
    }
    parts.payload = slice_of(payload, size);
    assert_int_equal(message_new(&parts, &message), 0);
    memory_free(payload);
    return message;
}

static int setup(void **state)
{
    struct fixture *f = memory_must_alloc_zero(1, sizeof(*f));

    output_pool_init(&f->pool);
    output_init(&f->output);
    f->naive = memory_must_alloc(NAIVE_CAP);
    for (unsigned i = 0; i < MESSAGE_LEN; i++) {
        f->messages[i] = make_message(1 + i * 1700, (uint8_t)i);
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    output_deinit(&f->output, &f->pool);
    output_deinit(&f->output, &f->pool);
    output_pool_deinit(&f->pool);
    for (unsigned i = 0; i < MESSAGE_LEN; i++) {
        assert_int_equal(f->messages[i]->refs, 1);
        message_unref(f->messages[i]);
    }
    memory_free(f->naive);
    memory_free(f);
    return 0;
}

/* Reserves more than is written, as encoders do; sometimes nothing is written at all. */
static bool write_some(struct fixture *f, size_t reserved, size_t written)
{
    uint8_t *at = output_reserve(&f->output, &f->pool, reserved);

    if (!at) {
        return false;
    }
    memset(at, 0xEE, reserved);
    for (size_t i = 0; i < written; i++) {
        at[i] = f->next;
        f->naive[f->end++] = f->next++;
    }
    if (written > 0) {
        output_commit(&f->output, &f->pool, at + written, false);
    }
    return true;
}

static bool refer_some(struct fixture *f, struct message *message, size_t from, size_t len)
{
    struct slice payload = message_payload(message);
    struct slice bytes = slice_of(payload.data + from, len);

    if (output_refer(&f->output, &f->pool, message, bytes) < 0) {
        return false;
    }
    memcpy(f->naive + f->end, bytes.data, len);
    f->end += len;
    return true;
}

static void consume_some(struct fixture *f, size_t len)
{
    output_consume(&f->output, &f->pool, len);
    f->begin += len;
}

/* The whole, or its front where the vector is short. */
static void check(struct fixture *f, unsigned cap)
{
    struct iovec vector[40];
    unsigned len = output_vector(&f->output, vector, cap);
    size_t at = f->begin;

    assert_int_equal(output_size(&f->output), f->end - f->begin);
    assert_int_equal(f->pool.size, output_size(&f->output));
    assert_int_equal(output_is_empty(&f->output), f->end == f->begin);
    assert_true(len <= cap);
    for (unsigned i = 0; i < len; i++) {
        assert_true(vector[i].iov_len > 0 && vector[i].iov_len <= f->end - at);
        assert_memory_equal(vector[i].iov_base, f->naive + at, vector[i].iov_len);
        at += vector[i].iov_len;
    }
    assert_true(len == cap || at == f->end);
}

static size_t draw_size(struct fixture *f)
{
    static const size_t bounds[] = {3, 40, 1100, 5000};

    return dice_below(&f->dice, (uint32_t)bounds[dice_below(&f->dice, ARRAY_LEN(bounds))]);
}

static void refer_any(struct fixture *f)
{
    struct message *message = f->messages[dice_below(&f->dice, MESSAGE_LEN)];
    size_t size = message_payload(message).len;
    size_t from = dice_below(&f->dice, (uint32_t)size);

    refer_some(f, message, from, dice_below(&f->dice, (uint32_t)(size - from) + 1));
}

static void act(struct fixture *f)
{
    size_t size = draw_size(f);

    switch (dice_below(&f->dice, 6)) {
    case 0: consume_some(f, MIN(size, f->end - f->begin)); break;
    case 1: consume_some(f, dice_below(&f->dice, 3) ? 0 : f->end - f->begin); break;
    case 2: refer_any(f); break;
    default: write_some(f, size, dice_below(&f->dice, 4) ? size : size / 2);
    }
}

static void start_over(struct fixture *f)
{
    output_deinit(&f->output, &f->pool);
    assert_int_equal(f->pool.used_len, 0);
    f->begin = 0;
    f->end = 0;
}

/* With `failing`, every second step has no memory for its first allocation. */
static void run_random(struct fixture *f, bool failing)
{
    for (unsigned turn = 0; turn < 20000; turn++) {
        if (f->end + 10000 > NAIVE_CAP) {
            start_over(f);
        }
        memory_fail_after(failing ? dice_below(&f->dice, 2) : 0);
        act(f);
        memory_fail_after(0);
        check(f, dice_below(&f->dice, 5) ? 40 : 1 + dice_below(&f->dice, 3));
    }
}

static void is_as_a_string_of_bytes_is(void **state)
{
    run_random(*state, false);
}

static void a_failure_adds_nothing(void **state)
{
    run_random(*state, true);
}

/* All of it. */
static void append_copy(const struct output *output, uint8_t *bytes, size_t *len)
{
    struct iovec vector[64];
    unsigned vector_len = output_vector(output, vector, ARRAY_LEN(vector));

    assert_true(vector_len < ARRAY_LEN(vector));
    for (unsigned i = 0; i < vector_len; i++) {
        memcpy(bytes + *len, vector[i].iov_base, vector[i].iov_len);
        *len += vector[i].iov_len;
    }
}

/* Moves a front of the output behind others, and something in front of it each time. */
static void move_some(struct fixture *f, struct output *to, uint8_t *expected, size_t *len)
{
    uint32_t all = output_size(&f->output);
    uint32_t least = dice_below(&f->dice, 3) ? dice_below(&f->dice, all + 1) : UINT32_MAX;
    uint32_t size = output_front(&f->output, least);
    uint8_t *at = output_reserve(to, &f->pool, 1);
    size_t copied = *len + 1;

    assert_true(size >= MIN(least, all) && size <= all);
    assert_non_null(at);
    *at = 0xAA;
    expected[(*len)++] = 0xAA;
    output_commit(to, &f->pool, at + 1, false);
    append_copy(&f->output, expected, &copied);
    *len += size;
    output_move(to, &f->output, &f->pool, size);
    f->begin += size;
}

static void what_is_moved_keeps_its_order(void **state)
{
    struct fixture *f = *state;
    uint8_t *expected = memory_must_alloc(NAIVE_CAP);
    uint8_t *bytes = memory_must_alloc(NAIVE_CAP);

    for (unsigned turn = 0; turn < 2000; turn++) {
        struct output to;
        size_t expected_len = 0;
        size_t len = 0;

        output_init(&to);
        start_over(f);
        for (unsigned i = 0; i < 12; i++) {
            act(f);
            if (dice_below(&f->dice, 3) == 0) {
                move_some(f, &to, expected, &expected_len);
            }
        }
        append_copy(&to, bytes, &len);
        assert_int_equal(len, expected_len);
        assert_int_equal(len, output_size(&to));
        assert_memory_equal(bytes, expected, len);
        assert_int_equal(f->pool.size, output_size(&to) + output_size(&f->output));
        assert_int_equal(f->pool.packet_len,
                         output_packet_len(&to) + output_packet_len(&f->output));
        output_deinit(&to, &f->pool);
        check(f, 40);
    }
    memory_free(expected);
    memory_free(bytes);
}

static void chunks_exist_only_while_they_hold_something(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 100; i++) {
        assert_true(write_some(f, 500, 500));
        assert_true(refer_some(f, f->messages[1], 0, 1000));
        assert_true(write_some(f, 3000, 3000));
    }
    assert_int_equal(f->pool.used_len, 300);
    assert_int_equal(f->messages[1]->refs, 101);
    consume_some(f, 450000 - 1);
    assert_int_equal(f->pool.used_len, 1);
    assert_int_equal(f->messages[1]->refs, 1);
    consume_some(f, 1);
    assert_int_equal(f->pool.used_len, 0);
    assert_null(f->output.tail);
}

/* The first is small. Who fills it goes on in large ones, but not behind a reference. */
static void who_fills_one_goes_on_in_large_ones(void **state)
{
    struct fixture *f = *state;

    assert_true(write_some(f, 900, 900));
    assert_int_equal(f->pool.large_len, 0);
    for (unsigned i = 0; i < 4; i++) {
        assert_true(write_some(f, 900, 900));
    }
    assert_int_equal(f->pool.used_len, 2);
    assert_int_equal(f->pool.large_len, 1);
    assert_true(refer_some(f, f->messages[1], 0, 1000));
    assert_true(write_some(f, 900, 900));
    assert_int_equal(f->pool.used_len, 4);
    assert_int_equal(f->pool.large_len, 1);
    consume_some(f, f->end - f->begin);
    assert_int_equal(f->pool.used_len, 0);
    assert_int_equal(f->pool.large_len, 0);
    assert_int_equal(f->pool.small.free_len, 2);
    assert_int_equal(f->pool.large.free_len, 1);
    /* From now on without new memory. */
    memory_fail_after(1);
    for (unsigned i = 0; i < 5; i++) {
        assert_true(write_some(f, 900, 900));
    }
    assert_false(write_some(f, 900, 900));
    memory_fail_after(1);
    assert_false(write_some(f, 5000, 5000));
    memory_fail_after(0);
}

/* Peers that do not read have so many large ones at most, and small ones from there on. */
static void large_ones_are_few(void **state)
{
    struct fixture *f = *state;
    struct output outputs[5];
    unsigned large_len[ARRAY_LEN(outputs)];

    for (unsigned i = 0; i < ARRAY_LEN(outputs); i++) {
        output_init(&outputs[i]);
        for (unsigned j = 0; j < 1 + 4 * 300; j++) {
            uint8_t *at = output_reserve(&outputs[i], &f->pool, 900);

            assert_non_null(at);
            memset(at, 0, 900);
            output_commit(&outputs[i], &f->pool, at + 900, true);
        }
        large_len[i] = f->pool.large_len;
    }
    assert_int_equal(large_len[0], 300);
    assert_int_equal(large_len[2], 900);
    assert_int_equal(large_len[3], 1024);
    assert_int_equal(large_len[4], 1024);
    assert_int_equal(f->pool.used_len, 5 + 1024 + 4 * (300 - 124) + 4 * 300);
    for (unsigned i = 0; i < ARRAY_LEN(outputs); i++) {
        output_deinit(&outputs[i], &f->pool);
    }
    assert_int_equal(f->pool.large.free_len, 1024);
    assert_int_equal(f->pool.large_len, 0);
}

/* Each is counted by the worker that has it. */
static void large_ones_go_along(void **state)
{
    struct fixture *f = *state;
    struct output_pool pool;

    output_pool_init(&pool);
    for (unsigned i = 0; i < 20; i++) {
        assert_true(write_some(f, 900, 900));
    }
    assert_int_equal(f->pool.large_len, 5);
    output_leave(&f->output, &f->pool);
    assert_int_equal(f->pool.large_len, 0);
    output_enter(&f->output, &pool);
    assert_int_equal(pool.large_len, 5);
    output_deinit(&f->output, &pool);
    assert_int_equal(pool.large_len, 0);
    output_pool_deinit(&pool);
}

/* A reserved place stands until it is filled or something else is done; room is used to its end. */
static void end_packet(struct fixture *f, size_t size)
{
    uint8_t *at = output_reserve(&f->output, &f->pool, size);

    assert_non_null(at);
    memset(at, 0, size);
    output_commit(&f->output, &f->pool, at + size, true);
}

static void expect_packets(const struct fixture *f, unsigned len)
{
    assert_int_equal(output_packet_len(&f->output), len);
    assert_int_equal(f->pool.packet_len, len);
}

/* One that has left all but a part of its last chunk counts on; one behind a reference does, too.
 */
static void packets_count_while_something_of_them_waits(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 3; i++) {
        end_packet(f, 100);
    }
    assert_true(write_some(f, 100, 100)); /* the front of what the reference ends */
    expect_packets(f, 3);
    assert_true(refer_some(f, f->messages[1], 0, 1000));
    expect_packets(f, 4);
    end_packet(f, 3000);
    expect_packets(f, 5);
    output_consume(&f->output, &f->pool, 399);
    expect_packets(f, 5);
    output_consume(&f->output, &f->pool, 1);
    expect_packets(f, 2);
    output_consume(&f->output, &f->pool, 1000);
    expect_packets(f, 1);
    output_deinit(&f->output, &f->pool);
    expect_packets(f, 0);
    assert_int_equal(f->pool.size, 0);
}

static void small_writes_share_a_chunk(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 900; i++) {
        assert_true(write_some(f, 1, 1));
    }
    assert_int_equal(f->pool.used_len, 1);
    check(f, 1);
}

static void commit_too_much(void)
{
    struct output_pool pool;
    struct output output;
    uint8_t *at;

    output_pool_init(&pool);
    output_init(&output);
    at = output_reserve(&output, &pool, 2000);
    output_commit(&output, &pool, at + 2001, true);
}

static void consume_too_much(void)
{
    struct output_pool pool;
    struct output output;
    uint8_t *at;

    output_pool_init(&pool);
    output_init(&output);
    at = output_reserve(&output, &pool, 10);
    output_commit(&output, &pool, at + 10, true);
    output_consume(&output, &pool, 11);
}

static void free_a_pool_in_use(void)
{
    struct output_pool pool;
    struct output output;

    output_pool_init(&pool);
    output_init(&output);
    assert_non_null(output_reserve(&output, &pool, 10));
    output_pool_deinit(&pool);
}

static void wrong_use_is_deadly(void **state)
{
    (void)state;
    assert_true(is_deadly(commit_too_much));
    assert_true(is_deadly(consume_too_much));
    assert_true(is_deadly(free_a_pool_in_use));
}

/* The largest payloads, many times: more than the size of the output can tell. */
static void no_size_wraps_around(void **state)
{
    struct fixture *f = *state;
    struct slice bytes = slice_of(message_payload(f->messages[0]).data, UINT32_MAX / 2);

    assert_int_equal(output_refer(&f->output, &f->pool, f->messages[0], bytes), 0);
    assert_int_equal(output_refer(&f->output, &f->pool, f->messages[0], bytes), 0);
    assert_int_equal(output_refer(&f->output, &f->pool, f->messages[0], bytes), -ENOMEM);
    assert_int_equal(f->messages[0]->refs, 3);
    assert_null(output_reserve(&f->output, &f->pool, 2));
    assert_non_null(output_reserve(&f->output, &f->pool, 1));
    assert_null(output_reserve(&f->output, &f->pool, UINT64_C(1) << 32));
    assert_int_equal(output_size(&f->output), UINT32_MAX - 1);
    output_consume(&f->output, &f->pool, UINT32_MAX - 1);
    assert_true(output_is_empty(&f->output));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(is_as_a_string_of_bytes_is, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failure_adds_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_moved_keeps_its_order, setup, teardown),
        cmocka_unit_test_setup_teardown(chunks_exist_only_while_they_hold_something, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(who_fills_one_goes_on_in_large_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(large_ones_are_few, setup, teardown),
        cmocka_unit_test_setup_teardown(large_ones_go_along, setup, teardown),
        cmocka_unit_test_setup_teardown(packets_count_while_something_of_them_waits, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(small_writes_share_a_chunk, setup, teardown),
        cmocka_unit_test_setup_teardown(no_size_wraps_around, setup, teardown),
        cmocka_unit_test(wrong_use_is_deadly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
