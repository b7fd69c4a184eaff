#pragma once

/*
 * TLS
 *
 * The stage that speaks TLS as a server, with OpenSSL 3. What a listener was given is loaded once,
 * for every worker apart: OpenSSL takes locks in whatever two threads share. It is used by any
 * worker, and made by main.
 */

#include "config/settings.h"
#include "net/stream.h"

struct tls_library;

/* Has OpenSSL's memory counted with ours: before anything else of it is called. */
void tls_count_memory(void);

/* One for the process, before there are listeners. `keylog_fd` stays the caller's; -1: the keys of
 * connections are nobody else's. -errno. */
int tls_library_new(unsigned worker_len, int keylog_fd,
                    struct tls_library **library_out) MUST_CHECK;

/* After all that was made with it. */
struct tls_library *tls_library_free(struct tls_library *library);

enum tls_verdict {
    TLS_OK,
    TLS_WRONG /* an option or the file that it names */
};

/* What is wrong: a sentence without its end, and where to look. */
struct tls_error {
    const char *option;
    char text[512];
};

/* Where pre-shared keys come from: both live as long as the listener. Any worker. */
struct tls_keys {
    /* False: nobody is called so. The key is borrowed. */
    bool (*find)(const void *context, struct slice identity, struct slice *key_out);
    const void *context; /* NULL: there are none */
};

/* Whether a listener with these settings speaks TLS. */
bool tls_is_wanted(const struct listener_settings *settings);

struct tls_params {
    const struct listener_settings *settings;
    struct tls_keys keys;
    uint64_t now_ms; /* of the loop's clock */
};

/* Loads what the settings name. The verdict, with `error`; -errno. Main. */
int tls_source_new(struct tls_library *library, const struct tls_params *params,
                   struct tls_error *error, struct stage_source **source_out) MUST_CHECK;

DEFINE_CLEANUP(struct tls_library *, tls_library_free)
