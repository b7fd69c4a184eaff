#pragma once

/*
 * --decode-proxy
 *
 * Prints what the receiver of PROXY headers understands of one: with it, an operator sees what a
 * proxy really sends.
 */

#include <stdio.h>

/*
 * `hex`: the bytes from the beginning of the connection, with spaces, colons and line breaks
 * anywhere. 0: understood and printed; 1: refused, or not whole, and said so; -EINVAL: not hex,
 * -ENOMEM.
 */
int decode_proxy(const char *hex, FILE *out);
