#include "sim/network.h"

#include "loop/poller.h"
#include "sim/fail.h"
#include "sim/scheduler.h"

#include <stdlib.h>
#include <string.h>

/* Descriptors are given out lowest first, as the kernel does, so that a stale one is another's. */
#define LISTENER_FD 999
#define FIRST_FD    1000
#define FD_CAP      NETWORK_CONNECTION_CAP

struct network {
    struct network_params params;
    struct connection *connections[NETWORK_CONNECTION_CAP];
    struct connection *by_fd[FD_CAP];
    unsigned len;
    unsigned accepted; /* connections are accepted in order */
};

static struct network self;

void network_start(const struct network_params *params)
{
    memset(&self, 0, sizeof(self));
    self.params = *params;
}

static void connection_free(struct connection *connection)
{
    free(connection->to_server.data);
    free(connection->to_client.data);
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

int network_listener(void)
{
    return LISTENER_FD;
}

static void stream_write(struct stream *stream, const void *bytes, size_t len)
{
    if (stream->written + len > stream->cap) {
        size_t cap = MAX(stream->cap * 2, stream->written + len);
        void *grown = realloc(stream->data, cap);

        if (!grown) {
            sim_fail("no memory");
        }
        stream->data = grown;
        stream->cap = cap;
    }
    memcpy(stream->data + stream->written, bytes, len);
    stream->written += len;
}

static struct wire_packet *log_push(struct packet_log *log, const struct wire_packet *packet)
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
    log->packets[log->len] = *packet;
    return &log->packets[log->len++];
}

struct connection *network_open(unsigned actor, unsigned version)
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
    connection->fd = -1;
    self.connections[self.len++] = connection;
    poller_announce(LISTENER_FD);
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

void network_send(struct connection *connection, struct wire_packet *packet,
                  const struct wire_connect *connect)
{
    size_t len;
    uint8_t *bytes = wire_encode(connection->version, packet, connect, &len);

    assert(connection_is_open(connection));
    packet->begin = connection->to_server.written;
    packet->end = packet->begin + len;
    if (connect) {
        connection->aliases.maximum = connect->alias_maximum;
    }
    log_push(&connection->sent, packet);
    stream_write(&connection->to_server, bytes, len);
    free(bytes);
    sim_trace("%u/%u > %s", connection->actor, connection->number, wire_describe(packet));
}

void network_send_bytes(struct connection *connection, const void *bytes, size_t len)
{
    stream_write(&connection->to_server, bytes, len);
}

size_t network_waiting(const struct connection *connection)
{
    return connection->to_client.written - connection->to_client.read;
}

void network_take(struct connection *connection, size_t max)
{
    struct packet_log *log = &connection->received;

    connection->to_client.read += MIN(max, network_waiting(connection));
    while (log->read < log->len && log->packets[log->read].end <= connection->to_client.read) {
        log->read++;
    }
}

void network_finish(struct connection *connection)
{
    sim_trace("%u/%u > end", connection->actor, connection->number);
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

struct connection *network_accept(void)
{
    struct connection *connection;
    unsigned fd = 0;

    if (self.accepted == self.len) {
        return NULL;
    }
    while (self.by_fd[fd]) {
        fd++;
    }
    connection = self.connections[self.accepted++];
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

    if (fd == LISTENER_FD) {
        return self.accepted < self.len ? POLLER_READ : 0;
    }
    connection = network_find(fd);
    if (connection->to_server.written > connection->to_server.read || connection->is_finished) {
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

    connection->to_server.read += len;
    if (connection->is_left) {
        return;
    }
    self.params.ops->on_touched(connection);
    while (log->read < log->len && log->packets[log->read].end <= connection->to_server.read) {
        const struct wire_packet *packet = &log->packets[log->read++];

        sim_trace("%u/%u server reads %s", connection->actor, connection->number,
                  wire_describe(packet));
        self.params.ops->on_read(connection, packet);
    }
}

void network_on_written(struct connection *connection, const uint8_t *bytes, size_t len)
{
    struct stream *stream = &connection->to_client;
    struct wire_packet packet;
    size_t size;

    stream_write(stream, bytes, len);
    while ((size = wire_decode(
                connection->version,
                slice_of(stream->data + connection->decoded, stream->written - connection->decoded),
                &connection->aliases, &packet)) > 0) {
        packet.begin = connection->decoded;
        packet.end = connection->decoded + size;
        connection->decoded = packet.end;
        log_push(&connection->received, &packet);
        sim_trace("%u/%u < %s", connection->actor, connection->number, wire_describe(&packet));
        self.params.ops->on_written(connection, &packet);
    }
}

/* For everybody but the descriptor this is the end. */
void network_on_left(struct connection *connection)
{
    if (!connection->is_left) {
        sim_trace("%u/%u < left", connection->actor, connection->number);
        connection->is_left = true;
        self.params.ops->on_closed(connection);
    }
}

/*
 * A descriptor that is closed with bytes unread resets the connection, and that may overtake bytes
 * on their way to the client.
 */
void network_on_closed(struct connection *connection)
{
    struct stream *stream = &connection->to_client;

    sim_trace("%u/%u < closed", connection->actor, connection->number);
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
