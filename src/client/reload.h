#pragma once

/*
 * Reload
 *
 * Puts other settings and listeners in the place of those that hold, while the server runs. Made
 * whole aside, with all the memory that it takes; from reload_publish() on nothing can fail. Each
 * worker takes them over between two entries of its mailbox. Main's, and one at a time.
 */

#include "client/server.h"

struct access_set;
struct changes;
struct reload;

/* A listening descriptor of a listener that opens. */
struct reload_socket {
    int fd;
    unsigned listener; /* of the next settings */
};

struct reload_params {
    struct settings *next;           /* settled: see config/changes.h. A reference is taken. */
    const struct access_set *access; /* of these; references are taken; NULL: no files */
    const struct changes *changes;
    const struct reload_socket *sockets; /* descriptors stay the caller's */
    unsigned socket_len;
    struct stage_source **tls; /* as for server_new(), newly loaded */
    void (*on_passed)(void);   /* on a worker: main is to look */
};

/* -ENOMEM: nothing has changed. */
int reload_new(struct server *server, const struct reload_params *params,
               struct reload **reload_out) MUST_CHECK;

/* Before it was published, when it has passed, or when the workers have ended. */
struct reload *reload_free(struct reload *reload);

/* Has all workers take it over. While the server is not yet asked to stop. */
void reload_publish(struct reload *reload);

/* Every worker has: nobody looks at the descriptors of listeners that close any more. */
bool reload_has_passed(const struct reload *reload);

DEFINE_CLEANUP(struct reload *, reload_free)
