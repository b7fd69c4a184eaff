#pragma once

/*
 * Certificates
 *
 * Loads what the listeners of a configuration need for TLS, at the start and at every reload, and
 * tells of what is wrong with it where it was written. Main's.
 */

#include "config/report.h"
#include "config/settings.h"
#include "net/stream.h"

struct access_set;
struct tls_library;

/* Owner: main. Begins with CERTIFICATES_NONE. */
#define CERTIFICATES_NONE ((struct certificates){.keylog_fd = -1})

struct certificates {
    unsigned worker_len;
    struct tls_library *library; /* NULL until a listener needs it */
    int keylog_fd;               /* where the keys of all connections are told; -1: nowhere */
};

enum certificates_verdict { CERTIFICATES_OK, CERTIFICATES_WRONG };

/*
 * One for each listener of the settings, NULL where it has no TLS; what there is of pre-shared keys
 * is in the listeners' access, which lives as long as they. The verdict, when it was
 * reported; -errno, when it was not.
 */
int certificates_load(struct certificates *certificates, const struct settings *settings,
                      const struct access_set *access, const struct report *report,
                      struct stage_source ***sources_out) MUST_CHECK;

/*
 * Opens the file that all keys are appended to, as the programs that look at what goes over the
 * wire read them. -errno; it was logged. NULL: none.
 */
int certificates_open_keylog(struct certificates *certificates, const char *path) MUST_CHECK;

/* Gives them back. Accepts NULL. */
void certificates_unload(struct stage_source **sources, unsigned len);

/* After all of them. */
void certificates_deinit(struct certificates *certificates);

/* Whether all could be loaded: for a look at a configuration that nobody serves with. */
int certificates_check(const struct settings *settings, const struct access_set *access,
                       const struct report *report) MUST_CHECK;
