#pragma once

/*
 * Passwords
 *
 * A password file in memory: lines USER:PASSWORD, the password in one of the forms of
 * access/password.h. One line that is wrong, and none of them holds. Immutable once it is read: any
 * thread.
 */

#include "access/password.h"
#include "config/report.h"

struct passwords;

struct passwords_request {
    struct slice text; /* of the file */
    const char *path;  /* to name it; outlives the call */
    struct password_limits limits;
    const struct report *report;
};

enum passwords_verdict {
    PASSWORDS_OK,
    PASSWORDS_WRONG /* reported, with file and line */
};

int passwords_parse(const struct passwords_request *request,
                    struct passwords **passwords_out) MUST_CHECK;
struct passwords *passwords_free(struct passwords *passwords);

/* Users. */
size_t passwords_len(const struct passwords *passwords);

/* A user's line. */
struct passwords_entry {
    const struct password *password;
    uint64_t credential; /* of user and stored password together: another line has another one */
};

/* False: there is no such user. */
bool passwords_find(const struct passwords *passwords, struct slice username,
                    struct passwords_entry *entry_out);

/*
 * A password to be looked at in place of the one that an unknown user has not got, always the same
 * for a name: nobody can tell by the time that it takes. There is one unless there are no users.
 */
const struct password *passwords_decoy(const struct passwords *passwords, struct slice username);

DEFINE_CLEANUP(struct passwords *, passwords_free)
