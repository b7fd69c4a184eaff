#pragma once

/*
 * Base64
 *
 * The alphabet of RFC 4648 section 4, by OpenSSL, but strict: no other byte, no bits that are
 * dropped, and padding exactly where it is asked for. Pure: any thread.
 */

#include "base/slice.h"

/* What `len` bytes become, with padding. */
#define BASE64_LEN(len) (((len) + 2) / 3 * 4)

/* The longest text that is decoded. */
#define BASE64_TEXT_MAX 1024

/*
 * Writes the text, without a terminator, and answers its length. At most BASE64_TEXT_MAX / 4 * 3
 * bytes.
 */
size_t base64_encode(char *text, struct slice bytes, bool is_padded);

/* False: it is not what base64_encode() would have written, or more than `cap` bytes. */
bool base64_decode(struct slice text, bool is_padded, uint8_t *bytes, size_t cap,
                   size_t *len_out) MUST_CHECK;
