#include "app/systemd.h"
#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A service manager: a socket that keeps what it is told. */
static int open_manager(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/nightjar-systemd-test-%ld",
             (long)getpid());
    unlink(address.sun_path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    return fd;
}

static void close_manager(int fd)
{
    unlink(getenv("NOTIFY_SOCKET"));
    unsetenv("NOTIFY_SOCKET");
    close(fd);
}

static const char *hear(int fd, char text[256])
{
    ssize_t len = recv(fd, text, 255, 0);

    text[MAX(len, (ssize_t)0)] = '\0';
    return text;
}

static void test_what_the_manager_hears(void **state)
{
    int fd = open_manager();
    char text[256];

    (void)state;
    systemd_notify(SYSTEMD_READY);
    assert_string_equal(hear(fd, text), "READY=1");
    systemd_notify(SYSTEMD_RELOADING);
    assert_ptr_equal(strstr(hear(fd, text), "RELOADING=1\nMONOTONIC_USEC="), text);
    systemd_notify(SYSTEMD_STOPPING);
    assert_string_equal(hear(fd, text), "STOPPING=1");
    systemd_feed();
    assert_string_equal(hear(fd, text), "WATCHDOG=1");
    close_manager(fd);
}

static void test_without_a_manager(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    systemd_notify(SYSTEMD_READY);
    systemd_feed();
    setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1);
    systemd_notify(SYSTEMD_READY);
    systemd_feed();
    unsetenv("NOTIFY_SOCKET");
}

static void test_the_watchdog_is_ours_or_not(void **state)
{
    char pid[32];

    (void)state;
    unsetenv("WATCHDOG_USEC");
    assert_int_equal(systemd_watchdog_ms(), 0);
    setenv("WATCHDOG_USEC", "3000000", 1);
    assert_int_equal(systemd_watchdog_ms(), 3000);
    setenv("WATCHDOG_USEC", "10", 1);
    assert_int_equal(systemd_watchdog_ms(), 1);
    setenv("WATCHDOG_USEC", "nonsense", 1);
    assert_int_equal(systemd_watchdog_ms(), 0);
    setenv("WATCHDOG_USEC", "3000000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    assert_int_equal(systemd_watchdog_ms(), 0);
    snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(systemd_watchdog_ms(), 3000);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_the_manager_hears),
        cmocka_unit_test(test_without_a_manager),
        cmocka_unit_test(test_the_watchdog_is_ours_or_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
