#include "base/test.h"
#include "net/socket.h"

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* A listening socket on a free port of the loopback, and where it is. */
static int make_listener(struct sockaddr_in *name)
{
    socklen_t len = sizeof(*name);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    *name = (struct sockaddr_in){.sin_family = AF_INET};
    name->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)name, sizeof(*name)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)name, &len), 0);
    return fd;
}

static int connect_to(const struct sockaddr_in *name)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)name, sizeof(*name)), 0);
    return fd;
}

static void accepts_one_after_the_other(void **state)
{
    struct sockaddr_in name;
    int listener = make_listener(&name);
    int peer = connect_to(&name);
    struct address told;
    struct address expected;
    int fd;

    (void)state;
    assert_int_equal(socket_accept(listener, &fd, &told), SOCKET_OK);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(socket_local_address(peer, &expected), 0);
    assert_true(address_is_equal(&told, &expected));
    assert_int_equal(socket_local_address(fd, &told), 0);
    assert_int_equal(told.port, ntohs(name.sin_port));
    assert_int_equal(socket_accept(listener, &fd, &told), SOCKET_AGAIN);
    socket_close(fd);
    close(peer);
    close(listener);
}

static void tells_how_many_wait(void **state)
{
    struct sockaddr_in name;
    int listener = make_listener(&name);
    int first = connect_to(&name);
    int second = connect_to(&name);
    int pair[2];
    struct address told;
    int fd;

    (void)state;
    assert_int_equal(socket_waiting_len(listener), 2);
    assert_int_equal(socket_accept(listener, &fd, &told), SOCKET_OK);
    assert_int_equal(socket_waiting_len(listener), 1);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(socket_waiting_len(pair[0]), UINT_MAX);
    close(pair[0]);
    close(pair[1]);
    close(fd);
    close(second);
    close(first);
    close(listener);
}

static void tells_when_descriptors_are_out(void **state)
{
    struct sockaddr_in name;
    int listener = make_listener(&name);
    int peer = connect_to(&name);
    struct rlimit before;
    struct rlimit none;
    struct address told;
    int fd;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(socket_accept(listener, &fd, &told), SOCKET_NO_DESCRIPTORS);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(socket_accept(listener, &fd, &told), SOCKET_OK);
    socket_close(fd);
    close(peer);
    close(listener);
}

static void passes_up_what_is_wrong_with_the_listener(void **state)
{
    struct address told;
    int pair[2];
    int fd;

    (void)state;
    assert_int_equal(socket_accept(-1, &fd, &told), -EBADF);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(socket_accept(pair[0], &fd, &told), -EINVAL);
    close(pair[0]);
    close(pair[1]);
}

/* Blocking descriptors on purpose: no call may wait. */
static void receives_and_sends(void **state)
{
    char left[3] = {0};
    char right[8] = {0};
    struct iovec pieces[] = {
        {left,  sizeof(left) },
        {right, sizeof(right)}
    };
    struct iovec words[] = {
        {(char[]){'a', 'b', 'c', 'd'}, 4},
        {(char[]){'e'},                1}
    };
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(socket_receive(pair[0], right, sizeof(right)), -EAGAIN);
    assert_int_equal(socket_receive_vector(pair[0], pieces, 2), -EAGAIN);
    assert_int_equal(socket_send(pair[1], words, 2), 5);
    assert_int_equal(socket_receive_vector(pair[0], pieces, 2), 5);
    assert_memory_equal(left, "abc", 3);
    assert_memory_equal(right, "de", 2);
    assert_int_equal(socket_send(pair[1], words, 1), 4);
    assert_int_equal(socket_receive(pair[0], right, 3), 3);
    assert_int_equal(socket_receive(pair[0], right, 3), 1);
    assert_memory_equal(right, "d", 1);
    socket_close(pair[1]);
    assert_int_equal(socket_receive(pair[0], right, 3), 0);
    assert_int_equal(socket_receive_vector(pair[0], pieces, 2), 0);
    socket_close(pair[0]);
}

/* SIGPIPE would end this test. */
static void a_gone_peer_is_an_error(void **state)
{
    struct iovec word = {(char[]){'a'}, 1};
    int pair[2];

    (void)state;
    signal(SIGPIPE, SIG_DFL);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    close(pair[0]);
    assert_int_equal(socket_send(pair[1], &word, 1), -EPIPE);
    close(pair[1]);
}

static void a_full_socket_takes_no_more(void **state)
{
    static char block[4096];
    struct iovec word = {block, sizeof(block)};
    ssize_t sent = 1;
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    while (sent > 0) {
        sent = socket_send(pair[0], &word, 1);
    }
    assert_int_equal(sent, -EAGAIN);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_one_after_the_other),
        cmocka_unit_test(tells_how_many_wait),
        cmocka_unit_test(tells_when_descriptors_are_out),
        cmocka_unit_test(passes_up_what_is_wrong_with_the_listener),
        cmocka_unit_test(receives_and_sends),
        cmocka_unit_test(a_gone_peer_is_an_error),
        cmocka_unit_test(a_full_socket_takes_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
