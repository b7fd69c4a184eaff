#pragma once

/*
 * Socket
 *
 * The system calls on the connections of clients: the only place that makes them, so that the
 * simulator can put connections of its own in their stead. Answers are the kernel's: bytes, or
 * -errno, where -EAGAIN means "not now". Belongs to the worker that owns the descriptor.
 */

#include "base/address.h"

#include <sys/types.h>
#include <sys/uio.h>

/* What socket_accept() found. */
enum socket_verdict {
    SOCKET_OK,
    SOCKET_AGAIN,          /* nobody waits any more */
    SOCKET_NO_DESCRIPTORS, /* also when nobody waits: they are asked for first */
    SOCKET_NO_MEMORY       /* of the kernel */
};

/*
 * Accepts one connection: non-blocking, closed on exec, with TCP_NODELAY and keep-alive as the
 * listening socket has them. The verdict; -errno when the listening socket itself is broken.
 */
int socket_accept(int listener_fd, int *fd_out, struct address *peer_out) MUST_CHECK;

/* How many wait to be accepted; UINT_MAX where the kernel does not tell, as of Unix sockets. */
unsigned socket_waiting_len(int listener_fd);

/* A descriptor for nothing but to have one to close when another is needed. -errno. */
int socket_reserve(int *fd_out) MUST_CHECK;

/* Bytes; 0 when the peer has closed its side; -errno. */
ssize_t socket_receive(int fd, void *buf, size_t cap) MUST_CHECK;
ssize_t socket_receive_vector(int fd, struct iovec *vector, unsigned len) MUST_CHECK;

/* Bytes, maybe fewer than given; -errno. A peer that is gone is an error, never a signal. */
ssize_t socket_send(int fd, struct iovec *vector, unsigned len) MUST_CHECK;

/* Our end of a connection. */
int socket_local_address(int fd, struct address *address_out) MUST_CHECK;

/* Nothing more is sent: the peer reads what there is, and then the end. Receiving goes on. */
void socket_finish(int fd);

void socket_close(int fd);
