#include "net/socket.h"

#include <limits.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Linux hands errors that a connection had before it was accepted to whoever accepts it. Those
 * connections are gone and the next one is as good as none: only what is wrong with the listening
 * socket itself is an error here.
 */
static int accept_verdict(int error)
{
    switch (error) {
    case EMFILE:
    case ENFILE: return SOCKET_NO_DESCRIPTORS;
    case ENOMEM:
    case ENOBUFS: return SOCKET_NO_MEMORY;
    case EBADF:
    case EFAULT:
    case EINVAL:
    case ENOTSOCK: return -error;
    default: return SOCKET_AGAIN;
    }
}

int socket_accept(int listener_fd, int *fd_out, struct address *peer_out)
{
    struct sockaddr_storage storage = {0};
    socklen_t len = sizeof(storage);
    int fd = accept4(listener_fd, (struct sockaddr *)&storage, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        return accept_verdict(errno);
    }
    *fd_out = fd;
    *peer_out = address_of_sockaddr((struct sockaddr *)&storage, len);
    return SOCKET_OK;
}

/* Of a listening socket Linux tells the length of its queue in a field that has another name. */
unsigned socket_waiting_len(int listener_fd)
{
    struct tcp_info info = {0};
    socklen_t len = offsetof(struct tcp_info, tcpi_unacked) + sizeof(info.tcpi_unacked);

    return getsockopt(listener_fd, SOL_TCP, TCP_INFO, &info, &len) < 0 ? UINT_MAX
                                                                       : info.tcpi_unacked;
}

/* Needs no file system, and counts as an open file of the machine, too. */
int socket_reserve(int *fd_out)
{
    int fd = eventfd(0, EFD_CLOEXEC);

    if (fd < 0) {
        return -errno;
    }
    *fd_out = fd;
    return 0;
}

/* MSG_DONTWAIT costs nothing and holds for a socket that was handed over in blocking mode, too. */
ssize_t socket_receive(int fd, void *buf, size_t cap)
{
    ssize_t len;

    assert(cap > 0);
    do {
        len = recv(fd, buf, cap, MSG_DONTWAIT);
    } while (len < 0 && errno == EINTR);
    return len < 0 ? -errno : len;
}

ssize_t socket_receive_vector(int fd, struct iovec *vector, unsigned len)
{
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = len};
    ssize_t received;

    assert(len > 0 && len <= IOV_MAX);
    do {
        received = recvmsg(fd, &message, MSG_DONTWAIT);
    } while (received < 0 && errno == EINTR);
    return received < 0 ? -errno : received;
}

ssize_t socket_send(int fd, struct iovec *vector, unsigned len)
{
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = len};
    ssize_t sent;

    assert(len > 0 && len <= IOV_MAX);
    do {
        sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

int socket_local_address(int fd, struct address *address_out)
{
    struct sockaddr_storage storage = {0};
    socklen_t len = sizeof(storage);

    if (getsockname(fd, (struct sockaddr *)&storage, &len) < 0) {
        return -errno;
    }
    *address_out = address_of_sockaddr((struct sockaddr *)&storage, len);
    return 0;
}

/* Fails only on a connection that is gone. */
void socket_finish(int fd)
{
    shutdown(fd, SHUT_WR);
}

/* Linux frees the descriptor whatever close() answers; trying again would close another's. */
void socket_close(int fd)
{
    assert(fd >= 0);
    close(fd);
}
