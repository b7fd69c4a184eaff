#pragma once

/*
 * Certificate
 *
 * What is read from a client's X.509 certificate. The memory that OpenSSL needs meanwhile is not
 * counted in memory_limit. Pure: any thread.
 */

#include "base/slice.h"

/*
 * The subject as RFC 2253 writes it and use_subject_as_username means it ("CN=x,O=y"), escaped by
 * its rules to printable ASCII; on the heap. -ENOENT: the bytes are not one certificate in DER, or
 * its subject is empty; -ENOMEM.
 */
int certificate_subject(struct slice der, char **subject_out) MUST_CHECK;
