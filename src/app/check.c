#include "app/check.h"

#include "app/privileges.h"
#include "config/options.h"

#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Owner: main. */
struct check {
    const struct settings *settings;
    const struct report *report;
    unsigned wrong;
};

static void complain(struct check *check, const struct report_place *place, const char *text)
{
    report_error(check->report, place, "%s", text);
    check->wrong++;
}

/* Files */

/* Whether a file could be made at the path. */
static int check_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char folder[PATH_MAX] = ".";

    if (slash) {
        size_t len = MAX((size_t)(slash - path), (size_t)1);

        if (len >= sizeof(folder)) {
            return -ENAMETOOLONG;
        }
        memcpy(folder, path, len);
        folder[len] = '\0';
    }
    return faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

static int check_file(const char *path)
{
    struct stat file;

    if (stat(path, &file) < 0) {
        return errno == ENOENT ? check_folder(path) : -errno;
    }
    if (S_ISDIR(file.st_mode)) {
        return -EISDIR;
    }
    return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0 ? -errno : 0;
}

/* The process */

static void check_user(struct check *check)
{
    struct privileges privileges;
    char error[PRIVILEGES_ERROR_CAP];

    if (privileges_find(check->settings->process.user, &privileges, error) != PRIVILEGES_OK) {
        complain(check, option_place(check->settings->places, "user"), error);
    }
}

static void check_pid_file(struct check *check)
{
    const char *path = check->settings->process.pid_file;
    int r = path ? check_file(path) : 0;

    if (r < 0) {
        report_error(check->report, option_place(check->settings->places, "pid_file"),
                     "Unable to write pid file '%s': %s.", path, strerror(-r));
        check->wrong++;
    }
}

static void check_log(struct check *check)
{
    const struct settings_log *log = &check->settings->log;
    int r = (log->destinations & SETTINGS_LOG_TO_FILE) != 0 ? check_file(log->file) : 0;

    if (r < 0) {
        report_error(check->report, option_place(check->settings->places, "log_dest"),
                     "Unable to open log file %s for writing: %s.", log->file, strerror(-r));
        check->wrong++;
    }
}

/* Listeners */

static int family_of(enum settings_domain domain)
{
    return domain == SETTINGS_DOMAIN_IPV4   ? AF_INET
           : domain == SETTINGS_DOMAIN_IPV6 ? AF_INET6
                                            : AF_UNSPEC;
}

/*
 * A socket of another kind may have the address without taking the port from anybody. IPv6 may be
 * missing on a machine where the name has an address of IPv4 as well.
 */
static int check_address(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int r;

    if (fd < 0) {
        return -errno;
    }
    r = bind(fd, address->ai_addr, address->ai_addrlen) < 0 ? -errno : 0;
    close(fd);
    return r;
}

static int check_found(const struct addrinfo *address)
{
    bool has_any = false;
    int missing = 0;

    for (; address; address = address->ai_next) {
        int r = check_address(address);

        if (r < 0 && address->ai_family != AF_INET6) {
            return r;
        }
        has_any |= r == 0;
        missing = r < 0 ? r : missing;
    }
    return has_any ? 0 : missing;
}

static void check_addresses(struct check *check, const struct listener_settings *listener)
{
    const struct addrinfo hints = {.ai_family = family_of(listener->domain),
                                   .ai_socktype = SOCK_DGRAM};
    struct addrinfo *found = NULL;
    int r = getaddrinfo(listener->bind_address, NULL, &hints, &found);
    const char *reason = r == 0 ? NULL : r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r);

    if (r == 0) {
        r = check_found(found);
        reason = r < 0 ? strerror(-r) : NULL;
        freeaddrinfo(found);
    }
    if (reason) {
        report_error(check->report, option_place(listener->places, "listener"), "%s (%s port %u)",
                     reason, listener->bind_address, listener->port);
        check->wrong++;
    }
}

static void check_unix_path(struct check *check, const struct listener_settings *listener)
{
    int r = check_folder(listener->unix_path);
    struct stat file;

    if (r == 0 && lstat(listener->unix_path, &file) == 0 && !S_ISSOCK(file.st_mode)) {
        r = -EEXIST;
    }
    if (r < 0) {
        report_error(check->report, option_place(listener->places, "listener"),
                     "%s (unix socket %s)", strerror(-r), listener->unix_path);
        check->wrong++;
    }
}

static void check_listener(struct check *check, const struct listener_settings *listener)
{
    if (listener->unix_path) {
        check_unix_path(check, listener);
        return;
    }
    if (listener->bind_address) {
        check_addresses(check, listener);
    }
    if (listener->bind_interface && if_nametoindex(listener->bind_interface) == 0) {
        report_error(check->report, option_place(listener->places, "bind_interface"),
                     "There is no network interface '%s'.", listener->bind_interface);
        check->wrong++;
    }
}

static void check_rest(struct check *check)
{
    check_log(check);
    for (unsigned i = 0; i < check->settings->listener_len; i++) {
        check_listener(check, &check->settings->listeners[i]);
    }
}

int check_settings(const struct settings *settings, const struct report *report)
{
    struct check check = {.settings = settings, .report = report};

    check_user(&check);
    check_pid_file(&check);
    check_rest(&check);
    return check.wrong > 0 ? CHECK_WRONG : CHECK_OK;
}

int check_reload(const struct settings *settings, const struct report *report)
{
    struct check check = {.settings = settings, .report = report};

    check_rest(&check);
    return check.wrong > 0 ? CHECK_WRONG : CHECK_OK;
}
