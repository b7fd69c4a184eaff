#pragma once

/*
 * What the tests of framings have in common: the server's stage at the other end of memory.
 */

#include "base/test.h"
#include "net/stream.h"
#include "sim/bytes.h"
#include "sim/choice.h"

struct stage_end {
    struct stage *stage;
    struct stage_io *io;
    struct choice *choice;
    struct bytes *to_server;
    size_t read_max; /* up to 2000 */
};

/* What the server opens of all that waits, in reads of any size. */
static inline enum stage_verdict stage_end_read(const struct stage_end *end, struct bytes *plain)
{
    struct bytes *from = end->to_server;
    enum stage_verdict verdict = STAGE_OK;
    uint8_t buffer[2000];

    assert_true(end->read_max <= sizeof(buffer));
    while (verdict == STAGE_OK && bytes_waiting(from) > 0) {
        struct slice rest = bytes_rest(from);
        unsigned most = (unsigned)MIN(rest.len, end->read_max);
        struct slice part = slice_of(buffer, 1 + choice_below(end->choice, most));

        memcpy(buffer, rest.data, part.len);
        from->read += part.len;
        verdict = end->stage->ops->unseal(end->stage, &part, end->io);
        bytes_write(plain, part.data, part.len);
    }
    return verdict;
}

/* Bytes for the server to send. */
static inline void stage_put_plain(struct output *output, struct output_pool *pool, size_t len)
{
    uint8_t *at = output_reserve(output, pool, len);

    assert_non_null(at);
    memset(at, 'x', len);
    output_commit(output, pool, at + len, false);
}
