#pragma once

/*
 * Certificate
 *
 * What is read from a client's X.509 certificate. The memory that OpenSSL needs meanwhile is not
 * counted in memory_limit. Pure: any thread.
 */

#include "base/slice.h"

struct x509_st;

/*
 * The subject as RFC 2253 writes it and use_subject_as_username means it ("CN=x,O=y"), escaped by
 * its rules to printable ASCII; on the heap. -ENOENT: the bytes are not one certificate in DER, or
 * its subject is empty; -ENOMEM.
 */
int certificate_subject(struct slice der, char **subject_out) MUST_CHECK;

/* The same of one that OpenSSL has decoded. */
int certificate_subject_of(const struct x509_st *certificate, char **subject_out) MUST_CHECK;

/*
 * The first common name of the subject, on the heap. -ENOENT: there is none that may be a user name
 * (PROXY_NAME_FIT); -ENOMEM.
 */
int certificate_common_name(const struct x509_st *certificate, char **name_out) MUST_CHECK;
