#include "net/socket.h"

#include "sim/network.h"
#include "sim/scheduler.h"

#include <stdlib.h>
#include <string.h>

/* src/net/socket.h over the simulated network. */

#define RESERVE_FD 998

/* A part of what could be moved, sometimes. */
static size_t cut(size_t len, unsigned permille)
{
    struct choice *choice = scheduler_choice();

    if (len < 2 || !choice_chance(choice, permille)) {
        return len;
    }
    return 1 + choice_below(choice, (unsigned)MIN(len - 1, choice_chance(choice, 500) ? 8 : len));
}

int socket_accept(int listener_fd, int *fd_out, struct address *peer_out)
{
    static const uint8_t local_ip[4] = {127, 0, 0, 1};
    struct connection *connection;

    assert(network_is_listener(listener_fd));
    scheduler_point("accept");
    if (choice_chance(scheduler_choice(), network_settings()->no_descriptors_permille)) {
        return SOCKET_NO_DESCRIPTORS;
    }
    connection = network_accept(listener_fd);
    if (!connection) {
        return SOCKET_AGAIN;
    }
    *fd_out = connection->fd;
    *peer_out = address_of_ipv4(local_ip, (uint16_t)(40000 + connection->number));
    return SOCKET_OK;
}

unsigned socket_waiting_len(int listener_fd)
{
    assert(network_is_listener(listener_fd));
    return network_waiting_len(listener_fd);
}

ssize_t socket_receive_vector(int fd, struct iovec *vector, unsigned len)
{
    struct connection *connection;
    struct bytes *stream;
    size_t wanted = 0;
    size_t taken = 0;

    scheduler_point("receive");
    connection = network_find(fd);
    stream = &connection->to_server;
    for (unsigned i = 0; i < len; i++) {
        wanted += vector[i].iov_len;
    }
    wanted = MIN(wanted, stream->written - stream->read);
    if (wanted == 0) {
        return connection->is_reset ? -ECONNRESET : connection->is_finished ? 0 : -EAGAIN;
    }
    wanted = cut(wanted, network_settings()->cut_permille);
    for (unsigned i = 0; i < len && taken < wanted; i++) {
        size_t part = MIN(vector[i].iov_len, wanted - taken);

        memcpy(vector[i].iov_base, stream->data + stream->read + taken, part);
        taken += part;
    }
    network_on_read(connection, taken);
    scheduler_point("received");
    return (ssize_t)taken;
}

ssize_t socket_receive(int fd, void *buf, size_t cap)
{
    struct iovec vector = {.iov_base = buf, .iov_len = cap};

    assert(cap > 0);
    return socket_receive_vector(fd, &vector, 1);
}

/* Who has closed answers the first write with a reset. */
static ssize_t send_to_nobody(struct connection *connection, size_t len)
{
    if (connection->is_reset) {
        return choice_chance(scheduler_choice(), 500) ? -EPIPE : -ECONNRESET;
    }
    connection->is_reset = true;
    return (ssize_t)len;
}

static size_t total_of(const struct iovec *vector, unsigned len)
{
    size_t total = 0;

    for (unsigned i = 0; i < len; i++) {
        total += vector[i].iov_len;
    }
    return total;
}

static ssize_t write_part(struct connection *connection, const struct iovec *vector, size_t total)
{
    uint8_t *bytes = malloc(total);
    size_t written = 0;

    for (unsigned i = 0; written < total; i++) {
        size_t part = MIN(vector[i].iov_len, total - written);

        memcpy(bytes + written, vector[i].iov_base, part);
        written += part;
    }
    network_on_written(connection, bytes, total);
    free(bytes);
    scheduler_point("sent");
    return (ssize_t)total;
}

ssize_t socket_send(int fd, struct iovec *vector, unsigned len)
{
    size_t total = total_of(vector, len);
    size_t window = network_settings()->window;
    struct connection *connection;
    size_t waiting;
    size_t part;

    assert(total > 0);
    scheduler_point("send");
    connection = network_find(fd);
    if (!connection_is_open(connection)) {
        return send_to_nobody(connection, total);
    }
    waiting = network_waiting(connection);
    if (total > window - MIN(waiting, window)) {
        network_settings()->ops->on_full(connection);
    }
    if (waiting >= window) {
        return -EAGAIN;
    }
    part = cut(MIN(total, window - waiting), network_settings()->short_permille);
    network_settings()->ops->on_writing(connection, connection->is_behind);
    connection->is_behind = part < total;
    return write_part(connection, vector, part);
}

int socket_local_address(int fd, struct address *address_out)
{
    static const uint8_t local_ip[4] = {127, 0, 0, 1};

    network_find(fd);
    *address_out = address_of_ipv4(local_ip, 1883);
    return 0;
}

/* Nothing is behind it. */
int socket_reserve(int *fd_out)
{
    *fd_out = RESERVE_FD;
    return 0;
}

void socket_finish(int fd)
{
    network_on_left(network_find(fd));
}

void socket_close(int fd)
{
    if (fd == RESERVE_FD) {
        return;
    }
    scheduler_point("close");
    network_on_closed(network_find(fd));
}
