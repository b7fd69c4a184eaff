#pragma once

/*
 * Password
 *
 * One stored password in the forms that Mosquitto's password files have: $6$ (SHA-512 of password
 * and salt), $7$ (PBKDF2 with HMAC-SHA-512, RFC 8018) and $argon2id$ (RFC 9106, a PHC string).
 * What is asked of them may take long, and so belongs on a thread that serves nobody else. Pure:
 * any thread.
 */

#include "base/arena.h"

enum password_kind { PASSWORD_SHA512, PASSWORD_PBKDF2, PASSWORD_ARGON2ID };

/* Salt and hash, bytes. */
#define PASSWORD_PART_MAX 64

/* The longest text of one, with its terminator. */
#define PASSWORD_TEXT_CAP 320

/* What one look at a password takes. */
struct password_cost {
    uint32_t iterations; /* of PBKDF2, or passes of Argon2 */
    uint32_t memory_kib; /* of Argon2 */
    uint32_t lanes;
};

/* The most that a stored one may ask for: one word in a file must not stop the broker. */
struct password_limits {
    uint32_t iterations_max;
    uint64_t memory_max; /* bytes */
};

/* Immutable; the slices lie in the arena that it was parsed into. */
struct password {
    enum password_kind kind;
    struct password_cost cost;
    struct slice salt;
    struct slice hash;
};

enum password_verdict {
    PASSWORD_OK,
    PASSWORD_UNKNOWN,    /* none of these forms */
    PASSWORD_MALFORMED,  /* of one of them, and wrong or cut */
    PASSWORD_ITERATIONS, /* more than may be */
    PASSWORD_MEMORY
};

/* The verdict; -ENOMEM. */
int password_parse(struct slice text, const struct password_limits *limits, struct arena *arena,
                   struct password *password_out) MUST_CHECK;

/* What is wrong, as the end of a sentence about it. */
const char *password_complaint(enum password_verdict verdict);

/*
 * Whether this is the password, in a time that does not depend on how much of it is right. -ENOMEM:
 * nobody knows.
 */
int password_check(const struct password *password, struct slice given,
                   bool *is_right_out) MUST_CHECK;

/* The costs that new passwords get unless something else is asked for. */
struct password_cost password_default_cost(enum password_kind kind);

/* A new one, with a salt of its own, as text. -errno. */
int password_make(enum password_kind kind, const struct password_cost *cost, struct slice given,
                  char text[PASSWORD_TEXT_CAP]) MUST_CHECK;
