#pragma once

/*
 * Fuzz targets
 *
 * The entry point of libFuzzer and what the targets share. A target asserts what must hold of every
 * input; the sanitizers see the rest.
 */

#include "base/memory.h"
#include "base/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* On the heap at its exact size, so that a read behind it is seen. Free it with fuzz_free(). */
static inline UNUSED struct slice fuzz_copy(struct slice bytes)
{
    uint8_t *copy = memory_must_alloc(bytes.len);

    if (bytes.len) {
        memcpy(copy, bytes.data, bytes.len);
    }
    return slice_of(copy, bytes.len);
}

static inline UNUSED void fuzz_free(struct slice copy)
{
    memory_free((void *)(uintptr_t)copy.data);
}

/* An empty slice may be anywhere. */
static inline UNUSED void fuzz_assert_inside(struct slice part, struct slice whole)
{
    assert(part.len == 0 || (part.data >= whole.data && part.len <= whole.len &&
                             (size_t)(part.data - whole.data) <= whole.len - part.len));
}
