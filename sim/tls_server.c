#include "sim/tls_server.h"

#include "net/tls.h"
#include "sim/fail.h"
#include "sim/scheduler.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * The certificate is the same in every run, made once for the process: signatures with Ed25519 take
 * no chance, and all have one size.
 */

#define SOURCE_LEN 2

static char certfile[40]; /* "": not made yet */
static char keyfile[40];

static struct tls_library *library;
static struct stage_source *sources[SOURCE_LEN];

/* A file that is there for as long as the process is, with what was written to `text`. */
static void make_file(BIO *text, char path[40])
{
    int fd = memfd_create("sim", MFD_CLOEXEC);
    const char *data;
    long len = BIO_get_mem_data(text, &data);

    if (fd < 0 || write(fd, data, (size_t)len) != len) {
        sim_fail("no file in memory");
    }
    snprintf(path, 40, "/proc/self/fd/%d", fd);
    BIO_free(text);
}

static bool sign(X509 *certificate, EVP_PKEY *key)
{
    return X509_set_pubkey(certificate, key) &&
           ASN1_TIME_set_string(X509_getm_notBefore(certificate), "20200101000000Z") &&
           ASN1_TIME_set_string(X509_getm_notAfter(certificate), "20990101000000Z") &&
           X509_sign(certificate, key, NULL) > 0;
}

static void make_certificate(void)
{
    static const unsigned char secret[32] = "the simulator's, and no secret";
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, sizeof(secret));
    X509 *certificate = X509_new();
    BIO *cert_text = BIO_new(BIO_s_mem());
    BIO *key_text = BIO_new(BIO_s_mem());

    if (!key || !certificate || !cert_text || !key_text || !sign(certificate, key) ||
        !PEM_write_bio_X509(cert_text, certificate) ||
        !PEM_write_bio_PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL)) {
        sim_fail("no certificate");
    }
    make_file(cert_text, certfile);
    make_file(key_text, keyfile);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

void tls_server_start(unsigned worker_len)
{
    if (!certfile[0]) {
        make_certificate();
    }
    if (tls_library_new(worker_len, -1, &library) < 0) {
        sim_fail("no library for TLS");
    }
}

static struct stage_source *make_source(void)
{
    const struct listener_settings settings = {
        .tls = {.certfile = certfile, .keyfile = keyfile},
    };
    const struct tls_params params = {.settings = &settings, .now_ms = scheduler_now_ms()};
    struct tls_error error = {.text = "no memory"};
    struct stage_source *source;

    if (tls_source_new(library, &params, &error, &source) != TLS_OK) {
        sim_fail("no TLS for the server: %s", error.text);
    }
    return source;
}

struct stage_source *tls_server_source(unsigned which)
{
    assert(library && which < SOURCE_LEN);
    if (!sources[which]) {
        sources[which] = make_source();
    }
    return sources[which];
}

void tls_server_end(void)
{
    for (unsigned i = 0; i < SOURCE_LEN; i++) {
        if (sources[i] && atomic_load(&sources[i]->refs) != 1) {
            sim_fail("the server keeps what it was given for TLS");
        }
        sources[i] = stage_source_unref(sources[i]);
    }
    library = tls_library_free(library);
}
