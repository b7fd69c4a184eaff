#include "client/broker_test.h"
#include "client/hub.h"

/* Ends of connections of a whole broker on threads. The test's thread is all clients. */

/* Bytes behind a mistake: more than the sockets hold. */
#define FLOOD_SIZE ((size_t)3 * 1024 * 1024)

static uint64_t count(const struct broker *broker, enum metric metric)
{
    uint64_t values[METRIC_LEN];

    server_sum(broker->server, values);
    return values[metric];
}

/* Until the workers have counted. */
static void await_lingering(const struct broker *broker, uint64_t len)
{
    for (unsigned i = 0; i < PATIENCE_S * 1000 && count(broker, METRIC_LINGERING) != len; i++) {
        usleep(1000);
    }
    assert_int_equal(count(broker, METRIC_LINGERING), len);
}

/* So many connections, and all of them linger. The broker does one behind the other. */
static void await_all_lingering(const struct broker *broker, uint32_t len)
{
    const _Atomic uint32_t *connections = server_connection_len(broker->server);

    for (unsigned i = 0; i < PATIENCE_S * 1000 && *connections != len; i++) {
        usleep(1000);
    }
    assert_int_equal(*connections, len);
    await_lingering(broker, len);
}

static struct peer *come(struct broker *broker, unsigned number)
{
    struct peer *peer = peer_new(broker);
    char body[64];

    snprintf(body, sizeof(body), "'MQTT' 05 02 00 00 00 00 01 %02x", 'a' + number);
    assert_true(say(peer, 0x10, body, 0x20));
    return peer;
}

static void offend(struct peer *peer)
{
    put(peer, 0x00, "");
    assert_answer(peer, 0xE0, "81");
}

/* The end in good order, and not by a reset. */
static void assert_end(struct peer *peer)
{
    char byte;

    assert_int_equal(recv(peer->fd, &byte, 1, 0), 0);
}

static void test_last_words_are_not_overtaken(void **state)
{
    static const unsigned workers[] = {1, 2, 4};
    uint8_t *bytes = memory_must_alloc_zero(1, FLOOD_SIZE);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(workers); i++) {
        struct broker *broker = broker_new("linger_timeout 600\n", workers[i], 0);

        for (unsigned j = 0; j < 10; j++) {
            struct peer *peer = come(broker, j);

            put_bytes(peer, bytes, FLOOD_SIZE);
            assert_answer(peer, 0xE0, "81");
            assert_end(peer);
            peer_free(peer);
        }
        await_lingering(broker, 0);
        broker_free(broker);
    }
    memory_free(bytes);
}

/* Whose end has come, and who has said that it will. */
static void test_who_is_not_waited_for(void **state)
{
    struct broker *broker = broker_new("linger_timeout 600\n", 1, 0);
    struct peer *peer = come(broker, 0);

    (void)state;
    put(peer, 0xE0, "");
    assert_end(peer);
    assert_int_equal(count(broker, METRIC_LINGERING), 0);
    peer_free(peer);
    peer = come(broker, 1);
    shutdown(peer->fd, SHUT_WR);
    assert_end(peer);
    assert_int_equal(count(broker, METRIC_LINGERING), 0);
    peer_free(peer);
    /* Nothing was ever said to it. */
    peer = peer_new(broker);
    put(peer, 0x00, "");
    assert_end(peer);
    assert_int_equal(count(broker, METRIC_LINGERING), 0);
    peer_free(peer);
    broker_free(broker);
}

static void let_all_offend(struct broker *broker, struct peer **peers, unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        peers[i] = come(broker, i);
        offend(peers[i]);
        assert_end(peers[i]);
    }
}

static void free_all(struct peer **peers, unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        peer_free(peers[i]);
    }
}

/* It has its place, and gives it back when its peer closes. */
static void test_it_is_a_connection(void **state)
{
    struct broker *broker = broker_new("linger_timeout 600\n", 2, 0);
    struct peer *peers[8];

    (void)state;
    let_all_offend(broker, peers, ARRAY_LEN(peers));
    await_all_lingering(broker, ARRAY_LEN(peers));
    assert_int_equal(count(broker, METRIC_CLIENTS_CONNECTED), 0);
    free_all(peers, ARRAY_LEN(peers));
    await_all_lingering(broker, 0);
    broker_free(broker);
}

/* The oldest goes; and all, when the broker does. */
static void test_so_many(void **state)
{
    struct broker *broker = broker_new("linger_timeout 600\nmax_lingering_connections 2\n", 1, 0);
    struct peer *peers[5];

    (void)state;
    let_all_offend(broker, peers, ARRAY_LEN(peers));
    await_all_lingering(broker, 2);
    broker_free(broker);
    free_all(peers, ARRAY_LEN(peers));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_words_are_not_overtaken),
        cmocka_unit_test(test_who_is_not_waited_for),
        cmocka_unit_test(test_it_is_a_connection),
        cmocka_unit_test(test_so_many),
    };

    log_init(&(struct log_options){0});
    return cmocka_run_group_tests(tests, NULL, NULL);
}
