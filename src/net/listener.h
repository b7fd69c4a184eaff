#pragma once

/*
 * Listener
 *
 * Opens and closes the listening sockets of one configured listener: one for IPv4 and one for
 * IPv6, or one at a path. Called by main, before privileges go or at a reload; the sockets are then
 * watched by all workers. Logs nothing: what went wrong is a text for the caller.
 */

#include "base/address.h"

#include <sys/types.h>

#define LISTENER_SOCKET_CAP 16
#define LISTENER_ERROR_CAP  256
#define LISTENER_PATH_CAP   108 /* of a Unix socket, by the kernel */

/* A listening socket that somebody else has opened for us. Owner: whoever got it, until a listener
 * has taken it. */
struct listener_passed {
    int fd;
    struct address bound;
    char path[LISTENER_PATH_CAP]; /* of a Unix socket */
    bool is_taken;
};

struct listener_params {
    uint16_t port;              /* 0: any free one, for each family its own */
    bool is_loopback;           /* 127.0.0.1 and ::1, whichever the machine has; no bind_address */
    const char *bind_address;   /* an address or a host name; NULL: all addresses */
    const char *bind_interface; /* NULL: all */
    const char *unix_path;      /* a Unix socket; port and addresses don't matter then */
    enum address_family family; /* ADDRESS_IPV4 or ADDRESS_IPV6; ADDRESS_NONE: both */
    int backlog;
    int defer_accept_s;             /* wait in the kernel for first bytes; 0: don't */
    struct listener_passed *passed; /* those that are this listener's are taken, and none opened */
    unsigned passed_len;
};

struct listener_socket {
    int fd; /* listening, non-blocking, closed on exec */
    struct address bound;
};

/* Owner: main. Members but for the array and its length are private. */
struct listener {
    struct listener_socket sockets[LISTENER_SOCKET_CAP];
    unsigned len;
    bool is_passed;                    /* opened by somebody else */
    char unix_path[LISTENER_PATH_CAP]; /* "": none that we made */
    dev_t unix_device;                 /* the file that we made, to remove no other */
    ino_t unix_inode;
};

/*
 * Opens all sockets or none. A passed socket is the listener's when it has its path, or its port,
 * one of its addresses and its family; a listener without an address takes any. IPv6 may be missing
 * on the machine where IPv4 is opened as well. On failure -errno, and `error` says what and where:
 * "Address already in use (0.0.0.0 port 1883)". A Unix socket that nobody listens on any more is
 * replaced; one that answers is in use; any other kind of file is left alone. Its mode is 0770, as
 * Mosquitto's. Changes the umask meanwhile: no other thread may make files.
 */
int listener_open(const struct listener_params *params, struct listener *listener_out,
                  char error[LISTENER_ERROR_CAP]) MUST_CHECK;

/* Outcomes of listener_inspect() that are nobody's fault here. */
enum listener_verdict {
    LISTENER_NOT_LISTENING = 1 /* not a stream socket that listens */
};

/* Learns where a descriptor listens. The descriptor stays the caller's. -errno. */
int listener_inspect(int fd, struct listener_passed *passed_out) MUST_CHECK;

/* Closes the sockets and removes the Unix socket's file if it is still ours. */
void listener_close(struct listener *listener);
