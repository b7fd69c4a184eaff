#pragma once

/*
 * Access rules
 *
 * An ACL file in memory, compiled: what a user may read and write is found by a walk down the
 * levels of the topic, however many rules there are. Rules of users, of clients without a name, and
 * patterns, which are for everybody and name the user (%u), the client (%c), the host name that it
 * asked TLS for (%{authority}) or the protocol that TLS agreed on (%{alpn}). One line that is
 * wrong, and none of them holds. Immutable once it is read: any thread.
 *
 * As Mosquitto's: a user's `deny` before the user's grants, then, for what these do not grant, a
 * pattern's `deny` before the grants of patterns; what nobody grants is denied. A topic that begins
 * with $ is matched only by rules that begin with $.
 */

#include "base/slice.h"
#include "config/report.h"

struct acl;
struct acl_node;

enum acl_right { ACL_READ = 1, ACL_WRITE = 2, ACL_ALL = ACL_READ | ACL_WRITE };

struct acl_request {
    struct slice text; /* of the file */
    const char *path;  /* to name it; outlives the call */
    const struct report *report;
};

enum acl_verdict {
    ACL_OK,
    ACL_WRONG /* reported, with file and line */
};

int acl_parse(const struct acl_request *request, struct acl **acl_out) MUST_CHECK;
struct acl *acl_free(struct acl *acl);

/* What a pattern may name. */
enum acl_name { ACL_CLIENT_ID, ACL_USERNAME, ACL_AUTHORITY, ACL_ALPN, ACL_NAME_LEN };

/* What is known of a client's TLS, as it was told. Empty: nothing. */
struct acl_tls {
    struct slice authority;
    struct slice alpn;
};

/*
 * Who asks, looked up once. The slices are borrowed, and so are the rest of its names, and the
 * node, of the rules.
 *
 * A name becomes part of a pattern only if it is one level and no wildcard: with `#`, `+` or `/` in
 * it, or empty, it can't reach beyond what the pattern was written for. A host name stands there in
 * small letters, since it has no case, and without a dot behind.
 */
struct acl_who {
    struct slice client_id;
    struct slice username;
    const struct acl_tls *tls;  /* NULL: nothing is known */
    const struct acl_node *own; /* rules of the user, or of those without a name; NULL: none */
    uint64_t group;             /* all of a group have the same rights by these rules; 0: nobody
                                   else is known to have the same */
    uint8_t plain;              /* bits 1 << enum acl_name: fit to stand in a pattern */
    bool has_no_patterns;       /* a pattern must not be asked at all */
};

/* Greater than any group. */
#define ACL_GROUP_MAX (UINT64_C(1) << 35)

/* `username`, `tls`: NULL, there is none. */
void acl_look_up(const struct acl *acl, struct slice client_id, const struct slice *username,
                 const struct acl_tls *tls, struct acl_who *who_out);

/* What may be done with a topic: bits of enum acl_right. */
unsigned acl_rights(const struct acl *acl, const struct acl_who *who, struct slice topic);

/* Whether a filter lies whole within what one rule lets read, and within nothing denied. */
bool acl_covers(const struct acl *acl, const struct acl_who *who, struct slice filter);

DEFINE_CLEANUP(struct acl *, acl_free)
