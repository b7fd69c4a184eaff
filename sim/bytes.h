#pragma once

/*
 * Bytes
 *
 * A run of bytes in one direction, kept from the first to the last.
 */

#include "base/slice.h"

struct bytes {
    uint8_t *data;
    size_t cap;
    size_t written;
    size_t read;
};

/* Ends the run of the simulator when there is no memory. */
void bytes_write(struct bytes *bytes, const void *data, size_t len);
void bytes_deinit(struct bytes *bytes);

static inline size_t bytes_waiting(const struct bytes *bytes)
{
    return bytes->written - bytes->read;
}

static inline struct slice bytes_rest(const struct bytes *bytes)
{
    size_t len = bytes_waiting(bytes);

    return slice_of(len ? bytes->data + bytes->read : NULL, len);
}
