#pragma once

/*
 * JSON
 *
 * Writes one text of JSON, member by member, into memory that grows with it: for texts of which
 * nobody wants a tree. Whatever bytes are given, the text is valid, and UTF-8. Owner: whoever
 * embeds it.
 */

#include "base/slice.h"

/* Private to base/json.c, but for `len`; zero at its beginning. */
struct json {
    char *text;
    size_t len; /* so far */
    size_t cap;
    bool has_failed; /* no memory: what was written is of no use */
};

void json_deinit(struct json *json);

/* The text, with its terminator, on the heap and the caller's; NULL: there was no memory. It is
 * complete. */
char *json_take(struct json *json) MUST_CHECK;

/* Of all that follows `name` is NULL in lists and outside of everything. A name is written as it
 * is. */

/* '{' or '['; and the end of the innermost one. */
void json_open(struct json *json, const char *name, char bracket);
void json_close(struct json *json, char bracket);

/* Text that is not UTF-8 loses its broken bytes: U+FFFD stands for each of them. */
void json_add_text(struct json *json, const char *name, struct slice text);
void json_add_number(struct json *json, const char *name, uint64_t number);
void json_add_bool(struct json *json, const char *name, bool value);
void json_add_null(struct json *json, const char *name);
