#include "net/tls_context.h"

#include <openssl/err.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The sentences are Mosquitto's, with what OpenSSL or the system says in parentheses. All that is
 * wrong is found here, when the files are loaded: afterwards only memory can fail.
 */

/* Of the first error that OpenSSL noted. */
static const char *find_reason(void)
{
    unsigned long code = ERR_peek_error();

    return ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
}

static PRINTF_LIKE(3, 4) int fail(struct tls_error *error, const char *option, const char *format,
                                  ...)
{
    const char *reason = find_reason();
    va_list arguments;
    size_t len;

    error->option = option;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
    len = strlen(error->text);
    if (reason) {
        snprintf(error->text + len, sizeof(error->text) - len, " (%s)", reason);
    }
    return TLS_WRONG;
}

/* Nobody is there to type one. */
static int no_password(char *room, int size, int is_writing, void *context)
{
    (void)room;
    (void)size;
    (void)is_writing;
    (void)context;
    return -1;
}

/* For a look at what goes over the wire, by those who start the broker. A line at a time. */
static void on_secret(const SSL *ssl, const char *line)
{
    const struct tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    char text[512];
    int len = snprintf(text, sizeof(text), "%s\n", line);
    ssize_t written;

    if (len < (int)sizeof(text)) {
        written = write(context->keylog_fd, text, (size_t)len);
        (void)written;
    }
}

/* Whoever it asks for, there is one of us; but only what is answered is remembered by a ticket. */
static int on_authority(SSL *ssl, int *alert, void *context)
{
    (void)ssl;
    (void)alert;
    (void)context;
    return SSL_TLSEXT_ERR_OK;
}

/*
 * What is spoken here, if it is among the client's protocols; else it goes on without, as if nobody
 * had asked: cloud services have their clients ask for names of their own.
 */
/* NOLINTNEXTLINE(readability-function-size): so many are given. */
static int on_protocols(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_len,
                        const unsigned char *asked, unsigned asked_len, void *context)
{
    struct slice ours = slice_of_text(context);

    (void)ssl;
    for (unsigned at = 0; at < asked_len; at += 1u + asked[at]) {
        if (slice_is_equal(slice_of(asked + at + 1, asked[at]), ours)) {
            *chosen = asked + at + 1;
            *chosen_len = asked[at];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_NOACK;
}

static void set_names(SSL_CTX *ssl, enum settings_protocol protocol)
{
    static char mqtt[] = "mqtt";
    static char http[] = "http/1.1";

    SSL_CTX_set_tlsext_servername_callback(ssl, on_authority);
    SSL_CTX_set_alpn_select_cb(ssl, on_protocols, protocol == SETTINGS_PROTOCOL_MQTT ? mqtt : http);
}

static void set_rules(struct tls_context *context)
{
    static const unsigned char name[] = "nightjar";
    SSL_CTX *ssl = context->ssl;

    SSL_CTX_set_app_data(ssl, context);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_ENABLE_PARTIAL_WRITE);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(ssl, name, sizeof(name));
    SSL_CTX_set_default_passwd_cb(ssl, no_password);
    if (context->keylog_fd >= 0) {
        SSL_CTX_set_keylog_callback(ssl, on_secret);
    }
}

static int set_versions(SSL_CTX *ssl, const struct settings_tls *tls, struct tls_error *error)
{
    int least = tls->version == SETTINGS_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;

    if (!SSL_CTX_set_min_proto_version(ssl, least)) {
        return fail(error, "tls_version", "Unable to set the version of TLS. Check tls_version.");
    }
    if (tls->ciphers && !SSL_CTX_set_cipher_list(ssl, tls->ciphers)) {
        return fail(error, "ciphers", "Unable to set TLS ciphers. Check cipher list \"%s\".",
                    tls->ciphers);
    }
    if (tls->ciphers_13 && !SSL_CTX_set_ciphersuites(ssl, tls->ciphers_13)) {
        return fail(error, "ciphers_tls1.3",
                    "Unable to set TLS 1.3 ciphersuites. Check cipher_tls13 list \"%s\".",
                    tls->ciphers_13);
    }
    return TLS_OK;
}

static int load_certificate(SSL_CTX *ssl, const struct settings_tls *tls, struct tls_error *error)
{
    if (!tls->certfile) {
        return TLS_OK;
    }
    if (SSL_CTX_use_certificate_chain_file(ssl, tls->certfile) != 1) {
        return fail(error, "certfile", "Unable to load server certificate \"%s\". Check certfile.",
                    tls->certfile);
    }
    if (SSL_CTX_use_PrivateKey_file(ssl, tls->keyfile, SSL_FILETYPE_PEM) != 1) {
        return fail(error, "keyfile", "Unable to load server key file \"%s\". Check keyfile.",
                    tls->keyfile);
    }
    if (SSL_CTX_check_private_key(ssl) != 1) {
        return fail(error, "keyfile", "Server certificate/key are inconsistent: \"%s\".",
                    tls->keyfile);
    }
    return TLS_OK;
}

/* OpenSSL would find out when the first client comes. */
static bool is_folder(const char *path)
{
    struct stat found;

    if (stat(path, &found) < 0) {
        ERR_raise(ERR_LIB_SYS, errno);
        return false;
    }
    if (!S_ISDIR(found.st_mode)) {
        ERR_raise(ERR_LIB_SYS, ENOTDIR);
    }
    return S_ISDIR(found.st_mode);
}

static int load_authorities(SSL_CTX *ssl, OSSL_LIB_CTX *library, const struct settings_tls *tls,
                            struct tls_error *error)
{
    if (tls->cafile) {
        STACK_OF(X509_NAME) *names = NULL;

        if (SSL_CTX_load_verify_file(ssl, tls->cafile) == 1) {
            names = SSL_load_client_CA_file_ex(tls->cafile, library, NULL);
        }
        if (!names) {
            return fail(error, "cafile", "Unable to load CA certificates. Check cafile \"%s\".",
                        tls->cafile);
        }
        SSL_CTX_set_client_CA_list(ssl, names);
    }
    if (tls->capath &&
        (!is_folder(tls->capath) || SSL_CTX_load_verify_dir(ssl, tls->capath) != 1)) {
        return fail(error, "capath", "Unable to load CA certificates. Check capath \"%s\".",
                    tls->capath);
    }
    return TLS_OK;
}

static int load_revoked(SSL_CTX *ssl, const struct settings_tls *tls, struct tls_error *error)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);
    X509_LOOKUP *lookup;

    if (!tls->crlfile) {
        return TLS_OK;
    }
    lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    if (!lookup || X509_load_crl_file(lookup, tls->crlfile, X509_FILETYPE_PEM) < 1) {
        return fail(error, "crlfile",
                    "Unable to load certificate revocation file \"%s\". Check crlfile.",
                    tls->crlfile);
    }
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return TLS_OK;
}

/* Without require_certificate, clients are not even asked for one: as Mosquitto. */
static int ask_for_certificates(SSL_CTX *ssl, const struct settings_tls *tls,
                                const struct settings_certificates *certificates,
                                struct tls_error *error)
{
    if (!certificates->is_required) {
        SSL_CTX_set_verify(ssl, SSL_VERIFY_NONE, NULL);
        return TLS_OK;
    }
    if (!tls->cafile && !tls->capath) {
        return fail(error, "require_certificate", "require_certificate needs cafile or capath.");
    }
    if (tls->ignores_dates) {
        X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ssl), X509_V_FLAG_NO_CHECK_TIME);
    }
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return TLS_OK;
}

/* Pre-shared keys */

/* Of TLS 1.2 and of 1.3: OpenSSL asks here for both. 0: there is no such key. */
static unsigned on_identity(SSL *ssl, const char *identity, unsigned char *key, unsigned cap)
{
    const struct tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct slice found;

    if (!context->keys.find(context->keys.context, slice_of_text(identity), &found) ||
        found.len > cap || !tls_note_identity(ssl, identity)) {
        return 0;
    }
    memcpy(key, found.data, found.len);
    return (unsigned)found.len;
}

/* A ticket would not tell whose key it was. */
static int take_keys(struct tls_context *context, const struct settings_tls *tls,
                     struct tls_error *error)
{
    if (!tls->psk_hint) {
        return TLS_OK;
    }
    if (!context->keys.context) {
        return fail(error, "psk_hint", "psk_hint needs psk_file.");
    }
    if (SSL_CTX_use_psk_identity_hint(context->ssl, tls->psk_hint) != 1) {
        return fail(error, "psk_hint", "Unable to use psk_hint \"%s\".", tls->psk_hint);
    }
    SSL_CTX_set_psk_server_callback(context->ssl, on_identity);
    SSL_CTX_set_options(context->ssl, SSL_OP_NO_TICKET);
    return TLS_OK;
}

static int check_pair(const struct settings_tls *tls, struct tls_error *error)
{
    if (!tls->keyfile && tls->certfile) {
        return fail(error, "certfile", "certfile needs keyfile.");
    }
    return tls->certfile || !tls->keyfile ? TLS_OK
                                          : fail(error, "keyfile", "keyfile needs certfile.");
}

int tls_context_init(struct tls_context *context, OSSL_LIB_CTX *library,
                     const struct listener_settings *settings, struct tls_error *error)
{
    const struct settings_tls *tls = &settings->tls;
    int r;

    ERR_clear_error();
    context->ssl = SSL_CTX_new_ex(library, NULL, TLS_server_method());
    if (!context->ssl) {
        return -ENOMEM;
    }
    set_rules(context);
    set_names(context->ssl, settings->protocol);
    r = check_pair(tls, error);
    if (r == TLS_OK) {
        r = set_versions(context->ssl, tls, error);
    }
    if (r == TLS_OK) {
        r = load_certificate(context->ssl, tls, error);
    }
    if (r == TLS_OK) {
        r = load_authorities(context->ssl, library, tls, error);
    }
    if (r == TLS_OK) {
        r = load_revoked(context->ssl, tls, error);
    }
    if (r == TLS_OK) {
        r = take_keys(context, tls, error);
    }
    return r == TLS_OK ? ask_for_certificates(context->ssl, tls, &settings->certificates, error)
                       : r;
}

void tls_context_deinit(struct tls_context *context)
{
    tls_tickets_deinit(&context->tickets);
    SSL_CTX_free(context->ssl);
}
