#pragma once

/*
 * Pre-shared keys
 *
 * A PSK file in memory: lines IDENTITY:KEY, the key in hexadecimal, for TLS by pre-shared keys. One
 * line that is wrong, and none of them holds. Immutable once it is read, and lives as long as the
 * access that it belongs to (access/access.h): any thread that holds a reference to that may look
 * a key up, in a handshake as well.
 */

#include "base/slice.h"
#include "config/report.h"

struct psk;

/* The longest key, bytes: what OpenSSL takes at most in TLS 1.2 (PSK_MAX_PSK_LEN). */
#define PSK_KEY_MAX 256

/* The longest identity, bytes: what OpenSSL takes at most (PSK_MAX_IDENTITY_LEN). */
#define PSK_IDENTITY_MAX 256

struct psk_request {
    struct slice text; /* of the file */
    const char *path;  /* to name it; outlives the call */
    const struct report *report;
};

enum psk_verdict {
    PSK_OK,
    PSK_WRONG /* reported, with file and line */
};

int psk_parse(const struct psk_request *request, struct psk **psk_out) MUST_CHECK;

/* The keys are overwritten. */
struct psk *psk_free(struct psk *psk);

/* False: nobody is called so. The key is borrowed from the file in memory. */
bool psk_find(const struct psk *psk, struct slice identity, struct slice *key_out);

DEFINE_CLEANUP(struct psk *, psk_free)
