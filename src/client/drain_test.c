#include "client/broker_test.h"
#include "client/drain.h"

#include <semaphore.h>

/* Drains of a whole broker on threads: how many go in a step, and who is passed over. */

#define PEER_LEN 60
#define STEP_LEN 20

static sem_t passed;

static void on_passed(void)
{
    sem_post(&passed);
}

static uint64_t count_connected(const struct broker *broker)
{
    uint64_t values[METRIC_LEN];

    server_sum(broker->server, values);
    return values[METRIC_CLIENTS_CONNECTED];
}

static void take_step(struct broker *broker, struct drain_step *step, double part)
{
    step->on_passed = on_passed;
    step->part = part;
    assert_int_equal(server_drain_step(broker->server, step), 0);
    sem_wait(&passed);
    assert_true(drain_step_has_passed(step));
}

static struct peer *come(struct broker *broker, unsigned number)
{
    struct peer *peer = peer_new(broker);
    char body[64];

    snprintf(body, sizeof(body), "'MQTT' 05 02 00 00 00 00 02 %02x %02x", 'a' + number / 26,
             'a' + number % 26);
    assert_true(say(peer, 0x10, body, 0x20));
    return peer;
}

/* A twentieth of the clients in each of twenty steps, give or take one for each worker. */
static void test_even_steps(void **state)
{
    static const unsigned workers[] = {1, 2, 4};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(workers); i++) {
        struct broker *broker = broker_new("", workers[i], 0);
        struct drain_step step = {0};
        struct peer *peers[PEER_LEN];
        uint64_t before = PEER_LEN;

        for (unsigned j = 0; j < PEER_LEN; j++) {
            peers[j] = come(broker, j);
        }
        server_set_drain(broker->server, DRAIN_SENDING);
        for (unsigned j = 0; j < STEP_LEN; j++) {
            uint64_t now;

            take_step(broker, &step, 1.0 / (STEP_LEN - j));
            now = count_connected(broker);
            if (j < STEP_LEN - 1) {
                unsigned due = (j + 1) * PEER_LEN / STEP_LEN;

                assert_in_range(before - now, 0, PEER_LEN / STEP_LEN + workers[i]);
                assert_in_range(PEER_LEN - now, due - MIN(workers[i], due), due + workers[i]);
            }
            before = now;
        }
        assert_int_equal(before, 0);
        for (unsigned j = 0; j < PEER_LEN; j++) {
            assert_true(await(peers[j], 0xE0));
            assert_bytes(slice_of(peers[j]->body, peers[j]->len), "9C");
            assert_false(get(peers[j]));
            peer_free(peers[j]);
        }
        broker_free(broker);
    }
}

/* Messages that wait for its window keep a client, while others go; until the last step. */
static void test_who_is_passed_over(void **state)
{
    struct broker *broker = broker_new("max_inflight_messages 1\n", 1, 0);
    struct drain_step step = {0};
    struct peer *busy = come(broker, 0);
    struct peer *idle[4];

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(idle); i++) {
        idle[i] = come(broker, 1 + i);
    }
    assert_true(say(busy, 0x82, "00 01 00 't' 01", 0x90));
    for (unsigned i = 0; i < 3; i++) {
        assert_true(say(idle[0], 0x32, "'t' 00 01 00 78", 0x40));
    }
    take_step(broker, &step, 0.9);
    for (unsigned i = 0; i < ARRAY_LEN(idle); i++) {
        assert_true(await(idle[i], 0xE0));
        peer_free(idle[i]);
    }
    assert_int_equal(count_connected(broker), 1);
    assert_true(is_alive(busy));
    take_step(broker, &step, 1);
    assert_true(await(busy, 0xE0));
    assert_false(get(busy));
    peer_free(busy);
    broker_free(broker);
}

/* Who goes on talking after it was told hears nothing more, and is not reset. */
static void test_what_is_still_sent_is_dropped(void **state)
{
    struct broker *broker = broker_new("", 2, 0);
    struct drain_step step = {0};
    struct peer *peer = come(broker, 0);

    (void)state;
    take_step(broker, &step, 1);
    for (unsigned i = 0; i < 1000; i++) {
        put(peer, 0x32, "'t' 00 01 00 78");
    }
    assert_true(get(peer));
    assert_int_equal(peer->type, 0xE0);
    assert_false(get(peer));
    assert_int_equal(server_arrived_len(broker->server), 1);
    peer_free(peer);
    broker_free(broker);
}

/* A flood of messages each of which is a long search, until the connection ends. */
static void *flood(void *argument)
{
    struct peer *peer = argument;

    for (;;) {
        uint8_t packets[7000];

        for (size_t i = 0; i < sizeof(packets); i += 7) {
            memcpy(packets + i, "\x30\x05\0\2t/\0", 7);
        }
        if (send(peer->fd, packets, sizeof(packets), MSG_NOSIGNAL) < 0) {
            return NULL;
        }
    }
}

/*
 * Whenever the drain looks at them, a search of their own is under way and more lies behind. One
 * step of the end is enough for them as for the others.
 */
static void test_who_always_searches_goes(void **state)
{
    struct server_budgets budgets = small_budgets();

    (void)state;
    for (unsigned worker_len = 1; worker_len <= 4; worker_len++) {
        struct broker *broker =
            broker_new_budgeted("", worker_len, 0, &(struct store){.ops = NULL}, &budgets);
        struct drain_step step = {0};
        struct peer *idle = come(broker, 0);
        struct peer *watcher = come(broker, 1);
        struct peer *busy[4];
        pthread_t threads[ARRAY_LEN(busy)];

        assert_true(say(watcher, 0x82, "00 01 00 't/' 00 '+/+' 00", 0x90));
        for (unsigned i = 0; i < ARRAY_LEN(busy); i++) {
            busy[i] = come(broker, 2 + i);
            assert_int_equal(pthread_create(&threads[i], NULL, flood, busy[i]), 0);
        }
        assert_true(await(watcher, 0x30));
        take_step(broker, &step, 1);
        assert_true(await(idle, 0xE0));
        for (unsigned i = 0; i < ARRAY_LEN(busy); i++) {
            assert_true(get(busy[i]));
            assert_int_equal(busy[i]->type, 0xE0);
            assert_bytes(slice_of(busy[i]->body, busy[i]->len), "9C");
            assert_false(get(busy[i]));
            shutdown(busy[i]->fd, SHUT_RDWR);
            pthread_join(threads[i], NULL);
            peer_free(busy[i]);
        }
        peer_free(watcher);
        peer_free(idle);
        broker_free(broker);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_even_steps),
        cmocka_unit_test(test_who_is_passed_over),
        cmocka_unit_test(test_who_always_searches_goes),
        cmocka_unit_test(test_what_is_still_sent_is_dropped),
    };

    log_init(&(struct log_options){0});
    sem_init(&passed, 0, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
