#include "base/test.h"
#include "net/listener.h"
#include "net/socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char error[LISTENER_ERROR_CAP];

static struct listener_params make_params(void)
{
    return (struct listener_params){.backlog = 16};
}

/* Where IPv6 is switched off, the kernel may still let a socket have all addresses, but no one. */
static bool has_ipv6(struct in6_addr address)
{
    struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_addr = address};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool answer = fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0;

    if (fd >= 0) {
        close(fd);
    }
    return answer;
}

static int option_of(int fd, int level, int name)
{
    socklen_t len = sizeof(int);
    int value = 0;

    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void assert_bound(const struct listener_socket *socket, const char *text)
{
    char bound[ADDRESS_TEXT_CAP];

    address_format(&socket->bound, bound);
    assert_string_equal(bound, text);
    assert_true(socket->bound.port != 0);
    assert_true(option_of(socket->fd, SOL_SOCKET, SO_ACCEPTCONN));
    assert_true(fcntl(socket->fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(socket->fd, F_GETFD) & FD_CLOEXEC);
}

static void opens_both_families(void **state)
{
    struct listener_params params = make_params();
    struct listener listener;

    (void)state;
    assert_int_equal(listener_open(&params, &listener, error), 0);
    assert_string_equal(error, "");
    assert_int_equal(listener.len, has_ipv6(in6addr_any) ? 2 : 1);
    for (unsigned i = 0; i < listener.len; i++) {
        bool is_ipv6 = listener.sockets[i].bound.family == ADDRESS_IPV6;

        assert_bound(&listener.sockets[i], is_ipv6 ? "::" : "0.0.0.0");
        assert_true(!is_ipv6 || option_of(listener.sockets[i].fd, IPPROTO_IPV6, IPV6_V6ONLY));
    }
    listener_close(&listener);
    assert_int_equal(listener.len, 0);
}

/* The same port for both, as every configured listener has it. */
static void opens_both_families_on_one_port(void **state)
{
    struct listener_params params = make_params();
    struct listener first;
    struct listener second;

    (void)state;
    params.family = ADDRESS_IPV4;
    assert_int_equal(listener_open(&params, &first, error), 0);
    params.port = first.sockets[0].bound.port;
    listener_close(&first);
    params.family = ADDRESS_NONE;
    assert_int_equal(listener_open(&params, &second, error), 0);
    for (unsigned i = 0; i < second.len; i++) {
        assert_int_equal(second.sockets[i].bound.port, params.port);
    }
    listener_close(&second);
}

static void opens_the_loopback(void **state)
{
    struct listener_params params = make_params();
    struct listener listener;

    (void)state;
    params.is_loopback = true;
    assert_int_equal(listener_open(&params, &listener, error), 0);
    assert_int_equal(listener.len, has_ipv6(in6addr_loopback) ? 2 : 1);
    for (unsigned i = 0; i < listener.len; i++) {
        bool is_ipv6 = listener.sockets[i].bound.family == ADDRESS_IPV6;

        assert_bound(&listener.sockets[i], is_ipv6 ? "::1" : "127.0.0.1");
    }
    listener_close(&listener);
}

static void opens_what_is_asked_for(void **state)
{
    struct listener_params params = make_params();
    struct listener listener;

    (void)state;
    params.bind_address = "127.0.0.2";
    assert_int_equal(listener_open(&params, &listener, error), 0);
    assert_int_equal(listener.len, 1);
    assert_bound(&listener.sockets[0], "127.0.0.2");
    listener_close(&listener);

    params.bind_address = "localhost";
    params.family = ADDRESS_IPV4;
    assert_int_equal(listener_open(&params, &listener, error), 0);
    assert_int_equal(listener.len, 1);
    assert_bound(&listener.sockets[0], "127.0.0.1");
    listener_close(&listener);
}

static int connect_to(const struct address *bound)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(bound->port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    memcpy(&name.sin_addr, bound->ip, sizeof(name.sin_addr));
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    return fd;
}

static void connections_inherit_options(void **state)
{
    struct listener_params params = make_params();
    struct listener listener;
    struct address peer;
    int client;
    int fd;

    (void)state;
    params.is_loopback = true;
    params.family = ADDRESS_IPV4;
    assert_int_equal(listener_open(&params, &listener, error), 0);
    client = connect_to(&listener.sockets[0].bound);
    assert_int_equal(socket_accept(listener.sockets[0].fd, &fd, &peer), SOCKET_OK);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    socket_close(fd);
    close(client);
    listener_close(&listener);
}

static void waits_for_first_bytes_only_when_asked(void **state)
{
    struct listener_params params = make_params();
    struct listener listener;

    (void)state;
    params.is_loopback = true;
    params.family = ADDRESS_IPV4;
    assert_int_equal(listener_open(&params, &listener, error), 0);
    assert_int_equal(option_of(listener.sockets[0].fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
    listener_close(&listener);
    params.defer_accept_s = 10;
    assert_int_equal(listener_open(&params, &listener, error), 0);
    assert_true(option_of(listener.sockets[0].fd, IPPROTO_TCP, TCP_DEFER_ACCEPT) > 0);
    listener_close(&listener);
}

static void tells_what_is_in_use(void **state)
{
    struct listener_params params = make_params();
    char expected[LISTENER_ERROR_CAP];
    struct listener first;
    struct listener second;

    (void)state;
    params.bind_address = "127.0.0.1";
    assert_int_equal(listener_open(&params, &first, error), 0);
    params.port = first.sockets[0].bound.port;
    assert_int_equal(listener_open(&params, &second, error), -EADDRINUSE);
    snprintf(expected, sizeof(expected), "Address already in use (127.0.0.1 port %u)", params.port);
    assert_string_equal(error, expected);
    assert_int_equal(second.len, 0);

    /* One family in use is as bad as both: the other one's socket is closed again. */
    params.bind_address = NULL;
    assert_int_equal(listener_open(&params, &second, error), -EADDRINUSE);
    assert_int_equal(second.len, 0);
    listener_close(&first);
    assert_int_equal(listener_open(&params, &second, error), 0);
    listener_close(&second);
}

struct failure_case {
    struct listener_params params;
    const char *error; /* NULL: any that names `names` */
    const char *names;
};

static void tells_what_is_wrong(void **state)
{
    static const struct failure_case cases[] = {
        {{.bind_address = "192.0.2.1", .port = 1883, .backlog = 1},
         "Cannot assign requested address (192.0.2.1 port 1883)",                           NULL                      },
        {{.bind_address = "2001:db8::1", .port = 1883, .backlog = 1},
         NULL,                                                                              "(2001:db8::1 port 1883)" },
        {{.bind_address = "no such host", .port = 1883, .backlog = 1},
         NULL,                                                                              "(no such host port 1883)"},
        {{.bind_address = "::1", .port = 1883, .family = ADDRESS_IPV4, .backlog = 1},
         NULL,                                                                              "(::1 port 1883)"         },
        {{.bind_interface = "nosuchdevice", .backlog = 1},                            NULL, "(interface nosuchdevice)"},
        {{.unix_path = "/nonexistent/folder/x.sock", .backlog = 1},
         "No such file or directory (unix socket /nonexistent/folder/x.sock)",              NULL                      },
        {{.unix_path = "/tmp/0123456789012345678901234567890123456789012345678901234567890123456789"
                       "012345678901234567890123456789012",
          .backlog = 1},
         NULL,                                                                              "File name too long"      },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct listener listener;

        assert_true(listener_open(&cases[i].params, &listener, error) < 0);
        assert_int_equal(listener.len, 0);
        if (cases[i].error) {
            assert_string_equal(error, cases[i].error);
        } else if (!strstr(error, cases[i].names)) {
            fail_msg("\"%s\" does not name %s", error, cases[i].names);
        }
    }
}

/* ---- Unix sockets, in a folder of their own ---- */

static char folder[] = "/tmp/listener_test.XXXXXX";
static char path[sizeof(folder) + 8];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/x.sock", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static struct listener_params make_unix_params(void)
{
    struct listener_params params = make_params();

    params.unix_path = path;
    return params;
}

static int connect_to_path(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(name.sun_path, path, strlen(path));
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    return fd;
}

static void opens_a_unix_socket(void **state)
{
    struct listener_params params = make_unix_params();
    mode_t before = umask(0022);
    struct listener listener;
    struct address peer;
    struct stat status;
    int client;
    int fd;

    (void)state;
    assert_int_equal(listener_open(&params, &listener, error), 0);
    assert_int_equal(umask(before), 0022);
    assert_int_equal(listener.len, 1);
    assert_int_equal(listener.sockets[0].bound.family, ADDRESS_UNIX);
    assert_int_equal(lstat(path, &status), 0);
    assert_int_equal(status.st_mode, S_IFSOCK | 0770);
    client = connect_to_path();
    assert_int_equal(socket_accept(listener.sockets[0].fd, &fd, &peer), SOCKET_OK);
    assert_int_equal(peer.family, ADDRESS_UNIX);
    socket_close(fd);
    close(client);
    listener_close(&listener);
    assert_int_equal(lstat(path, &status), -1);
}

/* What a process leaves behind that was killed. */
static void replaces_a_stale_unix_socket(void **state)
{
    struct listener_params params = make_unix_params();
    struct listener killed;
    struct listener listener;

    (void)state;
    assert_int_equal(listener_open(&params, &killed, error), 0);
    close(killed.sockets[0].fd);
    assert_int_equal(listener_open(&params, &listener, error), 0);
    close(connect_to_path());
    listener_close(&listener);
}

static void leaves_a_living_unix_socket_alone(void **state)
{
    struct listener_params params = make_unix_params();
    char expected[LISTENER_ERROR_CAP];
    struct listener first;
    struct listener second;

    (void)state;
    assert_int_equal(listener_open(&params, &first, error), 0);
    assert_int_equal(listener_open(&params, &second, error), -EADDRINUSE);
    snprintf(expected, sizeof(expected), "Address already in use (unix socket %s)", path);
    assert_string_equal(error, expected);
    close(connect_to_path());
    listener_close(&first);
}

/* The first byte of what each racer says, and the end when it is told to go. */
static void race(int start, int verdict, int go)
{
    struct listener_params params = make_unix_params();
    struct listener listener;
    char byte;

    while (read(start, &byte, 1) < 0) {
    }
    byte = listener_open(&params, &listener, error) == 0 ? '1' : '0';
    if (write(verdict, &byte, 1) != 1 || read(go, &byte, 1) < 0) {
        _exit(1);
    }
    _exit(0);
}

/* Two that start at once where a third was killed: one has the socket, and can be reached. */
static void of_two_at_once_one_has_it(void **state)
{
    struct listener_params params = make_unix_params();

    (void)state;
    for (unsigned round = 0; round < 100; round++) {
        struct listener killed;
        int start[2];
        int verdict[2];
        int go[2];
        char bytes[2];

        assert_int_equal(listener_open(&params, &killed, error), 0);
        close(killed.sockets[0].fd);
        assert_true(pipe(start) == 0 && pipe(verdict) == 0 && pipe(go) == 0);
        for (unsigned i = 0; i < 2; i++) {
            if (fork() == 0) {
                close(start[1]);
                close(go[1]);
                race(start[0], verdict[1], go[0]);
            }
        }
        close(start[1]);
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(read(verdict[0], &bytes[i], 1), 1);
        }
        assert_true((bytes[0] == '1') != (bytes[1] == '1'));
        close(connect_to_path());
        close(go[1]);
        for (unsigned i = 0; i < 2; i++) {
            wait(NULL);
        }
        close(start[0]);
        close(verdict[0]);
        close(verdict[1]);
        close(go[0]);
    }
    unlink(path);
}

static void leaves_other_files_alone(void **state)
{
    struct listener_params params = make_unix_params();
    struct listener listener;
    struct stat status;

    (void)state;
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(listener_open(&params, &listener, error), -EEXIST);
    assert_int_equal(lstat(path, &status), 0);
    assert_int_equal(status.st_mode, S_IFREG | 0600);
    unlink(path);
}

/* A successor may have made a socket of its own at the path while we were ending. */
static void removes_no_file_but_its_own(void **state)
{
    struct listener_params params = make_unix_params();
    struct listener first;
    struct listener second;
    struct stat status;

    (void)state;
    assert_int_equal(listener_open(&params, &first, error), 0);
    unlink(path);
    assert_int_equal(listener_open(&params, &second, error), 0);
    listener_close(&first);
    assert_int_equal(lstat(path, &status), 0);
    listener_close(&second);
    assert_int_equal(lstat(path, &status), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_both_families),
        cmocka_unit_test(opens_both_families_on_one_port),
        cmocka_unit_test(opens_the_loopback),
        cmocka_unit_test(opens_what_is_asked_for),
        cmocka_unit_test(connections_inherit_options),
        cmocka_unit_test(waits_for_first_bytes_only_when_asked),
        cmocka_unit_test(tells_what_is_in_use),
        cmocka_unit_test(tells_what_is_wrong),
        cmocka_unit_test(opens_a_unix_socket),
        cmocka_unit_test(replaces_a_stale_unix_socket),
        cmocka_unit_test(leaves_a_living_unix_socket_alone),
        cmocka_unit_test(of_two_at_once_one_has_it),
        cmocka_unit_test(leaves_other_files_alone),
        cmocka_unit_test(removes_no_file_but_its_own),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
