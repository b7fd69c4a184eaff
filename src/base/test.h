#pragma once

/*
 * Unit tests
 *
 * cmocka, with the headers that it needs in front of it.
 */

#include "base/memory.h"
#include "base/slice.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
/* clang-format on */

/*
 * A copy on the heap that is exactly as long as the bytes, so that the address sanitizer sees every
 * read behind them. The caller frees `data`.
 */
static inline UNUSED struct slice bytes_copy(struct slice bytes)
{
    uint8_t *copy = memory_must_alloc(bytes.len);

    if (bytes.len) {
        memcpy(copy, bytes.data, bytes.len);
    }
    return slice_of(copy, bytes.len);
}

static inline UNUSED void bytes_free(struct slice copy)
{
    memory_free((void *)(uintptr_t)copy.data);
}
