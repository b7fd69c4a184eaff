#include "net/websocket_stage.h"
#include "sim/stage_test.h"
#include "sim/web.h"

/* The client's side and the server's, which have nothing in common but the standard. */

static struct choice choice;
static struct output_pool pool;
static struct sim_web web;
static struct bytes to_server;
static struct stage *stage;

static void begin(uint64_t seed)
{
    const struct websocket_rules rules = {
        .limits = {.head_size = 4096, .header_len = 100}
    };

    choice_from_seed(&choice, seed);
    output_pool_init(&pool);
    assert_int_equal(websocket_stage_new(&rules, &stage), 0);
    web = (struct sim_web){0};
    sim_web_request(&web, &choice, &to_server);
}

static void end(void)
{
    output_deinit(&stage->wire, &pool);
    stage->ops->free(stage);
    output_pool_deinit(&pool);
    sim_web_deinit(&web);
    bytes_deinit(&to_server);
}

static enum stage_verdict read_some(struct bytes *plain)
{
    struct stage_io io = {.pool = &pool};
    const struct stage_end end = {stage, &io, &choice, &to_server, 200};

    return stage_end_read(&end, plain);
}

/* What the client takes out of all that the server has written, byte by byte or at once. */
static void write_all(struct bytes *heard, bool is_slow)
{
    struct iovec vector[1];

    while (output_vector(&stage->wire, vector, 1) > 0) {
        struct slice bytes = slice_of(vector[0].iov_base, is_slow ? 1 : vector[0].iov_len);
        size_t len = bytes.len;

        while (bytes.len > 0) {
            struct slice data = sim_web_take(&web, &bytes);

            bytes_write(heard, data.data, data.len);
        }
        output_consume(&stage->wire, &pool, len);
    }
}

static void test_both_ways(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct stage_io io = {.pool = &pool};
        struct output above = {0};
        struct bytes plain = {0};
        struct bytes heard = {0};
        uint8_t said[3000];

        begin(seed);
        for (size_t i = 0; i < sizeof(said); i++) {
            said[i] = (uint8_t)(i * 7);
        }
        for (size_t at = 0; at < sizeof(said);) {
            at += sim_web_put(&web, &choice, slice_of(said + at, sizeof(said) - at), &to_server);
        }
        assert_int_equal(read_some(&plain), STAGE_OK);
        assert_int_equal(plain.written, sizeof(said));
        assert_memory_equal(plain.data, said, sizeof(said));

        stage_put_plain(&above, &pool, seed * 5);
        assert_int_equal(stage->ops->seal(stage, &above, &io), 0);
        write_all(&heard, seed % 2);
        assert_true(web.is_open);
        assert_int_equal(heard.written, seed * 5);
        assert_int_equal(web.pong_len, web.ping_len);

        sim_web_put_close(&web, &choice, &to_server);
        assert_int_equal(read_some(&plain), STAGE_END);
        write_all(&heard, false);
        assert_true(web.is_closed);
        bytes_deinit(&plain);
        bytes_deinit(&heard);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
