#include "base/rcu.h"

#include "base/memory.h"
#include "base/point.h"

#include <string.h>

/*
 * `epoch` only grows. A reader's quiescent point copies it into `seen`. To retire, a worker
 * unlinks, and at its own next quiescent point raises the epoch once for all that it retired since
 * the last one: the value after the raise is what these objects wait for. A reader whose `seen` has
 * reached it loaded the epoch after the raise, hence sees the unlinking; everything it read before
 * its store to `seen` happened before our load of it. A reader that comes online stores `seen` and
 * only then, behind a full fence, reads anything; whoever raises the epoch and finds that reader
 * offline has, by the fence, unlinked before those reads.
 *
 * One shared write for each iteration that retires something, none for one that does not.
 */

#define CHUNK_CAP 127

struct rcu_entry {
    rcu_free_fn free_fn;
    void *context;
    void *object;
    uint64_t epoch; /* 0: not raised for yet */
};

struct rcu_chunk {
    struct rcu_chunk *next;
    unsigned begin;  /* entries before it are freed */
    unsigned raised; /* entries before it have their epoch */
    unsigned end;
    struct rcu_entry entries[CHUNK_CAP];
};

void rcu_init(struct rcu *rcu)
{
    atomic_init(&rcu->epoch, 1);
    rcu->reader_len = 0;
}

static void chunk_reset(struct rcu_chunk *chunk)
{
    chunk->next = NULL;
    chunk->begin = 0;
    chunk->raised = 0;
    chunk->end = 0;
}

void rcu_reader_init(struct rcu_reader *reader, struct rcu *rcu)
{
    assert(rcu->reader_len < RCU_READER_CAP);

    memset(reader, 0, sizeof(*reader));
    atomic_init(&reader->seen, 0);
    reader->rcu = rcu;
    reader->reserve = memory_must_alloc(sizeof(*reader->reserve));
    rcu->readers[rcu->reader_len++] = reader;
}

void rcu_online(struct rcu_reader *reader)
{
    assert(!rcu_is_online(reader));

    uint64_t epoch = atomic_load_explicit(&reader->rcu->epoch, memory_order_acquire);

    /* Release for the section before: who sees only this store must not miss that it has ended. */
    atomic_store_explicit(&reader->seen, epoch, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    point("rcu online");
}

void rcu_offline(struct rcu_reader *reader)
{
    assert(rcu_is_online(reader));

    point("rcu offline");
    atomic_store_explicit(&reader->seen, 0, memory_order_release);
}

bool rcu_is_online(const struct rcu_reader *reader)
{
    return atomic_load_explicit(&reader->seen, memory_order_relaxed) != 0;
}

/* Gives every entry that has none the epoch that it waits for. */
static void raise_epoch(struct rcu_reader *reader)
{
    struct rcu_chunk *chunk = reader->oldest;
    uint64_t epoch;

    while (chunk && chunk->raised == chunk->end) {
        chunk = chunk->next;
    }
    if (!chunk) {
        return;
    }
    epoch = atomic_fetch_add_explicit(&reader->rcu->epoch, 1, memory_order_seq_cst) + 1;
    for (; chunk; chunk = chunk->next) {
        for (; chunk->raised < chunk->end; chunk->raised++) {
            chunk->entries[chunk->raised].epoch = epoch;
        }
    }
}

void rcu_quiescent(struct rcu_reader *reader)
{
    uint64_t epoch;

    assert(rcu_is_online(reader));

    point("rcu quiescent");
    if (reader->newest && reader->newest->raised < reader->newest->end) {
        raise_epoch(reader);
    }
    epoch = atomic_load_explicit(&reader->rcu->epoch, memory_order_acquire);
    atomic_store_explicit(&reader->seen, epoch, memory_order_release);
}

/* The reserve is for when there is no memory: what is retired then still has a place. */
static struct rcu_chunk *chunk_new(struct rcu_reader *reader)
{
    struct rcu_chunk *chunk =
        reader->spare ? TAKE(reader->spare) : memory_alloc(sizeof(*reader->spare));

    return chunk ? chunk : TAKE(reader->reserve);
}

/* The chunk that takes the next entry; NULL without memory. */
static struct rcu_chunk *chunk_with_room(struct rcu_reader *reader)
{
    struct rcu_chunk *chunk = reader->newest;

    if (chunk && chunk->end < CHUNK_CAP) {
        return chunk;
    }
    chunk = chunk_new(reader);
    if (!chunk) {
        return NULL;
    }
    chunk_reset(chunk);
    if (reader->newest) {
        reader->newest->next = chunk;
    } else {
        reader->oldest = chunk;
    }
    reader->newest = chunk;
    return chunk;
}

void rcu_retire(struct rcu_reader *reader, rcu_free_fn free_fn, void *context, void *object)
{
    struct rcu_chunk *chunk = chunk_with_room(reader);

    point("rcu retire");
    if (!chunk) {
        reader->leaked_len++;
        return;
    }
    chunk->entries[chunk->end++] = (struct rcu_entry){
        .free_fn = free_fn,
        .context = context,
        .object = object,
    };
    reader->waiting_len++;
}

/* The epoch that every reader has reached; offline readers hold nobody up. */
static uint64_t epoch_reached(const struct rcu *rcu)
{
    uint64_t reached = UINT64_MAX;

    atomic_thread_fence(memory_order_seq_cst);
    for (unsigned i = 0; i < rcu->reader_len; i++) {
        uint64_t seen = atomic_load_explicit(&rcu->readers[i]->seen, memory_order_acquire);

        if (seen != 0) {
            reached = MIN(reached, seen);
        }
    }
    return reached;
}

static void chunk_recycle(struct rcu_reader *reader)
{
    struct rcu_chunk *chunk = reader->oldest;

    reader->oldest = chunk->next;
    if (!reader->oldest) {
        reader->newest = NULL;
    }
    if (!reader->reserve) {
        reader->reserve = chunk;
    } else if (!reader->spare) {
        reader->spare = chunk;
    } else {
        memory_free(chunk);
    }
}

/* Frees the raised entries that waited for an epoch up to `reached`. */
static size_t reclaim_up_to(struct rcu_reader *reader, uint64_t reached, size_t budget)
{
    size_t done = 0;

    while (reader->oldest && done < budget) {
        struct rcu_chunk *chunk = reader->oldest;
        struct rcu_entry entry;

        if (chunk->begin == chunk->end) {
            chunk_recycle(reader);
            continue;
        }
        entry = chunk->entries[chunk->begin];
        if (chunk->begin == chunk->raised || entry.epoch > reached) {
            break;
        }
        chunk->begin++;
        reader->waiting_len--;
        done++;
        entry.free_fn(entry.context, entry.object);
    }
    return done;
}

size_t rcu_reclaim(struct rcu_reader *reader, size_t budget)
{
    struct rcu_chunk *oldest = reader->oldest;

    if (!oldest || (oldest->begin == oldest->raised && oldest->begin < oldest->end)) {
        return 0;
    }
    return reclaim_up_to(reader, epoch_reached(reader->rcu), budget);
}

void rcu_reader_deinit(struct rcu_reader *reader)
{
    if (!reader->rcu) {
        return;
    }
    assert(!rcu_is_online(reader));
    while (reader->waiting_len > 0) {
        raise_epoch(reader);
        reclaim_up_to(reader, UINT64_MAX, SIZE_MAX);
    }
    while (reader->oldest) {
        struct rcu_chunk *chunk = reader->oldest;

        reader->oldest = chunk->next;
        memory_free(chunk);
    }
    reader->newest = NULL;
    reader->spare = memory_free(reader->spare);
    reader->reserve = memory_free(reader->reserve);
    reader->rcu = NULL;
}
