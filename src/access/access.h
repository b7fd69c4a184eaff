#pragma once

/*
 * Access
 *
 * Who may connect, publish and subscribe at a listener, by its options and by its files. What is in
 * the files is read once, at the start or for a reload, as a whole or not at all; from then on it
 * is immutable and counted, and any thread may ask. A listener without files has none of it: NULL.
 */

#include "base/slice.h"
#include "config/report.h"
#include "config/settings.h"
#include "mqtt/reasons.h"

struct access;
struct acl;
struct password;
struct psk;

/* For each listener of the settings, in their order. */
struct access_set {
    struct access **accesses; /* NULL: no files */
    unsigned len;
};

enum access_load_verdict {
    ACCESS_LOADED,
    ACCESS_WRONG /* reported, with file and line */
};

/* Reads all the files that the settings name. The verdict; -ENOMEM: reported as well. */
int access_load(const struct settings *settings, const struct report *report,
                struct access_set *set_out) MUST_CHECK;
void access_set_deinit(struct access_set *set);

/* NULL is answered with NULL, by both. */
struct access *access_ref(struct access *access);
struct access *access_unref(struct access *access);

struct access_request {
    const struct access *access;
    const struct listener_settings *listener;
    struct slice username;
    bool has_username;
    bool has_password;
    bool is_vouched_for; /* the name is that of a certificate: no password is asked for */
};

enum access_verdict {
    ACCESS_YES,
    ACCESS_NO,
    ACCESS_ASK /* only if the password is right: see access/verifier.h */
};

/* Whether somebody may come in who says to be this. */
enum access_verdict access_connect(const struct access_request *request);

/* What has to be looked at for that: the user's own password, or one to spend the same time on. */
struct access_question {
    const struct password *password; /* lives as long as the access */
    bool is_known;                   /* else nothing is right */
    uint64_t credential;             /* of who is let in by it, for access_still_may() */
};

/* After ACCESS_ASK. */
struct access_question access_question(const struct access *access, struct slice username);

/*
 * Whether a client of this listener that was let in before may stay. `credential`: of the password
 * that it came in by; 0: without one. Whoever came in by a password that has changed since has to
 * come again.
 */
bool access_still_may(const struct access_request *request, uint64_t credential);

/* Whether somebody who was let in before might be refused now. */
bool access_may_refuse(const struct listener_settings *before, const struct listener_settings *now);

/* The rules for topics; NULL: everything may be done. They live as long as the access. */
const struct acl *access_acl(const struct access *access);

/* The keys for TLS by pre-shared keys (access/psk.h); NULL: there are none. The same. */
const struct psk *access_psk(const struct access *access);

/* What nobody may publish to, whatever the rules. A valid topic. MQTT_SUCCESS or
 * MQTT_NOT_AUTHORIZED. */
enum mqtt_reason access_publish(struct slice topic);
