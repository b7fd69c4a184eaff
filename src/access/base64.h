#pragma once

/*
 * Base64
 *
 * The standard alphabet (RFC 4648 section 4), strict: no other byte, no bits that are dropped, and
 * padding exactly where it is asked for. Pure.
 */

#include "base/slice.h"

/* The length of `len` bytes as text, with padding. */
#define BASE64_LEN(len) (((len) + 2) / 3 * 4)

/*
 * Answers false for what is none, or for more than `cap` bytes. `padded`: it must be padded; else
 * it must not.
 */
bool base64_decode(struct slice text, bool padded, uint8_t *bytes, size_t cap, size_t *len_out);

/* Writes the text and answers its length; there is no terminator. */
size_t base64_encode(char *text, struct slice bytes, bool padded);
