#include "net/certificate.h"

#include "base/memory.h"
#include "net/proxy_rules.h"

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

static int copy_text(struct slice text, char **text_out)
{
    if (text.len == 0) {
        return -ENOENT;
    }
    *text_out = memory_copy_slice(text);
    return *text_out ? 0 : -ENOMEM;
}

int certificate_subject_of(const X509 *certificate, char **subject_out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int r = -ENOMEM;

    if (bio &&
        X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0) {
        const char *text;
        long len = BIO_get_mem_data(bio, &text);

        r = copy_text(slice_of(text, (size_t)MAX(len, 0L)), subject_out);
    }
    BIO_free(bio);
    ERR_clear_error();
    return r;
}

int certificate_subject(struct slice der, char **subject_out)
{
    X509 *certificate = der.len > 0 ? decode(der) : NULL;
    int r = certificate ? certificate_subject_of(certificate, subject_out) : -ENOENT;

    X509_free(certificate);
    ERR_clear_error();
    return r;
}

int certificate_common_name(const X509 *certificate, char **name_out)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    unsigned char *text;
    int len;
    int r;

    if (at < 0) {
        return -ENOENT;
    }
    len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (len < 0) {
        ERR_clear_error();
        return -ENOENT;
    }
    r = proxy_judge_name(slice_of(text, (size_t)len)) == PROXY_NAME_FIT
            ? copy_text(slice_of(text, (size_t)len), name_out)
            : -ENOENT;
    OPENSSL_free(text);
    return r;
}
