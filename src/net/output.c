#include "net/output.h"

#include "base/memory.h"

/*
 * Chunks of two sizes come from a pool, last out first in, so that a busy loop always writes to
 * warm memory. An output begins with a small one. Whoever fills it is sent a lot, and goes on in
 * large ones: a burst to each of 1,000 subscribers takes a tenth less, since a send has fewer
 * pieces. So that peers who do not read cost little, a worker has but some large ones under way. A
 * packet that does not fit gets a chunk of its own size. A reference is a chunk without room whose
 * bytes lie in a message.
 */

#define SMALL_SIZE 1024
#define LARGE_SIZE 4096

/* Bytes in large chunks that are in outputs, and in free chunks of each size: of a worker. */
#define POOL_SIZE (4u << 20)

#define LARGE_MAX (POOL_SIZE / LARGE_SIZE)

/* A chunk with so little is copied when it is moved: cheaper than an iovec, and it is free again.
 */
#define JOIN_MAX 256

#define SMALL_CAP ((uint32_t)(SMALL_SIZE - sizeof(struct output_chunk)))
#define LARGE_CAP ((uint32_t)(LARGE_SIZE - sizeof(struct output_chunk)))

void output_pool_init(struct output_pool *pool)
{
    *pool = (struct output_pool){0};
}

static void clear(struct output_shelf *shelf)
{
    while (shelf->free) {
        struct output_chunk *chunk = shelf->free;

        shelf->free = chunk->next;
        memory_free(chunk);
    }
    shelf->free_len = 0;
}

void output_pool_deinit(struct output_pool *pool)
{
    assert(pool->used_len == 0 && pool->large_len == 0 && pool->size == 0 && pool->packet_len == 0);
    clear(&pool->small);
    clear(&pool->large);
}

/* NULL: of a size of its own. */
static struct output_shelf *shelf_of(struct output_pool *pool, const struct output_chunk *chunk)
{
    return chunk->cap == SMALL_CAP ? &pool->small : chunk->cap == LARGE_CAP ? &pool->large : NULL;
}

static struct output_chunk *take(struct output_shelf *shelf, uint32_t cap)
{
    struct output_chunk *chunk = shelf->free;

    if (!chunk) {
        return memory_alloc(sizeof(*chunk) + cap);
    }
    shelf->free = chunk->next;
    shelf->free_len--;
    return chunk;
}

/* What comes behind a reference begins anew: most often it is the head of the next packet alone. */
static bool goes_on_large(const struct output *output, const struct output_pool *pool)
{
    const struct output_chunk *tail = output->tail;

    return tail && !tail->message && pool->large_len < LARGE_MAX;
}

static struct output_chunk *chunk_new(const struct output *output, struct output_pool *pool,
                                      size_t size)
{
    struct output_chunk *chunk;
    uint32_t cap;

    if (size <= LARGE_CAP && goes_on_large(output, pool)) {
        cap = LARGE_CAP;
        chunk = take(&pool->large, cap);
    } else if (size <= SMALL_CAP) {
        cap = SMALL_CAP;
        chunk = take(&pool->small, cap);
    } else {
        cap = (uint32_t)size;
        chunk = memory_alloc(sizeof(*chunk) + cap);
    }
    if (!chunk) {
        return NULL;
    }
    pool->used_len++;
    pool->large_len += cap == LARGE_CAP;
    chunk->next = NULL;
    chunk->message = NULL;
    chunk->data = chunk->room;
    chunk->begin = 0;
    chunk->end = 0;
    chunk->cap = cap;
    chunk->packet_len = 0;
    chunk->all.size = 0;
    chunk->all.packet_len = 0;
    return chunk;
}

static void chunk_free(struct output_chunk *chunk, struct output_pool *pool)
{
    struct output_shelf *shelf = shelf_of(pool, chunk);
    size_t size = sizeof(*chunk) + chunk->cap;

    message_unref(chunk->message);
    pool->used_len--;
    pool->large_len -= chunk->cap == LARGE_CAP;
    pool->packet_len -= chunk->packet_len;
    if (!shelf || shelf->free_len * size >= POOL_SIZE) {
        memory_free(chunk);
        return;
    }
    chunk->next = shelf->free;
    shelf->free = chunk;
    shelf->free_len++;
}

void output_init(struct output *output)
{
    *output = (struct output){0};
}

/* Behind the last one, from which it takes the sums over. */
static void append(struct output *output, struct output_chunk *chunk)
{
    struct output_chunk *tail = output->tail;

    if (tail) {
        chunk->next = tail->next;
        tail->next = chunk;
        chunk->all = tail->all;
    } else {
        chunk->next = chunk;
        chunk->all.size = 0;
        chunk->all.packet_len = 0;
    }
    output->tail = chunk;
}

/* There is one. The sums stay what they are, unless it is the last, which takes them along. */
static struct output_chunk *take_head(struct output *output)
{
    struct output_chunk *head = output->tail->next;

    if (head == output->tail) {
        output->tail = NULL;
    } else {
        output->tail->next = head->next;
    }
    return head;
}

static struct output_chunk *first_of(const struct output *output)
{
    return output->tail ? output->tail->next : NULL;
}

/* NULL behind the last one. */
static struct output_chunk *next_of(const struct output *output, const struct output_chunk *chunk)
{
    return chunk == output->tail ? NULL : chunk->next;
}

void output_deinit(struct output *output, struct output_pool *pool)
{
    pool->size -= output_size(output);
    while (output->tail) {
        chunk_free(take_head(output), pool);
    }
}

static bool is_too_much(const struct output *output, size_t more)
{
    return more > UINT32_MAX - output_size(output);
}

uint8_t *output_extend(struct output *output, struct output_pool *pool, size_t size)
{
    struct output_chunk *chunk = is_too_much(output, size) ? NULL : chunk_new(output, pool, size);

    if (!chunk) {
        return NULL;
    }
    append(output, chunk);
    return chunk->room;
}

uint32_t output_commit(struct output *output, struct output_pool *pool, const uint8_t *end,
                       bool ends_packet)
{
    struct output_chunk *tail = output->tail;
    uint32_t size = (uint32_t)(end - (tail->room + tail->end));

    assert(tail->end + size <= tail->cap);
    tail->end += size;
    tail->packet_len += ends_packet;
    tail->all.size += size;
    tail->all.packet_len += ends_packet;
    pool->size += size;
    pool->packet_len += ends_packet;
    return size;
}

/* A reference has no room of its own: what comes behind it goes on in the next chunk. */
int output_refer(struct output *output, struct output_pool *pool, struct message *message,
                 struct slice bytes)
{
    struct output_chunk *chunk =
        is_too_much(output, bytes.len) ? NULL : memory_alloc(sizeof(*chunk));

    if (!chunk) {
        return -ENOMEM;
    }
    pool->used_len++;
    *chunk = (struct output_chunk){
        .message = message_ref(message),
        .data = bytes.data,
        .end = (uint32_t)bytes.len,
        .packet_len = 1,
    };
    append(output, chunk);
    chunk->all.size += (uint32_t)bytes.len;
    chunk->all.packet_len++;
    pool->size += bytes.len;
    pool->packet_len++;
    return 0;
}

uint32_t output_front(const struct output *output, uint32_t least)
{
    uint32_t size = 0;

    for (struct output_chunk *chunk = first_of(output); chunk && size < least;
         chunk = next_of(output, chunk)) {
        size += chunk->end - chunk->begin;
    }
    return size;
}

/* True: the chunk's bytes are in the last one of `to` now, and it is free. */
static bool join(struct output *to, struct output_chunk *chunk, struct output_pool *pool)
{
    struct output_chunk *tail = to->tail;
    uint32_t size = chunk->end - chunk->begin;

    if (!tail || tail->message || chunk->message || size > JOIN_MAX ||
        tail->cap - tail->end < size) {
        return false;
    }
    memcpy(tail->room + tail->end, chunk->data + chunk->begin, size);
    tail->end += size;
    tail->packet_len += chunk->packet_len;
    chunk->packet_len = 0;
    chunk_free(chunk, pool);
    return true;
}

void output_move(struct output *to, struct output *from, struct output_pool *pool, uint32_t size)
{
    while (size > 0) {
        struct output_chunk *chunk;
        uint32_t packet_len;
        uint32_t part;

        assert(from->tail);
        chunk = from->tail->next;
        packet_len = chunk->packet_len;
        part = chunk->end - chunk->begin;
        assert(part <= size && !is_too_much(to, part));
        from->tail->all.size -= part;
        from->tail->all.packet_len -= packet_len;
        take_head(from);
        if (!join(to, chunk, pool)) {
            append(to, chunk);
        }
        to->tail->all.size += part;
        to->tail->all.packet_len += packet_len;
        size -= part;
    }
}

unsigned output_vector(const struct output *output, struct iovec *vector, unsigned cap)
{
    unsigned len = 0;

    for (struct output_chunk *chunk = first_of(output); chunk && len < cap;
         chunk = next_of(output, chunk)) {
        if (chunk->end > chunk->begin) {
            vector[len].iov_base = (void *)(uintptr_t)(chunk->data + chunk->begin);
            vector[len].iov_len = chunk->end - chunk->begin;
            len++;
        }
    }
    return len;
}

void output_consume(struct output *output, struct output_pool *pool, size_t size)
{
    assert(size <= output_size(output));
    if (output->tail) {
        output->tail->all.size -= (uint32_t)size;
    }
    pool->size -= size;
    while (output->tail) {
        struct output_chunk *chunk = output->tail->next;
        uint32_t part = (uint32_t)MIN(size, (size_t)(chunk->end - chunk->begin));

        chunk->begin += part;
        size -= part;
        if (chunk->begin < chunk->end) {
            return;
        }
        output->tail->all.packet_len -= chunk->packet_len;
        chunk_free(take_head(output), pool);
    }
}

/* All chunks of an output, and the large ones of them. */
struct chunk_count {
    unsigned all;
    unsigned large;
};

static struct chunk_count count_chunks(const struct output *output)
{
    struct chunk_count count = {0};

    for (const struct output_chunk *chunk = first_of(output); chunk;
         chunk = next_of(output, chunk)) {
        count.all++;
        count.large += chunk->cap == LARGE_CAP;
    }
    return count;
}

void output_leave(const struct output *output, struct output_pool *pool)
{
    struct chunk_count count = count_chunks(output);

    pool->used_len -= count.all;
    pool->large_len -= count.large;
    pool->size -= output_size(output);
    pool->packet_len -= output_packet_len(output);
}

void output_enter(const struct output *output, struct output_pool *pool)
{
    struct chunk_count count = count_chunks(output);

    pool->used_len += count.all;
    pool->large_len += count.large;
    pool->size += output_size(output);
    pool->packet_len += output_packet_len(output);
}
