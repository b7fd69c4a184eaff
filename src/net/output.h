#pragma once

/*
 * Output
 *
 * Bytes on their way to one connection: chunks that exist only while they hold something, and
 * references to payloads that are too large to be copied. Belongs to its worker, like the pool that
 * the chunks come from.
 */

#include "core/message.h"

#include <sys/uio.h>

/* Chunks of one size that are free. Private to net/output.c. */
struct output_shelf {
    struct output_chunk *free;
    unsigned free_len;
};

/* Owner: its worker. */
struct output_pool {
    struct output_shelf small;
    struct output_shelf large;
    unsigned large_len;  /* large chunks that are in outputs now */
    unsigned used_len;   /* all chunks that are */
    uint64_t size;       /* bytes that wait in outputs now */
    uint64_t packet_len; /* packets, of which the last bytes do */
};

void output_pool_init(struct output_pool *pool);
void output_pool_deinit(struct output_pool *pool);

/* Private to net/output.c. */
struct output_chunk {
    struct output_chunk *next;
    struct message *message; /* of a reference, else NULL */
    const uint8_t *data;     /* room[], or bytes of the message */
    uint32_t begin;
    uint32_t end;
    uint32_t cap;        /* of room[] */
    uint32_t packet_len; /* packets that end in it */
    struct {
        uint32_t size;
        uint32_t packet_len;
    } all; /* of the whole output, in its last chunk */
    uint8_t room[];
};

/* A connection to which nothing is under way pays for a pointer. */
struct output {
    struct output_chunk *tail; /* the last of a ring; NULL: there is none */
};

void output_init(struct output *output);
void output_deinit(struct output *output, struct output_pool *pool);

/* Bytes that wait. */
static inline uint32_t output_size(const struct output *output)
{
    return output->tail ? output->tail->all.size : 0;
}

/* Packets of which something waits, or at least lies in its last chunk. */
static inline uint32_t output_packet_len(const struct output *output)
{
    return output->tail ? output->tail->all.packet_len : 0;
}

static inline bool output_is_empty(const struct output *output)
{
    return output_size(output) == 0;
}

/* The room of output_reserve() in a piece of its own. */
uint8_t *output_extend(struct output *output, struct output_pool *pool, size_t size);

/* Room for `size` bytes in one piece at the end. Nothing is added yet. NULL: without memory, or
 * with more than 4 GiB that wait. */
static inline uint8_t *output_reserve(struct output *output, struct output_pool *pool, size_t size)
{
    struct output_chunk *tail = output->tail;

    /* A reference has no room. */
    return likely(tail && tail->cap >= tail->end + size && UINT32_MAX - tail->all.size >= size)
               ? tail->room + tail->end
               : output_extend(output, pool, size);
}

/* The bytes written to the reserved room, up to `end`, are part of the output now; perhaps they are
 * the last ones of a packet. Answers how many they are. */
uint32_t output_commit(struct output *output, struct output_pool *pool, const uint8_t *end,
                       bool ends_packet);

/* Adds bytes of a message by reference, the last ones of a packet. -ENOMEM, as output_reserve(). */
int output_refer(struct output *output, struct output_pool *pool, struct message *message,
                 struct slice bytes) MUST_CHECK;

/* How many bytes the pieces at the front have: as many as there must be to come to `least`, or all.
 */
uint32_t output_front(const struct output *output, uint32_t least);

/* Moves so many bytes, as output_front() told them, to the end of another output of the pool:
 * pieces as they are, small ones by a copy. */
void output_move(struct output *to, struct output *from, struct output_pool *pool, uint32_t size);

/* The front of what waits; answers how many pieces it wrote. */
unsigned output_vector(const struct output *output, struct iovec *vector, unsigned cap);

/* `size` bytes have left. */
void output_consume(struct output *output, struct output_pool *pool, size_t size);

/* Before the output goes to another worker, and when it has come: what waits is counted there. */
void output_leave(const struct output *output, struct output_pool *pool);
void output_enter(const struct output *output, struct output_pool *pool);
