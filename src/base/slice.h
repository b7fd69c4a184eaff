#pragma once

/*
 * Slice
 *
 * A borrowed run of bytes. A slice never owns memory: whoever makes one says how long its bytes
 * live.
 */

#include "base/base.h"

#include <string.h>

struct slice {
    const uint8_t *data;
    size_t len;
};

static inline struct slice slice_of(const void *data, size_t len)
{
    return (struct slice){.data = data, .len = len};
}

/* The bytes of a C string, without its terminator. */
static inline struct slice slice_of_text(const char *text)
{
    return slice_of(text, strlen(text));
}

static inline bool slice_is_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* What is left of a slice behind its first `len` bytes. */
static inline struct slice slice_skip(struct slice slice, size_t len)
{
    assert(len <= slice.len);
    return slice_of(slice.len == 0 ? slice.data : slice.data + len, slice.len - len);
}
