#include "client/broker_test.h"
#include "client/reload.h"
#include "config/changes.h"

#include <semaphore.h>

/* Reloads of a whole broker on threads: the thread sanitizer is to see this, too. */

static sem_t passed;

static void on_passed(void)
{
    sem_post(&passed);
}

static struct settings *read_settings(const char *text)
{
    struct config_request request = {
        .report = {.on_line = ignore_line}, .path = "x.conf", .text = slice_of_text(text)};
    struct settings *settings;

    assert_int_equal(config_read(&request, &settings), 0);
    return settings;
}

/* A socket that listens on the loopback, and where. */
static int listen_somewhere(struct sockaddr_in *address_out)
{
    struct broker place;

    open_listener(&place);
    *address_out = place.address;
    return place.listener_fd;
}

/* Puts this configuration in the place of what holds; descriptors are for its last listener. */
static int reload_with(struct broker *broker, const char *text, int fd)
{
    struct report report = {.on_line = ignore_line};
    struct settings *next = read_settings(text);
    struct reload_socket socket = {fd, next->listener_len - 1};
    struct reload_params params = {
        .next = next, .sockets = &socket, .socket_len = fd >= 0, .on_passed = on_passed};
    struct changes changes;
    struct reload *reload;
    int r = changes_settle(broker->settings, next, &report, &changes);

    assert_int_equal(r, 0);
    params.changes = &changes;
    r = reload_new(broker->server, &params, &reload);
    if (r == 0) {
        reload_publish(reload);
        sem_wait(&passed);
        assert_true(reload_has_passed(reload));
        reload_free(reload);
        settings_unref(broker->settings);
        broker->settings = next;
    } else {
        settings_unref(next);
    }
    return r;
}

#define BASE "listener 1883\nallow_anonymous true\n"

static struct peer *peer_at(struct broker *broker, const struct sockaddr_in *address)
{
    struct broker place = {.address = *address};

    (void)broker;
    return peer_new(&place);
}

/* What a client was told holds for it; who comes later is told something else. */
static void test_terms(void **state)
{
    struct broker *broker = broker_new("", 2, 0);
    struct peer *before = peer_new(broker);
    struct peer *silent = peer_new(broker);
    struct peer *after;

    (void)state;
    put(before, 0x10, "'MQTT' 05 02 0000 00 'before'");
    assert_answer(before, 0x20, "0000 0b 22000a 27001e8480 210014");
    assert_int_equal(reload_with(broker,
                                 BASE "max_topic_alias 3\nmax_packet_size 1000\n"
                                      "max_inflight_messages 7\nretain_available false\n",
                                 -1),
                     0);
    after = peer_new(broker);
    put(after, 0x10, "'MQTT' 05 02 0000 00 'after'");
    assert_answer(after, 0x20, "0000 0d 220003 2500 27000003e8 210007");
    put(silent, 0x10, "'MQTT' 05 02 0000 00 'silent'");
    assert_answer(silent, 0x20, "0000 0d 220003 2500 27000003e8 210007");
    assert_true(say(before, 0x33, "'t' 0001 03 23000a", 0x40)); /* retained, the tenth alias */
    put(after, 0x32, "'t' 0001 03 230004");
    assert_answer(after, 0xE0, "94");
    put(silent, 0x31, "'t' 00");
    assert_answer(silent, 0xE0, "9a");
    peer_free(before);
    peer_free(silent);
    peer_free(after);
    broker_free(broker);
}

/* The queue's limit holds at once for those who are there. */
static void test_limits(void **state)
{
    struct broker *broker = broker_new("", 2, 0);
    struct peer *peer = peer_new(broker);
    uint64_t values[METRIC_LEN];

    (void)state;
    assert_true(say(peer, 0x10, "'MQTT' 05 02 0000 03 21 0001 'x'", 0x20));
    assert_true(say(peer, 0x82, "0001 00 't' 01", 0x90));
    assert_int_equal(reload_with(broker, BASE "max_queued_messages 2\n", -1), 0);
    for (unsigned i = 1; i <= 5; i++) {
        char body[32];

        snprintf(body, sizeof(body), "'t' %04x 00 6d", i);
        assert_true(say(peer, 0x32, body, 0x40));
    }
    peer_free(peer);
    broker_stop(broker);
    server_sum(broker->server, values);
    assert_int_equal(values[METRIC_DROPPED], 2);
    broker_free(broker);
}

/* Who may not come any more goes, on whichever worker; who has a right to stay stays. */
static void test_recheck(void **state)
{
    struct broker *broker = broker_new("", 4, 0);
    struct peer *peers[20];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        peers[i] = peer_new(broker);
        assert_true(say(peers[i], 0x10, "'MQTT' 05 02 0000 00 ''", 0x20));
    }
    assert_int_equal(reload_with(broker, BASE "max_keepalive 600\n", -1), 0);
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        assert_true(is_alive(peers[i]));
    }
    assert_int_equal(reload_with(broker, "listener 1883\nallow_anonymous false\n", -1), 0);
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        assert_answer(peers[i], 0xE0, "87");
        assert_false(get(peers[i]));
        peer_free(peers[i]);
    }
    broker_free(broker);
}

/* A listener opens; the other one closes, and its clients stay. */
static void test_listeners(void **state)
{
    struct broker *broker = broker_new("max_connections 1\n", 4, 0);
    struct sockaddr_in address;
    int fd = listen_somewhere(&address);
    struct peer *old = peer_new(broker);
    struct peer *fresh;

    (void)state;
    assert_true(say(old, 0x10, "'MQTT' 05 02 0000 00 'old'", 0x20));
    assert_true(say(old, 0x82, "0001 00 't' 00", 0x90));
    assert_int_equal(reload_with(broker, BASE "max_connections 1\nlistener 1884\n", fd), 0);
    fresh = peer_at(broker, &address);
    assert_true(say(fresh, 0x10, "'MQTT' 05 02 0000 00 'fresh'", 0x20));
    assert_int_equal(reload_with(broker, "listener 1884\nallow_anonymous true\n", -1), 0);
    put(fresh, 0x30, "'t' 00 31");
    assert_answer(old, 0x30, "'t' 00 31");
    assert_int_equal(reload_with(broker, "listener 1884\nallow_anonymous false\n", -1), 0);
    assert_answer(fresh, 0xE0, "87");
    assert_true(is_alive(old));
    peer_free(old);
    peer_free(fresh);
    broker_free(broker);
    close(fd);
}

/* Connections that came before the change of a listener's options count as well. */
static void test_places(void **state)
{
    struct broker *broker = broker_new("max_connections 2\n", 2, 0);
    struct peer *first = peer_new(broker);
    struct peer *second = peer_new(broker);
    struct peer *third;

    (void)state;
    assert_true(say(first, 0x10, "'MQTT' 05 02 0000 00 'first'", 0x20));
    assert_int_equal(reload_with(broker, BASE "max_connections 2\nmax_qos 1\n", -1), 0);
    assert_true(say(second, 0x10, "'MQTT' 05 02 0000 00 'second'", 0x20));
    third = peer_new(broker);
    assert_false(get(third));
    peer_free(third);
    assert_int_equal(reload_with(broker, BASE "max_connections 3\nmax_qos 1\n", -1), 0);
    third = peer_new(broker);
    assert_true(say(third, 0x10, "'MQTT' 05 02 0000 00 'third'", 0x20));
    peer_free(first);
    peer_free(second);
    peer_free(third);
    broker_free(broker);
}

/* Whichever allocation fails, nothing has changed then. */
static void test_without_memory(void **state)
{
    struct broker *broker = broker_new("", 2, 0);
    struct peer *peer = peer_new(broker);
    struct sockaddr_in address;
    int fd = listen_somewhere(&address);
    struct settings *next = read_settings(BASE "max_qos 1\nlistener 1884\n");
    struct report report = {.on_line = ignore_line};
    struct reload_socket socket = {fd, 1};
    struct changes changes;
    struct reload_params params = {.next = next,
                                   .changes = &changes,
                                   .sockets = &socket,
                                   .socket_len = 1,
                                   .on_passed = on_passed};
    struct reload *reload = NULL;
    unsigned long n = 0;

    (void)state;
    assert_int_equal(changes_settle(broker->settings, next, &report, &changes), 0);
    do {
        memory_fail_after(++n);
        if (reload_new(broker->server, &params, &reload) == 0) {
            break;
        }
    } while (n < 100);
    memory_fail_after(0);
    assert_true(n > 8 && n < 100);
    reload_free(reload);
    put(peer, 0x10, "'MQTT' 05 02 0000 00 'x'");
    assert_answer(peer, 0x20, "0000 0b 22000a 27001e8480 210014");
    settings_unref(next);
    peer_free(peer);
    broker_free(broker);
    close(fd);
}

/* Clients come, talk and go while one reload follows the other. */

struct crowd {
    struct broker *broker;
    _Atomic bool is_over;
    unsigned long len; /* of rounds */
};

static void *be_busy(void *argument)
{
    struct crowd *crowd = argument;

    while (!crowd->is_over) {
        struct peer *peer = peer_new(crowd->broker);

        assert_true(say(peer, 0x10, "'MQTT' 05 02 0000 00 ''", 0x20));
        assert_true(say(peer, 0x82, "0001 00 't/#' 01", 0x90));
        for (unsigned i = 1; i < 20; i++) {
            char body[32];

            snprintf(body, sizeof(body), "'t/%u' %04x 03 230001", i, i);
            assert_true(say(peer, 0x32, body, 0x40));
        }
        peer_free(peer);
        crowd->len++;
    }
    return NULL;
}

static void test_under_load(void **state)
{
    static const char *const texts[] = {
        BASE "max_queued_messages 5\nmax_qos 1\n",
        BASE "max_inflight_messages 3\nmax_keepalive 60\n",
        BASE "allow_duplicate_messages false\nretain_expiry_interval 1\n",
        BASE "mount_point m/\n",
    };
    struct broker *broker = broker_new("", 4, 0);
    struct crowd crowds[3] = {
        {broker, false, 0},
        {broker, false, 0},
        {broker, false, 0}
    };
    pthread_t threads[ARRAY_LEN(crowds)];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(crowds); i++) {
        pthread_create(&threads[i], NULL, be_busy, &crowds[i]);
    }
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(reload_with(broker, texts[i % ARRAY_LEN(texts)], -1), 0);
        usleep(1000);
    }
    for (size_t i = 0; i < ARRAY_LEN(crowds); i++) {
        crowds[i].is_over = true;
        pthread_join(threads[i], NULL);
        assert_true(crowds[i].len > 0);
    }
    broker_free(broker);
}

int main(void)
{
    const struct log_options quiet = {0};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_terms),      cmocka_unit_test(test_limits),
        cmocka_unit_test(test_recheck),    cmocka_unit_test(test_listeners),
        cmocka_unit_test(test_places),     cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_under_load),
    };

    sem_init(&passed, 0, 0);
    log_init(&quiet);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
