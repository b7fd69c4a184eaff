#include "net/listener.h"

#include "net/socket.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define UNIX_UMASK 0007

/* What is being opened, and where to say that it failed. */
struct attempt {
    const struct listener_params *params;
    struct listener *listener;
    char *error;
};

PRINTF_LIKE(3, 4)
static int fail(const struct attempt *attempt, int r, const char *where, ...)
{
    char text[LISTENER_ERROR_CAP / 2];
    va_list arguments;

    va_start(arguments, where);
    vsnprintf(text, sizeof(text), where, arguments);
    va_end(arguments);
    snprintf(attempt->error, LISTENER_ERROR_CAP, "%s (%s)", strerror(-r), text);
    return r;
}

static int fail_at(const struct attempt *attempt, int r, const struct sockaddr *sockaddr,
                   socklen_t len)
{
    struct address address = address_of_sockaddr(sockaddr, len);
    char text[ADDRESS_TEXT_CAP];

    address_format(&address, text);
    return fail(attempt, r, "%s port %u", text, address.port);
}

/* ---- TCP ---- */

static int set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

struct option {
    int level;
    int name;
    int value;
    bool is_wanted;
};

/* What is set on the listening socket holds for every connection that comes from it. */
static int set_options(const struct attempt *attempt, int fd, int family)
{
    int wait = attempt->params->defer_accept_s;
    const struct option options[] = {
        {SOL_SOCKET,   SO_REUSEADDR,     1,    true              },
        {SOL_SOCKET,   SO_KEEPALIVE,     1,    true              },
        {IPPROTO_TCP,  TCP_NODELAY,      1,    true              },
        {IPPROTO_TCP,  TCP_DEFER_ACCEPT, wait, wait > 0          },
        {IPPROTO_IPV6, IPV6_V6ONLY,      1,    family == AF_INET6},
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(options); i++) {
        if (options[i].is_wanted) {
            r = set_option(fd, options[i].level, options[i].name, options[i].value);
        }
    }
    return r;
}

static int bind_to_interface(const struct attempt *attempt, int fd)
{
    const char *name = attempt->params->bind_interface;

    if (name && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name)) < 0) {
        return fail(attempt, -errno, "interface %s", name);
    }
    return 0;
}

static int bind_and_listen(const struct attempt *attempt, int fd, const struct sockaddr *sockaddr,
                           socklen_t len)
{
    if (bind(fd, sockaddr, len) < 0 || listen(fd, attempt->params->backlog) < 0) {
        return -errno;
    }
    return 0;
}

static int prepare_tcp(const struct attempt *attempt, int fd, const struct addrinfo *found)
{
    int r = set_options(attempt, fd, found->ai_family);

    if (r == 0) {
        r = bind_to_interface(attempt, fd);
        if (r < 0) {
            return r;
        }
        r = bind_and_listen(attempt, fd, found->ai_addr, found->ai_addrlen);
    }
    return r < 0 ? fail_at(attempt, r, found->ai_addr, found->ai_addrlen) : 0;
}

/* The socket is the listener's, or closed. */
static int add_socket(const struct attempt *attempt, int fd)
{
    struct listener *listener = attempt->listener;
    struct listener_socket *socket = &listener->sockets[listener->len];
    int r = socket_local_address(fd, &socket->bound);

    if (r < 0) {
        close(fd);
        return fail(attempt, r, "address of a listening socket");
    }
    socket->fd = fd;
    listener->len++;
    return 0;
}

static int open_tcp_socket(const struct attempt *attempt, const struct addrinfo *found)
{
    int fd;
    int r;

    if (attempt->listener->len == LISTENER_SOCKET_CAP) {
        return fail(attempt, -E2BIG, "addresses of %s", attempt->params->bind_address);
    }
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return fail_at(attempt, -errno, found->ai_addr, found->ai_addrlen);
    }
    r = prepare_tcp(attempt, fd, found);
    if (r < 0) {
        close(fd);
        return r;
    }
    return add_socket(attempt, fd);
}

/* A machine without IPv6 answers one of these. */
static bool is_missing_ipv6(const struct addrinfo *found, int r)
{
    return found->ai_family == AF_INET6 && (r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL);
}

static int open_found(const struct attempt *attempt, const struct addrinfo *found)
{
    int missing = 0;

    for (; found; found = found->ai_next) {
        int r = open_tcp_socket(attempt, found);

        if (r < 0 && !is_missing_ipv6(found, r)) {
            return r;
        }
        missing = r < 0 ? r : missing;
    }
    return attempt->listener->len > 0 ? 0 : missing;
}

static int resolve(const struct attempt *attempt, struct addrinfo **found_out)
{
    static const int families[] = {
        [ADDRESS_NONE] = AF_UNSPEC, [ADDRESS_IPV4] = AF_INET, [ADDRESS_IPV6] = AF_INET6};
    const struct listener_params *params = attempt->params;
    const struct addrinfo hints = {
        .ai_family = families[params->family],
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICSERV | (params->is_loopback ? 0 : AI_PASSIVE),
    };
    char port[8];
    int r;

    snprintf(port, sizeof(port), "%u", params->port);
    r = getaddrinfo(params->bind_address, port, &hints, found_out);
    if (r == 0) {
        return 0;
    }
    snprintf(attempt->error, LISTENER_ERROR_CAP, "%s (%s port %u)",
             r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r),
             params->bind_address ? params->bind_address : "*", params->port);
    return -EADDRNOTAVAIL;
}

static int open_tcp(const struct attempt *attempt)
{
    struct addrinfo *found;
    int r = resolve(attempt, &found);

    if (r == 0) {
        r = open_found(attempt, found);
        freeaddrinfo(found);
    }
    return r;
}

/* ---- Unix sockets ---- */

/*
 * A socket that nobody listens on any more is replaced. Two brokers that start at once may both see
 * the same one, and the slower would remove what the other has just made; it also looks dead from
 * bind() until listen(). So the folder is locked from the look until the new socket listens. The
 * kernel takes that lock back from who dies. Whoever else holds it only delays us.
 */
#define FOLDER_TRIES 200
#define FOLDER_WAIT  10000 /* microseconds */

/* The descriptor that holds the lock; -1: there is none. */
static int lock_folder(const struct sockaddr_un *name)
{
    char folder[sizeof(name->sun_path)];
    const char *slash = strrchr(name->sun_path, '/');
    size_t len = slash ? (size_t)(slash - name->sun_path) : 0;
    int fd;

    snprintf(folder, sizeof(folder), "%.*s", (int)len, name->sun_path);
    fd = open(len ? folder : slash ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0; fd >= 0 && i < FOLDER_TRIES && flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
        usleep(FOLDER_WAIT);
    }
    return fd;
}

static int fail_unix(const struct attempt *attempt, int r)
{
    return fail(attempt, r, "unix socket %s", attempt->params->unix_path);
}

/* Asks the socket at the path whether anybody listens: 0 when it is nobody's any more. */
static int probe(const struct sockaddr_un *name)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int r;

    if (fd < 0) {
        return -errno;
    }
    r = connect(fd, (const struct sockaddr *)name, sizeof(*name)) < 0 ? -errno : 0;
    close(fd);
    return r == -ECONNREFUSED || r == -ENOENT ? 0 : r == 0 || r == -EAGAIN ? -EADDRINUSE : r;
}

static int remove_stale(const struct sockaddr_un *name)
{
    struct stat status;
    int r;

    if (lstat(name->sun_path, &status) < 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    if (!S_ISSOCK(status.st_mode)) {
        return -EEXIST;
    }
    r = probe(name);
    if (r == 0 && unlink(name->sun_path) < 0 && errno != ENOENT) {
        r = -errno;
    }
    return r;
}

static int bind_unix(int fd, const struct sockaddr_un *name)
{
    mode_t before = umask(UNIX_UMASK);
    int r = bind(fd, (const struct sockaddr *)name, sizeof(*name)) < 0 ? -errno : 0;

    umask(before);
    return r;
}

static void remember_file(struct listener *listener, const char *path)
{
    struct stat status;

    if (lstat(path, &status) == 0) {
        memcpy(listener->unix_path, path, strlen(path) + 1);
        listener->unix_device = status.st_dev;
        listener->unix_inode = status.st_ino;
    }
}

static void remove_file(struct listener *listener)
{
    struct stat status;

    if (lstat(listener->unix_path, &status) == 0 && status.st_dev == listener->unix_device &&
        status.st_ino == listener->unix_inode) {
        unlink(listener->unix_path);
    }
    listener->unix_path[0] = '\0';
}

static int bind_unix_and_listen(const struct attempt *attempt, int fd,
                                const struct sockaddr_un *name)
{
    int r = bind_unix(fd, name);

    if (r == 0) {
        remember_file(attempt->listener, attempt->params->unix_path);
        r = listen(fd, attempt->params->backlog) < 0 ? -errno : 0;
    }
    return r;
}

static int open_unix_socket(const struct attempt *attempt, const struct sockaddr_un *name)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int r;

    if (fd < 0) {
        return fail_unix(attempt, -errno);
    }
    r = bind_unix_and_listen(attempt, fd, name);
    if (r < 0) {
        close(fd);
        return fail_unix(attempt, r);
    }
    return add_socket(attempt, fd);
}

static int open_unix(const struct attempt *attempt)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const char *path = attempt->params->unix_path;
    int lock;
    int r;

    if (strlen(path) >= sizeof(name.sun_path)) {
        return fail_unix(attempt, -ENAMETOOLONG);
    }
    memcpy(name.sun_path, path, strlen(path));
    lock = lock_folder(&name);
    r = remove_stale(&name);
    r = r < 0 ? fail_unix(attempt, r) : open_unix_socket(attempt, &name);
    if (r < 0 && attempt->listener->unix_path[0]) {
        remove_file(attempt->listener);
    }
    if (lock >= 0) {
        close(lock);
    }
    return r;
}

/* ---- Sockets of others ---- */

static bool listens(int fd)
{
    int kind = 0;
    int is_listening = 0;
    socklen_t len = sizeof(int);

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &len) == 0 && kind == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &len) == 0 && is_listening;
}

int listener_inspect(int fd, struct listener_passed *passed_out)
{
    union {
        struct sockaddr any;
        struct sockaddr_un path;
        struct sockaddr_storage storage;
    } name = {0};
    socklen_t len = sizeof(name);

    *passed_out = (struct listener_passed){.fd = fd};
    if (!listens(fd)) {
        return LISTENER_NOT_LISTENING;
    }
    if (getsockname(fd, &name.any, &len) < 0) {
        return -errno;
    }
    passed_out->bound = address_of_sockaddr(&name.any, len);
    if (passed_out->bound.family == ADDRESS_UNIX) {
        memcpy(passed_out->path, name.path.sun_path, sizeof(passed_out->path));
        passed_out->path[sizeof(passed_out->path) - 1] = '\0';
    }
    return 0;
}

static bool is_among(const struct addrinfo *found, const struct address *bound)
{
    for (; found; found = found->ai_next) {
        struct address address = address_of_sockaddr(found->ai_addr, found->ai_addrlen);

        if (address_is_equal(&address, bound)) {
            return true;
        }
    }
    return false;
}

/* `found`: the listener's addresses; NULL: any. */
static bool is_ours(const struct listener_params *params, const struct addrinfo *found,
                    const struct listener_passed *passed)
{
    const struct address *bound = &passed->bound;

    if (passed->is_taken || params->unix_path || bound->family == ADDRESS_UNIX) {
        return !passed->is_taken && params->unix_path && bound->family == ADDRESS_UNIX &&
               strcmp(passed->path, params->unix_path) == 0;
    }
    if (bound->port != params->port ||
        (params->family != ADDRESS_NONE && params->family != bound->family)) {
        return false;
    }
    return !found || is_among(found, bound);
}

/* What a listening socket of our own gets before it is bound, as far as that is not too late. */
static int adjust(const struct attempt *attempt, int fd)
{
    int flags = fcntl(fd, F_GETFL);
    bool is_tcp = !attempt->params->unix_path;
    int r = flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;

    if (r == 0 && is_tcp) {
        r = set_options(attempt, fd, AF_UNSPEC);
    }
    if (r == 0 && is_tcp) {
        r = bind_to_interface(attempt, fd);
    }
    return r;
}

static int take(const struct attempt *attempt, struct listener_passed *passed)
{
    struct listener *listener = attempt->listener;
    int r;

    if (listener->len == LISTENER_SOCKET_CAP) {
        return fail(attempt, -E2BIG, "passed sockets of port %u", attempt->params->port);
    }
    r = adjust(attempt, passed->fd);
    if (r < 0) {
        return attempt->error[0] ? r : fail(attempt, r, "passed socket");
    }
    passed->is_taken = true;
    listener->is_passed = true;
    listener->sockets[listener->len++] = (struct listener_socket){passed->fd, passed->bound};
    return 0;
}

static int take_found(const struct attempt *attempt, const struct addrinfo *found)
{
    const struct listener_params *params = attempt->params;
    int r = 0;

    for (unsigned i = 0; i < params->passed_len && r == 0; i++) {
        if (is_ours(params, found, &params->passed[i])) {
            r = take(attempt, &params->passed[i]);
        }
    }
    return r;
}

static int take_passed(const struct attempt *attempt)
{
    const struct listener_params *params = attempt->params;
    struct addrinfo *found = NULL;
    int r = 0;

    if (params->passed_len > 0 && (params->bind_address || params->is_loopback)) {
        r = resolve(attempt, &found);
    }
    if (r == 0) {
        r = take_found(attempt, found);
    }
    if (found) {
        freeaddrinfo(found);
    }
    return r;
}

int listener_open(const struct listener_params *params, struct listener *listener_out,
                  char error[LISTENER_ERROR_CAP])
{
    struct attempt attempt = {.params = params, .listener = listener_out, .error = error};
    int r;

    assert(params->family != ADDRESS_UNIX && params->backlog > 0);
    assert(!params->is_loopback || !params->bind_address);

    *listener_out = (struct listener){0};
    error[0] = '\0';
    r = take_passed(&attempt);
    if (r == 0 && listener_out->len == 0) {
        r = params->unix_path ? open_unix(&attempt) : open_tcp(&attempt);
    }
    if (r < 0) {
        listener_close(listener_out);
    }
    return r;
}

void listener_close(struct listener *listener)
{
    /* While we still listen, nobody replaces it, and no other file gets its inode number. */
    if (listener->unix_path[0]) {
        remove_file(listener);
    }
    for (unsigned i = 0; i < listener->len; i++) {
        close(listener->sockets[i].fd);
    }
    *listener = (struct listener){0};
}
