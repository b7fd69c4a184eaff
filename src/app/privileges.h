#pragma once

/*
 * Privileges
 *
 * Who the broker is once it serves: when started as root, the user of the configuration or of the
 * environment (PUID, PGID; in a snap named mosquitto it stays as it is). Nothing of a client is
 * read before.
 */

#include "base/base.h"

#include <sys/types.h>

#define PRIVILEGES_ERROR_CAP 256

struct privileges {
    bool stay; /* as who we are */
    uid_t uid;
    gid_t gid;
    char name[33]; /* of the account whose groups we get; "": none but `gid` */
};

enum privileges_verdict {
    PRIVILEGES_OK,
    PRIVILEGES_NO_USER,    /* there is no such user */
    PRIVILEGES_ENVIRONMENT /* PUID or PGID is no number */
};

/*
 * Finds out who to become. `user` may be NULL. The name "mosquitto" falls back to "nobody" where
 * there is no such user, with a warning. What is wrong stands in `error`.
 */
int privileges_find(const char *user, struct privileges *privileges_out,
                    char error[PRIVILEGES_ERROR_CAP]) MUST_CHECK;

/* From here on no program that this process might run gains rights: before any thread is made. */
int privileges_forbid_new(void) MUST_CHECK;

/*
 * Becomes that user, for good, and keeps no capability, unless it is root that stays. -errno, with
 * what failed in `error`: then the process must end.
 */
int privileges_drop(const struct privileges *privileges,
                    char error[PRIVILEGES_ERROR_CAP]) MUST_CHECK;
