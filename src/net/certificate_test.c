#include "base/test.h"
#include "net/certificate.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>

struct entry {
    const char *name;
    const char *value;
};

static X509 *make_certificate(EVP_PKEY *key, const struct entry *entries)
{
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_NAME_new();

    assert_non_null(certificate);
    assert_non_null(subject);
    for (size_t i = 0; entries[i].name; i++) {
        assert_int_equal(X509_NAME_add_entry_by_txt(subject, entries[i].name, MBSTRING_UTF8,
                                                    (const unsigned char *)entries[i].value, -1, -1,
                                                    0),
                         1);
    }
    X509_set_subject_name(certificate, subject);
    X509_NAME_free(subject);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, NULL) > 0);
    return certificate;
}

/* Owner: the caller, of bytes on OpenSSL's heap. */
static struct slice encode(const struct entry *entries)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    X509 *certificate = make_certificate(key, entries);
    unsigned char *der = NULL;
    int len = i2d_X509(certificate, &der);

    assert_true(len > 0);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return slice_of(der, (size_t)len);
}

static void free_der(struct slice der)
{
    OPENSSL_free((void *)(uintptr_t)der.data);
}

static void writes_subjects_as_rfc_2253(void **state)
{
    static const struct {
        struct entry entries[4];
        const char *subject;
    } cases[] = {
        {{{"CN", "sensor-1"}},                       "CN=sensor-1"      },
        {{{"C", "DE"}, {"O", "Plant"}, {"CN", "x"}}, "CN=x,O=Plant,C=DE"},
        {{{"CN", "a,b+c\"d"}},                       "CN=a\\,b\\+c\\\"d"},
        {{{"CN", "line\nbreak"}},                    "CN=line\\0Abreak" },
        {{{"CN", "Ger\xc3\xa4t"}},                   "CN=Ger\\C3\\A4t"  },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice der = encode(cases[i].entries);
        char *subject = NULL;

        assert_int_equal(certificate_subject(der, &subject), 0);
        assert_string_equal(subject, cases[i].subject);
        memory_free(subject);
        free_der(der);
    }
}

static void refuses_what_is_no_certificate(void **state)
{
    static const struct entry nothing[] = {{0}};
    static const struct entry name[] = {
        {"CN", "x"},
        {0   }
    };
    struct slice der = encode(name);
    struct slice empty = encode(nothing);
    char *subject = NULL;
    uint8_t longer[2048];

    (void)state;
    for (size_t len = 0; len < der.len; len++) {
        struct slice cut = bytes_copy(slice_of(der.data, len));

        assert_int_equal(certificate_subject(cut, &subject), -ENOENT);
        bytes_free(cut);
    }
    memcpy(longer, der.data, der.len);
    longer[der.len] = 0;
    assert_int_equal(certificate_subject(slice_of(longer, der.len + 1), &subject), -ENOENT);
    assert_int_equal(certificate_subject(empty, &subject), -ENOENT);
    memory_fail_after(1);
    assert_int_equal(certificate_subject(der, &subject), -ENOMEM);
    memory_fail_after(0);
    assert_null(subject);
    free_der(der);
    free_der(empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_subjects_as_rfc_2253),
        cmocka_unit_test(refuses_what_is_no_certificate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
