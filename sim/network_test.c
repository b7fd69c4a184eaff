#include "base/death_test.h"
#include "loop/poller.h"
#include "net/socket.h"
#include "sim/network.h"
#include "sim/scheduler.h"

#define PINGRESP "\xD0\x00"

static struct choice choice;
static unsigned read_len;
static unsigned written_len;
static unsigned closed_len;
static unsigned full_len;
static unsigned late_len;
static unsigned linger_ms;

static void on_read(struct connection *connection, const struct wire_packet *packet)
{
    (void)connection;
    assert_int_equal(packet->type, MQTT_PINGREQ);
    read_len++;
}

static void on_written(struct connection *connection, const struct wire_packet *packet)
{
    (void)connection;
    assert_true(packet->type == MQTT_PINGRESP || packet->type == MQTT_DISCONNECT);
    written_len++;
}

static void on_closed(struct connection *connection)
{
    assert_true(connection->is_closed || connection->is_left);
    closed_len++;
}

static void on_touched(struct connection *connection)
{
    (void)connection;
}

static void on_full(struct connection *connection)
{
    (void)connection;
    full_len++;
}

static void on_writing(struct connection *connection, bool is_late)
{
    (void)connection;
    late_len += is_late;
}

static const struct network_ops ops = {
    .on_read = on_read,
    .on_written = on_written,
    .on_closed = on_closed,
    .on_touched = on_touched,
    .on_full = on_full,
    .on_writing = on_writing,
};

static void begin(unsigned cut_permille, unsigned short_permille, size_t window)
{
    choice_from_seed(&choice, 5);
    scheduler_start(&(struct scheduler_params){.choice = &choice, .step_max = 1000});
    network_start(&(struct network_params){
        .ops = &ops,
        .cut_permille = cut_permille,
        .short_permille = short_permille,
        .window = window,
        .linger_ms = linger_ms,
        .linger_size = 10,
        .lingers_all = true,
    });
    read_len = 0;
    written_len = 0;
    closed_len = 0;
    full_len = 0;
    late_len = 0;
}

static void end(void)
{
    network_end();
    scheduler_end();
}

static int accept_one(void)
{
    struct address peer;
    int fd;

    assert_int_equal(socket_accept(network_listener(NETWORK_PLAIN), &fd, &peer), SOCKET_OK);
    return fd;
}

static ssize_t send_text(int fd, const char *text, size_t len)
{
    struct iovec vector = {.iov_base = (void *)(uintptr_t)text, .iov_len = len};

    return socket_send(fd, &vector, 1);
}

static void ping(struct connection *connection)
{
    struct wire_packet packet = {.type = MQTT_PINGREQ};

    network_send(connection, &packet, NULL);
}

static void test_accepts_in_order(void **state)
{
    struct address peer;
    int fd;

    (void)state;
    begin(0, 0, 100);
    assert_int_equal(socket_accept(network_listener(NETWORK_PLAIN), &fd, &peer), SOCKET_AGAIN);
    network_open(0, MQTT_3_1_1, NETWORK_PLAIN);
    network_open(1, MQTT_3_1_1, NETWORK_PLAIN);
    assert_int_equal(socket_waiting_len(network_listener(NETWORK_PLAIN)), 2);
    fd = accept_one();
    assert_int_equal(socket_waiting_len(network_listener(NETWORK_PLAIN)), 1);
    assert_int_equal(network_find(fd)->actor, 0);
    socket_close(fd);
    /* The lowest descriptor that is free, as the kernel has it. */
    assert_int_equal(accept_one(), fd);
    assert_int_equal(network_find(fd)->actor, 1);
    socket_close(fd);
    assert_int_equal(closed_len, 2);
    end();
}

/* However reads are cut, the bytes come whole and in order, and packets when their last byte does.
 */
static void test_cut_reads(void **state)
{
    uint8_t bytes[64];
    unsigned reads = 0;
    size_t len = 0;
    struct connection *connection;
    ssize_t size;
    int fd;

    (void)state;
    begin(1000, 0, 100);
    connection = network_open(0, MQTT_3_1_1, NETWORK_PLAIN);
    fd = accept_one();
    for (unsigned i = 0; i < 10; i++) {
        ping(connection);
    }
    while ((size = socket_receive(fd, bytes + len, sizeof(bytes) - len)) > 0) {
        len += (size_t)size;
        reads++;
        assert_int_equal(read_len, len / 2);
    }
    assert_int_equal(size, -EAGAIN);
    assert_int_equal(len, 20);
    assert_true(reads > 3);
    for (unsigned i = 0; i < len; i++) {
        assert_int_equal(bytes[i], i % 2 == 0 ? 0xC0 : 0);
    }
    socket_close(fd);
    end();
}

static void test_window(void **state)
{
    struct connection *connection;
    int fd;

    (void)state;
    begin(0, 0, 3);
    connection = network_open(0, MQTT_3_1_1, NETWORK_PLAIN);
    fd = accept_one();
    assert_int_equal(network_events(fd), POLLER_WRITE);
    assert_int_equal(send_text(fd, PINGRESP PINGRESP, 4), 3);
    assert_int_equal(written_len, 1);
    assert_int_equal(full_len, 1);
    assert_int_equal(send_text(fd, &PINGRESP[1], 1), -EAGAIN);
    assert_int_equal(network_events(fd), 0);
    network_take(connection, 2);
    assert_int_equal(connection->received.read, 1);
    assert_int_equal(network_events(fd), POLLER_WRITE);
    assert_int_equal(late_len, 0);
    assert_int_equal(send_text(fd, &PINGRESP[1], 1), 1);
    assert_int_equal(written_len, 2);
    assert_int_equal(late_len, 1);
    network_take(connection, SIZE_MAX);
    assert_int_equal(connection->received.read, 2);
    socket_close(fd);
    end();
}

static void test_ends(void **state)
{
    struct connection *finished;
    struct connection *reset;
    uint8_t byte;
    int fds[2];

    (void)state;
    begin(0, 0, 100);
    finished = network_open(0, MQTT_3_1_1, NETWORK_PLAIN);
    reset = network_open(1, MQTT_3_1_1, NETWORK_PLAIN);
    fds[0] = accept_one();
    fds[1] = accept_one();
    network_finish(finished);
    network_reset(reset);
    assert_int_equal(network_events(fds[0]) & POLLER_READ, POLLER_READ);
    assert_int_equal(network_events(fds[1]), POLLER_READ | POLLER_WRITE | POLLER_HANGUP);
    assert_int_equal(socket_receive(fds[0], &byte, 1), 0);
    assert_int_equal(socket_receive(fds[1], &byte, 1), -ECONNRESET);
    /* The first write to who is gone is taken, and answered with a reset. */
    assert_int_equal(send_text(fds[0], PINGRESP, 2), 2);
    assert_true(send_text(fds[0], PINGRESP, 2) < 0);
    assert_true(send_text(fds[1], PINGRESP, 2) < 0);
    socket_close(fds[0]);
    socket_close(fds[1]);
    end();
}

/* What a server may do with a client that it tells to go. */
enum farewell { AT_ONCE, TOO_EARLY, TOO_LONG, WRITTEN_TO, IN_GOOD_ORDER };

static enum farewell farewell;

static void part(void)
{
    static uint8_t bytes[30000];
    struct connection *connection;
    int fd;

    begin(0, 0, 100);
    connection = network_open(0, MQTT_5_0, NETWORK_PLAIN);
    fd = accept_one();
    send_text(fd, "\xE0\x01\x81", 3);
    if (farewell != AT_ONCE) {
        socket_finish(fd);
        socket_finish(fd);
    }
    network_send_bytes(connection, bytes, farewell == TOO_LONG ? sizeof(bytes) : 5);
    for (unsigned i = 0; i < 2; i++) {
        if (socket_receive(fd, bytes, sizeof(bytes) / 2) < 0) {
            break;
        }
    }
    if (farewell == WRITTEN_TO) {
        send_text(fd, PINGRESP, 2);
    }
    if (farewell == IN_GOOD_ORDER) {
        network_finish(connection);
    }
    socket_close(fd);
    assert_int_equal(closed_len, 1);
    end();
}

static void test_last_words(void **state)
{
    (void)state;
    linger_ms = 1000;
    for (farewell = AT_ONCE; farewell < IN_GOOD_ORDER; farewell++) {
        assert_true(is_deadly(part));
    }
    part();
    linger_ms = 0;
}

struct sleeper {
    struct poller *poller;
    unsigned woken_len;
    unsigned event_len;
    int timeout_ms;
};

static void sleep_once(void *context, unsigned number)
{
    struct sleeper *sleeper = &((struct sleeper *)context)[number];
    struct poller_event events[4];

    sleeper->event_len = poller_wait(sleeper->poller, events, 4, sleeper->timeout_ms);
    sleeper->woken_len++;
}

static void run_all(void)
{
    while (scheduler_step()) {
    }
}

static void start_sleepers(struct sleeper *sleepers, unsigned len, int timeout_ms)
{
    for (unsigned i = 0; i < len; i++) {
        sleepers[i] = (struct sleeper){.timeout_ms = timeout_ms};
        assert_int_equal(poller_new(&sleepers[i].poller), 0);
        assert_int_equal(poller_add(sleepers[i].poller, network_listener(NETWORK_PLAIN),
                                    POLLER_READ | POLLER_SHARED, sleepers),
                         0);
        scheduler_spawn(sleep_once, sleepers);
    }
    run_all();
}

/* Of those that sleep on a shared descriptor one at least hears of it. */
static void test_shared_wakes_one(void **state)
{
    struct sleeper sleepers[3];
    unsigned woken = 0;

    (void)state;
    begin(0, 0, 100);
    start_sleepers(sleepers, 3, -1);
    network_open(0, MQTT_3_1_1, NETWORK_PLAIN);
    run_all();
    for (unsigned i = 0; i < 3; i++) {
        woken += sleepers[i].event_len;
        poller_wake(sleepers[i].poller);
    }
    assert_in_range(woken, 1, 3);
    run_all();
    assert_true(scheduler_is_over());
    for (unsigned i = 0; i < 3; i++) {
        poller_free(sleepers[i].poller);
    }
    end();
}

static void test_wake_and_time(void **state)
{
    struct sleeper sleepers[2];

    (void)state;
    begin(0, 0, 100);
    start_sleepers(sleepers, 2, 50);
    assert_int_equal(sleepers[0].woken_len + sleepers[1].woken_len, 0);
    poller_wake(sleepers[0].poller);
    run_all();
    assert_int_equal(sleepers[0].woken_len, 1);
    assert_int_equal(sleepers[1].woken_len, 0);
    scheduler_advance(50);
    run_all();
    assert_int_equal(sleepers[1].woken_len, 1);
    assert_int_equal(sleepers[0].event_len + sleepers[1].event_len, 0);
    poller_free(sleepers[0].poller);
    poller_free(sleepers[1].poller);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts_in_order), cmocka_unit_test(test_cut_reads),
        cmocka_unit_test(test_window),           cmocka_unit_test(test_ends),
        cmocka_unit_test(test_last_words),       cmocka_unit_test(test_shared_wakes_one),
        cmocka_unit_test(test_wake_and_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
