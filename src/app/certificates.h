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

struct tls_library;

/* Owner: main. */
struct certificates {
    unsigned worker_len;
    struct tls_library *library; /* NULL until a listener needs it */
};

enum certificates_verdict { CERTIFICATES_OK, CERTIFICATES_WRONG };

/*
 * One for each listener of the settings, NULL where it has no TLS. The verdict, when it was
 * reported; -errno, when it was not.
 */
int certificates_load(struct certificates *certificates, const struct settings *settings,
                      const struct report *report, struct stage_source ***sources_out) MUST_CHECK;

/* Gives them back. Accepts NULL. */
void certificates_unload(struct stage_source **sources, unsigned len);

/* After all of them. */
void certificates_deinit(struct certificates *certificates);

/* Whether all could be loaded: for a look at a configuration that nobody serves with. */
int certificates_check(const struct settings *settings, const struct report *report) MUST_CHECK;
