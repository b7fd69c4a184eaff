#pragma once

/*
 * Base64
 *
 * The alphabet of RFC 4648 section 4, with padding. Pure: any thread.
 */

#include "base/slice.h"

/* What `len` bytes become, without a terminator. */
#define BASE64_LEN(len) (((len) + 2) / 3 * 4)

/* Writes BASE64_LEN(bytes.len) characters, no terminator, and answers the end of them. */
char *base64_encode(char *at, struct slice bytes);

/*
 * Decodes `text` into `bytes`, of which `cap` are there. False: it is not what base64_encode()
 * could have written (a strange character, wrong padding, bits behind the end), or longer than
 * `cap`.
 */
bool base64_decode(struct slice text, uint8_t *bytes, size_t cap, size_t *len_out) MUST_CHECK;
