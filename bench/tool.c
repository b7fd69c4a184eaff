#include "bench/tool.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void tool_die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("bench-load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

void *tool_alloc(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);

    if (!memory) {
        tool_die("out of memory");
    }
    return memory;
}

uint8_t *tool_reserve(struct bytes *bytes, size_t room)
{
    size_t cap = bytes->cap ? bytes->cap : 256;

    while (cap - bytes->len < room) {
        cap *= 2;
    }
    if (cap != bytes->cap) {
        uint8_t *larger = realloc(bytes->data, cap);

        if (!larger) {
            tool_die("out of memory");
        }
        bytes->data = larger;
        bytes->cap = cap;
    }
    return bytes->data + bytes->len;
}

uint64_t tool_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}
