#include "sim/network.h"

#include "loop/poller.h"
#include "sim/fail.h"
#include "sim/scheduler.h"

#include <stdlib.h>
#include <string.h>

/* Descriptors are given out lowest first, as the kernel does, so that a stale one is another's. */
#define LISTENER_FD 990
#define FIRST_FD    1000
#define FD_CAP      NETWORK_CONNECTION_CAP

/* The most that one read brings. */
#define READ_MAX 16384

struct network {
    struct network_params params;
    struct connection *connections[NETWORK_CONNECTION_CAP];
    struct connection *by_fd[FD_CAP];
    unsigned len;
    unsigned accepted[NETWORK_PORT_LEN]; /* those before were, of this port */
    uint64_t digest;
    bool is_stopping;
};

static struct network self;

void network_start(const struct network_params *params)
{
    memset(&self, 0, sizeof(self));
    self.params = *params;
}

static void connection_free(struct connection *connection)
{
    bytes_deinit(&connection->to_server);
    bytes_deinit(&connection->to_client);
    bytes_deinit(&connection->said);
    bytes_deinit(&connection->heard);
    bytes_deinit(&connection->framed);
    sim_web_deinit(&connection->web);
    sim_tls_deinit(&connection->tls);
    free(connection->sent.packets);
    free(connection->received.packets);
    free(connection);
}

void network_end(void)
{
    for (unsigned i = 0; i < self.len; i++) {
        if (self.connections[i]->fd >= 0) {
            sim_fail("connection %u was never closed by the server", i);
        }
    }
    for (unsigned i = 0; i < self.len; i++) {
        connection_free(self.connections[i]);
    }
    self.len = 0;
}

void network_on_stop(void)
{
    self.is_stopping = true;
}

uint64_t network_digest(void)
{
    return self.digest;
}

/* FNV-1a, of what happened at a connection. */
static void digest(const struct connection *connection, const uint8_t *bytes, size_t len)
{
    self.digest = (self.digest ^ connection->number ^ (uint64_t)len << 32) * 0x100000001B3u;
    for (size_t i = 0; i < len; i++) {
        self.digest = (self.digest ^ bytes[i]) * 0x100000001B3u;
    }
}

int network_listener(unsigned port)
{
    return LISTENER_FD + (int)port;
}

bool network_is_listener(int fd)
{
    return fd >= LISTENER_FD && fd < LISTENER_FD + NETWORK_PORT_LEN;
}

/* The first in a listener's queue; NULL: nobody. */
static struct connection *first_waiting(int listener_fd)
{
    unsigned port = (unsigned)(listener_fd - LISTENER_FD);
    unsigned *at = &self.accepted[port];

    while (*at < self.len &&
           (self.connections[*at]->port != port || self.connections[*at]->is_accepted)) {
        (*at)++;
    }
    return *at < self.len ? self.connections[*at] : NULL;
}

static struct logged_packet *log_push(struct packet_log *log, const struct wire_packet *packet)
{
    if (log->len == log->cap) {
        unsigned cap = MAX(log->cap * 2, 16u);
        void *grown = realloc(log->packets, cap * sizeof(*log->packets));

        if (!grown) {
            sim_fail("no memory");
        }
        log->packets = grown;
        log->cap = cap;
    }
    log->packets[log->len] = (struct logged_packet){.packet = *packet};
    return &log->packets[log->len++];
}

struct connection *network_open(unsigned actor, unsigned version, unsigned port)
{
    struct connection *connection;

    if (self.len == NETWORK_CONNECTION_CAP) {
        return NULL;
    }
    connection = calloc(1, sizeof(*connection));
    if (!connection) {
        sim_fail("no memory");
    }
    connection->number = self.len;
    connection->actor = actor;
    connection->version = version;
    connection->port = port;
    connection->fd = -1;
    self.connections[self.len++] = connection;
    if (port != NETWORK_PLAIN) {
        stage_begin(connection);
    }
    poller_announce(network_listener(port));
    return connection;
}

unsigned network_len(void)
{
    return self.len;
}

struct connection *network_connection(unsigned number)
{
    assert(number < self.len);
    return self.connections[number];
}

/* Without stages the packets are on the wire as they are said. */
static void say(struct connection *connection, const void *bytes, size_t len)
{
    struct packet_log *log = &connection->sent;

    bytes_write(&connection->said, bytes, len);
    if (connection->port == NETWORK_PLAIN) {
        bytes_write(&connection->to_server, bytes, len);
        connection->said.read = connection->said.written;
        while (log->on_wire < log->len) {
            log->packets[log->on_wire++].wire_end = connection->to_server.written;
        }
    } else if (choice_chance(scheduler_choice(), 600)) {
        stage_push(connection);
    }
}

void network_send(struct connection *connection, struct wire_packet *packet,
                  const struct wire_connect *connect)
{
    size_t len;
    uint8_t *bytes = wire_encode(connection->version, packet, connect, &len);

    assert(connection_is_open(connection));
    packet->begin = connection->said.written;
    packet->end = packet->begin + len;
    if (connect) {
        connection->aliases.maximum = connect->alias_maximum;
    }
    log_push(&connection->sent, packet);
    say(connection, bytes, len);
    free(bytes);
    sim_trace("%u/%u > %s", connection->actor, connection->number, wire_describe(packet));
}

void network_send_bytes(struct connection *connection, const void *bytes, size_t len)
{
    say(connection, bytes, len);
}

void network_spoil(struct connection *connection)
{
    assert(connection->port & NETWORK_TLS);
    sim_trace("%u/%u > no TLS", connection->actor, connection->number);
    stage_spoil(connection);
}

bool network_push(struct connection *connection)
{
    return connection->port != NETWORK_PLAIN && connection_is_open(connection) &&
           stage_push(connection);
}

bool network_is_read(const struct connection *connection)
{
    return bytes_waiting(&connection->said) == 0 && bytes_waiting(&connection->to_server) == 0 &&
           (connection->port == NETWORK_PLAIN || stage_is_done(connection));
}

size_t network_waiting(const struct connection *connection)
{
    return bytes_waiting(&connection->to_client);
}

void network_take(struct connection *connection, size_t max)
{
    struct packet_log *log = &connection->received;

    connection->to_client.read += MIN(max, network_waiting(connection));
    while (log->read < log->len && log->packets[log->read].wire_end <= connection->to_client.read) {
        log->read++;
    }
}

void network_finish(struct connection *connection)
{
    sim_trace("%u/%u > end", connection->actor, connection->number);
    if (connection->port != NETWORK_PLAIN) {
        stage_finish(connection);
    }
    connection->is_finished = true;
}

/* What the server has not read yet may or may not reach it. */
void network_reset(struct connection *connection)
{
    sim_trace("%u/%u > reset", connection->actor, connection->number);
    connection->is_reset = true;
    if (choice_chance(scheduler_choice(), 500)) {
        connection->to_server.written = connection->to_server.read;
    }
}

unsigned network_waiting_len(int listener_fd)
{
    struct connection *first = first_waiting(listener_fd);
    unsigned len = 0;

    for (unsigned i = first ? first->number : self.len; i < self.len; i++) {
        len += self.connections[i]->port == first->port && !self.connections[i]->is_accepted;
    }
    return len;
}

struct connection *network_accept(int listener_fd)
{
    struct connection *connection = first_waiting(listener_fd);
    unsigned fd = 0;

    if (!connection) {
        return NULL;
    }
    while (self.by_fd[fd]) {
        fd++;
    }
    connection->is_accepted = true;
    connection->fd = FIRST_FD + (int)fd;
    self.by_fd[fd] = connection;
    return connection;
}

struct connection *network_find(int fd)
{
    if (fd < FIRST_FD || fd >= FIRST_FD + FD_CAP || !self.by_fd[fd - FIRST_FD]) {
        sim_fail("the server uses descriptor %d, which is not open", fd);
    }
    return self.by_fd[fd - FIRST_FD];
}

const struct network_params *network_settings(void)
{
    return &self.params;
}

unsigned network_events(int fd)
{
    const struct connection *connection;
    unsigned bits = 0;

    if (network_is_listener(fd)) {
        return first_waiting(fd) ? POLLER_READ : 0;
    }
    connection = network_find(fd);
    if (bytes_waiting(&connection->to_server) > 0 || connection->is_finished) {
        bits |= POLLER_READ;
    }
    if (network_waiting(connection) * 3 <= self.params.window * 2 || connection->is_finished) {
        bits |= POLLER_WRITE;
    }
    return connection->is_reset ? POLLER_READ | POLLER_WRITE | POLLER_HANGUP : bits;
}

void network_on_read(struct connection *connection, size_t len)
{
    struct packet_log *log = &connection->sent;

    digest(connection, connection->to_server.data + connection->to_server.read, len);
    connection->to_server.read += len;
    if (connection->is_left) {
        connection->dropped += len;
        if (!self.is_stopping && connection->dropped > self.params.linger_size + READ_MAX) {
            sim_fail("connection %u was left, and is read on and on", connection->number);
        }
        return;
    }
    self.params.ops->on_touched(connection);
    while (log->read < log->on_wire &&
           log->packets[log->read].wire_end <= connection->to_server.read) {
        const struct wire_packet *packet = &log->packets[log->read++].packet;

        sim_trace("%u/%u server reads %s", connection->actor, connection->number,
                  wire_describe(packet));
        self.params.ops->on_read(connection, packet);
    }
}

/* The packets that are whole by now; what was heard last ends at `wire_end` in to_client. None is
 * read before its record is. */
static void on_heard(struct connection *connection, size_t wire_end)
{
    struct bytes *heard = &connection->heard;
    struct wire_packet packet;
    size_t size;

    while ((size = wire_decode(connection->version, bytes_rest(heard), &connection->aliases,
                               &packet)) > 0) {
        packet.begin = heard->read;
        heard->read += size;
        packet.end = heard->read;
        log_push(&connection->received, &packet)->wire_end =
            wire_end - (connection->port & NETWORK_TLS ? 0 : heard->written - packet.end);
        sim_trace("%u/%u < %s", connection->actor, connection->number, wire_describe(&packet));
        self.params.ops->on_written(connection, &packet);
    }
}

void network_on_written(struct connection *connection, const uint8_t *bytes, size_t len)
{
    size_t from = connection->to_client.written;

    digest(connection, bytes, len);
    if (connection->is_left) {
        sim_fail("connection %u is written to behind its end", connection->number);
    }
    bytes_write(&connection->to_client, bytes, len);
    if (connection->port != NETWORK_PLAIN) {
        stage_hear(connection, from, on_heard);
    } else {
        bytes_write(&connection->heard, bytes, len);
        on_heard(connection, connection->to_client.written);
    }
}

/* For everybody but the descriptor this is the end. */
void network_on_left(struct connection *connection)
{
    if (!connection->is_left) {
        sim_trace("%u/%u < left", connection->actor, connection->number);
        connection->is_left = true;
        connection->left_ms = scheduler_now_ms();
        self.params.ops->on_closed(connection);
    }
}

/* Whether the server's last words are on the wire: of MQTT, and those around it. */
static bool has_last_words(const struct connection *connection)
{
    const struct packet_log *log = &connection->received;

    return log->len > 0 && log->packets[log->len - 1].packet.type == MQTT_DISCONNECT &&
           ((connection->port & NETWORK_WEB) == 0 || connection->web.is_closed) &&
           ((connection->port & NETWORK_TLS) == 0 || connection->tls.is_closed);
}

/* A client that has not ended gets time to read the last words, and is not reset behind them. */
static void check_linger(const struct connection *connection)
{
    if (!connection_is_open(connection) || self.is_stopping || self.params.linger_ms == 0) {
        return;
    }
    if (!connection->is_left && has_last_words(connection)) {
        sim_fail("connection %u is closed at once behind its last words", connection->number);
    }
    if (connection->is_left && self.params.lingers_all &&
        self.params.no_descriptors_permille == 0 &&
        connection->dropped <= self.params.linger_size &&
        scheduler_now_ms() < connection->left_ms + self.params.linger_ms) {
        sim_fail("connection %u is closed before its client has ended", connection->number);
    }
}

/*
 * A descriptor that is closed with bytes unread resets the connection, and that may overtake bytes
 * on their way to the client.
 */
void network_on_closed(struct connection *connection)
{
    struct bytes *stream = &connection->to_client;

    sim_trace("%u/%u < closed", connection->actor, connection->number);
    digest(connection, NULL, 0);
    check_linger(connection);
    poller_forget_descriptor(connection->fd);
    self.by_fd[connection->fd - FIRST_FD] = NULL;
    connection->fd = -1;
    connection->is_closed = true;
    if (connection->to_server.written > connection->to_server.read &&
        stream->written > stream->read && choice_chance(scheduler_choice(), 300)) {
        stream->written = stream->read;
        connection->was_cut = true;
    }
    if (!connection->is_left) {
        self.params.ops->on_closed(connection);
    }
}
