#include "sim/bytes.h"

#include "sim/fail.h"

#include <stdlib.h>
#include <string.h>

void bytes_write(struct bytes *bytes, const void *data, size_t len)
{
    if (len == 0) {
        return;
    }
    if (bytes->written + len > bytes->cap) {
        size_t cap = MAX(bytes->cap * 2, bytes->written + len);
        void *grown = realloc(bytes->data, cap);

        if (!grown) {
            sim_fail("no memory");
        }
        bytes->data = grown;
        bytes->cap = cap;
    }
    memcpy(bytes->data + bytes->written, data, len);
    bytes->written += len;
}

void bytes_deinit(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){0};
}
