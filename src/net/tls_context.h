#pragma once

/*
 * TLS context
 *
 * What one worker serves the connections of one listener with. Private to TLS.
 */

#include "config/settings.h"
#include "net/tls.h"

#include <openssl/ssl.h>

/*
 * The keys of session tickets. All workers of a listener have the same, without telling each other:
 * each period's key is made of the one before, and what it was made of can't be found from it.
 * Owner: the worker.
 */
struct tls_tickets {
    uint64_t made_ms;
    uint64_t period;        /* since then, of the newer key */
    uint8_t name[8];        /* of all these keys */
    uint8_t secrets[2][32]; /* of this period and of the one before */
    EVP_CIPHER *cipher;
    OSSL_LIB_CTX *library;
};

struct tls_context {
    SSL_CTX *ssl; /* its app data is this */
    struct tls_tickets tickets;
    struct tls_keys keys;
    int keylog_fd; /* -1: none */
};

/* What is drawn once for all workers. */
struct tls_ticket_seed {
    uint64_t made_ms;
    uint8_t name[8];
    uint8_t secret[32];
};

/* The verdict; -errno. Either way tls_context_deinit() is due. */
int tls_context_init(struct tls_context *context, OSSL_LIB_CTX *library,
                     const struct listener_settings *settings, struct tls_error *error) MUST_CHECK;
void tls_context_deinit(struct tls_context *context);

/* -ENOMEM. */
int tls_tickets_init(struct tls_context *context, OSSL_LIB_CTX *library,
                     const struct tls_ticket_seed *seed) MUST_CHECK;
void tls_tickets_deinit(struct tls_tickets *tickets);

/* The connection has proved to have this identity's key. False: no memory. */
bool tls_note_identity(const SSL *ssl, const char *identity) MUST_CHECK;

/* The loop's clock in the call that the connection is in. */
uint64_t tls_now_ms(const SSL *ssl);
