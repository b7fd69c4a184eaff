#pragma once

/*
 * Broker in tests
 *
 * The whole broker but for the process, on threads of its own, spoken to over loopback by blocking
 * clients. A client belongs to one thread; any thread may have some.
 */

#include "base/log.h"
#include "client/server.h"
#include "config/reader.h"
#include "mqtt/encode.h"
#include "mqtt/wire_test.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define WORKER_MAX 4
#define PACKET_CAP 65536
#define PATIENCE_S 10

struct broker;

struct broker_thread {
    struct broker *broker;
    unsigned worker;
    unsigned long fail_after; /* of the thread's allocations; 0: never */
    bool has_failed;          /* one of them did fail */
    pthread_t thread;
};

struct broker {
    struct settings *settings;
    struct server *server;
    struct broker_thread threads[WORKER_MAX];
    unsigned worker_len;
    int listener_fd;
    struct sockaddr_in address;
};

/* A client: its socket, and the last packet that it got. */
struct peer {
    int fd;
    uint8_t type;
    uint8_t body[PACKET_CAP];
    size_t len;
};

/* The broker */

/* A failure that has not come by the end comes now. */
static inline UNUSED bool failure_came(void)
{
    for (unsigned i = 0; i < 100000; i++) {
        void *memory = memory_alloc(1);

        if (!memory) {
            return false;
        }
        memory_free(memory);
    }
    return true;
}

static inline UNUSED void *run_worker(void *argument)
{
    struct broker_thread *thread = argument;

    memory_fail_after(thread->fail_after);
    server_run_worker(thread->broker->server, thread->worker);
    thread->has_failed = thread->fail_after > 0 && failure_came();
    return NULL;
}

static inline UNUSED void ignore_line(void *context, enum log_type type, const char *text)
{
    (void)context;
    (void)type;
    (void)text;
}

static inline UNUSED void open_listener(struct broker *broker)
{
    socklen_t len = sizeof(broker->address);

    broker->listener_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    broker->address = (struct sockaddr_in){.sin_family = AF_INET};
    broker->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(broker->listener_fd, (struct sockaddr *)&broker->address, len), 0);
    assert_int_equal(listen(broker->listener_fd, 100), 0);
    assert_int_equal(getsockname(broker->listener_fd, (struct sockaddr *)&broker->address, &len),
                     0);
}

/* Budgets so small that everything is done in slices. */
static inline UNUSED struct server_budgets small_budgets(void)
{
    struct server_budgets budgets = server_budgets_default;

    budgets.deliveries = 4;
    budgets.search_steps = 1;
    budgets.at_once = 1;
    budgets.cleanups = 1;
    return budgets;
}

static inline UNUSED struct broker *broker_new_budgeted(const char *options, unsigned worker_len,
                                                        unsigned long fail_after,
                                                        const struct store *store,
                                                        const struct server_budgets *budgets)
{
    struct broker *broker = memory_must_alloc_zero(1, sizeof(*broker));
    struct config_request request = {.report = {.on_line = ignore_line}};
    struct server_params params = {.worker_len = worker_len, .budgets = *budgets};
    char text[512];

    snprintf(text, sizeof(text), "listener 1883\nallow_anonymous true\n%s", options);
    request.path = "x.conf";
    request.text = slice_of_text(text);
    assert_int_equal(config_read(&request, &broker->settings), 0);
    open_listener(broker);
    params.settings = broker->settings;
    params.store = *store;
    hash_key_make(&params.hash_key, 1);
    assert_int_equal(server_new(&params, &broker->server), 0);
    assert_int_equal(server_add_listener(broker->server, broker->listener_fd, 0), 0);
    broker->worker_len = worker_len;
    for (unsigned i = 0; i < worker_len; i++) {
        struct broker_thread *thread = &broker->threads[i];

        *thread = (struct broker_thread){.broker = broker, .worker = i, .fail_after = fail_after};
        assert_int_equal(pthread_create(&thread->thread, NULL, run_worker, thread), 0);
    }
    return broker;
}

static inline UNUSED struct broker *broker_new_with(const char *options, unsigned worker_len,
                                                    unsigned long fail_after,
                                                    const struct store *store)
{
    return broker_new_budgeted(options, worker_len, fail_after, store, &server_budgets_default);
}

static inline UNUSED struct broker *broker_new(const char *options, unsigned worker_len,
                                               unsigned long fail_after)
{
    return broker_new_with(options, worker_len, fail_after, &(struct store){.ops = NULL});
}

/* The workers return; answers whether an allocation of any was made to fail. */
static inline UNUSED bool broker_stop(struct broker *broker)
{
    bool has_failed = false;

    server_stop(broker->server);
    for (unsigned i = 0; i < broker->worker_len; i++) {
        pthread_join(broker->threads[i].thread, NULL);
        has_failed = has_failed || broker->threads[i].has_failed;
    }
    broker->worker_len = 0;
    return has_failed;
}

/* Answers what broker_stop() does, unless that was called before. */
static inline UNUSED bool broker_free(struct broker *broker)
{
    bool has_failed = broker_stop(broker);

    server_free(broker->server);
    settings_unref(broker->settings);
    close(broker->listener_fd);
    memory_free(broker);
    return has_failed;
}

/* Clients */

static inline UNUSED struct peer *peer_new(const struct broker *broker)
{
    struct peer *peer = memory_must_alloc_zero(1, sizeof(*peer));
    struct timeval patience = {.tv_sec = PATIENCE_S};
    int on = 1;

    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(peer->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    assert_int_equal(
        connect(peer->fd, (const struct sockaddr *)&broker->address, sizeof(broker->address)), 0);
    return peer;
}

static inline UNUSED struct peer *peer_free(struct peer *peer)
{
    close(peer->fd);
    memory_free(peer);
    return NULL;
}

/* A peer that has closed is noticed when we read. */
static inline UNUSED void put_bytes(struct peer *peer, const void *data, size_t len)
{
    const uint8_t *at = data;

    while (len > 0) {
        ssize_t sent = send(peer->fd, at, len, MSG_NOSIGNAL);

        if (sent <= 0) {
            return;
        }
        at += sent;
        len -= (size_t)sent;
    }
}

/* A packet with up to 127 bytes behind its header. */
static inline UNUSED void put(struct peer *peer, uint8_t type, const char *body)
{
    struct slice bytes = bytes_parse(body);
    uint8_t packet[2 + 127] = {type, (uint8_t)bytes.len};

    assert_true(bytes.len < 128);
    if (bytes.len) {
        memcpy(packet + 2, bytes.data, bytes.len);
    }
    put_bytes(peer, packet, 2 + bytes.len);
    bytes_free(bytes);
}

/* In two pieces: `front`, then zeros up to `size` bytes behind the header, then `back`. */
static inline UNUSED void put_large(struct peer *peer, uint8_t type, const char *front,
                                    uint32_t size, const char *back)
{
    struct slice before = bytes_parse(front);
    struct slice after = bytes_parse(back);
    uint8_t *packet = memory_must_alloc_zero(1, size + 5 + after.len);
    size_t len = 0;

    packet[len++] = type;
    len = (size_t)(mqtt_put_variable(packet + len, size) - packet);
    memcpy(packet + len, before.data, before.len);
    len += size;
    memcpy(packet + len, after.data, after.len);
    len += after.len;
    put_bytes(peer, packet, len / 2);
    usleep(2000);
    put_bytes(peer, packet + len / 2, len - len / 2);
    memory_free(packet);
    bytes_free(before);
    bytes_free(after);
}

static inline UNUSED bool get_bytes(struct peer *peer, void *data, size_t len)
{
    uint8_t *at = data;

    while (len > 0) {
        ssize_t got = recv(peer->fd, at, len, 0);

        if (got < 0 && errno == EAGAIN) {
            fail_msg("nothing came for %u s", PATIENCE_S);
        }
        if (got <= 0) {
            return false;
        }
        at += got;
        len -= (size_t)got;
    }
    return true;
}

/* The next packet. False: the broker has closed. */
static inline UNUSED bool get(struct peer *peer)
{
    uint8_t byte = 0x80;

    peer->len = 0;
    if (!get_bytes(peer, &peer->type, 1)) {
        return false;
    }
    for (unsigned shift = 0; (byte & 0x80) != 0; shift += 7) {
        if (!get_bytes(peer, &byte, 1)) {
            return false;
        }
        peer->len |= (size_t)(byte & 0x7F) << shift;
    }
    assert_true(peer->len <= PACKET_CAP);
    return get_bytes(peer, peer->body, peer->len);
}

/* Passes over deliveries until a packet of this first byte comes. False: the broker has closed. */
static inline UNUSED bool await(struct peer *peer, uint8_t type)
{
    while (get(peer)) {
        if (peer->type == type) {
            return true;
        }
    }
    return false;
}

static inline UNUSED bool say(struct peer *peer, uint8_t type, const char *body, uint8_t answer)
{
    put(peer, type, body);
    return await(peer, answer);
}

static inline UNUSED bool is_alive(struct peer *peer)
{
    return say(peer, 0xC0, "", 0xD0);
}

static inline UNUSED void assert_answer(struct peer *peer, uint8_t type, const char *body)
{
    assert_true(get(peer));
    assert_int_equal(peer->type, type);
    assert_bytes(slice_of(peer->body, peer->len), body);
}
