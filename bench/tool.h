#pragma once

/*
 * What every part of the load generator uses: the end with a message, the clock, growing buffers.
 * The generator is a tool for one run: whatever it can't do ends it with exit code 2.
 */

#include "base/base.h"

struct bytes {
    uint8_t *data;
    size_t len;
    size_t cap;
};

void tool_die(const char *format, ...) NO_RETURN PRINTF_LIKE(1, 2);

void *tool_alloc(size_t count, size_t size) MUST_CHECK;

/* Makes room for `room` bytes behind what the buffer holds and answers where. */
uint8_t *tool_reserve(struct bytes *bytes, size_t room);

uint64_t tool_now_ns(void);

#define NS_PER_SECOND 1000000000ull
#define NS_PER_MS     1000000ull
