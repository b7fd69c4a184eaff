#pragma once

/*
 * Text
 *
 * Bytes from outside, made fit for a log line: whatever a peer sent, one line stays one line, and
 * nobody can make a terminal or a reader see what is not there.
 */

#include "base/slice.h"

/*
 * Writes `bytes` into `buf` with a terminator and answers the length written. Printable ASCII and
 * letters of well-formed UTF-8 stay as they are; a backslash is doubled; every other byte becomes
 * \xNN: control characters, broken UTF-8, line and paragraph separators, marks that reorder or hide
 * text. What does not fit is cut between two characters and ends with "..."; `cap` is at least 8.
 */
size_t text_escape(char *buf, size_t cap, struct slice bytes);

/*
 * The last look at a whole line, wherever its parts came from: the same, but a backslash and a tab
 * stay as they are, and what does not fit is cut off between two characters without a mark. `cap`
 * is at least 1.
 */
size_t text_clean(char *buf, size_t cap, struct slice bytes);

/*
 * The inside of a string of JSON: quotes, backslashes and what text_escape() would escape become
 * \uNNNN or the like, broken UTF-8 U+FFFD. Cut as by text_escape(); `cap` is at least 8.
 */
size_t text_escape_json(char *buf, size_t cap, struct slice bytes);

/* The value of a hexadecimal digit, of either case; -1: it is none. */
int text_hex_digit(uint8_t byte);

/* Whether both are the same text, or both NULL. */
bool text_is_same(const char *a, const char *b);
