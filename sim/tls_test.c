#include "net/stream.h"
#include "sim/stage_test.h"
#include "sim/tls.h"
#include "sim/tls_server.h"

/* The client's side and the server's, with nothing but memory between. */

static struct choice choice;
static struct output_pool pool;
static uint8_t room[STREAM_PLAIN_CAP + STREAM_GATHER_CAP];
static struct stage_io io;
static struct sim_tls tls;
static struct bytes to_server;
static struct bytes to_client; /* all that was ever written */
static struct stage *stage;

static void open_connection(void)
{
    struct stage_source *source = tls_server_source(0);

    tls = (struct sim_tls){0};
    sim_tls_begin(&tls, &choice, &to_server);
    assert_int_equal(source->ops->make(source, 0, &stage), 0);
}

static void begin(uint64_t seed)
{
    choice_from_seed(&choice, seed);
    output_pool_init(&pool);
    io = (struct stage_io){
        .pool = &pool,
        .plain = room,
        .gather = room + STREAM_PLAIN_CAP,
        .now_ms = 1000,
    };
    sim_tls_start(seed);
    tls_server_start(1);
    open_connection();
}

static void close_connection(void)
{
    output_deinit(&stage->wire, &pool);
    stage->ops->free(stage);
    sim_tls_deinit(&tls);
    bytes_deinit(&to_server);
    bytes_deinit(&to_client);
}

static void end(void)
{
    close_connection();
    output_pool_deinit(&pool);
    tls_server_end();
    sim_tls_end();
}

static enum stage_verdict read_some(struct bytes *plain)
{
    const struct stage_end end = {stage, &io, &choice, &to_server, 2000};

    return stage_end_read(&end, plain);
}

/* What the client takes out of all that the server has written, in parts of any size. */
static void write_all(struct bytes *heard)
{
    struct iovec vector[1];

    while (output_vector(&stage->wire, vector, 1) > 0) {
        struct slice bytes =
            slice_of(vector[0].iov_base, 1 + choice_below(&choice, (unsigned)vector[0].iov_len));
        size_t len = bytes.len;

        bytes_write(&to_client, bytes.data, bytes.len);
        while (bytes.len > 0) {
            struct slice data = sim_tls_take(&tls, &bytes);

            bytes_write(heard, data.data, data.len);
        }
        output_consume(&stage->wire, &pool, len);
    }
}

static void shake_hands(void)
{
    struct bytes none = {0};

    while (!tls.is_ready || !stage->ops->is_ready(stage)) {
        assert_int_equal(read_some(&none), STAGE_OK);
        write_all(&none);
        sim_tls_put_answer(&tls, &to_server);
    }
    write_all(&none);
    assert_int_equal(none.written, 0);
}

static void say_both_ways(size_t len)
{
    struct output above = {0};
    struct bytes plain = {0};
    struct bytes heard = {0};
    uint8_t said[3000];

    for (size_t i = 0; i < sizeof(said); i++) {
        said[i] = (uint8_t)(i * 7);
    }
    for (size_t at = 0; at < sizeof(said);) {
        at += sim_tls_put(&tls, &choice, slice_of(said + at, sizeof(said) - at), &to_server);
    }
    assert_int_equal(read_some(&plain), STAGE_OK);
    assert_int_equal(plain.written, sizeof(said));
    assert_memory_equal(plain.data, said, sizeof(said));

    stage_put_plain(&above, &pool, len);
    assert_int_equal(stage->ops->seal(stage, &above, &io), 0);
    write_all(&heard);
    assert_int_equal(heard.written, len);
    bytes_deinit(&plain);
    bytes_deinit(&heard);
}

static void say_goodbye(void)
{
    struct bytes none = {0};

    sim_tls_put_close(&tls, &to_server);
    assert_int_equal(read_some(&none), STAGE_END);
    stage->ops->end(stage, false, &io);
    write_all(&none);
    assert_true(tls.is_closed);
    assert_int_equal(none.written, 0);
}

/* Again and again, so that there are sessions to go on from. */
static void test_both_ways(void **state)
{
    unsigned reused = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        begin(seed);
        for (unsigned i = 0; i < 6; i++) {
            shake_hands();
            reused += tls.is_reused;
            say_both_ways(1 + seed * 100 * i);
            say_goodbye();
            close_connection();
            open_connection();
        }
        end();
    }
    assert_in_range(reused, 20, 90);
}

/* The server says what it thinks of it, and then nothing. */
static void test_garbage(void **state)
{
    struct bytes none = {0};

    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        begin(seed);
        shake_hands();
        sim_tls_put_garbage(&tls, &choice, &to_server);
        assert_int_equal(read_some(&none), STAGE_FAILED);
        write_all(&none);
        assert_true(tls.is_closed);
        end();
    }
    assert_int_equal(none.written, 0);
}

/* A record comes out when it is whole, and no byte of the next with it. */
static void test_whole_records(void **state)
{
    struct output above = {0};
    struct iovec vector[1];
    struct slice data;
    struct slice bytes;
    uint8_t last;

    (void)state;
    begin(1);
    shake_hands();
    for (unsigned i = 0; i < 2; i++) {
        stage_put_plain(&above, &pool, 100);
        assert_int_equal(stage->ops->seal(stage, &above, &io), 0);
    }
    assert_int_equal(output_vector(&stage->wire, vector, 1), 1);
    bytes = slice_of(vector[0].iov_base, vector[0].iov_len - 1);
    last = bytes.data[bytes.len];
    data = sim_tls_take(&tls, &bytes);
    assert_int_equal(data.len, 100);
    assert_int_equal(bytes.len, vector[0].iov_len / 2 - 1);
    assert_int_equal(sim_tls_take(&tls, &bytes).len, 0);
    assert_int_equal(bytes.len, 0);
    bytes = slice_of(&last, 1);
    assert_int_equal(sim_tls_take(&tls, &bytes).len, 100);
    end();
}

/* Nothing of the machine is in what goes over the wire. */
static void test_follows_from_seed(void **state)
{
    struct bytes first;

    (void)state;
    begin(7);
    shake_hands();
    say_both_ways(1000);
    first = to_client;
    to_client = (struct bytes){0};
    end();
    begin(7);
    shake_hands();
    say_both_ways(1000);
    assert_int_equal(to_client.written, first.written);
    assert_memory_equal(to_client.data, first.data, first.written);
    bytes_deinit(&first);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_whole_records),
        cmocka_unit_test(test_follows_from_seed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
