#include "app/privileges.h"

#include "base/log.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void become_account(struct privileges *privileges, const struct passwd *account)
{
    privileges->uid = account->pw_uid;
    privileges->gid = account->pw_gid;
    privileges->name[0] = '\0';
    /* A name that is longer than any system allows: without its further groups. */
    if (strlen(account->pw_name) < sizeof(privileges->name)) {
        strcpy(privileges->name, account->pw_name);
    }
}

static int find_user(const char *user, struct privileges *privileges,
                     char error[PRIVILEGES_ERROR_CAP])
{
    const struct passwd *account = getpwnam(user);

    if (!account && strcmp(user, "mosquitto") == 0) {
        log_line(LOG_WARNING,
                 "Warning: Unable to drop privileges to '%s' because this user does not exist. "
                 "Trying 'nobody' instead.",
                 user);
        user = "nobody";
        account = getpwnam(user);
    }
    if (!account) {
        snprintf(error, PRIVILEGES_ERROR_CAP,
                 "Unable to drop privileges to '%.150s' because this user does not exist.", user);
        return PRIVILEGES_NO_USER;
    }
    become_account(privileges, account);
    return PRIVILEGES_OK;
}

/* A number out of the environment; `*is_set_out` is false when it is not there. */
static int read_number(const char *name, unsigned *number_out, bool *is_set_out,
                       char error[PRIVILEGES_ERROR_CAP])
{
    const char *text = getenv(name);
    unsigned long number;
    char *end;

    *is_set_out = text != NULL;
    if (!text) {
        return PRIVILEGES_OK;
    }
    errno = 0;
    number = strtoul(text, &end, 10);
    /* The highest number means "unchanged" to the system. */
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || number >= UINT32_MAX) {
        snprintf(error, PRIVILEGES_ERROR_CAP, "Invalid %s value (%.100s).", name, text);
        return PRIVILEGES_ENVIRONMENT;
    }
    *number_out = (unsigned)number;
    return PRIVILEGES_OK;
}

static void become_number(struct privileges *privileges, uid_t uid)
{
    const struct passwd *account = getpwuid(uid);

    if (account) {
        become_account(privileges, account);
        return;
    }
    privileges->uid = uid;
    privileges->gid = uid;
    privileges->name[0] = '\0';
}

static bool is_in_snap(void)
{
    const char *name = getenv("SNAP_NAME");

    return name && strcmp(name, "mosquitto") == 0;
}

int privileges_find(const char *user, struct privileges *privileges_out,
                    char error[PRIVILEGES_ERROR_CAP])
{
    unsigned uid = 0;
    unsigned gid = 0;
    bool has_uid;
    bool has_gid;
    int r;

    *privileges_out = (struct privileges){.stay = true, .uid = geteuid(), .gid = getegid()};
    if (geteuid() != 0 || is_in_snap()) {
        return PRIVILEGES_OK;
    }
    r = read_number("PUID", &uid, &has_uid, error);
    if (r == PRIVILEGES_OK) {
        r = read_number("PGID", &gid, &has_gid, error);
    }
    if (r == PRIVILEGES_OK && !has_uid && user) {
        r = find_user(user, privileges_out, error);
    }
    if (r != PRIVILEGES_OK) {
        return r;
    }
    if (has_uid) {
        become_number(privileges_out, uid);
    }
    if (has_gid) {
        privileges_out->gid = gid;
    }
    privileges_out->stay = privileges_out->uid == 0 && privileges_out->gid == 0;
    return PRIVILEGES_OK;
}

int privileges_forbid_new(void)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

static int fail(char error[PRIVILEGES_ERROR_CAP], const char *what)
{
    int r = -errno;

    snprintf(error, PRIVILEGES_ERROR_CAP, "Unable to set %s whilst dropping privileges: %s.", what,
             strerror(errno));
    return r;
}

static int become(const struct privileges *privileges, char error[PRIVILEGES_ERROR_CAP])
{
    int r = privileges->name[0] ? initgroups(privileges->name, privileges->gid)
                                : setgroups(1, &privileges->gid);

    if (r < 0) {
        return fail(error, "groups");
    }
    if (setresgid(privileges->gid, privileges->gid, privileges->gid) < 0) {
        return fail(error, "gid");
    }
    if (setresuid(privileges->uid, privileges->uid, privileges->uid) < 0) {
        return fail(error, "uid");
    }
    return 0;
}

/* Only what is there is given back: a filter of system calls may forbid even that. */
static int drop_capabilities(char error[PRIVILEGES_ERROR_CAP])
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct held[_LINUX_CAPABILITY_U32S_3] = {0};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

    if (syscall(SYS_capget, &header, held) < 0) {
        return fail(error, "capabilities");
    }
    if (memcmp(held, none, sizeof(held)) != 0 && syscall(SYS_capset, &header, none) < 0) {
        return fail(error, "capabilities");
    }
    return 0;
}

int privileges_drop(const struct privileges *privileges, char error[PRIVILEGES_ERROR_CAP])
{
    int r = privileges->stay ? 0 : become(privileges, error);

    if (r < 0) {
        return r;
    }
    if (geteuid() == 0) {
        log_line(LOG_WARNING, "Warning: Running as root: use an ordinary user in production.");
        return 0;
    }
    r = drop_capabilities(error);
    if (r < 0) {
        return r;
    }
    assert(setuid(0) < 0); /* there must be no way back */
    return 0;
}
