#include "net/certificate.h"

#include "base/memory.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>

/* NULL: not exactly one certificate, or no memory; the two are not told apart. */
static X509 *decode(struct slice der)
{
    const unsigned char *at = der.data;
    X509 *certificate = d2i_X509(NULL, &at, (long)der.len);

    if (certificate && at != der.data + der.len) {
        X509_free(certificate);
        certificate = NULL;
    }
    return certificate;
}

static int copy_text(BIO *bio, char **text_out)
{
    const char *text;
    long len = BIO_get_mem_data(bio, &text);

    if (len <= 0) {
        return -ENOENT;
    }
    *text_out = memory_alloc((size_t)len + 1);
    if (!*text_out) {
        return -ENOMEM;
    }
    memcpy(*text_out, text, (size_t)len);
    (*text_out)[len] = '\0';
    return 0;
}

int certificate_subject(struct slice der, char **subject_out)
{
    X509 *certificate = der.len > 0 ? decode(der) : NULL;
    BIO *bio = certificate ? BIO_new(BIO_s_mem()) : NULL;
    int r = certificate ? -ENOMEM : -ENOENT;

    if (bio &&
        X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0) {
        r = copy_text(bio, subject_out);
    }
    BIO_free(bio);
    X509_free(certificate);
    ERR_clear_error();
    return r;
}
