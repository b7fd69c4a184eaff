#pragma once

/*
 * SHA-1
 *
 * What the handshake of WebSocket is made of (RFC 6455 section 4.2.2), where it proves that the
 * peer was understood and protects nothing. Not for anything that must be secure: and so a policy
 * of the system that forbids it there does not matter here.
 */

#include "base/slice.h"

#define SHA1_SIZE 20

/* Pure. FIPS 180-4 section 6.1. */
void sha1(struct slice bytes, uint8_t digest[SHA1_SIZE]);
