#include "client/broker_test.h"
#include "loop/clock.h"

/*
 * The whole process stands still for a while: stopped, swapped out, or its machine suspended. When
 * it goes on, what has arrived meanwhile counts before any deadline is judged. The worker asks this
 * test for the time: there it is held, and there the time leaps.
 */

/* More than a worker looks at in one iteration, so deadlines come up before the last are read. */
#define PEER_LEN 400

#define STALL_MS 3600000

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static uint64_t leap_ms;
static bool is_closed;
static bool is_waiting;

/* In place of the one in loop/clock.c. */
uint64_t clock_now_ms(void)
{
    struct timespec now;
    uint64_t now_ms;

    pthread_mutex_lock(&gate);
    while (is_closed) {
        is_waiting = true;
        pthread_cond_broadcast(&moved);
        pthread_cond_wait(&moved, &gate);
    }
    is_waiting = false;
    clock_gettime(CLOCK_MONOTONIC, &now);
    now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 + 1 + leap_ms;
    pthread_mutex_unlock(&gate);
    return now_ms;
}

uint64_t clock_wall_ms(void)
{
    return clock_now_ms();
}

/* Returns when the worker stands still. */
static void stall(void)
{
    pthread_mutex_lock(&gate);
    is_closed = true;
    while (!is_waiting) {
        pthread_cond_wait(&moved, &gate);
    }
    pthread_mutex_unlock(&gate);
}

static void go_on(void)
{
    pthread_mutex_lock(&gate);
    leap_ms += STALL_MS;
    is_closed = false;
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&gate);
}

static struct peer *peers[PEER_LEN];

static struct broker *begin(const char *options)
{
    struct broker *broker = broker_new(options, 1, 0);

    for (unsigned i = 0; i < PEER_LEN; i++) {
        peers[i] = peer_new(broker);
    }
    return broker;
}

static void end(struct broker *broker)
{
    for (unsigned i = 0; i < PEER_LEN; i++) {
        peers[i] = peer_free(peers[i]);
    }
    broker_free(broker);
}

static void send_connect(struct peer *peer, unsigned number)
{
    char body[64];

    snprintf(body, sizeof(body), "'MQTT' 04 02 000a '%03u'", number);
    put(peer, 0x10, body);
}

/* Every other one has sent nothing, and is over. */
static void test_connect(void **state)
{
    struct broker *broker = begin("");

    (void)state;
    /* Accepted is who is answered: the last one is behind all others in the queue. */
    send_connect(peers[PEER_LEN - 1], PEER_LEN - 1);
    assert_answer(peers[PEER_LEN - 1], 0x20, "0000");
    stall();
    for (unsigned i = 0; i + 1 < PEER_LEN; i += 2) {
        send_connect(peers[i], i);
    }
    go_on();
    for (unsigned i = 0; i + 1 < PEER_LEN; i += 2) {
        assert_answer(peers[i], 0x20, "0000");
    }
    for (unsigned i = 1; i + 1 < PEER_LEN; i += 2) {
        assert_false(get(peers[i]));
    }
    end(broker);
}

static void test_proxy_header(void **state)
{
    static const char header[] = "PROXY TCP4 192.0.2.1 192.0.2.2 1000 1883\r\n";
    struct broker *broker = begin("enable_proxy_protocol any\n");

    (void)state;
    put_bytes(peers[PEER_LEN - 1], header, sizeof(header) - 1);
    send_connect(peers[PEER_LEN - 1], PEER_LEN - 1);
    assert_answer(peers[PEER_LEN - 1], 0x20, "0000");
    stall();
    for (unsigned i = 0; i + 1 < PEER_LEN; i++) {
        put_bytes(peers[i], header, sizeof(header) - 1);
        send_connect(peers[i], i);
    }
    go_on();
    for (unsigned i = 0; i + 1 < PEER_LEN; i++) {
        assert_answer(peers[i], 0x20, "0000");
    }
    end(broker);
}

static void test_keep_alive(void **state)
{
    struct broker *broker = begin("");

    (void)state;
    for (unsigned i = 0; i < PEER_LEN; i++) {
        send_connect(peers[i], i);
        assert_answer(peers[i], 0x20, "0000");
    }
    stall();
    for (unsigned i = 0; i < PEER_LEN; i += 2) {
        put(peers[i], 0xC0, "");
    }
    go_on();
    for (unsigned i = 0; i < PEER_LEN; i += 2) {
        assert_answer(peers[i], 0xD0, "");
    }
    for (unsigned i = 1; i < PEER_LEN; i += 2) {
        assert_false(get(peers[i]));
    }
    end(broker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect),
        cmocka_unit_test(test_proxy_header),
        cmocka_unit_test(test_keep_alive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
